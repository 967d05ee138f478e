import type { JsonObject } from '../../src/dsl/json';

/** A document of Swagger 2.0 in the manner of the well-known pet store; `host` is where its operations are. */
export function petstore(host: string): JsonObject {
  return {
    swagger: '2.0',
    info: { title: 'Pets', version: '1' },
    host,
    basePath: '/v2',
    schemes: ['http'],
    securityDefinitions: { key: { type: 'apiKey', name: 'api_key', in: 'header' } },
    paths: {
      '/pet/findByStatus': {
        get: {
          operationId: 'findPetsByStatus',
          produces: ['application/xml', 'application/json'],
          parameters: [
            {
              name: 'status',
              in: 'query',
              required: true,
              type: 'array',
              items: { type: 'string', enum: ['available', 'pending', 'sold'] },
              collectionFormat: 'multi',
            },
          ],
        },
      },
      '/pet/findByTags': {
        get: {
          operationId: 'findPetsByTags',
          parameters: [
            { name: 'csv', in: 'query', type: 'array', items: { type: 'string' } },
            { name: 'ssv', in: 'query', type: 'array', items: { type: 'string' }, collectionFormat: 'ssv' },
            { name: 'tsv', in: 'query', type: 'array', items: { type: 'string' }, collectionFormat: 'tsv' },
            { name: 'pipes', in: 'query', type: 'array', items: { type: 'string' }, collectionFormat: 'pipes' },
          ],
        },
      },
      '/pet/{petId}': {
        parameters: [{ name: 'petId', in: 'path', required: true, type: 'integer', format: 'int64' }],
        get: { operationId: 'getPetById', security: [{ key: [] }] },
        post: {
          operationId: 'updatePetWithForm',
          consumes: ['application/x-www-form-urlencoded'],
          parameters: [
            { name: 'name', in: 'formData', type: 'string', required: true },
            { name: 'tags', in: 'formData', type: 'array', items: { type: 'string' } },
          ],
        },
        delete: {
          operationId: 'deletePet',
          parameters: [{ name: 'X-Reason', in: 'header', type: 'string' }],
        },
      },
      '/pet/{petId}/uploadImage': {
        post: {
          operationId: 'uploadFile',
          consumes: ['multipart/form-data'],
          parameters: [
            { name: 'petId', in: 'path', required: true, type: 'integer' },
            { name: 'additionalMetadata', in: 'formData', type: 'string' },
            { name: 'file', in: 'formData', type: 'file' },
          ],
        },
      },
      '/pet': {
        post: {
          operationId: 'addPet',
          consumes: ['application/json', 'application/xml'],
          parameters: [{ name: 'pet', in: 'body', required: true, schema: { $ref: '#/definitions/Pet' } }],
        },
      },
    },
    definitions: {
      Pet: {
        type: 'object',
        required: ['id', 'name'],
        properties: {
          id: { type: 'integer', readOnly: true },
          name: { type: 'string', minLength: 2, example: 'rex' },
          price: { type: 'number', minimum: 0, exclusiveMinimum: true },
          // Goes in circles.
          parent: { $ref: '#/definitions/Pet' },
        },
      },
    },
  };
}

/** OpenAPI 3.0 as YAML: styles, bodies of several kinds, a server with variables relative to the document. */
export const SHOP_YAML = `
openapi: 3.0.3
info: { title: Shop, version: '1' }
servers:
  - url: ./api/{stage}
    variables: { stage: { default: v1 } }
security: [{ queryKey: [] }]
paths:
  /path/{simple}/{label}/{matrix}/{json}:
    get:
      operationId: paths
      parameters:
        - { name: simple, in: path, required: true, explode: true, schema: { type: object } }
        - { name: label, in: path, required: true, style: label, schema: { type: array } }
        - { name: matrix, in: path, required: true, style: matrix, explode: true, schema: { type: array } }
        - { name: json, in: path, required: true, content: { application/json: { schema: { type: object } } } }
  /items/{id}:
    parameters:
      - $ref: '#/components/parameters/id'
    get:
      operationId: getItem
      parameters:
        - { name: id, in: query, schema: { type: integer } }
      responses:
        '200': { content: { application/xml: {}, application/hal+json: {} } }
        '404': { content: { text/plain: {} } }
  /search:
    get:
      operationId: search
      parameters:
        - { name: list, in: query, schema: { type: array, items: { type: string } } }
        - { name: joined, in: query, explode: false, schema: { type: array, items: { type: string } } }
        - { name: spaced, in: query, style: spaceDelimited, explode: false, schema: { type: array } }
        - { name: piped, in: query, style: pipeDelimited, explode: false, schema: { type: array } }
        - { name: filter, in: query, style: deepObject, schema: { type: object } }
        - { name: object, in: query, schema: { type: object } }
        - { name: flat, in: query, explode: false, schema: { type: object } }
        - { name: json, in: query, content: { application/json: { schema: { type: object } } } }
        - { name: reserved, in: query, allowReserved: true, schema: { type: string } }
        - { name: text, in: query, schema: { type: string, nullable: true, maxLength: 9223372036854775807 } }
        - { name: X-Trace, in: header, schema: { type: array } }
        - { name: Accept, in: header, required: true, schema: { type: string } }
        - { name: session, in: cookie, schema: { type: string } }
        - { name: flags, in: cookie, explode: false, schema: { type: array } }
  /orders:
    post:
      operationId: placeOrder
      requestBody:
        required: true
        content:
          text/plain: {}
          application/vnd.shop+json: { schema: { $ref: '#/components/schemas/Order' } }
  /forms:
    post:
      operationId: sendForm
      requestBody:
        content:
          application/x-www-form-urlencoded:
            schema: { type: object, properties: { name: { type: string }, tags: { type: array }, joined: { type: array }, deep: { type: object }, address: { type: object } } }
            encoding:
              joined: { style: form, explode: false }
              deep: { style: deepObject }
  /files:
    post:
      operationId: sendFiles
      requestBody:
        content:
          multipart/form-data:
            schema: { type: object, required: [file], properties: { file: { type: string, format: binary }, note: { type: string }, meta: { type: object } } }
            encoding:
              note: { contentType: text/markdown }
  /notes:
    put: { operationId: putNote, requestBody: { required: true, content: { text/plain: { schema: { type: string } } } } }
  /blobs:
    put: { operationId: putBlob, requestBody: { content: { application/octet-stream: { schema: { type: string, format: binary } } } } }
  /free:
    post: { operationId: postAnything, requestBody: { content: { '*/*': { schema: { type: object } } } } }
components:
  securitySchemes:
    queryKey: { type: apiKey, in: query, name: key }
  parameters:
    id: { name: id, in: path, required: true, schema: { type: string } }
  schemas:
    Order:
      type: object
      required: [item, amount, number]
      additionalProperties: false
      properties:
        number: { type: integer, readOnly: true }
        item: { type: string, pattern: '^(?!x)' }
        amount: { type: integer, minimum: 1 }
        due: { type: string, format: date, nullable: true }
        parts: { type: array, items: { $ref: '#/components/schemas/Order' } }
`;

/** OpenAPI 3.1 in the forms that are new there. */
export function reports(server: string): JsonObject {
  return {
    openapi: '3.1.0',
    info: { title: 'Reports', version: '1' },
    servers: [{ url: 'https://not-this-one.example' }],
    paths: {
      '/reports': { $ref: '#/components/pathItems/reports' },
    },
    components: {
      pathItems: {
        reports: {
          servers: [{ url: `${server}/base/` }],
          patch: {
            operationId: 'patchReport',
            parameters: [
              { name: 'body', in: 'query', schema: { type: ['string', 'null'], $id: 'https://x.test/ignored' } },
            ],
            requestBody: {
              content: {
                'application/json': {
                  schema: {
                    $schema: 'https://json-schema.org/draft/2020-12/schema',
                    $ref: '#/components/schemas/Report',
                    required: ['title'],
                  },
                },
              },
            },
          },
        },
      },
      schemas: {
        Report: {
          allOf: [{ $ref: '#/components/schemas/Titled' }],
          properties: { year: { type: 'integer', exclusiveMinimum: 2000 }, kind: { const: 'annual' } },
        },
        Titled: { type: 'object', properties: { title: { type: ['string', 'null'] } } },
      },
    },
  };
}
