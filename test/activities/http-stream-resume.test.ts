import { createHash, randomBytes } from 'node:crypto';
import { appendFileSync, existsSync, lstatSync, readdirSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import type { OpenPorts } from '../../src/activities/access/scoped-ports';
import { AttemptPorts } from '../../src/activities/attempt-ports';
import type { BlockContext } from '../../src/activities/block';
import { BlockFailure } from '../../src/activities/block-failure';
import { httpStream } from '../../src/activities/blocks/http-stream';
import { meterPorts } from '../../src/activities/metered-ports';
import { accountBlobs } from '../../src/activities/ports/accounted-blob-store';
import type { BlobSpace } from '../../src/activities/ports/blob-space';
import type { BlobStore } from '../../src/activities/ports/blob-store';
import { createHttpClient } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient } from '../../src/activities/ports/http-client';
import { StepMeter } from '../../src/activities/step-meter';
import type { Json, JsonObject } from '../../src/dsl/json';
import { TENANT, useBlobStore } from '../helpers/blob-store-fixture';
import { makeContext, type TestContext } from '../helpers/block-context';
import { LoopbackServers } from '../helpers/loopback';

const SIZE = 400_000;
const CUT = 150_000;
const CONTENT = randomBytes(SIZE);
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const OLD = 'Wed, 01 Jan 2020 00:00:00 GMT';

const blobs = useBlobStore();
const servers = new LoopbackServers();
let http: HttpClient;

beforeEach(() => {
  http = createHttpClient({ allowHosts: ['127.0.0.1'] });
});
afterEach(async () => {
  await http.close();
  await servers.close();
});

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

/** Sends bytes, and closes the connection once the store has as many as it should have then. */
function breakOff(response: ServerResponse, bytes: Buffer, isStored = bytes.length): void {
  response.write(bytes);
  const look = (): void => {
    if (response.destroyed) return;
    if (sizesOfParts().includes(isStored)) response.destroy();
    else setImmediate(look);
  };
  look();
}

/** The first bytes, and then the connection is gone. */
const cutOff =
  (headers: Record<string, string> = { etag: '"v1"' }, bytes = CUT): Answer =>
  (_, response) => {
    response.writeHead(200, { 'content-length': SIZE, ...headers });
    breakOff(response, CONTENT.subarray(0, bytes));
  };

/** What a server does that keeps to the specification. */
const serve =
  (etag = '"v1"', content = CONTENT): Answer =>
  (request, response) => {
    const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    if (first === undefined || request.headers['if-range'] !== etag) {
      response.writeHead(200, { 'content-length': content.length, etag }).end(content);
      return;
    }
    const start = Number(first);
    if (start >= content.length) {
      response.writeHead(416, { 'content-range': `bytes */${content.length}` }).end();
      return;
    }
    const range = `bytes ${start}-${content.length - 1}/${content.length}`;
    const rest = content.subarray(start);
    response.writeHead(206, { 'content-length': rest.length, 'content-range': range, etag }).end(rest);
  };

/** One answer after the other; the last one stays. */
const inTurn = (...answers: Answer[]) => {
  let turn = 0;
  return servers.http((request, response) => answers[Math.min(turn++, answers.length - 1)]?.(request, response));
};

/** The attempts of one step, until one succeeds: what they gave, and the failures on the way. */
async function attempts(
  uri: string,
  args: JsonObject = {},
  {
    ports = { http, blobs: blobs.store },
    between = (told) => told,
    most = 4,
    key = 'k',
  }: {
    ports?: { http: HttpClient; blobs: BlobStore };
    /** May give what the next attempt is told instead. */
    between?: (last: Json | undefined) => Json | undefined;
    most?: number;
    key?: string;
  } = {},
): Promise<{ output: JsonObject | undefined; failures: BlockFailure[]; contexts: TestContext[] }> {
  const failures: BlockFailure[] = [];
  const contexts: TestContext[] = [];
  let last: Json | undefined;
  for (let attempt = 1; attempt <= most; attempt += 1) {
    const context = {
      ...makeContext(ports, { step: { tenant: TENANT, attempt, idempotencyKey: key } }),
      lastHeartbeat: last,
    };
    contexts.push(context);
    try {
      const output = await httpStream({ endpoint: { uri }, to: 'big.bin', ...args }, context as BlockContext);
      return { output: output as JsonObject, failures, contexts };
    } catch (error) {
      if (!(error instanceof BlockFailure)) throw error;
      failures.push(error);
      if (!error.options.retryable) break;
    }
    last = between(context.heartbeats.at(-1));
  }
  return { output: undefined, failures, contexts };
}

const stored = async () => (await blobs.store.read(TENANT, 'big.bin', 1_000_000))?.content;
const temporary = () => join(blobs.root, `${TENANT}=t`, 'temporary');
const partsLeft = () => (existsSync(temporary()) ? readdirSync(temporary()) : []);
const sizesOfParts = () => partsLeft().map((name) => lstatSync(join(temporary(), name)).size);

test('goes on where the attempt before was cut off, as often as it takes', async () => {
  const cutRest: Answer = (request, response) => {
    expect(request.headers).toMatchObject({ 'if-range': '"v1"', 'accept-encoding': 'identity' });
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1]);
    const range = `bytes ${start}-${SIZE - 1}/${SIZE}`;
    response.writeHead(206, { 'content-range': range, 'content-length': SIZE - start });
    breakOff(response, CONTENT.subarray(start, start + 100_000), start + 100_000);
  };
  const server = await inTurn(cutOff({ etag: '"v1"', 'content-type': 'image/png' }), cutRest, serve());
  const { output, failures, contexts } = await attempts(server.origin, { sha256: SHA256 });
  expect(failures.map(({ data }) => data.code)).toEqual(['BLW_HTTP_OUTCOME_UNKNOWN', 'BLW_HTTP_OUTCOME_UNKNOWN']);
  // As if it had come at once.
  expect(output).toMatchObject({ size: SIZE, sha256: SHA256, statusCode: 200 });
  expect(output?.headers).toMatchObject({ 'content-length': String(SIZE), 'content-type': 'image/png' });
  expect(output?.headers).not.toHaveProperty('content-range');
  expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, 'bytes=150000-', 'bytes=250000-']);
  expect(contexts[1]?.heartbeats[0]).toEqual(contexts[0]?.heartbeats.at(-1));
  expect((await stored())?.equals(CONTENT)).toBe(true);
  expect((await blobs.store.stat(TENANT, 'big.bin'))?.contentType).toBe('image/png');
  expect(partsLeft()).toEqual([]);
});

/** What each server answers to an attempt that wants to go on; the blob is whole in the end, and how often it was asked. */
test.each<[string, Answer, number]>([
  ['ignores the range', (_, response) => response.writeHead(200, { etag: '"v1"' }).end(CONTENT), 2],
  ['has another content by now', serve('"v2"'), 2],
  [
    'answers 416',
    (request, response) =>
      request.headers.range === undefined ? serve()(request, response) : response.writeHead(416).end(),
    3,
  ],
  ['gives another range', lying('bytes 0-399999/400000'), 3],
  ['gives a range without an end', lying(`bytes ${CUT}-399999/*`), 3],
  ['gives a part of the rest', lying(`bytes ${CUT}-399998/400000`), 3],
  ['says nothing of the range', lying(undefined), 3],
  ['does not say how long the rest is', lying(`bytes ${CUT}-399999/400000`, '"v1"', ''), 3],
  ['gives another entity', lying(`bytes ${CUT}-399999/400000`, '"v2"'), 3],
  [
    'compresses the rest',
    (request, response) => {
      if (request.headers.range === undefined) return serve()(request, response);
      const range = `bytes ${CUT}-399999/400000`;
      response.writeHead(206, { 'content-range': range, 'content-encoding': 'gzip', etag: '"v1"' });
      response.end(gzipSync(CONTENT.subarray(CUT)));
    },
    3,
  ],
])('begins anew where the server %s', async (_, answer, requests) => {
  const server = await inTurn(cutOff(), answer);
  const { output } = await attempts(server.origin, {}, { between: exactly });
  expect(output).toMatchObject({ size: SIZE, sha256: SHA256, statusCode: 200 });
  expect(server.requests).toHaveLength(requests);
  expect((await stored())?.equals(CONTENT)).toBe(true);
  expect(partsLeft()).toEqual([]);
});

function lying(range: string | undefined, etag = '"v1"', length = String(SIZE - CUT)): Answer {
  return (request, response) => {
    if (request.headers.range === undefined) return serve()(request, response);
    response.setHeader('etag', etag);
    if (range !== undefined) response.setHeader('content-range', range);
    if (length !== '') response.setHeader('content-length', length);
    response.writeHead(206);
    response.write(CONTENT.subarray(CUT));
    response.end();
  };
}

/** All that was sent has arrived: what the lies are about. */
function exactly(last: Json | undefined): Json | undefined {
  expect(last).toMatchObject({ bytes: CUT, totalBytes: SIZE });
  return last;
}

test.each<[string, Answer, JsonObject]>([
  ['a weak ETag', cutOff({ etag: 'W/"v1"' }), {}],
  ['no validator', cutOff({}), {}],
  ['a Last-Modified of just now', cutOff({ 'last-modified': new Date().toUTCString() }), {}],
  ['no ranges to offer', cutOff({ etag: '"v1"', 'accept-ranges': 'none' }), {}],
  [
    'a compressed answer',
    (_, response) => {
      response.writeHead(200, { etag: '"v1"', 'content-encoding': 'gzip' });
      response.write(gzipSync(CONTENT).subarray(0, CUT), () => response.destroy());
    },
    {},
  ],
  ['a range of the author', cutOff(), { headers: { range: 'bytes=0-' } }],
])('leaves nothing of an answer with %s, and does not ask for the rest', async (_, first, args) => {
  const server = await inTurn(first, serve());
  const left: string[][] = [];
  const between = (last?: Json) => {
    left.push(partsLeft());
    return last;
  };
  await attempts(server.origin, args, { between });
  expect(left).toEqual([[]]);
  expect(server.requests[1]?.headers['if-range']).toBeUndefined();
});

test('goes on by a Last-Modified that is old enough', async () => {
  const server = await inTurn(cutOff({ 'last-modified': OLD }), serve(OLD));
  expect((await attempts(server.origin)).output).toMatchObject({ sha256: SHA256 });
  expect(server.requests[1]?.headers).toMatchObject({ 'if-range': OLD, range: `bytes=${CUT}-` });
});

test.each<[string, (file: string) => void]>([
  ['was changed', (file) => writeFileSync(file, randomBytes(CUT))],
  ['is too short', (file) => writeFileSync(file, CONTENT.subarray(0, 10))],
])('does not go on from a part that %s', async (_, spoil) => {
  const server = await inTurn(cutOff(), serve());
  const between = (last?: Json) => {
    for (const name of partsLeft()) spoil(join(temporary(), name));
    return last;
  };
  expect((await attempts(server.origin, {}, { between })).output).toMatchObject({ sha256: SHA256 });
  expect(server.requests[1]?.headers.range).toBeUndefined();
  expect(partsLeft()).toEqual([]);
});

test('goes on from what was told, whatever an attempt that is still at it has written behind', async () => {
  const server = await inTurn(cutOff(), serve());
  const between = (last?: Json) => {
    for (const name of partsLeft()) appendFileSync(join(temporary(), name), 'late');
    return last;
  };
  expect((await attempts(server.origin, {}, { between })).output).toMatchObject({ sha256: SHA256 });
  expect(server.requests[1]?.headers.range).toBe(`bytes=${CUT}-`);
});

test("takes up nobody else's part, and no file by its path", async () => {
  const server = await inTurn(cutOff(), serve());
  const { contexts } = await attempts(server.origin, {}, { most: 1, key: 'theirs' });
  const theirs = contexts[0]?.heartbeats.at(-1) as JsonObject;
  const part = theirs.part as JsonObject;
  await blobs.store.put(TENANT, 'secret', CONTENT.subarray(0, CUT));
  for (const name of [part.name, '../../lock.sqlite', `../objects/${part.sha256 as string}`, '']) {
    const heartbeat = { ...theirs, part: { ...part, name: name as string } };
    const context = makeContext({ http, blobs: blobs.store }, { step: { tenant: TENANT, idempotencyKey: 'mine' } });
    const args = { endpoint: { uri: server.origin }, to: 'big.bin' };
    expect(await httpStream(args, { ...context, lastHeartbeat: heartbeat })).toMatchObject({ sha256: SHA256 });
  }
  expect(server.requests.map(({ headers }) => headers.range)).toEqual([
    undefined,
    undefined,
    undefined,
    undefined,
    undefined,
  ]);
});

test('finds by the SHA-256 of the author that a server put two contents together, and leaves nothing', async () => {
  const other = randomBytes(SIZE);
  const server = await inTurn(cutOff(), serve('"v1"', other));
  const { output, failures } = await attempts(server.origin, { sha256: SHA256 });
  expect(output).toBeUndefined();
  expect(failures.at(-1)?.data.code).toBe('BLW_HTTP_CHECKSUM');
  expect(server.requests[1]?.headers.range).toBe(`bytes=${CUT}-`);
  expect(await stored()).toBeUndefined();
  expect(partsLeft()).toEqual([]);
});

test.each([
  ['whose length is said', serve()],
  [
    'whose length is not said, and which comes anew',
    ((_, response) => {
      response.writeHead(200, { etag: '"v2"' });
      response.write(CONTENT);
      response.end();
    }) as Answer,
  ],
])('holds the whole of an answer %s to maxBytes', async (_, rest) => {
  const server = await inTurn((_, response) => {
    response.writeHead(200, { etag: '"v1"' });
    breakOff(response, CONTENT.subarray(0, CUT));
  }, rest);
  const { failures } = await attempts(server.origin, { maxBytes: SIZE - 1 });
  expect(failures.at(-1)?.data.code).toBe('BLW_HTTP_TOO_LARGE');
  expect(partsLeft()).toEqual([]);
});

/** A space with a limit that grants everything, and notes what it was asked for. */
function limitedSpace(limit: number): { space: BlobSpace; asked: number[]; deltas: (number | null)[] } {
  const asked: number[] = [];
  const deltas: (number | null)[] = [];
  const space: BlobSpace = {
    begin: async ({ bytes }) => {
      asked.push(bytes);
      return { kind: 'granted', id: 'c', isLimited: true, limit };
    },
    extend: async ({ bytes }) => {
      asked.push(bytes);
      return { isGranted: true };
    },
    end: async ({ delta }) => void deltas.push(delta),
    counted: async () => undefined,
    lose: async () => undefined,
  };
  return { space, asked, deltas };
}

test('counts what is read and written by each attempt, and asks for room for the whole', async () => {
  const server = await inTurn(cutOff(), serve());
  const { space, asked, deltas } = limitedSpace(SIZE);
  const open = {
    http: { reaching: () => http, close: async () => undefined },
    blobs: accountBlobs(blobs.store, space),
  };
  const metered = meterPorts({ ...open, databases: {} } as unknown as OpenPorts);
  const meter = new StepMeter();
  const ports = new AttemptPorts(
    { http: metered.http.reaching([]), blobs: metered.blobs, databases: metered.databases },
    meter,
  );
  const { output } = await attempts(server.origin, {}, { ports });
  expect(output).toMatchObject({ sha256: SHA256 });
  expect(meter.usage()).toMatchObject({ bytesIn: SIZE, bytesOut: SIZE });
  expect(asked).toEqual([SIZE, SIZE]);
  expect(deltas).toEqual([0, SIZE]);
});

test('keeps no more of a tenant with a quota than that', async () => {
  const server = await inTurn(cutOff(), serve());
  const ports = { http, blobs: accountBlobs(blobs.store, limitedSpace(CUT - 1).space) };
  const left: string[][] = [];
  const between = (last?: Json) => {
    left.push(partsLeft());
    return last;
  };
  await attempts(server.origin, {}, { ports, between });
  expect([left, server.requests[1]?.headers.range]).toEqual([[[]], undefined]);
});

test('sweep removes a part that nobody has come for, and a part is no blob', async () => {
  const server = await inTurn(cutOff());
  await attempts(server.origin, {}, { most: 1 });
  const [name = ''] = partsLeft();
  expect(await readFile(join(temporary(), name))).toHaveLength(CUT);
  expect((await blobs.store.list(TENANT, { prefix: '', limit: 10 })).entries).toEqual([]);
  await blobs.store.sweep({ graceMs: 60_000 });
  expect(partsLeft()).toEqual([name]);
  await blobs.store.sweep({ graceMs: -1 });
  expect(partsLeft()).toEqual([]);
});
