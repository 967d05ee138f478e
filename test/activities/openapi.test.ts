import type { RequestListener, ServerResponse } from 'node:http';
import type { StepIdentity } from '../../src/activities/block';
import { openapi } from '../../src/activities/blocks/openapi';
import { DocumentCache } from '../../src/activities/openapi/document-cache';
import type { OpenApiDocument } from '../../src/activities/openapi/openapi-document';
import { createHttpClient } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient } from '../../src/activities/ports/http-client';
import { findArgumentError } from '../../src/activities/validate-data';
import type { Json, JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';
import { type LoopbackServer, LoopbackServers, type SeenRequest } from '../helpers/loopback';
import { petstore, reports, SHOP_YAML } from './openapi-documents';

const servers = new LoopbackServers();
let http: HttpClient;

beforeEach(() => {
  http = createHttpClient({ allowHosts: ['127.0.0.1'] });
});

afterEach(async () => {
  jest.restoreAllMocks();
  await http.close();
  await servers.close();
});

/** Serves documents by path, and answers everything else with `answer`. */
async function serve(
  documents: Readonly<Record<string, (host: string) => JsonObject | string>>,
  answer: RequestListener = (_request, response) => sendJson(response, { ok: true }),
): Promise<LoopbackServer> {
  const server: LoopbackServer = await servers.http((request, response) => {
    const make = documents[request.url ?? ''];
    if (make === undefined) return answer(request, response);
    const document = make(`127.0.0.1:${server.port}`);
    response.end(typeof document === 'string' ? document : JSON.stringify(document));
  });
  return server;
}

function sendJson(response: ServerResponse, value: Json): void {
  response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(value));
}

const DOCUMENTS = {
  '/docs/petstore.json': petstore,
  '/docs/shop.yaml': () => SHOP_YAML,
  '/docs/reports.json': (host: string) => reports(`http://${host}`),
};

interface CallOptions {
  readonly step?: Partial<StepIdentity>;
  readonly client?: HttpClient;
}

function call(uri: string, args: JsonObject, { step = {}, client = http }: CallOptions = {}): Promise<Json> {
  const whole = { document: { endpoint: { uri } }, ...args };
  expect(findArgumentError('openapi.call', whole)).toBeUndefined();
  return openapi(whole, makeContext({ http: client }, { step }));
}

/** The one request that an operation made, beside that for the document. */
async function requestOf(
  document: keyof typeof DOCUMENTS,
  operationId: string,
  parameters: JsonObject,
  args: JsonObject = {},
): Promise<SeenRequest> {
  const server = await serve(DOCUMENTS);
  await call(server.origin + document, { operationId, parameters, ...args });
  const [, request, ...more] = server.requests;
  expect(server.requests[0]?.url).toBe(document);
  expect(more).toEqual([]);
  if (request === undefined) throw new Error('there was no request');
  return request;
}

const PETS = '/docs/petstore.json';
const SHOP = '/docs/shop.yaml';
const REPORTS = '/docs/reports.json';

describe('an operation of Swagger 2.0', () => {
  it.each([
    [
      'a list that repeats its name',
      'findPetsByStatus',
      { status: ['available', 'sold'] },
      'status=available&status=sold',
    ],
    ['one value for a list', 'findPetsByStatus', { status: 'available' }, 'status=available'],
    [
      'lists with delimiters',
      'findPetsByTags',
      { csv: ['a,b', 'c'], ssv: ['a', 'b'], tsv: ['a', 'b'], pipes: ['a', 'b'] },
      'csv=a%2Cb,c&ssv=a%20b&tsv=a%09b&pipes=a%7Cb',
    ],
    ['no parameter for null', 'findPetsByTags', { csv: null, ssv: ['x'] }, 'ssv=x'],
  ])('sends %s', async (_what, operationId, parameters, query) => {
    const request = await requestOf(PETS, operationId, parameters);
    expect(request).toMatchObject({ method: 'GET', url: expect.stringMatching(/^\/v2\/pet\/findBy/), body: '' });
    expect(request.url.split('?')[1]).toBe(query);
  });

  it('takes JSON where the operation produces it', async () => {
    const { headers } = await requestOf(PETS, 'findPetsByStatus', { status: 'sold' });
    expect(headers.accept).toBe('application/json');
  });

  it('sends path parameters and API keys', async () => {
    const request = await requestOf(PETS, 'getPetById', { petId: 7, api_key: 'k' });
    expect(request).toMatchObject({ method: 'GET', url: '/v2/pet/7', headers: { api_key: 'k' } });
  });

  it('sends a body under its name, with what is read-only left out', async () => {
    const pet = { name: 'rex', parent: { name: 'max', parent: { name: 'old' } } };
    const request = await requestOf(PETS, 'addPet', { pet });
    expect(request).toMatchObject({ method: 'POST', url: '/v2/pet', headers: { 'content-type': 'application/json' } });
    expect(JSON.parse(request.body)).toEqual(pet);
  });

  it('sends form data', async () => {
    const request = await requestOf(PETS, 'updatePetWithForm', { petId: 7, name: 'a&b ä', tags: ['x', 'y,z'] });
    expect(request.headers['content-type']).toBe('application/x-www-form-urlencoded');
    expect(request.body).toBe('name=a%26b%20%C3%A4&tags=x,y%2Cz');
  });

  it('sends files as multipart/form-data', async () => {
    const file = { base64: Buffer.from('GIF').toString('base64'), filename: 'a"b.gif', contentType: 'image/gif' };
    const { headers, body } = await requestOf(PETS, 'uploadFile', { petId: 7, additionalMetadata: 'cute', file });
    const boundary = /^multipart\/form-data; boundary=(\S+)$/.exec(headers['content-type'] ?? '')?.[1] ?? '';
    expect(body.split(`--${boundary}`)).toEqual([
      '',
      '\r\ncontent-disposition: form-data; name="additionalMetadata"\r\n\r\ncute\r\n',
      '\r\ncontent-disposition: form-data; name="file"; filename="a%22b.gif"\r\ncontent-type: image/gif\r\n\r\nGIF\r\n',
      '--\r\n',
    ]);
  });

  it('sends the idempotency key and the authentication as `call: http` does', async () => {
    const authentication = { bearer: { token: 'secret' } };
    const { headers } = await requestOf(PETS, 'addPet', { pet: { name: 'rex' } }, { authentication });
    expect(headers).toMatchObject({
      'idempotency-key': 'acme:flow-1:/do/0/call:0:0',
      authorization: 'Bearer secret',
    });
  });

  it('sends the document its own authentication and nothing else', async () => {
    const server = await serve(DOCUMENTS);
    const endpoint = { uri: server.origin + PETS, authentication: { basic: { username: 'a', password: 'b' } } };
    await call('', { document: { endpoint }, operationId: 'getPetById', parameters: { petId: 1 } });
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual(['Basic YTpi', undefined]);
  });
});

describe('an operation of OpenAPI 3.0', () => {
  it('is found at a server with variables, relative to the document', async () => {
    const { url } = await requestOf(SHOP, 'search', {});
    expect(url).toBe('/docs/api/v1/search');
  });

  it.each([
    ['a list', { list: ['a b', 'ä'] }, 'list=a%20b&list=%C3%A4'],
    ['a joined list', { joined: ['a', 'b,c'] }, 'joined=a,b%2Cc'],
    ['a list with blanks', { spaced: [1, null, true] }, 'spaced=1%20true'],
    ['a list with bars', { piped: ['a', 'b'] }, 'piped=a%7Cb'],
    ['an empty list', { list: [], joined: [] }, undefined],
    [
      'a deep object',
      { filter: { size: { min: 1 }, tag: ['x', 'y'] } },
      'filter%5Bsize%5D%5Bmin%5D=1&filter%5Btag%5D=x&filter%5Btag%5D=y',
    ],
    ['an object', { object: { a: 1, b: 'x', c: null } }, 'a=1&b=x'],
    ['a flat object', { flat: { a: 1, b: 'x' } }, 'flat=a,1,b,x'],
    ['JSON', { json: { a: [1] } }, 'json=%7B%22a%22%3A%5B1%5D%7D'],
    ['reserved characters', { reserved: '/a?b:c&d=e#f+g' }, 'reserved=/a?b:c%26d%3De%23f%2Bg'],
    ['text', { text: '' }, 'text='],
    ['an API key', { key: 'k&' }, 'key=k%26'],
  ])('sends %s in its query', async (_what, parameters, query) => {
    const { url } = await requestOf(SHOP, 'search', parameters);
    expect(url.split(/\?(.*)/s)[1]).toBe(query);
  });

  it('sends path parameters in their styles', async () => {
    const parameters = { simple: { a: 'x/y', b: 1 }, label: ['l', 'm n'], matrix: ['p', 'q'], json: { j: 1 } };
    const { url } = await requestOf(SHOP, 'paths', parameters);
    expect(url).toBe('/docs/api/v1/path/a=x%2Fy,b=1/.l,m%20n/;matrix=p;matrix=q/%7B%22j%22%3A1%7D');
  });

  it('sends headers and cookies', async () => {
    const { headers } = await requestOf(SHOP, 'search', { 'X-Trace': ['a', 'b'], session: 's;1', flags: ['x', 'y'] });
    expect(headers).toMatchObject({ 'x-trace': 'a,b', cookie: 'session=s%3B1; flags=x,y' });
  });

  it('tells parameters of one name apart by their places', async () => {
    const { url, headers } = await requestOf(SHOP, 'getItem', { 'path.id': 'a/b', 'query.id': 2 });
    expect(url).toBe('/docs/api/v1/items/a%2Fb?id=2');
    expect(headers.accept).toBe('application/hal+json');
  });

  it.each([
    ['as a whole', { body: { item: 'cup', amount: 2, due: null, parts: [{ item: 'lid', amount: 1 }] } }],
    ['as names that are no parameters', { item: 'cup', amount: 2 }],
  ])('sends a JSON body that is given %s', async (_what, parameters) => {
    const { headers, body } = await requestOf(SHOP, 'placeOrder', parameters);
    expect(headers['content-type']).toBe('application/vnd.shop+json');
    expect(JSON.parse(body)).toEqual('body' in parameters ? parameters.body : parameters);
  });

  it('sends any name as a property of a body whose schema names none', async () => {
    const { headers, body } = await requestOf(SHOP, 'postAnything', { a: 1, key: 'k' });
    expect([headers['content-type'], body]).toEqual(['application/json', '{"a":1}']);
  });

  it('sends a form with lists and objects', async () => {
    const parameters = {
      name: 'a b',
      tags: ['x', 'y'],
      joined: ['p', 'q'],
      deep: { k: 'v' },
      address: { city: 'Ulm' },
    };
    const { body } = await requestOf(SHOP, 'sendForm', parameters);
    expect(body).toBe('name=a%20b&tags=x&tags=y&joined=p,q&deep%5Bk%5D=v&address=%7B%22city%22%3A%22Ulm%22%7D');
  });

  it('sends text for a file as a file, and objects as JSON', async () => {
    const { body } = await requestOf(SHOP, 'sendFiles', { file: 'a;b', note: '# hi', meta: { n: 1 } });
    const parts = body.split(/--beamline-[0-9a-f]{32}(?:--)?\r\n/).filter((part) => part !== '');
    expect(parts).toEqual([
      'content-disposition: form-data; name="file"; filename="file"\r\ncontent-type: application/octet-stream\r\n\r\na;b\r\n',
      'content-disposition: form-data; name="note"\r\ncontent-type: text/markdown\r\n\r\n# hi\r\n',
      'content-disposition: form-data; name="meta"\r\ncontent-type: application/json\r\n\r\n{"n":1}\r\n',
    ]);
  });

  it.each([
    ['text', 'putNote', 'a note', 'text/plain; charset=utf-8', 'a note'],
    ['bytes', 'putBlob', { base64: 'aGk=' }, 'application/octet-stream', 'hi'],
    ['text as bytes', 'putBlob', 'hi', 'application/octet-stream', 'hi'],
    ['text as JSON', 'postAnything', { a: 'x' }, 'application/json', '{"a":"x"}'],
  ])('sends a body of %s', async (_what, operationId, value, contentType, sent) => {
    const { method, headers, body } = await requestOf(SHOP, operationId, { body: value });
    expect([method === 'POST' || method === 'PUT', headers['content-type'], body]).toEqual([true, contentType, sent]);
  });
});

describe('an operation of OpenAPI 3.1', () => {
  it('follows references to paths, and tells a body from a parameter of that name', async () => {
    const parameters = { 'query.body': 'q', body: { title: null, year: 2024, kind: 'annual' } };
    const request = await requestOf(REPORTS, 'patchReport', parameters);
    expect(request).toMatchObject({ method: 'PATCH', url: '/base/reports?body=q' });
    expect(JSON.parse(request.body)).toEqual(parameters.body);
  });

  it('takes properties of combined schemas for a body', async () => {
    const { body } = await requestOf(REPORTS, 'patchReport', { title: 'T', year: 2024 });
    expect(JSON.parse(body)).toEqual({ title: 'T', year: 2024 });
  });
});

describe('parameters that do not fit', () => {
  it.each<[keyof typeof DOCUMENTS, string, JsonObject, string]>([
    [PETS, 'findPetsByStatus', {}, 'parameters: "status" is missing'],
    [PETS, 'findPetsByStatus', { status: null }, 'parameters: "status" is missing'],
    [PETS, 'findPetsByStatus', { stauts: 'sold' }, 'parameters: "stauts" is not known; did you mean "status"?'],
    [
      PETS,
      'findPetsByStatus',
      { status: ['gone'] },
      'parameters.status.0: expected one of "available", "pending", "sold"',
    ],
    [PETS, 'getPetById', { petId: '7' }, 'parameters.petId: got a string, expected integer'],
    [PETS, 'getPetById', { petId: 7, page: 1 }, 'parameters: "page" is not known; there are: petId, api_key'],
    [PETS, 'addPet', {}, 'parameters: "pet" is missing'],
    [PETS, 'addPet', { pet: {} }, 'parameters.pet: "name" is missing'],
    [PETS, 'addPet', { pet: { name: 'x' } }, 'parameters.pet.name: expected at least 2 characters'],
    [PETS, 'addPet', { pet: { name: 'rex', price: 0 } }, 'parameters.pet.price: expected more than 0'],
    [
      PETS,
      'addPet',
      { pet: { name: 'rex', parent: { name: 1 } } },
      'parameters.pet.parent.name: got a number, expected string',
    ],
    [PETS, 'addPet', { pet: { name: 'rex' }, nmae: 'x' }, 'parameters: "nmae" is not known; did you mean "name"?'],
    [PETS, 'updatePetWithForm', { petId: 7 }, 'parameters: "name" is missing'],
    [PETS, 'updatePetWithForm', { petId: 7, name: 'x', body: {} }, 'parameters: "body" is not known'],
    [PETS, 'uploadFile', { petId: 7, file: { base64: 'a-b' } }, 'parameters.file.base64: expected base64'],
    [
      PETS,
      'uploadFile',
      { petId: 7, file: { base64: '', contentType: 'a\r\nb: c' } },
      'parameters.file: expected a content type on one line',
    ],
    [PETS, 'deletePet', { petId: 7, 'X-Reason': 'a\r\nb: c' }, 'with.headers "X-Reason"'],
    [SHOP, 'placeOrder', {}, 'parameters: "body" is missing'],
    [SHOP, 'placeOrder', { body: 'text' }, 'parameters.body: got a string, expected object'],
    [SHOP, 'placeOrder', { item: 'cup' }, 'parameters: "amount" is missing'],
    [SHOP, 'placeOrder', { item: 'cup', amount: 0 }, 'parameters.amount: expected at least 1'],
    [SHOP, 'placeOrder', { item: 'cup', amount: 1, due: 'soon' }, 'parameters.due: expected text of the format date'],
    [SHOP, 'placeOrder', { item: 'cup', amonut: 1 }, 'parameters: "amonut" is not known; did you mean "amount"?'],
    [SHOP, 'getItem', { id: 'x' }, 'parameters: "id" is not known; there are: path.id, query.id, key'],
    [SHOP, 'getItem', { 'path.id': '..' }, 'got "." or ".." for a part of the path'],
    [SHOP, 'getItem', { 'path.id': '' }, 'got nothing for "id"'],
    [SHOP, 'getItem', { 'path.id': '\ud800' }, 'got half of a surrogate pair'],
    [SHOP, 'putNote', { body: { a: 1 } }, 'parameters.body: expected text, since the body is text/plain'],
    [SHOP, 'putBlob', { body: [1] }, 'parameters.body: expected text or { base64 }'],
    [SHOP, 'putBlob', { body: { base64: '', contentType: 'text/csv' } }, 'parameters.body: expected text itself'],
    [SHOP, 'sendForm', { body: 'a=b' }, 'parameters.body: got a string, expected object'],
    [REPORTS, 'patchReport', { year: 1999, title: 'x' }, 'parameters.year: expected more than 2000'],
    [REPORTS, 'patchReport', { body: { year: 2024 } }, 'parameters.body: "title" is missing'],
  ])('of %s: %s with %j', async (document, operationId, parameters, message) => {
    const server = await serve(DOCUMENTS);
    const failure = await failureOf(call(server.origin + document, { operationId, parameters }));
    expect(failure.data).toMatchObject({ code: 'BLW_ARG_INVALID', detail: expect.stringContaining(message) });
    expect(failure.options.retryable).toBe(false);
    expect(server.requests.map(({ url }) => url)).toEqual([document]);
  });

  it('are left to the server where the schema is very large', async () => {
    const properties = Object.fromEntries(Array.from({ length: 600 }, (_, index) => [`p${index}`, { type: 'string' }]));
    const content = { 'application/json': { schema: { type: 'object', properties } } };
    const operation = { operationId: 'a', requestBody: { content } };
    const server = await serve({ '/d': () => ({ openapi: '3.1.0', paths: { '/a': { post: operation } } }) });
    await call(`${server.origin}/d`, { operationId: 'a', parameters: { body: { p1: 1 } } });
    expect(server.requests[1]?.body).toBe('{"p1":1}');
  });

  it('does not show a value', async () => {
    const server = await serve(DOCUMENTS);
    const parameters = { status: ['hunter2'] };
    const failure = await failureOf(call(server.origin + PETS, { operationId: 'findPetsByStatus', parameters }));
    expect(failure.message).not.toContain('hunter2');
  });
});

describe('a document that cannot be used', () => {
  const operation = (extra: JsonObject): JsonObject => ({
    openapi: '3.0.0',
    paths: { '/a': { get: { operationId: 'a', ...extra } } },
  });
  const withSchema = (schema: JsonObject): JsonObject =>
    operation({ parameters: [{ name: 'p', in: 'query', schema }] });
  it.each<[string, JsonObject | string, string, string]>([
    ['no object', '[]', 'BLW_OPENAPI_DOCUMENT', 'got [], expected an object'],
    ['broken JSON', '{"a": ', 'BLW_OPENAPI_DOCUMENT', 'cannot be read as JSON or YAML: line 1'],
    ['broken YAML', 'a: [1\nb: 2', 'BLW_OPENAPI_DOCUMENT', 'cannot be read as JSON or YAML: line 2'],
    ['nothing', '', 'BLW_OPENAPI_DOCUMENT', 'got null, expected an object'],
    ['another format', { asyncapi: '3.0.0' }, 'BLW_OPENAPI_DOCUMENT', 'got neither "openapi" nor "swagger"'],
    [
      'another version',
      { openapi: '3.2.0' },
      'BLW_OPENAPI_DOCUMENT',
      'got version "3.2.0", expected 3.0, 3.1 or Swagger 2.0',
    ],
    ['an old version', { swagger: '1.2' }, 'BLW_OPENAPI_DOCUMENT', 'got version "1.2"'],
    ['no operations', { openapi: '3.0.0' }, 'BLW_OPENAPI_OPERATION', 'there is no operation "a"; there are: none'],
    [
      'another operation',
      { openapi: '3.1.0', paths: { '/a': { get: { operationId: 'A' } } } },
      'BLW_OPENAPI_OPERATION',
      'there is no operation "a"; did you mean "A"?',
    ],
    [
      'one operation twice',
      { openapi: '3.1.0', paths: { '/a': { get: { operationId: 'a' }, put: { operationId: 'a' } } } },
      'BLW_OPENAPI_OPERATION',
      'the operationId "a" twice',
    ],
    [
      'a reference to a file',
      withSchema({ $ref: 'schemas.yaml#/P' }),
      'BLW_OPENAPI_DOCUMENT',
      '$ref "schemas.yaml#/P" leads out of the document',
    ],
    [
      'a reference to a server',
      withSchema({ items: { $ref: 'http://127.0.0.1:1/x' } }),
      'BLW_OPENAPI_DOCUMENT',
      '$ref "http://127.0.0.1:1/x" leads out',
    ],
    [
      'a reference to a file for parameters',
      operation({ parameters: [{ $ref: './p.json' }] }),
      'BLW_OPENAPI_DOCUMENT',
      '$ref "./p.json" leads out',
    ],
    [
      'a reference to nothing',
      withSchema({ $ref: '#/components/x' }),
      'BLW_OPENAPI_DOCUMENT',
      '$ref "#/components/x" leads to nothing',
    ],
    [
      'a reference to what all objects have',
      withSchema({ $ref: '#/constructor' }),
      'BLW_OPENAPI_DOCUMENT',
      'leads to nothing',
    ],
    [
      'a reference to itself',
      { ...operation({ parameters: [{ $ref: '#/x' }] }), x: { $ref: '#/y' }, y: { $ref: '#/x' } },
      'BLW_OPENAPI_DOCUMENT',
      'leads to itself',
    ],
    [
      'a schema nested too deeply',
      withSchema(JSON.parse(`${'{"items":'.repeat(150)}{}${'}'.repeat(150)}`) as JsonObject),
      'BLW_OPENAPI_DOCUMENT',
      'nested deeper than 100 levels',
    ],
    [
      'a server of another scheme',
      { ...operation({}), servers: [{ url: 'ftp://x.test' }] },
      'BLW_OPENAPI_DOCUMENT',
      'got a server with the scheme ftp',
    ],
    [
      'a server with credentials',
      { ...operation({}), servers: [{ url: 'http://u:p@x.test' }] },
      'BLW_OPENAPI_DOCUMENT',
      'got a server with credentials',
    ],
    ['a server that is no URL', { ...operation({}), servers: [{ url: 'http://[' }] }, 'BLW_OPENAPI_DOCUMENT', 'no URL'],
    [
      'a variable without a default',
      { ...operation({}), servers: [{ url: '/{v}' }] },
      'BLW_OPENAPI_DOCUMENT',
      'the server\'s variable "v" has no default',
    ],
    [
      'schemes that are not called',
      { swagger: '2.0', schemes: ['ws'], paths: operation({}).paths ?? {} },
      'BLW_OPENAPI_DOCUMENT',
      'got the schemes ["ws"]',
    ],
    [
      'a path without its parameter',
      { openapi: '3.0.0', paths: { '/{x}': { get: { operationId: 'a' } } } },
      'BLW_OPENAPI_DOCUMENT',
      'the path "/{x}" has {x}, but no such parameter',
    ],
    [
      'a parameter nowhere',
      operation({ parameters: [{ name: 'p', in: 'moon' }] }),
      'BLW_OPENAPI_OPERATION',
      'parameter "p" of a has no known place',
    ],
    [
      'a style that is none',
      operation({ parameters: [{ name: 'p', in: 'query', style: 'baroque' }] }),
      'BLW_OPENAPI_OPERATION',
      'style "baroque", expected one of form',
    ],
    [
      'a body without a content type',
      operation({ requestBody: { content: {} } }),
      'BLW_OPENAPI_OPERATION',
      'the body of a has no content type',
    ],
  ])('has %s', async (_what, document, code, message) => {
    const server = await serve({ '/d': () => document });
    const failure = await failureOf(call(`${server.origin}/d`, { operationId: 'a' }));
    expect(failure.data).toMatchObject({ code, detail: expect.stringContaining(message) });
    expect(failure.options.retryable).toBe(false);
    expect(server.requests.map(({ url }) => url)).toEqual(['/d']);
  });

  it('is not UTF-8', async () => {
    const server = await servers.http((_request, response) => response.end(Buffer.from([0x7b, 0xff])));
    const failure = await failureOf(call(server.origin, { operationId: 'a' }));
    expect(failure.data).toMatchObject({ code: 'BLW_OPENAPI_DOCUMENT', detail: expect.stringContaining('UTF-8') });
  });

  it('is too large', async () => {
    const chunk = Buffer.alloc(1_048_576, ' ');
    const server = await servers.http((_request, response) => {
      const write = (): void => {
        while (!response.destroyed && response.write(chunk));
      };
      response.on('drain', write);
      write();
    });
    const failure = await failureOf(call(server.origin, { operationId: 'a' }));
    expect(failure.data).toMatchObject({
      code: 'BLW_OPENAPI_DOCUMENT',
      detail: expect.stringContaining('more than 8388608 bytes'),
    });
  });

  it('is fetched again after an outage', async () => {
    const server = await servers.http((_request, response) => response.writeHead(502).end('down'));
    const failure = await failureOf(call(server.origin, { operationId: 'a' }));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 502 });
    expect(failure.message).toContain('OpenAPI document: GET');
    expect(failure.options.retryable).toBe(true);
  });

  it('comes too late', async () => {
    const server = await servers.http(() => undefined);
    const context = makeContext({ http }, { timeoutMs: 300 });
    const args = { document: { endpoint: { uri: server.origin } }, operationId: 'a' };
    const failure = await failureOf(openapi(args, context));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_TIMEOUT' });
    expect(failure.options.retryable).toBe(true);
  });
});

describe('what is reached', () => {
  it('is no document at a private address, without a connection', async () => {
    const server = await serve(DOCUMENTS);
    const client = createHttpClient({ allowHosts: [] });
    const failure = await failureOf(call(server.origin + PETS, { operationId: 'getPetById' }, { client }));
    await client.close();
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_HOST_DENIED' });
    expect(server.connections()).toBe(0);
  });

  it('is no server at a private address that a document names, without a connection', async () => {
    const target = await serve({});
    const source = await serve({ '/d': () => petstore(`127.0.0.1:${target.port}`) });
    const client = createHttpClient({ allowHosts: [`127.0.0.1:${source.port}`] });
    const args = { operationId: 'getPetById', parameters: { petId: 1 } };
    const failure = await failureOf(call(`${source.origin}/d`, args, { client }));
    await client.close();
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_HOST_DENIED' });
    expect(target.connections()).toBe(0);
  });

  it('follows redirects of the document, and finds servers relative to where it ended', async () => {
    const target = await serve({ '/moved/shop.yaml': () => SHOP_YAML });
    const source = await servers.http((_request, response) =>
      response.writeHead(302, { location: `${target.origin}/moved/shop.yaml` }).end(),
    );
    const endpoint = { uri: source.origin, authentication: { bearer: { token: 't' } } };
    await call('', { document: { endpoint }, operationId: 'search' });
    expect(source.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer t']);
    expect(target.requests.map(({ url, headers }) => [url, headers.authorization])).toEqual([
      ['/moved/shop.yaml', undefined],
      ['/moved/api/v1/search', undefined],
    ]);
  });
});

describe('the answer', () => {
  const answerPet: RequestListener = (_request, response) => sendJson(response, { id: 1, name: 'rex' });
  it.each([
    ['content', { id: 1, name: 'rex' }],
    ['raw', Buffer.from('{"id":1,"name":"rex"}').toString('base64')],
    [
      'response',
      {
        request: { method: 'GET', uri: expect.stringMatching(/\/v2\/pet\/1$/), headers: expect.any(Object) },
        statusCode: 200,
        headers: expect.any(Object),
        content: { id: 1, name: 'rex' },
      },
    ],
  ])('is put out as %s', async (output, expected) => {
    const server = await serve(DOCUMENTS, answerPet);
    const args = { operationId: 'getPetById', parameters: { petId: 1 }, output };
    expect(await call(server.origin + PETS, args)).toEqual(expected);
  });

  it.each([
    ['getPetById', { petId: 1 }, {}, true],
    ['addPet', { pet: { name: 'rex' } }, {}, false],
    ['addPet', { pet: { name: 'rex' } }, { idempotent: true }, true],
  ])('of status 500 to %s is retried by its method', async (operationId, parameters, step, retryable) => {
    const server = await serve(DOCUMENTS, (_request, response) => response.writeHead(500).end());
    const failure = await failureOf(call(server.origin + PETS, { operationId, parameters }, { step }));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 500 });
    expect(failure.options.retryable).toBe(retryable);
  });

  it('is a redirect only where that is wanted', async () => {
    const server = await serve(DOCUMENTS, ({ url }, response) =>
      url === '/v2/pet/1' ? response.writeHead(302, { location: '/there' }).end() : sendJson(response, 'there'),
    );
    const args = { operationId: 'getPetById', parameters: { petId: 1 } };
    expect((await failureOf(call(server.origin + PETS, args))).data).toMatchObject({ status: 302 });
    expect(await call(server.origin + PETS, { ...args, redirect: true })).toBe('there');
  });
});

describe('the cache of documents', () => {
  const GET_PET = { operationId: 'getPetById', parameters: { petId: 1 } };

  async function serveWithTag(tags: readonly string[]): Promise<LoopbackServer> {
    let fetches = 0;
    return serve({}, (request, response) => {
      if (request.url !== '/d') return sendJson(response, 1);
      const tag = tags[fetches] ?? '';
      fetches += 1;
      if (request.headers['if-none-match'] === tag) return response.writeHead(304).end();
      const { host = '' } = request.headers;
      return response.writeHead(200, { etag: tag }).end(JSON.stringify(petstore(host)));
    });
  }

  const fetchesOf = (server: LoopbackServer): (string | undefined)[] =>
    server.requests.filter(({ url }) => url === '/d').map(({ headers }) => headers['if-none-match']);

  it('keeps a document for a minute, then asks whether it has changed', async () => {
    const server = await serveWithTag(['"1"', '"1"', '"2"']);
    const now = jest.spyOn(Date, 'now');
    const start = 1_700_000_000_000;
    for (const second of [0, 59, 61, 120, 122]) {
      now.mockReturnValue(start + second * 1000);
      await call(`${server.origin}/d`, GET_PET);
    }
    expect(fetchesOf(server)).toEqual([undefined, '"1"', '"1"']);
  });

  it('is not shared between tenants, credentials and clients', async () => {
    const server = await serveWithTag(['"1"', '"1"', '"1"', '"1"']);
    const client = createHttpClient({ allowHosts: ['127.0.0.1'] });
    const endpoint = { uri: `${server.origin}/d`, authentication: { bearer: { token: 't' } } };
    await call(`${server.origin}/d`, GET_PET);
    await call(`${server.origin}/d`, GET_PET, { step: { tenant: 'other' } });
    await call('', { document: { endpoint }, ...GET_PET });
    await call(`${server.origin}/d`, GET_PET, { client });
    await client.close();
    expect(fetchesOf(server)).toHaveLength(4);
  });

  it('drops what was used longest ago when there are too many or they are too large', () => {
    const document = {} as OpenApiDocument;
    const entry = (bytes: number) => ({ document, bytes, sha256: '', freshUntil: 0 });
    const cache = new DocumentCache({ maxEntries: 2, maxBytes: 10 });
    const keys = (): string[] => ['a', 'b', 'c', 'd'].filter((key) => cache.get(key) !== undefined);
    cache.set('a', entry(4));
    cache.set('b', entry(4));
    expect(cache.get('a')).toEqual(entry(4));
    cache.set('c', entry(2));
    expect(keys()).toEqual(['a', 'c']);
    cache.set('d', entry(9));
    expect(keys()).toEqual(['d']);
    cache.set('a', entry(11));
    expect(keys()).toEqual(['d']);
    cache.set('d', entry(10));
    expect(keys()).toEqual(['d']);
  });
});
