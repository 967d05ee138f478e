import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createFileStepCache } from '../../src/activities/ports/file-step-cache';
import type { Json } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import { filesUnder } from '../helpers/blob-store-fixture';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

const TOKEN = 'tok-5e-of-the-cache-test';

const servers = new LoopbackServers();
let server: LoopbackServer;
let folder: string;
let worker: TestWorker;
/** The clock of the cache. */
let now = Date.now();
/** Status codes of the next answers; 200 where there are none left. */
const statuses: number[] = [];
const logged: Record<string, unknown>[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  mkdirSync(join(folder, 'blobs'));
  writeFileSync(join(folder, 'token'), TOKEN);
  // Every answer is another one.
  server = await servers.http((request, response) => {
    const { method = '', url = '', headers } = request;
    response.writeHead(statuses.shift() ?? 200, { 'content-type': 'application/json' });
    response.end(
      JSON.stringify({ number: server.requests.length, of: `${method} ${url}`, said: headers['x-token'] ?? null }),
    );
  });
  worker = await startTestWorker(
    { 'blob-root': join(folder, 'blobs'), secret: [`token=file:${join(folder, 'token')}`] },
    testTemporal(),
    { log: (_level, message, fields) => logged.push({ message, ...fields }) },
    createFileStepCache({ root: join(folder, 'blobs'), now: () => now }),
  );
});
beforeEach(() => {
  server.requests.length = 0;
  statuses.length = 0;
});
afterAll(async () => {
  await worker.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

let paths = 0;
/** A path of the server that no other test uses, so that none shares results. */
const path = () => {
  paths += 1;
  return `/${paths}`;
};

/** A flow of one step that gives the number of the request that its output is from. */
const get = (at: string, cache = '{}', method = 'get') => `do:
  - read:
      call: http
      with: { method: ${method}, endpoint: '${server.origin}${at}' }
      output: { as: data.number }
      metadata: { cache: ${cache}, retry: { initialInterval: { milliseconds: 10 }, maximumAttempts: 2 } }`;

const steps = async (flow: string, input: Json = null, start = {}) => {
  const handle = await worker.start(flow, input, start);
  await handle.result();
  return (await handle.query<FlowProgress>('progress')).steps;
};

test('a step with the same arguments is done once, and the next flows get its output', async () => {
  const flow = get(path());
  expect(await worker.run(flow)).toBe(1);
  expect(await worker.run(flow)).toBe(1);
  expect(await worker.run(flow.replace('do:', 'output: { as: "[data]" }\ndo:'))).toEqual([1]);
  expect(server.requests).toHaveLength(1);
  expect(await worker.run(get(path()))).toBe(2);
});

test('progress and log tell which of two equal steps was done', async () => {
  const flow = get(path());
  const [first] = await steps(flow);
  expect(first).toMatchObject({ name: 'read', status: 'completed', attempts: 1 });
  expect(first).not.toHaveProperty('cached');
  logged.length = 0;
  const [second] = await steps(flow);
  expect(second).toMatchObject({ name: 'read', status: 'completed', attempts: 1, cached: true });
  const ofSteps = logged.filter(({ step_id }) => step_id !== undefined);
  expect(ofSteps).toEqual([expect.objectContaining({ message: 'step completed', status: 'completed', cached: true })]);
});

test('an output is reused up to its age, by each step as that step says', async () => {
  const at = path();
  const [minute, hour] = [get(at, '{ maxAge: PT1M }'), get(at, '{ maxAge: PT1H }')];
  expect(await worker.run(minute)).toBe(1);
  now += 60_000;
  expect(await worker.run(minute)).toBe(1);
  now += 1;
  expect(await worker.run(hour)).toBe(1);
  expect(await worker.run(minute)).toBe(2);
  expect(await worker.run(hour)).toBe(2);
  expect(server.requests).toHaveLength(2);
});

test('a failure is not kept', async () => {
  const flow = get(path());
  statuses.push(422);
  expect(await worker.fail(flow)).toMatchObject({ code: 'BLW_HTTP_STATUS' });
  expect(await worker.run(flow)).toBe(2);
  expect(await worker.run(flow)).toBe(2);
});

test('an attempt that fails is repeated, and what the last one gives is kept', async () => {
  const flow = get(path());
  statuses.push(503);
  expect((await steps(flow))[0]).toMatchObject({ attempts: 2 });
  expect((await steps(flow))[0]).toMatchObject({ attempts: 1, cached: true });
  expect(server.requests).toHaveLength(2);
});

test('where catch tries again, only what failed is done again', async () => {
  const [good, bad] = [path(), path()];
  const step = (name: string, at: string) => `
        - ${name}:
            call: http
            with: { method: get, endpoint: ${server.origin}${at} }
            metadata: { cache: {}, retry: { maximumAttempts: 1 } }`;
  const flow = `do:
  - both:
      try:${step('good', good)}${step('bad', bad)}
      catch: { retry: { limit: { attempt: { count: 3 } } } }
      output: { as: data.number }`;
  statuses.push(200, 503, 503);
  expect(await worker.run(flow)).toBe(4);
  expect(server.requests.map(({ url }) => url)).toEqual([good, bad, bad, bad]);
  expect(await worker.run(flow)).toBe(4);
  expect(server.requests).toHaveLength(4);
});

test('tenants share nothing, also with the same key', async () => {
  const flow = get(path(), '{ key: a }');
  expect(await worker.run(flow, null, { tenant: 'acme' })).toBe(1);
  expect(await worker.run(flow, null, { tenant: 'other' })).toBe(2);
  expect(await worker.run(flow)).toBe(3);
  expect(await worker.run(flow, null, { tenant: 'acme' })).toBe(1);
});

test('with a key it counts instead of the arguments, also for what changes something', async () => {
  const at = path();
  const flow = get(`${at}/{visit}`, "{ key: 'order ${ data.order }' }", 'post');
  expect(await worker.run(flow, { order: 1, visit: 'a' })).toBe(1);
  expect(await worker.run(flow, { order: 1, visit: 'b' })).toBe(1);
  expect(await worker.run(flow, { order: 2, visit: 'b' })).toBe(2);
  expect(server.requests.map(({ method, url }) => `${method} ${url}`)).toEqual([`POST ${at}/a`, `POST ${at}/b`]);
});

test('a key that is null reuses and keeps nothing', async () => {
  const flow = get(path(), "{ key: '${ data.?order.orValue(null) }' }");
  expect(await worker.run(flow, {})).toBe(1);
  expect(await worker.run(flow, {})).toBe(2);
  expect(await worker.run(flow, { order: 1 })).toBe(3);
  expect(await worker.run(flow, { order: 1 })).toBe(3);
});

test('rounds of a loop share what is the same', async () => {
  const flow = `do:
  - each:
      for: { each: id, in: '[1, 2, 1, 2, 1]' }
      do:
        - read:
            call: http
            with: { method: get, endpoint: '\${ "${server.origin}${path()}/" + string(id) }' }
            metadata: { cache: {} }`;
  expect((await steps(flow)).filter(({ cached }) => cached === true)).toHaveLength(3);
  expect(server.requests).toHaveLength(2);
});

test('a step with a secret is found again, and what is kept has no secret', async () => {
  const at = path();
  const flow = `use: { secrets: [token] }
do:
  - read:
      call: http
      with: { method: get, endpoint: ${server.origin}${at}, headers: { x-token: '\${ secrets.token }' } }
      metadata: { cache: {} }`;
  const first = await worker.run(flow);
  expect(server.requests[0]?.headers['x-token']).toBe(TOKEN);
  expect(await worker.run(flow)).toEqual(first);
  expect(server.requests).toHaveLength(1);
  const kept = (await filesUnder(join(folder, 'blobs', 'cache'))).map((file) => readFileSync(file, 'utf8'));
  expect(kept.filter((text) => text.includes(`GET ${at}`))).toHaveLength(1);
  expect(kept.filter((text) => text.includes(TOKEN))).toEqual([]);
});

test('a step that runs in a process of its own is found again', async () => {
  const sql = (call: string, statement: string, metadata = '{}') => `do:
  - a: { call: ${call}, with: { database: test, statement: "${statement}" }, metadata: ${metadata} }`;
  const count = sql('sql.query', 'SELECT count(*) AS n FROM visits', '{ cache: {} }');
  await worker.run(sql('sql.execute', 'CREATE TABLE visits (id INTEGER)'));
  expect(await worker.run(count)).toMatchObject({ rows: [{ n: 0 }] });
  await worker.run(sql('sql.execute', 'INSERT INTO visits VALUES (1)'));
  expect(await worker.run(count)).toMatchObject({ rows: [{ n: 0 }] });
  now += 3_600_001;
  expect(await worker.run(count)).toMatchObject({ rows: [{ n: 1 }] });
});

test('another worker with the same blob root goes on with what is kept, and so does one that starts anew', async () => {
  const flow = get(path(), '{ maxAge: P30D }');
  const settings = { 'blob-root': join(folder, 'shared') };
  const first = await startTestWorker(settings);
  const second = await startTestWorker(settings);
  try {
    expect(await first.run(flow)).toBe(1);
    expect(await second.run(flow)).toBe(1);
  } finally {
    await first.stop();
    await second.stop();
  }
  const third = await startTestWorker(settings);
  try {
    expect(await third.run(flow)).toBe(1);
  } finally {
    await third.stop();
  }
  expect(server.requests).toHaveLength(1);
});

test('steps are done where the cache cannot be used', async () => {
  const settings = { 'blob-root': join(folder, 'broken') };
  const lines: string[] = [];
  const broken = await startTestWorker(settings, testTemporal(), {
    log: (level, message) => lines.push(`${level} ${message}`),
  });
  try {
    writeFileSync(join(folder, 'broken', 'cache'), 'a file where the folder belongs');
    const flow = get(path());
    expect([await broken.run(flow), await broken.run(flow)]).toEqual([1, 2]);
  } finally {
    await broken.stop();
  }
  const warnings = lines.filter((line) => line.startsWith('warn result of a step'));
  expect(new Set(warnings)).toEqual(
    new Set([
      'warn result of a step could not be read from the cache',
      'warn result of a step could not be written to the cache',
    ]),
  );
});
