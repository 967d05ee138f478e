import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { finished } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import { brotliCompressSync, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import type { buildConnector } from 'undici';
import { isPublicAddress, parseAllowedHosts } from '../../src/activities/ports/address-policy';
import { createGuardedConnector } from '../../src/activities/ports/guarded-connector';
import { createHttpClient, type HttpClientOptions } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient, HttpRequest } from '../../src/activities/ports/http-client';
import { FlowError } from '../../src/dsl/errors';
import { failureOf } from '../helpers/block-context';
import { closeOf, type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { makeSelfSigned } from '../helpers/self-signed';

const servers = new LoopbackServers();
const clients: HttpClient[] = [];

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
  await servers.close();
});

function makeClient(options: Partial<HttpClientOptions> = {}): HttpClient {
  const client = createHttpClient({ allowHosts: ['127.0.0.1'], ...options });
  clients.push(client);
  return client;
}

function get(url: string, extra: Partial<HttpRequest> = {}): HttpRequest {
  return {
    method: 'GET',
    url: new URL(url),
    headers: {},
    signal: new AbortController().signal,
    followRedirects: false,
    ...extra,
  };
}

async function textOf(body: Readable): Promise<string> {
  return (await bytesOf(body)).toString();
}

async function bytesOf(body: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function sendFully(client: HttpClient, request: HttpRequest): Promise<string> {
  return textOf((await client.send(request)).body);
}

/** undici takes a connection back in the turn of the event loop after the one in which the answer ended. */
async function connectionIsFree(): Promise<void> {
  await setImmediate();
  await setImmediate();
}

describe('the address policy', () => {
  it.each([
    '8.8.8.8',
    '93.184.216.34',
    '2606:4700:4700::1111',
    '::ffff:8.8.8.8',
    '64:ff9b::8.8.8.8',
    '2002:808:808::1',
    '2001:0:808:808:0:0:f7f7:f7f7',
  ])('takes %s for public', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });

  it.each([
    ['this host', '0.0.0.0'],
    ['loopback', '127.0.0.1'],
    ['loopback beyond the first', '127.255.255.254'],
    ['private 10/8', '10.1.2.3'],
    ['private 172.16/12', '172.31.255.255'],
    ['private 192.168/16', '192.168.0.1'],
    ['link-local, cloud metadata', '169.254.169.254'],
    ['carrier-grade NAT', '100.64.0.1'],
    ['benchmarking', '198.18.0.1'],
    ['documentation', '192.0.2.1'],
    ['multicast', '224.0.0.1'],
    ['broadcast', '255.255.255.255'],
    ['reserved', '240.0.0.1'],
    ['unspecified', '::'],
    ['loopback', '::1'],
    ['link-local', 'fe80::1'],
    ['link-local with a zone', 'fe80::1%eth0'],
    ['unique local, AWS metadata', 'fd00:ec2::254'],
    ['deprecated site-local', 'fec0::1'],
    ['multicast', 'ff02::1'],
    ['documentation', '2001:db8::1'],
    ['mapped loopback', '::ffff:127.0.0.1'],
    ['mapped metadata', '::ffff:a9fe:a9fe'],
    ['compatible loopback', '::127.0.0.1'],
    ['translated loopback (SIIT)', '::ffff:0:127.0.0.1'],
    ['NAT64 of a private address', '64:ff9b::10.0.0.1'],
    ['NAT64 of loopback', '64:ff9b::7f00:1'],
    ['local NAT64 of a private address', '64:ff9b:1::10.0.0.1'],
    ['local NAT64, address in the middle', '64:ff9b:1:7f00:0:100:808:808'],
    ['6to4 of loopback', '2002:7f00:1::1'],
    ['6to4 of a private address', '2002:c0a8:1::1'],
    ['Teredo, private client', '2001:0:808:808:0:0:f5ff:fffe'],
    ['Teredo, private server', '2001:0:a00:1:0:0:f7f7:f7f7'],
    ['no address', 'example.com'],
    ['nothing', ''],
  ])('refuses %s: %s', (_what, address) => {
    expect(isPublicAddress(address)).toBe(false);
  });
});

describe('--allow-host', () => {
  it.each([
    ['Api.Internal.', 'api.internal'],
    ['api.internal:8080', 'api.internal:8080'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['127.0.0.1', '127.0.0.1'],
    ['2130706433:80', '127.0.0.1:80'],
    ['::1', '[::1]'],
    ['[::1]', '[::1]'],
    ['[0:0:0:0:0:0:0:1]:8080', '[::1]:8080'],
  ])('reads %s as %s', (value, normalized) => {
    expect([...parseAllowedHosts([value])]).toEqual([normalized]);
  });

  it.each([
    '',
    'http://api.internal',
    'api.internal/path',
    'api.internal:',
    'api.internal:0',
    'api.internal:65536',
    'api.internal:port',
    '*.internal',
    'two hosts',
    '[::1',
    '[zz::1]:80',
    '%6cocalhost',
  ])('rejects %j with BLW_CONFIG', (value) => {
    const error = catchError(() => parseAllowedHosts([value]));
    expect(error.data.code).toBe('BLW_CONFIG');
    expect(error.message).toContain(`--allow-host: got ${JSON.stringify(value)}, expected HOST or HOST:PORT`);
  });

  it('does not repeat credentials', () => {
    const error = catchError(() => createHttpClient({ allowHosts: ['user:hunter2@api.internal'] }));
    expect(error.data.code).toBe('BLW_CONFIG');
    expect(error.message).not.toContain('hunter2');
  });
});

function catchError(action: () => unknown): FlowError {
  try {
    action();
  } catch (error) {
    if (error instanceof FlowError) return error;
    throw error;
  }
  throw new Error('expected an error');
}

describe('a guarded client', () => {
  describe('refuses hosts that are not public', () => {
    it.each([
      ['loopback', 'http://127.0.0.1:PORT/'],
      ['a decimal address', 'http://2130706433:PORT/'],
      ['an octal address', 'http://0177.0.0.1:PORT/'],
      ['a hexadecimal address', 'http://0x7f000001:PORT/'],
      ['a short address', 'http://127.1:PORT/'],
      ['full-width digits', 'http://１２７.0.0.1:PORT/'],
      ['an address with a trailing dot', 'http://127.0.0.1.:PORT/'],
      ['all interfaces', 'http://0.0.0.0:PORT/'],
      ['localhost', 'http://localhost:PORT/'],
      ['localhost in capitals', 'http://LOCALHOST:PORT/'],
      ['localhost with a trailing dot', 'http://localhost.:PORT/'],
      ['a name below localhost', 'http://admin.localhost:PORT/'],
      ['IPv6 loopback', 'http://[::1]:PORT/'],
      ['mapped loopback', 'http://[::ffff:127.0.0.1]:PORT/'],
      ['mapped loopback in hex', 'http://[::ffff:7f00:1]:PORT/'],
      ['compatible loopback', 'http://[::127.0.0.1]:PORT/'],
      ['NAT64 loopback', 'http://[64:ff9b::127.0.0.1]:PORT/'],
      ['6to4 loopback', 'http://[2002:7f00:1::]:PORT/'],
      ['cloud metadata', 'http://169.254.169.254/latest/meta-data/'],
      ['a private address', 'https://10.0.0.1/'],
    ])('%s: %s', async (_what, template) => {
      const server = await servers.http((_request, response) => response.end('secret'));
      const resolve = jest.fn();
      const client = makeClient({ allowHosts: [], resolve });
      const failure = await failureOf(client.send(get(template.replace('PORT', String(server.port)))));
      expect(failure.data).toMatchObject({ code: 'BLW_HTTP_HOST_DENIED', status: 403 });
      expect(failure.options.retryable).toBe(false);
      expect(failure.message).toMatch(/--allow-host (\S+:\d+), .* privateHosts: \["\1"\] in the policy$/);
      expect(resolve).not.toHaveBeenCalled();
      expect(server.connections()).toBe(0);
    });

    it.each([
      ['loopback', [{ address: '127.0.0.1', family: 4 as const }]],
      ['IPv6 loopback', [{ address: '::1', family: 6 as const }]],
      [
        'a public and a private address',
        [
          { address: '93.184.216.34', family: 4 as const },
          { address: '127.0.0.1', family: 4 as const },
        ],
      ],
    ])('a name that resolves to %s', async (_what, addresses) => {
      const server = await servers.http((_request, response) => response.end('secret'));
      const resolve = jest.fn().mockResolvedValue(addresses);
      const client = makeClient({ allowHosts: [], resolve });
      const failure = await failureOf(client.send(get(`http://rebind.example:${server.port}/path?token=hunter2`)));
      expect(failure.data.code).toBe('BLW_HTTP_HOST_DENIED');
      expect(failure.options.retryable).toBe(false);
      expect(failure.message).toContain('rebind.example');
      expect(failure.message).not.toMatch(/127\.0\.0\.1|::1|hunter2/);
      expect(resolve).toHaveBeenCalledTimes(1);
      expect(server.connections()).toBe(0);
    });

    it('a host that is allowed on another port only', async () => {
      const server = await servers.http((_request, response) => response.end('secret'));
      const client = makeClient({ allowHosts: [`127.0.0.1:${server.port === 80 ? 81 : 80}`] });
      const failure = await failureOf(client.send(get(server.origin)));
      expect(failure.data.code).toBe('BLW_HTTP_HOST_DENIED');
      expect(server.connections()).toBe(0);
    });

    it('a redirect to one', async () => {
      const inner = await servers.http((_request, response) => response.end('secret'));
      const outer = await servers.http((_request, response) =>
        response.writeHead(302, { location: `http://localhost:${inner.port}/admin?key=hunter2` }).end(),
      );
      const failure = await failureOf(makeClient().send(get(outer.origin, { followRedirects: true })));
      expect(failure.data.code).toBe('BLW_HTTP_HOST_DENIED');
      expect(failure.message).toContain(`http://localhost:${inner.port}/admin`);
      expect(failure.message).not.toContain('hunter2');
      expect(inner.connections()).toBe(0);
    });
  });

  it('closes a socket that reached an address other than the one that was checked', async () => {
    const server = await servers.http((_request, response) => response.end('secret'));
    let checks = 0;
    const connector = createGuardedConnector({
      allowed: parseAllowedHosts([]),
      resolve: async () => [{ address: '127.0.0.1', family: 4 }],
      isPublic: () => {
        checks += 1;
        return checks === 1;
      },
    });
    const target = { hostname: 'moved.example', host: 'moved.example', protocol: 'http:', port: String(server.port) };
    const [error, socket] = await new Promise<Parameters<buildConnector.Callback>>((resolve) => {
      connector(target, (...result) => resolve(result));
    });
    expect(error).toMatchObject({ name: 'AddressDeniedError' });
    expect(socket).toBeNull();
    expect(checks).toBe(2);
    expect(server.requests).toEqual([]);
  });

  it.each([
    ['host', 'allowed.example'],
    ['host and port', 'ALLOWED.example.:PORT'],
  ])('reaches an allowed %s at the very address that was resolved, resolving once', async (_what, template) => {
    const server = await servers.http((request, response) => response.end(`for ${request.headers.host}`));
    const resolve = jest.fn().mockResolvedValueOnce([{ address: '127.0.0.1', family: 4 }]);
    const client = makeClient({ allowHosts: [template.replace('PORT', String(server.port))], resolve });
    expect(await sendFully(client, get(`http://allowed.example:${server.port}/`))).toBe(
      `for allowed.example:${server.port}`,
    );
    expect(resolve).toHaveBeenCalledTimes(1);
  });

  it.each([
    ['another scheme', 'ftp://127.0.0.1/file', 'the scheme ftp'],
    ['a file', 'file:///etc/passwd', 'the scheme file'],
    ['credentials', 'http://user:hunter2@127.0.0.1/x?token=hunter2', 'credentials in the URL'],
  ])('rejects a URL with %s', async (_what, url, problem) => {
    const failure = await failureOf(makeClient().send(get(url)));
    expect(failure.data.code).toBe('BLW_HTTP_URL');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(problem);
    expect(failure.message).not.toContain('hunter2');
  });

  it('reuses a connection', async () => {
    const server = await servers.http((_request, response) => response.end('ok'));
    const client = makeClient();
    for (const path of ['/1', '/2', '/3']) {
      expect(await sendFully(client, get(server.origin + path))).toBe('ok');
      await connectionIsFree();
    }
    expect(server.connections()).toBe(1);
  });

  it('ignores proxies of the environment', async () => {
    const proxy = await servers.http((_request, response) => response.end('proxied'));
    const server = await servers.http((_request, response) => response.end('direct'));
    const before = { ...process.env };
    Object.assign(process.env, { HTTP_PROXY: proxy.origin, http_proxy: proxy.origin });
    try {
      expect(await sendFully(makeClient(), get(server.origin))).toBe('direct');
    } finally {
      process.env = before;
    }
    expect(proxy.connections()).toBe(0);
  });
});

describe('redirects', () => {
  const redirect = (status: number, location?: string) =>
    servers.http((request, response) => {
      if (request.url !== '/start') response.end(request.method);
      else if (location === undefined) response.writeHead(status).end();
      else response.writeHead(status, { location }).end();
    });

  it('are returned where they are not to be followed', async () => {
    const server = await redirect(302, '/next');
    const response = await makeClient().send(get(`${server.origin}/start`));
    expect(response.statusCode).toBe(302);
    expect(response.headers.location).toBe('/next');
    expect(await textOf(response.body)).toBe('');
  });

  it.each([
    [301, 'GET', 'GET'],
    [301, 'POST', 'GET'],
    [301, 'PUT', 'PUT'],
    [302, 'POST', 'GET'],
    [302, 'PATCH', 'PATCH'],
    [303, 'POST', 'GET'],
    [303, 'DELETE', 'GET'],
    [303, 'HEAD', 'HEAD'],
    [307, 'POST', 'POST'],
    [308, 'PUT', 'PUT'],
  ])('%i after %s continue as %s', async (status, method, then) => {
    const server = await redirect(status, '/next');
    const body = method === 'GET' || method === 'HEAD' ? {} : { body: 'payload' };
    const request = get(`${server.origin}/start`, {
      method,
      headers: { 'content-type': 'text/plain', 'idempotency-key': 'k', authorization: 'Bearer t' },
      followRedirects: true,
      ...body,
    });
    const response = await makeClient().send(request);
    await textOf(response.body);
    expect(response.url.href).toBe(`${server.origin}/next`);
    const [, second] = server.requests;
    expect(second?.method).toBe(then);
    expect(second?.body).toBe(then === method && 'body' in body ? 'payload' : '');
    expect(second?.headers['content-type']).toBe(then === method ? 'text/plain' : undefined);
    expect(second?.headers).toMatchObject({ 'idempotency-key': 'k', authorization: 'Bearer t' });
  });

  const credentials = {
    authorization: 'Bearer t',
    cookie: 'a=b',
    'proxy-authorization': 'Basic x',
    'x-api-key': 'k',
  };

  function expectNoCredentials(server: LoopbackServer): void {
    expect(server.requests).toHaveLength(1);
    for (const name of Object.keys(credentials)) expect(server.requests[0]?.headers[name]).toBeUndefined();
    expect(server.requests[0]?.headers).toMatchObject({ 'idempotency-key': 'k', accept: 'text/plain' });
  }

  it('drop credentials where the origin changes, and keep the other headers', async () => {
    const other = await servers.http((_request, response) => response.end('ok'));
    const first = await redirect(307, `${other.origin}/next`);
    const request = get(`${first.origin}/start`, {
      method: 'POST',
      headers: { ...credentials, 'idempotency-key': 'k', accept: 'text/plain' },
      followRedirects: true,
    });
    expect(await sendFully(makeClient(), request)).toBe('ok');
    expect(first.requests[0]?.headers).toMatchObject(credentials);
    expectNoCredentials(other);
  });

  it('drop credentials where https becomes http', async () => {
    const tls = makeSelfSigned();
    const plain = await servers.http((_request, response) => response.end('ok'));
    const secure = await servers.http(
      (_request, response) => response.writeHead(302, { location: plain.origin }).end(),
      tls,
    );
    const request = get(secure.origin, {
      headers: { ...credentials, 'idempotency-key': 'k', accept: 'text/plain' },
      followRedirects: true,
    });
    expect(await sendFully(makeClient({ ca: tls.cert }), request)).toBe('ok');
    expect(secure.requests[0]?.headers).toMatchObject(credentials);
    expectNoCredentials(plain);
  });

  it('end after ten', async () => {
    const server = await redirect(302, '/start');
    const failure = await failureOf(makeClient().send(get(`${server.origin}/start`, { followRedirects: true })));
    expect(failure.data.code).toBe('BLW_HTTP_REDIRECT');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain('more than 10 redirects');
    expect(server.requests).toHaveLength(11);
  });

  it.each([
    ['no location', undefined, 'without a location'],
    ['no URL', 'http://:::', 'to no URL'],
    ['another scheme', 'file:///etc/passwd', 'the scheme file'],
    ['credentials', 'http://user:hunter2@example.com/', 'credentials in the URL'],
  ])('with %s fail', async (_what, location, problem) => {
    const server = await redirect(302, location);
    const failure = await failureOf(makeClient().send(get(`${server.origin}/start`, { followRedirects: true })));
    expect(failure.data.code).toBe('BLW_HTTP_REDIRECT');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(problem);
    expect(failure.message).not.toContain('hunter2');
  });

  it('leave the outcome unknown where the server behind a carried out POST cannot be reached', async () => {
    const closed = await servers.closedPort();
    const server = await redirect(303, `http://127.0.0.1:${closed}/`);
    const request = get(`${server.origin}/start`, { method: 'POST', followRedirects: true });
    expect((await failureOf(makeClient().send(request))).data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
  });

  it('still say that nothing was done where the server behind a 307 cannot be reached', async () => {
    const closed = await servers.closedPort();
    const server = await redirect(307, `http://127.0.0.1:${closed}/`);
    const request = get(`${server.origin}/start`, { method: 'POST', followRedirects: true });
    expect((await failureOf(makeClient().send(request))).data.code).toBe('BLW_HTTP_UNREACHABLE');
  });
});

describe('content codings', () => {
  const text = 'content '.repeat(1000);

  async function answerWith(coding: string, bytes: Buffer): Promise<LoopbackServer> {
    return servers.http((_request, response) =>
      response.writeHead(200, { 'content-encoding': coding, 'content-length': bytes.length }).end(bytes),
    );
  }

  it.each([
    ['gzip', gzipSync(text)],
    ['x-gzip', gzipSync(text)],
    ['deflate', deflateSync(text)],
    ['deflate', deflateRawSync(text)],
    ['br', brotliCompressSync(text)],
    ['GZIP', gzipSync(text)],
    ['gzip, br', brotliCompressSync(gzipSync(text))],
    ['identity', Buffer.from(text)],
  ])('%s is taken off', async (coding, bytes) => {
    const server = await answerWith(coding, bytes);
    const response = await makeClient().send(get(server.origin));
    expect(await textOf(response.body)).toBe(text);
    expect(server.requests[0]?.headers['accept-encoding']).toBe('gzip, deflate, br');
    expect(response.headers['content-length']).toBe(coding === 'identity' ? String(bytes.length) : undefined);
  });

  it.each(['gzip', 'deflate', 'br'])('%s of an empty body is an empty body', async (coding) => {
    const server = await answerWith(coding, Buffer.alloc(0));
    expect(await sendFully(makeClient(), get(server.origin))).toBe('');
    expect(await sendFully(makeClient(), get(server.origin, { method: 'HEAD' }))).toBe('');
  });

  it.each([
    ['zstd', Buffer.from(text), 'content-encoding "zstd"'],
    ['gzip, gzip, gzip, gzip', Buffer.from(text), 'at most 3'],
    ['gzip', Buffer.from(text), 'does not decompress'],
    ['deflate', Buffer.from([0xff, 0xff, 0xff, 0xff]), 'does not decompress'],
    ['br', Buffer.from(text), 'does not decompress'],
  ])('%s that cannot be taken off is BLW_HTTP_CONTENT', async (coding, bytes, problem) => {
    const server = await answerWith(coding, bytes);
    const response = await makeClient().send(get(server.origin));
    const failure = await failureOf(textOf(response.body));
    expect(failure.data.code).toBe('BLW_HTTP_CONTENT');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(problem);
  });

  it('compressed data that ends too early is a lost answer', async () => {
    const server = await answerWith('gzip', gzipSync(text).subarray(0, 40));
    const response = await makeClient().send(get(server.origin));
    const failure = await failureOf(textOf(response.body));
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(failure.options.retryable).toBe(true);
  });

  it('a small body that decodes to a huge one is decoded no further than it is read', async () => {
    const bomb = gzipSync(Buffer.alloc(64 * 1024 * 1024));
    const server = await answerWith('gzip', bomb);
    const { body } = await makeClient().send(get(server.origin));
    let size = 0;
    for await (const chunk of body as AsyncIterable<Buffer>) {
      size += chunk.length;
      if (size > 1_048_576) break;
    }
    expect(body.destroyed).toBe(true);
    expect(size).toBeLessThan(2 * 1_048_576);
  });
});

describe('failures of the connection', () => {
  it.each([
    ['a refused connection', (port: number) => `http://127.0.0.1:${port}/x?token=hunter2`, 'ECONNREFUSED'],
    ['an unknown name', () => 'http://unknown.example/x?token=hunter2', 'ENOTFOUND'],
  ])('%s is BLW_HTTP_UNREACHABLE', async (_what, urlAt, reason) => {
    const resolve = async () => {
      throw Object.assign(new Error('not found'), { code: 'ENOTFOUND' });
    };
    const url = urlAt(await servers.closedPort());
    const failure = await failureOf(makeClient({ resolve }).send(get(url, { method: 'POST', body: 'x' })));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_UNREACHABLE', status: 503 });
    expect(failure.options.retryable).toBe(true);
    expect(failure.message).toContain(reason);
    expect(failure.message).not.toContain('hunter2');
  });

  it('a name without addresses is BLW_HTTP_UNREACHABLE', async () => {
    const failure = await failureOf(makeClient({ resolve: async () => [] }).send(get('http://empty.example/')));
    expect(failure.data.code).toBe('BLW_HTTP_UNREACHABLE');
  });

  it('a certificate that is not trusted is BLW_HTTP_UNREACHABLE', async () => {
    const server = await servers.http((_request, response) => response.end('ok'), makeSelfSigned());
    const failure = await failureOf(makeClient().send(get(server.origin, { method: 'POST' })));
    expect(failure.data.code).toBe('BLW_HTTP_UNREACHABLE');
    expect(failure.message).toContain('DEPTH_ZERO_SELF_SIGNED_CERT');
    expect(server.requests).toEqual([]);
  });

  it('TLS against a server without is BLW_HTTP_UNREACHABLE', async () => {
    const server = await servers.tcp((socket) => socket.end('no TLS here\r\n'));
    const failure = await failureOf(makeClient().send(get(server.origin.replace('http:', 'https:'))));
    expect(failure.data.code).toBe('BLW_HTTP_UNREACHABLE');
  });

  it('a server that accepts TLS too slowly is BLW_HTTP_UNREACHABLE', async () => {
    const server = await servers.tcp(() => undefined);
    const client = makeClient({ connectTimeoutMs: 50 });
    const failure = await failureOf(client.send(get(server.origin.replace('http:', 'https:'))));
    expect(failure.data.code).toBe('BLW_HTTP_UNREACHABLE');
    expect(failure.options.retryable).toBe(true);
  });

  const head = 'HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n';

  it.each([
    ['closes without an answer', (socket: Socket) => socket.end()],
    ['resets', (socket: Socket) => socket.resetAndDestroy()],
    ['answers with something else than HTTP', (socket: Socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n')],
    ['sends a head without end', (socket: Socket) => socket.write(`${head}x-long: ${'a'.repeat(100_000)}`)],
  ])('a server that %s after the request leaves the outcome unknown', async (_what, answer) => {
    const server = await servers.tcp((socket) => socket.once('data', () => answer(socket)));
    const failure = await failureOf(makeClient().send(get(`${server.origin}/x?token=hunter2`, { method: 'POST' })));
    expect(failure.data).toMatchObject({ code: 'BLW_HTTP_OUTCOME_UNKNOWN', status: 502 });
    expect(failure.options.retryable).toBe(true);
    expect(failure.message).toContain(`POST ${server.origin}/x`);
    expect(failure.message).not.toContain('hunter2');
  });

  it.each([
    ['truncated', `${head}content-length: 100\r\n\r\nhalf`, (socket: Socket) => socket.end()],
    ['cut within a chunk', `${head}transfer-encoding: chunked\r\n\r\n10\r\nhalf`, (socket: Socket) => socket.end()],
    ['reset', `${head}content-length: 100\r\n\r\nhalf`, (socket: Socket) => socket.resetAndDestroy()],
    ['broken chunks', `${head}transfer-encoding: chunked\r\n\r\nzz\r\n`, (socket: Socket) => socket.end()],
  ])('a body that is %s leaves the outcome unknown', async (_what, answer, finish) => {
    const server = await servers.tcp((socket) =>
      socket.once('data', () => {
        socket.write(answer, () => finish(socket));
      }),
    );
    const failure = await failureOf(
      makeClient()
        .send(get(server.origin))
        .then(({ body }) => textOf(body)),
    );
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(failure.options.retryable).toBe(true);
  });

  it.each([
    ['broke off', `${head}content-length: 100\r\n\r\nhalf`, 'BLW_HTTP_OUTCOME_UNKNOWN'],
    ['has an unknown coding', `${head}content-encoding: zstd\r\n\r\nhalf`, 'BLW_HTTP_CONTENT'],
    ['does not decompress', `${head}content-encoding: gzip\r\n\r\nhalf`, 'BLW_HTTP_CONTENT'],
  ])('a body that %s before its reader comes still tells its reader', async (_what, answer, code) => {
    const server = await servers.tcp((socket) => socket.once('data', () => socket.end(answer)));
    const { body } = await makeClient().send(get(server.origin));
    if (!body.closed) await new Promise((resolve) => body.once('close', resolve));
    expect((await failureOf(textOf(body))).data.code).toBe(code);
    expect((await failureOf(finished(body))).data.code).toBe(code);
  });

  it('a kept connection that the server closes on the next request leaves the outcome unknown', async () => {
    const server = await servers.tcp((socket) => {
      socket.once('data', () => {
        socket.write(`${head}content-length: 2\r\n\r\nok`);
        socket.once('data', () => socket.destroy());
      });
    });
    const client = makeClient();
    expect(await sendFully(client, get(server.origin))).toBe('ok');
    await connectionIsFree();
    const failure = await failureOf(client.send(get(server.origin, { method: 'POST' })));
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(server.connections()).toBe(1);
  });

  it('a header that HTTP does not allow is BLW_ARG_INVALID', async () => {
    const server = await servers.http((_request, response) => response.end());
    const request = get(server.origin, { headers: { 'x-bad': 'a\r\nb: hunter2' } });
    const failure = await failureOf(makeClient().send(request));
    expect(failure.data.code).toBe('BLW_ARG_INVALID');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).not.toContain('hunter2');
  });
});

describe('an aborted signal', () => {
  const reason = new Error('cancelled by the test');

  it('is thrown before anything is connected', async () => {
    const server = await servers.http((_request, response) => response.end());
    await expect(makeClient().send(get(server.origin, { signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect(server.connections()).toBe(0);
  });

  it('is thrown at once while a name is resolved', async () => {
    const controller = new AbortController();
    let resolved = () => {};
    const resolve = () => {
      controller.abort(reason);
      return new Promise<never[]>((done) => {
        resolved = () => done([]);
      });
    };
    const request = get('http://slow.example/', { signal: controller.signal });
    await expect(makeClient({ resolve }).send(request)).rejects.toBe(reason);
    resolved();
  });

  it('is thrown while the server has not answered, and closes the connection', async () => {
    const controller = new AbortController();
    const closed: Promise<unknown>[] = [];
    const server = await servers.tcp((socket) => {
      closed.push(closeOf(socket));
      socket.once('data', () => controller.abort(reason));
    });
    await expect(makeClient().send(get(server.origin, { signal: controller.signal }))).rejects.toBe(reason);
    await closed[0];
    expect(closed).not.toHaveLength(0);
  });

  it.each(['identity', 'gzip'])('fails a body (%s) under way, and closes the connection', async (coding) => {
    const controller = new AbortController();
    const start = coding === 'gzip' ? gzipSync('start').subarray(0, 12) : Buffer.from('start');
    const closed: Promise<unknown>[] = [];
    const server = await servers.tcp((socket) => {
      closed.push(closeOf(socket));
      socket.once('data', () => {
        socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: ${coding}\r\ncontent-length: 1000\r\n\r\n`);
        socket.write(start);
      });
    });
    const { body } = await makeClient().send(get(server.origin, { signal: controller.signal }));
    const read = bytesOf(body);
    void setImmediate().then(() => controller.abort(reason));
    await expect(read).rejects.toBe(reason);
    await Promise.all(closed);
  });
});

it('closes the connection where the reader destroys the body', async () => {
  const closed: Promise<unknown>[] = [];
  const server = await servers.tcp((socket) => {
    closed.push(closeOf(socket));
    socket.once('data', () =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 1000\r\n\r\n'),
    );
  });
  const { body } = await makeClient().send(get(server.origin));
  body.destroy();
  await closed[0];
  expect(closed).not.toHaveLength(0);
});

it('fails what is under way when it is closed', async () => {
  const server = await servers.tcp(() => undefined);
  const client = makeClient();
  const failure = failureOf(client.send(get(server.origin)));
  const probe = connect(server.port, '127.0.0.1');
  await once(probe, 'connect');
  probe.destroy();
  await client.close();
  expect((await failure).data.code).toMatch(/^BLW_HTTP_(OUTCOME_UNKNOWN|UNREACHABLE)$/);
});

it('joins repeated headers, cookies line by line', async () => {
  const server = await servers.http((_request, response) => {
    response.setHeader('set-cookie', ['a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT', 'b=2']);
    response.setHeader('x-list', ['one', 'two']);
    response.end();
  });
  const response = await makeClient().send(get(server.origin));
  await textOf(response.body);
  expect(response.headers['set-cookie']).toBe('a=1; Expires=Wed, 21 Oct 2015 07:28:00 GMT\nb=2');
  expect(response.headers['x-list']).toBe('one, two');
});
