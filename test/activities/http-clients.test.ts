import type { HttpClient, HttpRequest } from '../../src/activities/ports/http-client';
import { createHttpClients, type HttpClients } from '../../src/activities/ports/http-clients';
import { failureOf } from '../helpers/block-context';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { eventually } from '../helpers/test-worker';

const servers = new LoopbackServers();
let server: LoopbackServer;
let clients: HttpClients;
/** Clients behind those that are handed out. */
let open: number;
let most: number;
let made: number;

beforeEach(async () => {
  [open, most, made] = [0, 0, 0];
  server = await servers.http(({ url = '' }, response) => {
    if (url !== '/slow') return response.end('ok');
    response.write('first');
    return undefined;
  });
});
afterEach(async () => {
  await clients.close();
  await servers.close();
});

const watch = (client: HttpClient): HttpClient => {
  open += 1;
  made += 1;
  most = Math.max(most, open);
  return {
    send: (request) => client.send(request),
    close: async () => {
      open -= 1;
      await client.close();
    },
  };
};
const start = (options: { restAfterMs?: number; maxIdle?: number }): void => {
  clients = createHttpClients({ allowHosts: ['127.0.0.1'], ...options }, watch);
};
const request = (path = '/'): HttpRequest => ({
  method: 'GET',
  url: new URL(path, server.origin),
  headers: {},
  signal: new AbortController().signal,
  followRedirects: false,
});
async function call(client: HttpClient): Promise<string> {
  let text = '';
  for await (const chunk of (await client.send(request())).body) text += String(chunk);
  return text;
}

test('clients that nobody uses any more are closed, as after policies that brought other hosts each time', async () => {
  start({ restAfterMs: 10 });
  for (let reload = 0; reload < 50; reload += 1) {
    expect(await call(clients.reaching([`inventory-${reload}.example`]))).toBe('ok');
  }
  await eventually(async () => (open === 0 ? true : undefined));
  expect(made).toBe(50);
});

test('no more are kept than are bound to be, and the one that was used last is', async () => {
  start({ maxIdle: 3 });
  for (let index = 0; index < 20; index += 1) await call(clients.reaching([`h${index}.example`]));
  await eventually(async () => (open === 3 ? true : undefined));
  expect(most).toBe(4);
  await call(clients.reaching(['h19.example']));
  expect(made).toBe(20);
});

test('a request that is under way is not cut, however long it takes', async () => {
  start({ restAfterMs: 1, maxIdle: 1 });
  const slow = await clients.reaching(['slow.example']).send(request('/slow'));
  for (let index = 0; index < 10; index += 1) await call(clients.reaching([`h${index}.example`]));
  await eventually(async () => (open === 1 ? true : undefined));
  let text = '';
  const closed = new Promise<void>((resolve) => slow.body.once('close', resolve));
  slow.body.on('data', (chunk: Buffer) => {
    text += chunk.toString();
    slow.body.destroy();
  });
  await closed;
  expect(text).toBe('first');
  await eventually(async () => (open === 0 ? true : undefined));
});

test('a client that rests works on for who has it, and is the same for who asks', async () => {
  start({ restAfterMs: 1 });
  const client = clients.reaching(['a.example', 'b.example']);
  expect(await call(client)).toBe('ok');
  await eventually(async () => (open === 0 ? true : undefined));
  expect(clients.reaching(['b.example', 'a.example'])).toBe(client);
  expect(await call(client)).toBe('ok');
  expect(made).toBe(2);
});

test('a request that fails leaves nothing open', async () => {
  start({ restAfterMs: 1 });
  const port = await servers.closedPort();
  const refused = clients.reaching([]).send({ ...request(), url: new URL(`http://127.0.0.1:${port}/`) });
  expect((await failureOf(refused)).data.code).toBe('BLW_HTTP_UNREACHABLE');
  await eventually(async () => (open === 0 ? true : undefined));
});

test('once closed, nothing is sent any more', async () => {
  start({});
  const client = clients.reaching([]);
  await call(client);
  await clients.close();
  expect(open).toBe(0);
  expect((await failureOf(client.send(request()))).data.code).toBe('BLW_HTTP_UNREACHABLE');
  expect(server.requests).toHaveLength(1);
});

test('hosts that are none are refused at once', () => {
  start({});
  expect(() => clients.reaching(['http://x/'])).toThrow(
    expect.objectContaining({ data: expect.objectContaining({ code: 'BLW_CONFIG' }) }),
  );
});
