import type { StubAnswer, StubRequest } from './stub-hosts';

/** Pets of every status, with the numbers that the kit asks for among them. */
const PETS = [
  { id: 1, category: { id: 1, name: 'Dogs' }, name: 'Rex', photoUrls: [], tags: [], status: 'available' },
  { id: 2, category: { id: 2, name: 'Cats' }, name: 'Tom', photoUrls: [], tags: [], status: 'available' },
  { id: 3, category: { id: 1, name: 'Dogs' }, name: 'Lassie', photoUrls: [], tags: [], status: 'pending' },
  { id: 4, category: { id: 2, name: 'Cats' }, name: 'Felix', photoUrls: [], tags: [], status: 'sold' },
];

/** Answers as https://petstore.swagger.io/v2 does, for what the kit asks of it: pets by number and status, and its document. */
export function answerPetstore({ method, path, query }: StubRequest): StubAnswer {
  if (method !== 'GET') return { status: 405 };
  if (path === '/v2/swagger.json') return { status: 200, json: SWAGGER };
  if (path === '/v2/pet/findByStatus') {
    const wanted = query.getAll('status').flatMap((status) => status.split(','));
    return { status: 200, json: PETS.filter(({ status }) => wanted.includes(status)) };
  }
  const id = /^\/v2\/pet\/([^/]+)$/.exec(path)?.[1];
  // Also what the original says to a path that it does not have, such as that of /v2/pet/getPetByName/Milou.
  if (id === undefined) return { status: 404, json: { code: 404, type: 'unknown', message: 'null for uri' } };
  const pet = PETS.find((candidate) => String(candidate.id) === id);
  return pet === undefined
    ? { status: 404, json: { code: 1, type: 'error', message: 'Pet not found' } }
    : { status: 200, json: pet };
}

const PET = {
  type: 'object',
  required: ['name', 'photoUrls'],
  properties: {
    id: { type: 'integer', format: 'int64' },
    category: { type: 'object', properties: { id: { type: 'integer', format: 'int64' }, name: { type: 'string' } } },
    name: { type: 'string' },
    photoUrls: { type: 'array', items: { type: 'string' } },
    tags: { type: 'array', items: { type: 'object' } },
    status: { type: 'string', enum: ['available', 'pending', 'sold'] },
  },
};

/** The part of the original's document that describes these operations. */
const SWAGGER = {
  swagger: '2.0',
  info: { title: 'Swagger Petstore', version: '1.0.7' },
  host: 'petstore.swagger.io',
  basePath: '/v2',
  schemes: ['https', 'http'],
  paths: {
    '/pet/findByStatus': {
      get: {
        summary: 'Finds Pets by status',
        operationId: 'findPetsByStatus',
        produces: ['application/json', 'application/xml'],
        parameters: [
          {
            name: 'status',
            in: 'query',
            required: true,
            type: 'array',
            items: { type: 'string', enum: ['available', 'pending', 'sold'], default: 'available' },
            collectionFormat: 'multi',
          },
        ],
        responses: {
          200: { description: 'successful operation', schema: { type: 'array', items: { $ref: '#/definitions/Pet' } } },
          400: { description: 'Invalid status value' },
        },
      },
    },
    '/pet/{petId}': {
      get: {
        summary: 'Find pet by ID',
        operationId: 'getPetById',
        produces: ['application/json', 'application/xml'],
        parameters: [{ name: 'petId', in: 'path', required: true, type: 'integer', format: 'int64' }],
        responses: {
          200: { description: 'successful operation', schema: { $ref: '#/definitions/Pet' } },
          400: { description: 'Invalid ID supplied' },
          404: { description: 'Pet not found' },
        },
      },
    },
  },
  definitions: { Pet: PET },
};
