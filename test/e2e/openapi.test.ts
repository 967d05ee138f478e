import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Json } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import { petstore } from '../activities/openapi-documents';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
let server: Server;
let origin: string;
const seen: { line: string; key: string | undefined; authorization: string | undefined; body: string }[] = [];
/** Answers 503 so often before the pet is added. */
let outages = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const { url = '', method = '', headers } = request;
      seen.push({
        line: `${method} ${url}`,
        key: headers['idempotency-key']?.toString(),
        authorization: headers.authorization,
        body: Buffer.concat(chunks).toString(),
      });
      outages -= method === 'POST' ? 1 : 0;
      const isDown = method === 'POST' && outages >= 0;
      response.writeHead(isDown ? 503 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(answerTo(url)));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  worker = await startTestWorker();
});
beforeEach(() => {
  seen.length = 0;
  outages = 0;
});
afterAll(async () => {
  await worker.stop();
  server.closeAllConnections();
  server.close();
});

function answerTo(url: string): Json {
  if (url.startsWith('/pets.json')) return petstore(new URL(origin).host);
  if (url.includes('findByStatus')) return [{ id: 1 }, { id: 2 }];
  return { id: 7, name: 'rex', status: 'available' };
}

test('finds pets, reads one and adds another, with one idempotency key', async () => {
  outages = 1;
  const flow = `
use: { authentications: { shop: { bearer: { token: "\${ workflow.input.token }" } } } }
do:
  - find:
      call: openapi
      with:
        document: { endpoint: "${origin}/{file}.json" }
        operationId: findPetsByStatus
        parameters: { status: "\${ data.status }" }
      output: { as: data.size() }
  - add:
      call: openapi
      metadata: { retry: { initialInterval: { milliseconds: 10 } } }
      with:
        document: { name: pets, endpoint: { uri: "\${ workflow.input.origin + '/pets.json' }" } }
        operationId: addPet
        authentication: { use: shop }
        parameters: { name: rex, price: "\${ data * 1.5 }" }
        output: response
      output: { as: "{'found': steps.find.output, 'status': data.statusCode, 'name': data.content.name}" }
`;
  const handle = await worker.start(
    flow,
    { origin, file: 'pets', status: 'available', token: 'abc' },
    { tenant: 'acme' },
  );
  expect(await handle.result()).toEqual({ found: 2, status: 200, name: 'rex' });
  const key = `acme:${handle.workflowId}:/do/1/add:0:0`;
  const post = { line: 'POST /v2/pet', key, authorization: 'Bearer abc', body: '{"name":"rex","price":3}' };
  const none = { key: undefined, authorization: undefined, body: '' };
  expect(seen).toEqual([
    { line: 'GET /pets.json', ...none },
    { line: 'GET /v2/pet/findByStatus?status=available', ...none },
    post,
    post,
  ]);
  const { steps } = await handle.query<FlowProgress>('progress');
  expect(steps).toMatchObject([
    { block: 'openapi.call', pool: 'io', status: 'completed', attempts: 1 },
    { block: 'openapi.call', pool: 'io', status: 'completed', attempts: 2 },
  ]);
});

test('catches a parameter that is missing and an operation that is not there', async () => {
  const flow = `
do:
  - missing:
      try:
        - get: { call: openapi, with: { document: { endpoint: "${origin}/pets.json" }, operationId: getPetById } }
      catch:
        errors: { with: { code: BLW_ARG_INVALID } }
        do: [{ note: { set: { detail: "\${ error.detail }" } } }]
  - unknown:
      call: openapi
      with: { document: { endpoint: "${origin}/pets.json" }, operationId: getPetByID }
`;
  const error = await worker.fail(flow);
  expect(error).toMatchObject({
    code: 'BLW_OPENAPI_OPERATION',
    detail: expect.stringContaining('did you mean "getPetById"?'),
    instance: '/do/1/unknown',
  });
  expect(seen.every(({ line }) => line === 'GET /pets.json')).toBe(true);
});
