import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { notRetryable, retryable } from '../../src/activities/block-failure';
import { httpStream } from '../../src/activities/blocks/http-stream';
import type { BlobStore } from '../../src/activities/ports/blob-store';
import { createHttpClient } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient } from '../../src/activities/ports/http-client';
import type { Json, JsonObject } from '../../src/dsl/json';
import { failureOf, makeContext, type TestContext } from '../helpers/block-context';
import { closeOf, LoopbackServers } from '../helpers/loopback';
import { MemoryBlobStore } from '../helpers/memory-blob-store';

const servers = new LoopbackServers();
let http: HttpClient;
let store: MemoryBlobStore;

beforeEach(() => {
  http = createHttpClient({ allowHosts: ['127.0.0.1'] });
  store = new MemoryBlobStore();
});

afterEach(async () => {
  await http.close();
  await servers.close();
});

function makeStreamContext(options: Parameters<typeof makeContext>[1] = {}, blobs = store.port): TestContext {
  return makeContext({ http, blobs }, { ...options, step: { idempotent: true, ...options.step } });
}

function stream(uri: string, args: JsonObject = {}, context = makeStreamContext()): Promise<Json> {
  return httpStream({ endpoint: { uri }, to: 'downloads/file.bin', ...args }, context);
}

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const content = Buffer.from('some content '.repeat(10_000));
const sha256 = createHash('sha256').update(content).digest('hex');

it("writes the answer to the tenant's blob, with its content type", async () => {
  const server = await servers.http((_request, response) =>
    response
      .writeHead(200, { 'content-type': 'text/plain', 'content-length': content.length, 'x-id': '7' })
      .end(content),
  );
  const output = await stream(`${server.origin}/big?token=t`, { sha256: sha256.toUpperCase() });
  expect(output).toEqual({
    path: 'downloads/file.bin',
    size: content.length,
    sha256,
    statusCode: 200,
    headers: expect.objectContaining({ 'x-id': '7' }),
  });
  const blob = store.blobs.get('acme/downloads/file.bin');
  expect(blob?.content.equals(content)).toBe(true);
  expect(blob?.info.contentType).toBe('text/plain');
  expect(blob?.options).toMatchObject({ maxBytes: 10_737_418_240, expectedSha256: sha256 });
  expect(server.requests[0]).toMatchObject({ method: 'GET', url: '/big?token=t' });
});

it('stores what was decompressed', async () => {
  const server = await servers.http((_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(gzipSync(content)),
  );
  const output = await stream(server.origin, { sha256 });
  expect(output).toMatchObject({ size: content.length, sha256 });
  expect((output as JsonObject).headers).not.toHaveProperty('content-encoding');
});

it('follows redirects', async () => {
  const server = await servers.http((request, response) => {
    if (request.url === '/start') response.writeHead(302, { location: '/file' }).end();
    else response.end('there');
  });
  expect(await stream(`${server.origin}/start`)).toMatchObject({ size: 5, statusCode: 200 });
});

it('carries the idempotency key on POST', async () => {
  const server = await servers.http((_request, response) => response.end());
  expect(await stream(server.origin, { method: 'post' })).toMatchObject({ size: 0 });
  expect(server.requests[0]).toMatchObject({
    method: 'POST',
    headers: { 'idempotency-key': 'acme:flow-1:/do/0/call:0:0' },
  });
});

/** A promise and what fulfils it. */
function makeGate(): { opened: Promise<void>; open(): void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}

it('reports progress when it starts and once a second, also while the server is silent', async () => {
  jest.useFakeTimers({ doNotFake: ['nextTick', 'setImmediate', 'queueMicrotask', 'performance', 'Date'] });
  try {
    const context = makeStreamContext();
    const started = makeGate();
    const finish = makeGate();
    const server = await servers.http((_request, response) => {
      response.writeHead(200, { 'content-length': '10' }).write('start');
      void finish.opened.then(() => response.end('rest.'));
    });
    const blobs = {
      put: async (_tenant: string, path: string, source: Readable, options: { onProgress(bytes: number): void }) => {
        await once(source, 'readable');
        options.onProgress(5);
        started.open();
        for await (const _chunk of source) options.onProgress(10);
        return { path, size: 10, sha256, modifiedAt: new Date() };
      },
    } as unknown as BlobStore;
    const done = stream(server.origin, {}, { ...context, ports: { ...context.ports, blobs } });
    await started.opened;
    expect(context.heartbeats).toEqual([{ bytes: 0 }]);
    jest.advanceTimersByTime(2_500);
    expect(context.heartbeats.slice(1)).toEqual([
      { bytes: 5, totalBytes: 10 },
      { bytes: 5, totalBytes: 10 },
    ]);
    finish.open();
    await done;
    jest.advanceTimersByTime(5_000);
    expect(context.heartbeats).toHaveLength(3);
  } finally {
    jest.useRealTimers();
  }
});

it.each([
  [404, false],
  [500, true],
  [304, false],
])('fails with BLW_HTTP_STATUS for %i, retryable: %s, and stores nothing', async (status, isRetryable) => {
  const server = await servers.http((_request, response) =>
    response.writeHead(status, { 'content-type': 'text/plain' }).end(status === 304 ? '' : 'why'),
  );
  const failure = await failureOf(stream(server.origin));
  expect(failure.data).toMatchObject({ code: 'BLW_HTTP_STATUS', status });
  expect(failure.options.retryable).toBe(isRetryable);
  expect(store.blobs.size).toBe(0);
});

it('closes the connection of a long error answer', async () => {
  const closed: Promise<unknown>[] = [];
  const server = await servers.tcp((socket) => {
    closed.push(closeOf(socket));
    socket.once('data', () => {
      socket.write(
        `HTTP/1.1 500 Oops\r\ncontent-type: text/plain\r\ncontent-length: 1000000\r\n\r\n${'x'.repeat(9_000)}`,
      );
    });
  });
  const failure = await failureOf(stream(server.origin));
  expect((failure.data.data as JsonObject).content).toBe('x'.repeat(4096));
  await closed[0];
  expect(closed).not.toHaveLength(0);
});

it.each([
  ['the announced length', { 'content-length': '130000' }, 'got an answer of 130000 bytes, expected at most 100'],
  ['the length as it comes', {}, 'too large'],
] as [string, Record<string, string>, string][])(
  'refuses more than maxBytes by %s',
  async (_what, headers, message) => {
    const server = await servers.http((_request, response) => response.writeHead(200, headers).end(content));
    const failure = await failureOf(stream(server.origin, { maxBytes: 100 }));
    expect(failure.data.code).toBe('BLW_HTTP_TOO_LARGE');
    expect(failure.options.retryable).toBe(false);
    expect(failure.message).toContain(message);
    expect(store.blobs.size).toBe(0);
  },
);

it('stops a small body that decodes to a huge one at maxBytes', async () => {
  const bomb = gzipSync(Buffer.alloc(64 * 1_048_576));
  const server = await servers.http((_request, response) =>
    response.writeHead(200, { 'content-encoding': 'gzip' }).end(bomb),
  );
  const failure = await failureOf(stream(server.origin, { maxBytes: 1_048_576 }));
  expect(failure.data.code).toBe('BLW_HTTP_TOO_LARGE');
});

it('fails with BLW_HTTP_CHECKSUM where the hash is another', async () => {
  const server = await servers.http((_request, response) => response.end(content));
  const failure = await failureOf(stream(server.origin, { sha256: '0'.repeat(64) }));
  expect(failure.data.code).toBe('BLW_HTTP_CHECKSUM');
  expect(store.blobs.size).toBe(0);
});

it.each([
  ['get', true, 'BLW_QUOTA_WAIT'],
  ['post', true, 'BLW_QUOTA_WAIT'],
  ['post', false, 'BLW_QUOTA_NEVER'],
])(
  'a %s that is repeatable: %s, and whose answer has no room in the quota, is %s',
  async (method, idempotent, code) => {
    const server = await servers.http((_request, response) => response.end(content));
    const blobs = {
      put: async () => {
        throw retryable('BLW_QUOTA_WAIT', 'no room', { data: { reason: 'blobBytes', bytes: 1 } });
      },
    } as unknown as BlobStore;
    const context = makeStreamContext({ step: { idempotent } }, blobs);
    const failure = await failureOf(stream(server.origin, { method }, context));
    expect(failure.data.code).toBe(code);
    expect(failure.options.retryable).toBe(code === 'BLW_QUOTA_WAIT');
  },
);

it.each([
  ['get', true],
  ['post', false],
])('a %s whose answer cannot be stored just now is retryable: %s', async (method, isRetryable) => {
  const server = await servers.http((_request, response) => response.end(content));
  const blobs = { put: () => Promise.reject(retryable('BLW_FS_IO', 'the disk is full')) } as unknown as BlobStore;
  const context = makeStreamContext({ step: { idempotent: false } }, blobs);
  const failure = await failureOf(stream(server.origin, { method }, context));
  expect(failure.data.code).toBe('BLW_FS_IO');
  expect(failure.options.retryable).toBe(isRetryable);
  expect(server.requests).toHaveLength(1);
});

it('passes on what the store refuses, and closes the connection', async () => {
  const closed: Promise<unknown>[] = [];
  const server = await servers.tcp((socket) => {
    closed.push(closeOf(socket));
    socket.once('data', () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nstart'));
  });
  const refusal = notRetryable('BLW_FS_PATH', 'bad path');
  const blobs = { put: () => Promise.reject(refusal) } as unknown as BlobStore;
  await expect(stream(server.origin, { to: '../x' }, makeStreamContext({}, blobs))).rejects.toBe(refusal);
  await closed[0];
  expect(closed).not.toHaveLength(0);
});

const start = 'HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nstart';

it.each([
  ['is cut', 'get', true, true],
  ['is reset', 'get', true, true],
  ['is cut', 'post', false, false],
])(
  'a body that %s (%s, step idempotent: %s) is a lost answer, retryable: %s',
  async (how, method, idempotent, isRetryable) => {
    const server = await servers.tcp((socket) =>
      socket.once('data', () => {
        socket.write(start, () => (how === 'is reset' ? socket.resetAndDestroy() : socket.end()));
      }),
    );
    const context = makeStreamContext({ step: { idempotent } });
    const failure = await failureOf(stream(server.origin, { method }, context));
    expect(failure.data.code).toBe('BLW_HTTP_OUTCOME_UNKNOWN');
    expect(failure.options.retryable).toBe(isRetryable);
    expect(store.blobs.size).toBe(0);
  },
);

it('a body that does not end before the deadline is BLW_HTTP_TIMEOUT', async () => {
  const server = await servers.tcp((socket) => socket.once('data', () => socket.write(start)));
  const failure = await failureOf(stream(server.origin, {}, makeStreamContext({ timeoutMs: 250 })));
  expect(failure.data.code).toBe('BLW_HTTP_TIMEOUT');
  expect(failure.options.retryable).toBe(true);
  expect(store.blobs.size).toBe(0);
});

it('throws the reason of a cancellation while the body comes, and closes the connection', async () => {
  const reason = new Error('cancelled by the test');
  const controller = new AbortController();
  const closed: Promise<unknown>[] = [];
  const server = await servers.tcp((socket) => {
    closed.push(closeOf(socket));
    socket.once('data', () => socket.write(start, () => controller.abort(reason)));
  });
  const context = makeStreamContext({ signal: controller.signal });
  await expect(stream(server.origin, {}, context)).rejects.toBe(reason);
  await closed[0];
  expect(store.blobs.size).toBe(0);
});

it('refuses a host that is not public', async () => {
  const failure = await failureOf(stream('http://localhost:1/file'));
  expect(failure.data.code).toBe('BLW_HTTP_HOST_DENIED');
});

it('streams 800 MB in constant memory', async () => {
  const chunk = Buffer.alloc(256 * 1024, 'x');
  const chunks = 3_200;
  const server = await servers.http((_request, response) => {
    const source = Readable.from(
      (function* () {
        for (let count = 0; count < chunks; count += 1) yield chunk;
      })(),
    );
    pipeline(source, response).catch(() => undefined);
  });
  store = new MemoryBlobStore({ keep: false });
  const samples: number[] = [];
  let calls = 0;
  const { port } = store;
  const blobs = {
    put: (tenant: string, path: string, source: Readable, options: object) =>
      port.put(tenant, path, source, {
        ...options,
        onProgress: () => {
          if (calls++ % 500 === 0) samples.push(bytesInUse());
        },
      }),
  } as unknown as BlobStore;
  const output = await stream(server.origin, {}, makeStreamContext({}, blobs));
  expect(output).toMatchObject({ size: chunks * chunk.length });
  expect(samples.length).toBeGreaterThan(5);
  // Seen: up to 70 MB of buffers on their way. What a stream kept would be hundreds.
  expect(greatestRise(samples)).toBeLessThan(250 * 1024 * 1024);
});

/** The most that any sample is above one before it: what other suites left behind in this process may fall meanwhile. */
function greatestRise(samples: number[]): number {
  let least = Number.POSITIVE_INFINITY;
  let rise = 0;
  for (const sample of samples) {
    least = Math.min(least, sample);
    rise = Math.max(rise, sample - least);
  }
  return rise;
}

/** What is reachable, whenever the collector came last. */
function bytesInUse(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
