import type { RequestListener } from 'node:http';
import { gzipSync } from 'node:zlib';
import type { StepIdentity } from '../../src/activities/block';
import { BlockFailure } from '../../src/activities/block-failure';
import { httpRequest } from '../../src/activities/blocks/http-request';
import { parseRetryAfter } from '../../src/activities/http/status-failure';
import { createHttpClient } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient } from '../../src/activities/ports/http-client';
import type { Json, JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext } from '../helpers/block-context';
import { closeOf, type LoopbackServer, LoopbackServers } from '../helpers/loopback';

const servers = new LoopbackServers();
let http: HttpClient;

beforeEach(() => {
  http = createHttpClient({ allowHosts: ['127.0.0.1'] });
});

afterEach(async () => {
  await http.close();
  await servers.close();
});

interface CallOptions {
  readonly step?: Partial<StepIdentity>;
  readonly signal?: AbortSignal;
  readonly timeoutMs?: number;
}

function call(args: JsonObject, options: CallOptions = {}): Promise<Json> {
  return httpRequest({ method: 'get', ...args }, makeContext({ http }, options));
}

function callUri(uri: string, args: JsonObject = {}, options: CallOptions = {}): Promise<Json> {
  return call({ endpoint: { uri }, ...args }, options);
}

/** A server that gives one answer to everything. */
function answer(status: number, headers: Record<string, string>, body: string | Buffer = ''): Promise<LoopbackServer> {
  return servers.http((_request, response) => response.writeHead(status, headers).end(body));
}

const answerOk: RequestListener = (_request, response) => response.end();

describe('the request', () => {
  it.each([
    ['text', 'plain words', {}, 'plain words', 'text/plain; charset=utf-8'],
    ['text with a content type', '<a/>', { 'Content-Type': 'application/xml' }, '<a/>', 'application/xml'],
    ['an object', { a: [1, null] }, {}, '{"a":[1,null]}', 'application/json'],
    ['an array', [1, 2], {}, '[1,2]', 'application/json'],
    ['a number', 42, {}, '42', 'application/json'],
    ['null', null, {}, 'null', 'application/json'],
    [
      'an object with a content type',
      { a: 1 },
      { 'content-type': 'application/merge-patch+json' },
      '{"a":1}',
      'application/merge-patch+json',
    ],
    ['base64 with a binary type', { base64: 'aGk=' }, { 'content-type': 'image/png' }, 'hi', 'image/png'],
    ['base64 without a content type', { base64: 'aGk=' }, {}, '{"base64":"aGk="}', 'application/json'],
    [
      'base64 with a JSON type',
      { base64: 'aGk=' },
      { 'content-type': 'application/json' },
      '{"base64":"aGk="}',
      'application/json',
    ],
    ['base64 with a text type', { base64: 'aGk=' }, { 'content-type': 'text/csv' }, '{"base64":"aGk="}', 'text/csv'],
    [
      'base64 beside another key',
      { base64: 'aGk=', name: 'x' },
      { 'content-type': 'image/png' },
      '{"base64":"aGk=","name":"x"}',
      'image/png',
    ],
  ] as const)('sends %s as its body', async (_what, body, headers, sent, contentType) => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { method: 'PUT', body: body as Json, headers });
    expect(server.requests[0]?.body).toBe(sent);
    expect(server.requests[0]?.headers['content-type']).toBe(contentType);
  });

  it('sends no body and no content type where there is no body', async () => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { method: 'post' });
    expect(server.requests[0]?.body).toBe('');
    expect(server.requests[0]?.headers['content-type']).toBeUndefined();
  });

  it.each(['get', 'head', 'post', 'put', 'patch', 'delete', 'options'])('sends %s in upper case', async (method) => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { method });
    expect(server.requests[0]?.method).toBe(method.toUpperCase());
  });

  it('adds the query to what the URL has, as it is', async () => {
    const server = await servers.http(answerOk);
    await callUri(`${server.origin}/search?signed=a%20b~'`, {
      query: { text: 'ä & b', list: [1, true, null, 'x'], none: null, empty: '' },
    });
    expect(server.requests[0]?.url).toBe(
      '/search?signed=a%20b~%27&text=%C3%A4%20%26%20b&list=1&list=true&list=x&empty=',
    );
  });

  it('sends headers of all kinds of value', async () => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { headers: { 'X-Number': 7, 'x-flag': true, 'x-text': 'é' } });
    expect(server.requests[0]?.headers).toMatchObject({ 'x-number': '7', 'x-flag': 'true', 'x-text': 'é' });
  });

  it.each([
    ['basic', { basic: { username: 'ann', password: 'p:ä' } }, `Basic ${Buffer.from('ann:p:ä').toString('base64')}`],
    ['bearer', { bearer: { token: 'abc' } }, 'Bearer abc'],
  ])('authenticates with %s', async (_what, authentication, header) => {
    const server = await servers.http(answerOk);
    await call({ endpoint: { uri: server.origin, authentication } });
    expect(server.requests[0]?.headers.authorization).toBe(header);
  });

  it("prefers the author's authorization header", async () => {
    const server = await servers.http(answerOk);
    const endpoint = { uri: server.origin, authentication: { bearer: { token: 'abc' } } };
    await call({ endpoint, headers: { Authorization: 'Custom x' } });
    expect(server.requests[0]?.headers.authorization).toBe('Custom x');
  });

  it.each(['POST', 'patch'])('carries the idempotency key on %s, the same on every attempt', async (method) => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { method }, { step: { attempt: 1 } });
    await callUri(server.origin, { method }, { step: { attempt: 2 } });
    const keys = server.requests.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toEqual(['acme:flow-1:/do/0/call:0:0', 'acme:flow-1:/do/0/call:0:0']);
  });

  it.each(['GET', 'HEAD', 'PUT', 'DELETE', 'OPTIONS'])('carries no idempotency key on %s', async (method) => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { method });
    expect(server.requests[0]?.headers['idempotency-key']).toBeUndefined();
  });

  it("leaves the author's idempotency key", async () => {
    const server = await servers.http(answerOk);
    await callUri(server.origin, { method: 'post', headers: { 'Idempotency-Key': 'mine' } });
    expect(server.requests[0]?.headers['idempotency-key']).toBe('mine');
  });

  it('writes an idempotency key that is not visible ASCII percent-encoded, no two alike', async () => {
    const server = await servers.http(answerOk);
    for (const idempotencyKey of ['acme:größe 1', 'acme:gr%C3%B6%C3%9Fe%201']) {
      await callUri(server.origin, { method: 'post' }, { step: { idempotencyKey } });
    }
    const keys = server.requests.map(({ headers }) => headers['idempotency-key']);
    expect(keys).toEqual(['acme:gr%C3%B6%C3%9Fe%201', 'acme:gr%25C3%25B6%25C3%259Fe%25201']);
  });

  it.each([
    ['a line break in a header', { headers: { 'x-a': 'hunter2\r\nx-b: 1' } }, 'with.headers "x-a"'],
    ['a NUL in a header', { headers: { 'x-a': 'hunter2\0' } }, 'with.headers "x-a"'],
    ['a header beyond Latin-1', { headers: { 'x-a': 'hunter2 \u{10a}' } }, 'with.headers "x-a"'],
    ['a header name with a blank', { headers: { 'x a': '1' } }, 'with.headers "x a"'],
    ['an empty header name', { headers: { '': '1' } }, 'with.headers ""'],
    ['a header twice', { headers: { 'X-A': '1', 'x-a': '2' } }, 'got the header twice'],
    ['the header host', { headers: { Host: 'internal' } }, 'with.headers "Host"'],
    ['the header content-length', { headers: { 'content-length': 5 } }, 'with.headers "content-length"'],
    ['the header transfer-encoding', { headers: { 'transfer-encoding': 'chunked' } }, '"transfer-encoding"'],
    ['the header connection', { headers: { connection: 'close' } }, 'with.headers "connection"'],
    ['an object in the query', { query: { q: [{ a: 1 }] } }, 'with.query "q": got an object in the array'],
    ['broken Unicode in the query', { query: { q: '\ud800' } }, 'with.query "q"'],
    [
      'broken base64',
      { method: 'post', body: { base64: '!!' }, headers: { 'content-type': 'image/png' } },
      'with.body.base64',
    ],
    [
      'a colon in a user name',
      { endpoint: { uri: 'http://127.0.0.1/', authentication: { basic: { username: 'a:b', password: 'hunter2' } } } },
      'authentication.basic.username',
    ],
    [
      'a line break in a token',
      { endpoint: { uri: 'http://127.0.0.1/', authentication: { bearer: { token: 'hunter2\n' } } } },
      '"authorization"',
    ],
  ] as [string, JsonObject, string][])('rejects %s', async (_what, args, where) => {
    const failure = await failureOf(callUri('http://127.0.0.1:1/', args));
    expect(failure.data).toMatchObject({ code: 'BLW_ARG_INVALID', status: 400 });
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(where);
    expect(failure.message).toContain('expected');
    expect(failure.message).not.toContain('hunter2');
  });

  it.each([
    ['a relative URL', '/orders?token=hunter2', 'endpoint "/orders": got no absolute URL'],
    ['a URL without scheme', 'user:hunter2@example.com/x', 'endpoint "example.com/x"'],
    ['a bad port', 'http://user:hunter2@example.com:99999/x?y=hunter2', 'endpoint "http://example.com:99999/x"'],
    ['another scheme', 'ftp://example.com/x', 'got the scheme ftp'],
    ['credentials', 'https://user:hunter2@example.com/', 'got credentials in the URL'],
  ])('rejects %s with BLW_HTTP_URL', async (_what, uri, message) => {
    const failure = await failureOf(callUri(uri));
    expect(failure.data.code).toBe('BLW_HTTP_URL');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(message);
    expect(failure.message).not.toContain('hunter2');
  });

  it('passes on that a host is denied', async () => {
    const failure = await failureOf(callUri('http://169.254.169.254/latest/meta-data/'));
    expect(failure.data.code).toBe('BLW_HTTP_HOST_DENIED');
    expect(failure.options.retryable).toBe(false);
  });
});

describe('the output', () => {
  it.each([
    ['JSON', 'application/json', '{"a":[1,2]}', { a: [1, 2] }],
    ['JSON with a byte order mark', 'application/json', '\ufeff[1]', [1]],
    ['JSON of a vendor', 'application/vnd.api+json; charset=utf-8', '"x"', 'x'],
    ['text', 'text/plain', 'grüße', 'grüße'],
    ['HTML in Latin-1', 'text/html; charset="ISO-8859-1"', Buffer.from('grüße', 'latin1'), 'grüße'],
    ['XML', 'application/xml', '<a/>', '<a/>'],
    ['a feed', 'application/atom+xml', '<a/>', '<a/>'],
    ['a form', 'application/x-www-form-urlencoded', 'a=1', 'a=1'],
    ['JavaScript', 'application/javascript', '1', '1'],
    ['YAML', 'application/yaml', 'a: 1', 'a: 1'],
    ['an image', 'image/png', Buffer.from([0, 255]), 'AP8='],
    ['an unknown type', 'application/octet-stream', 'hi', 'aGk='],
    ['an empty body', 'application/json', '', null],
  ])('content is, for %s, what its type says', async (_what, contentType, body, content) => {
    const server = await answer(200, { 'content-type': contentType }, body);
    expect(await callUri(server.origin)).toEqual(content);
  });

  it('content is base64 where no type is given', async () => {
    const server = await answer(200, {}, 'hi');
    expect(await callUri(server.origin)).toBe('aGk=');
  });

  it('content is null for 204 and for HEAD', async () => {
    const empty = await answer(204, {});
    expect(await callUri(empty.origin)).toBeNull();
    const server = await answer(200, { 'content-type': 'application/json', 'content-length': '100' });
    expect(await callUri(server.origin, { method: 'head' })).toBeNull();
  });

  it('raw is the decompressed body in base64', async () => {
    const server = await answer(
      200,
      { 'content-type': 'application/json', 'content-encoding': 'gzip' },
      gzipSync('{"broken'),
    );
    expect(await callUri(server.origin, { output: 'raw' })).toBe(Buffer.from('{"broken').toString('base64'));
  });

  it('response is request, status, headers and content, without credentials and query of the request', async () => {
    const server = await answer(201, { 'content-type': 'application/json', 'x-id': '7', date: 'now' }, '{"ok":true}');
    const output = await callUri(`${server.origin}/orders?token=hunter2`, {
      method: 'post',
      output: 'response',
      headers: { Authorization: 'Bearer hunter2', Cookie: 'hunter2', 'x-api-key': 'hunter2', 'x-a': 'b' },
    });
    expect(output).toEqual({
      request: {
        method: 'POST',
        uri: `${server.origin}/orders`,
        headers: {
          authorization: '[redacted]',
          cookie: '[redacted]',
          'x-api-key': '[redacted]',
          'x-a': 'b',
          'idempotency-key': 'acme:flow-1:/do/0/call:0:0',
        },
      },
      statusCode: 201,
      headers: expect.objectContaining({ 'content-type': 'application/json', 'x-id': '7' }),
      content: { ok: true },
    });
    expect(JSON.stringify(output)).not.toContain('hunter2');
  });

  it.each([
    ['JSON that does not parse', 'application/json', '{"secret": hunter2}', 'does not parse'],
    ['JSON that is not UTF-8', 'application/json', Buffer.from('"ü"', 'latin1'), 'not utf-8'],
    ['JSON nested too deeply', 'application/json', '['.repeat(600) + ']'.repeat(600), 'nested deeper than 500'],
    ['an unknown charset', 'text/plain; charset=klingon', 'x', 'the charset "klingon"'],
  ])('%s is BLW_HTTP_CONTENT', async (_what, contentType, body, problem) => {
    const server = await answer(200, { 'content-type': contentType }, body);
    const failure = await failureOf(callUri(server.origin));
    expect(failure.data.code).toBe('BLW_HTTP_CONTENT');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(problem);
    expect(failure.message).toContain('output: raw');
    expect(failure.message).not.toContain('hunter2');
  });

  it('keeps a property named __proto__ of a JSON answer as data', async () => {
    const server = await answer(200, { 'content-type': 'application/json' }, '{"__proto__":{"admin":true}}');
    const output = (await callUri(server.origin)) as JsonObject;
    expect(Object.keys(output)).toEqual(['__proto__']);
    expect((output as { admin?: boolean }).admin).toBeUndefined();
  });
});

describe('the size of the answer', () => {
  it('may be exactly 100 MiB', async () => {
    const server = await answer(200, { 'content-type': 'text/plain' }, 'x'.repeat(104_857_600));
    expect(await callUri(server.origin)).toHaveLength(104_857_600);
  });

  it.each([
    ['with a length', { 'content-length': '104857601' }, Buffer.alloc(104_857_601)],
    ['in chunks', { 'transfer-encoding': 'chunked' }, Buffer.alloc(104_857_601)],
    ['once decompressed', { 'content-encoding': 'gzip' }, gzipSync(Buffer.alloc(101 * 1_048_576))],
  ] as [string, Record<string, string>, Buffer][])('may not be more %s', async (_what, headers, body) => {
    const server = await answer(200, headers, body);
    const failure = await failureOf(callUri(server.origin));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_TOO_LARGE', status: 413 });
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain('http.stream');
  });
});

describe('the status', () => {
  it.each([
    [301, 'get', false, false],
    [304, 'get', false, false],
    [400, 'get', false, false],
    [404, 'get', true, false],
    [408, 'post', false, true],
    [425, 'post', false, true],
    [429, 'post', false, true],
    [503, 'post', false, true],
    [500, 'get', false, true],
    [502, 'put', false, true],
    [504, 'delete', false, true],
    [500, 'post', false, false],
    [502, 'patch', false, false],
    [500, 'post', true, true],
    [599, 'patch', true, true],
  ])('%i for %s (step idempotent: %s) is retryable: %s', async (status, method, idempotent, isRetryable) => {
    const server = await answer(status, { 'content-type': 'text/plain' }, 'why');
    const failure = await failureOf(callUri(`${server.origin}/x?k=hunter2`, { method }, { step: { idempotent } }));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status });
    expect(failure.options.retryable).toBe(isRetryable);
    expect(failure.message).toContain(`${method.toUpperCase()} ${server.origin}/x: got status ${status}, expected 200`);
    expect(failure.message).not.toContain('hunter2');
  });

  it('carries the safe headers and the parsed JSON of a small answer', async () => {
    const headers = {
      'content-type': 'application/problem+json',
      'set-cookie': 'session=hunter2',
      location: '/next?token=hunter2',
      'retry-after': '5',
    };
    const server = await answer(404, headers, '{"error":"unknown order"}');
    const failure = await failureOf(callUri(server.origin));
    expect(failure.data.data).toEqual({
      statusCode: 404,
      headers: {
        'content-type': 'application/problem+json',
        location: `${server.origin}/next`,
        'retry-after': '5',
      },
      content: { error: 'unknown order' },
    });
  });

  it.each([
    ['4 KiB of a long text', 'text/plain', 'ä'.repeat(4000), 'ä'.repeat(2048)],
    ['the text before a character that the limit cuts', 'text/plain', `x${'ä'.repeat(4000)}`, `x${'ä'.repeat(2047)}`],
    ['text of a long JSON', 'application/json', `"${'a'.repeat(8000)}"`, `"${'a'.repeat(4095)}`],
    ['JSON that does not parse, as text', 'application/json', '{oops', '{oops'],
    ['text in an unknown charset, as UTF-8', 'text/plain; charset=klingon', 'why', 'why'],
    ['nothing of a binary answer', 'image/png', 'abc', null],
    ['nothing of an empty answer', 'application/json', '', null],
  ])('carries %s', async (_what, contentType, body, content) => {
    const server = await answer(400, { 'content-type': contentType }, body);
    const failure = await failureOf(callUri(server.origin));
    expect((failure.data.data as JsonObject).content).toEqual(content);
  });

  it('is reported even where the body breaks off', async () => {
    const server = await servers.tcp((socket) =>
      socket.once('data', () =>
        socket.end('HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 100\r\n\r\nhalf'),
      ),
    );
    const failure = await failureOf(callUri(server.origin));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 400, data: { content: 'half' } });
  });

  it('is reported even where the body does not end before the deadline', async () => {
    const server = await servers.http((_request, response) =>
      response.writeHead(503, { 'content-type': 'text/plain' }).write('busy'),
    );
    const failure = await failureOf(callUri(server.origin, {}, { timeoutMs: 250 }));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 503, data: { content: 'busy' } });
  });

  it('503 honours Retry-After', async () => {
    const server = await answer(503, { 'retry-after': '7' });
    const failure = await failureOf(callUri(server.origin));
    expect(failure.options.retryAfterMs).toBe(7000);
  });

  const now = Date.parse('2026-01-01T00:00:00Z');
  it.each([
    ['120', 120_000],
    [' 3 ', 3_000],
    ['86400', 3_600_000],
    ['Thu, 01 Jan 2026 00:01:00 GMT', 60_000],
    ['Fri, 02 Jan 2026 00:00:00 GMT', 3_600_000],
    ['Wed, 31 Dec 2025 23:59:59 GMT', undefined],
    ['0', undefined],
    ['-5', undefined],
    ['soon', undefined],
    [undefined, undefined],
  ])('Retry-After %j is %j ms', (header, waitMs) => {
    expect(parseRetryAfter(header, now)).toBe(waitMs);
  });
});

describe('redirects', () => {
  const redirecting: RequestListener = (request, response) => {
    if (request.url === '/start') response.writeHead(303, { location: '/next' }).end();
    else if (request.url === '/busy') response.writeHead(303, { location: '/unavailable' }).end();
    else if (request.url === '/unavailable') response.writeHead(503, { 'content-type': 'text/plain' }).end('busy');
    else if (request.url === '/same') response.writeHead(304).end();
    else response.writeHead(200, { 'content-type': 'text/plain' }).end('there');
  };

  it('are errors by default', async () => {
    const server = await servers.http(redirecting);
    const failure = await failureOf(callUri(`${server.origin}/start`));
    expect(failure.data).toMatchObject({
      code: 'BLW_HTTP_STATUS',
      status: 303,
      data: { headers: { location: `${server.origin}/next` } },
    });
    expect(server.requests).toHaveLength(1);
  });

  it('are followed with `redirect: true`', async () => {
    const server = await servers.http(redirecting);
    expect(await callUri(`${server.origin}/start`, { redirect: true })).toBe('there');
  });

  it('a 3xx that sends nowhere is a success with `redirect: true`', async () => {
    const server = await servers.http(redirecting);
    expect(await callUri(`${server.origin}/same`, { redirect: true })).toBeNull();
  });

  it('a POST that was carried out is not sent again because the page after it is not there', async () => {
    const server = await servers.http(redirecting);
    const failure = await failureOf(callUri(`${server.origin}/busy`, { method: 'post', redirect: true }));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status: 503 });
    expect(failure.message).toContain(`from ${server.origin}/unavailable after a redirect`);
    expect(failure.options.retryable).toBe(false);
  });
});

describe('what a failed POST says of its outcome', () => {
  const unknown = 'unknown';
  const json = { 'content-type': 'application/json' };

  it.each([
    ['500', 500, {}, 'after the insert', unknown],
    ['501', 501, {}, '', unknown],
    ['504', 504, {}, '', unknown],
    ['303', 303, { location: '/next' }, '', unknown],
    ['a redirect without an end', 307, { location: '/' }, '', unknown],
    ['200 and broken JSON', 200, json, '{"charged": tru', unknown],
    ['200 and too much', 200, {}, Buffer.alloc(105_000_000), unknown],
    ['400', 400, json, '{}', undefined],
    ['404', 404, {}, '', undefined],
    ['409', 409, {}, '', undefined],
    ['408', 408, {}, '', undefined],
    ['425', 425, {}, '', undefined],
    ['429', 429, {}, '', undefined],
    ['503', 503, {}, '', undefined],
  ])('%s', async (_what, status, headers: Record<string, string>, body, outcome) => {
    const server = await answer(status, headers, body);
    const dataOf = async (args: JsonObject, options: CallOptions = {}) => {
      const { data } = (await failureOf(callUri(server.origin, { redirect: status === 307, ...args }, options))).data;
      return (data ?? {}) as JsonObject;
    };
    const told = await dataOf({ method: 'post' });
    expect(told.outcome).toBe(outcome);
    if (status !== 200 && status !== 307) expect(told.statusCode).toBe(status);
    expect((await dataOf({ method: 'post' }, { step: { idempotent: true } })).outcome).toBeUndefined();
    expect((await dataOf({ method: 'get' })).outcome).toBeUndefined();
  });

  it('404 after a redirect', async () => {
    const server = await servers.http((request, response) => {
      if (request.method === 'POST') response.writeHead(303, { location: '/gone' }).end();
      else response.writeHead(404).end();
    });
    const failure = await failureOf(callUri(server.origin, { method: 'post', redirect: true }));
    expect(failure.data.data).toMatchObject({ statusCode: 404, outcome: 'unknown' });
  });
});

describe('a lost answer', () => {
  it.each([
    ['get', false, true],
    ['put', false, true],
    ['post', false, false],
    ['patch', false, false],
    ['post', true, true],
  ])('of %s (step idempotent: %s) is retryable: %s', async (method, idempotent, isRetryable) => {
    const server = await servers.tcp((socket) => socket.once('data', () => socket.destroy()));
    const failure = await failureOf(callUri(server.origin, { method }, { step: { idempotent } }));
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(failure.options.retryable).toBe(isRetryable);
    expect(failure.data.data).toEqual(isRetryable ? undefined : { outcome: 'unknown' });
  });

  it.each(['get', 'post'])('of a %s on a kept connection is not asked for again by the client', async (method) => {
    const seen: string[] = [];
    const server = await servers.tcp((socket) => {
      let isKept = false;
      socket.on('data', (data) => {
        seen.push(data.toString().split(' ')[1] ?? '');
        // The first answer keeps the connection; the next request on it gets none.
        if (isKept) socket.resetAndDestroy();
        else socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
        isKept = true;
      });
    });
    // Now and then the client opens a connection although one is about to be free.
    const attempts = async () => {
      for (let n = 0; n < 1_000; n += 1) {
        const outcome = await callUri(`${server.origin}/${n}`, { method }).catch((error: unknown) => error);
        if (outcome instanceof BlockFailure) return outcome;
      }
      throw new Error('no connection was used twice');
    };
    const failure = await attempts();
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(failure.options.retryable).toBe(method === 'get');
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('never means two requests where servers end connections that the client takes for kept', async () => {
    const seen: string[] = [];
    const server = await servers.tcp((socket) =>
      socket.on('data', (data) => {
        seen.push(data.toString().split(' ')[1] ?? '');
        socket.end('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n');
      }),
    );
    const paths = Array.from({ length: 100 }, (_, n) => `/${n}`);
    for (const path of paths) {
      const outcome = await callUri(`${server.origin}${path}`, { method: 'post' }).catch((error: unknown) => error);
      if (outcome instanceof BlockFailure)
        expect(outcome.options.retryable).toBe(outcome.data.code === 'BLW_HTTP_UNREACHABLE');
    }
    expect(new Set(seen).size).toBe(seen.length);
  });

  it('in the middle of the body of a POST is not retryable either', async () => {
    const server = await servers.tcp((socket) =>
      socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf')),
    );
    const failure = await failureOf(callUri(server.origin, { method: 'post' }));
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(failure.options.retryable).toBe(false);
  });

  it('is none where the server cannot be reached: a POST is tried again', async () => {
    const failure = await failureOf(callUri(`http://127.0.0.1:${await servers.closedPort()}`, { method: 'post' }));
    expect(failure.data.code).toBe('BLW_HTTP_UNREACHABLE');
    expect(failure.options.retryable).toBe(true);
  });
});

describe('the deadline', () => {
  const silent: RequestListener = () => undefined;
  const slowBody: RequestListener = (_request, response) => response.writeHead(200).write('start');

  it.each([
    ['no answer', silent, 'get', false, true],
    ['a slow body', slowBody, 'get', false, true],
    ['no answer', silent, 'post', false, false],
    ['a slow body', slowBody, 'patch', false, false],
    ['no answer', silent, 'post', true, true],
  ] as const)('ends %s (%p) to %s (step idempotent: %s); retryable: %s', async (...row) => {
    const [, handler, method, idempotent, isRetryable] = row;
    const server = await servers.http(handler);
    const failure = await failureOf(callUri(server.origin, { method }, { step: { idempotent }, timeoutMs: 250 }));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_TIMEOUT', status: 408 });
    expect(failure.options.retryable).toBe(isRetryable);
    // 250 ms less the 50 that are kept for reporting, less what passed before the call.
    expect(failure.message).toMatch(/within (1\d\d|200) ms/);
  });

  it('lets a POST be tried again where it passed before anything was sent', async () => {
    const silentBeforeTls = await servers.tcp(() => undefined);
    const uri = silentBeforeTls.origin.replace('http:', 'https:');
    const failure = await failureOf(callUri(uri, { method: 'post' }, { timeoutMs: 250 }));
    expect(failure.data.code).toBe('BLW_HTTP_TIMEOUT');
    expect(failure.message).toContain('nothing was sent');
    expect(failure.options.retryable).toBe(true);
  });

  it('that has passed keeps the request from being sent', async () => {
    const server = await servers.http(answerOk);
    const failure = await failureOf(callUri(server.origin, { method: 'post' }, { timeoutMs: 10 }));
    expect(failure.data.code).toBe('BLW_HTTP_TIMEOUT');
    expect(server.connections()).toBe(0);
  });
});

describe('cancellation', () => {
  const reason = new Error('cancelled by the test');

  it('throws its reason and sends nothing where it came first', async () => {
    const server = await servers.http(answerOk);
    await expect(callUri(server.origin, {}, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(server.connections()).toBe(0);
  });

  it.each([
    ['the answer is awaited', undefined],
    ['a body is read', 'HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf'],
    ['the body of an error is read', 'HTTP/1.1 500 Oops\r\ncontent-length: 100\r\n\r\nhalf'],
  ])('throws its reason while %s, and closes the connection', async (_what, start) => {
    const controller = new AbortController();
    const closed: Promise<unknown>[] = [];
    const server = await servers.tcp((socket) => {
      closed.push(closeOf(socket));
      socket.once('data', () => {
        if (start === undefined) controller.abort(reason);
        else socket.write(start, () => controller.abort(reason));
      });
    });
    await expect(callUri(server.origin, {}, { signal: controller.signal })).rejects.toBe(reason);
    await closed[0];
    expect(closed).not.toHaveLength(0);
  });
});
