import { randomUUID } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import Ajv from 'ajv';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import { connectClient } from '../../src/worker/temporal-connection';
import { freePort } from '../../temporal-dev/ports';
import { type RunningCli, runCli, startCli } from '../helpers/cli';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { planted, searchForms, searchPlaces } from '../helpers/secret-search';
import { TcpProxy } from '../helpers/tcp-proxy';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, openApproval, progressWhen } from '../helpers/test-worker';

/** The line of docs/logs.md, and nothing else. */
const SCHEMA = {
  type: 'object',
  additionalProperties: false,
  required: ['timestamp', 'level', 'worker_id', 'message', 'fields'],
  properties: {
    timestamp: { type: 'integer', minimum: 1_600_000_000_000 },
    level: { enum: ['TRACE', 'DEBUG', 'INFO', 'WARN', 'ERROR'] },
    worker_id: { type: 'string', minLength: 1 },
    message: { type: 'string', minLength: 1 },
    fields: {
      type: 'object',
      propertyNames: { pattern: '^[a-z][a-z_]*$' },
      additionalProperties: { type: ['string', 'number', 'boolean'] },
    },
  },
};
const isLine = new Ajv({ allowUnionTypes: true }).compile<Line>(SCHEMA);

interface Line {
  readonly timestamp: number;
  readonly level: string;
  readonly worker_id: string;
  readonly message: string;
  readonly fields: Readonly<Record<string, string | number | boolean>>;
}

function parseLine(text: string): Line {
  const line: unknown = JSON.parse(text);
  if (isLine(line)) return line;
  throw new Error(`no line of the log: ${text}`, { cause: isLine.errors });
}

const SECRET = 's3cr3t/value+0001 zQ';
/** Data of flows, which is no secret and has no place in a log either. */
const DATA = 'canary-of-the-flows-4711';
const PRELOAD = `process.on('SIGUSR2', () => { void Promise.reject(new TypeError('${DATA}')); });`;

const queuePrefix = `log-${randomUUID()}`;
const servers = new LoopbackServers();
let folder: string;
let service: LoopbackServer;
let temporal: TcpProxy;
let worker: RunningCli;
let client: Client;
let close: () => Promise<void>;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  for (const name of ['secrets', 'catalog']) mkdirSync(join(folder, name));
  writeFileSync(join(folder, 'secrets', 'token'), SECRET);
  writeFileSync(join(folder, 'preload.js'), PRELOAD);
  let isFlaky = true;
  service = await servers.http(({ url, headers }, response) => {
    response.statusCode = url === '/refused' ? 403 : url === '/flaky' && isFlaky ? 503 : 200;
    if (url === '/flaky') isFlaky = false;
    response.end(JSON.stringify({ said: headers.authorization ?? 'nothing', data: DATA }));
  });
  const child = textOf(`do: [{get: ${http('/ok')}}]`);
  child.document = { dsl: '1.0.3', namespace: 'test', name: 'child', version: '1.0.0' };
  writeFileSync(join(folder, 'catalog', 'child.yaml'), JSON.stringify(child));
  const { address, namespace } = testTemporal();
  temporal = await TcpProxy.start(Number(address.split(':').at(-1)));
  worker = startCli(
    [
      ...['worker', '--address', `127.0.0.1:${temporal.port}`, '--namespace', namespace, '--queue-prefix', queuePrefix],
      ...['--pools', 'io,cpu', '--cpu-pool-size', '1', '--max-cached-flows', '5', '--log-level', 'debug'],
      ...['--blob-root', join(folder, 'blobs'), '--database', `test=sqlite:${join(folder, 'test.db')}`],
      ...[
        '--secret-folder',
        join(folder, 'secrets'),
        '--catalog',
        join(folder, 'catalog'),
        '--allow-host',
        '127.0.0.1',
      ],
      ...['--prometheus-endpoint', '127.0.0.1:0'],
    ],
    { env: { NODE_OPTIONS: `--require ${join(folder, 'preload.js')}` } },
  );
  await worker.waitFor(/"worker started"/, { timeoutMs: 60_000 });
  ({ client, close } = await connectClient(testTemporal()));
}, 90_000);

afterAll(async () => {
  worker.kill();
  await close();
  await temporal.close();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

function http(path: string, more = ''): string {
  return `{call: http, ${more} with: {method: get, endpoint: 'SERVICE${path}', headers: {authorization: '\${ secrets.token }'}}}`;
}

/** Every line so far; fails on the first that is none. */
function lines(): Line[] {
  const complete = worker.stdout().split('\n').slice(0, -1);
  return complete.map((text) => parseLine(text));
}

const linesOf = (handle: { workflowId: string }, message?: RegExp): Line[] =>
  lines().filter(({ fields, message: text }) => fields.flow_id === handle.workflowId && (message?.test(text) ?? true));
const toldOf = (handle: { workflowId: string }) =>
  linesOf(handle, /^(flow|approval|step) /).map(({ level, message }) => `${level} ${message}`);
const untilTold = (handle: { workflowId: string }, expected: readonly string[]) =>
  eventually(async () => (JSON.stringify(toldOf(handle)) === JSON.stringify(expected) ? true : undefined)).catch(() =>
    expect(toldOf(handle)).toEqual(expected),
  );

/** A flow that may use the secret and the service. */
function textOf(text: string): JsonObject {
  return flowOf(`use: {secrets: [token]}\n${text.replaceAll('SERVICE', service.origin)}`);
}

async function start(text: string, input: Json = { data: DATA }, startDelay?: '1 second'): Promise<WorkflowHandle> {
  const workflowId = `log-${randomUUID()}`;
  return await client.workflow.start(RUN_FLOW, {
    taskQueue: `${queuePrefix}-io`,
    workflowId,
    args: [{ flow: textOf(text), input, tenant: 'acme' }],
    ...(startDelay === undefined ? {} : { startDelay }),
  });
}

test('a flow has a line when it starts and one when it ends, and one for each attempt between', async () => {
  const handle = await start(`do:
  - get: ${http('/flaky', 'metadata: {retry: {initialInterval: PT0.05S}},')}
  - put: {call: fs.put, with: {path: a.txt, content: '\${ workflow.input.data }'}}
  - onCpu: {call: fs.stat, metadata: {resources: cpu}, with: {path: a.txt}}`);
  await handle.result();
  const ended = 'INFO step completed';
  await untilTold(handle, ['INFO flow started', 'WARN step failed', ended, ended, ended, 'INFO flow completed']);
  const own = linesOf(handle, /^(flow|step) /);
  const { runId } = await handle.describe();
  for (const { fields } of own) expect(fields).toMatchObject({ tenant_id: 'acme', run_id: runId });
  expect(own[0]?.fields).toMatchObject({ status: 'started', flow: 'test/flow:1.0.0' });
  expect(own[1]?.fields).toMatchObject({
    status: 'failed',
    block_type: 'http.request',
    step_id: '/do/0/get',
    attempt: 1,
    error_code: 'BLW_HTTP_STATUS',
  });
  expect(own[2]?.fields).toMatchObject({ status: 'completed', attempt: 2 });
  expect(own.at(-1)?.fields).toMatchObject({ status: 'completed', latency_ms: expect.any(Number) });
});

test('of flows that fail, are cancelled or are refused the end is told, with the code', async () => {
  const failing = await start(`do: [{get: ${http('/refused')}}]`);
  await errorOf(failing);
  await untilTold(failing, ['INFO flow started', 'WARN step failed', 'WARN flow failed']);
  expect(linesOf(failing, /^flow failed/)[0]?.fields).toMatchObject({
    error_code: 'BLW_HTTP_STATUS',
    status: 'failed',
  });

  const raising = await start(
    "do: [{r: {raise: {error: {type: 'https://x.test/odd', status: 500, detail: '${ workflow.input.data }'}}}}]",
  );
  await errorOf(raising);
  await untilTold(raising, ['INFO flow started', 'WARN flow failed']);
  expect(linesOf(raising, /^flow failed/)[0]?.fields).not.toHaveProperty('error_code');

  const cancelled = await start('do: [{w: {wait: PT1H}}]');
  await progressWhen(cancelled, ({ stepsStarted }) => stepsStarted === 1);
  await cancelled.cancel();
  await expect(cancelled.result()).rejects.toThrow();
  await untilTold(cancelled, ['INFO flow started', 'INFO flow cancelled']);

  const refused = await start(`do: [{a: {call: no.such, with: {a: ${DATA}}}}]`);
  await errorOf(refused);
  await untilTold(refused, ['WARN flow failed']);
  expect(linesOf(refused, /^flow failed/)[0]?.fields).toMatchObject({ error_code: 'BLW_FLOW_INVALID' });
});

test('how long a flow took begins with its start, and not when a worker had time for it', async () => {
  const handle = await start('do: [{s: {set: {a: 1}}}]', {}, '1 second');
  await handle.result();
  await untilTold(handle, ['INFO flow started', 'INFO flow completed']);
  expect(linesOf(handle, /^flow completed/)[0]?.fields.latency_ms).toBeGreaterThanOrEqual(1_000);
  const { startTime } = await handle.describe();
  // As `beamline graph` has it.
  expect((await handle.query<FlowProgress>('progress')).startedAt).toBe(startTime.getTime());
});

test('sub-flows name their parent, batches and approvals their flow', async () => {
  const handle = await start(`do:
  - sub: {run: {workflow: {namespace: test, name: child, version: 1.0.0}}}
  - each: {for: {in: '[1, 2, 3, 4]'}, metadata: {concurrency: 2, batchSize: 2}, do: [{s: {set: '\${ item }'}}]}
  - ask: {call: human.approval, with: {title: ${DATA}?}}`);
  const approval = await openApproval(client, handle);
  await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'ann' }] });
  await handle.result();
  await untilTold(handle, [
    'INFO flow started',
    'INFO approval waits',
    'INFO approval approved',
    'INFO flow completed',
  ]);
  expect(linesOf(handle, /^approval waits/)[0]?.fields).toMatchObject({
    workflow_id: approval.workflowId,
    status: 'started',
  });
  expect(linesOf(handle, /^batch of a flow completed/)).toHaveLength(2);
  const child = lines().filter(({ fields }) => fields.parent_flow_id === handle.workflowId);
  expect(child.map(({ message }) => message)).toEqual(['flow started', 'flow completed']);
});

test('what is replayed is not told again', async () => {
  const handles = await Promise.all(
    Array.from({ length: 8 }, () => start(`do: [{get: ${http('/ok')}}, {w: {wait: PT1H}}, {last: {set: {a: 1}}}]`)),
  );
  // Five flows are kept in memory: each query replays its flow, and drives another out.
  for (let round = 0; round < 2; round += 1) {
    for (const handle of handles) {
      await progressWhen(handle, ({ steps }) =>
        steps.some(({ name, status }) => name === 'get' && status === 'completed'),
      );
    }
  }
  for (const handle of handles) await handle.signal('quota', []);
  for (const handle of handles) await handle.query<FlowProgress>('progress');
  for (const handle of handles) await handle.cancel();
  for (const handle of handles) {
    await expect(handle.result()).rejects.toThrow();
    await untilTold(handle, ['INFO flow started', 'INFO step completed', 'INFO flow cancelled']);
  }
});

test('all other kinds of trouble are lines too', async () => {
  const parked = await start(
    "do: [{a: {call: fs.get, metadata: {onFailure: deadLetter}, with: {path: '${ workflow.input.data }'}}}]",
  );
  await progressWhen(parked, ({ status }) => status === 'DeadLettered');
  await untilTold(parked, ['INFO flow started', 'WARN step failed', 'WARN step dead-lettered']);
  await parked.executeUpdate('resolve', { args: [{ action: 'retry' }] });
  const again = ['WARN step failed', 'WARN step dead-lettered'];
  await untilTold(parked, ['INFO flow started', ...again, ...again]);
  const [letter] = linesOf(parked, /^step dead-lettered/);
  expect(letter?.fields).toEqual({
    status: 'deadLettered',
    tenant_id: 'acme',
    flow: 'test/flow:1.0.0',
    flow_id: parked.workflowId,
    run_id: expect.any(String),
    step_id: '/do/0/a',
    letter_id: '/do/0/a',
    block_type: 'fs.get',
    error_code: linesOf(parked, /^step failed/)[0]?.fields.error_code,
  });
  const runaway = await start(`do:
  - q: {call: sql.query, timeout: {after: PT0.5S}, metadata: {retry: {maximumAttempts: 1}}, with: {database: test,
      statement: 'WITH RECURSIVE n(a) AS (SELECT 1 UNION ALL SELECT a + 1 FROM n) SELECT count(*) FROM n'}}`);
  await errorOf(runaway);
  const stranger = await client.workflow.start(DATA, {
    taskQueue: `${queuePrefix}-io`,
    workflowId: `log-${randomUUID()}`,
  });
  await stranger.result().catch(() => undefined);
  await parked.terminate();
  temporal.cut();
  await worker.waitFor(/"Temporal does not answer"/, { timeoutMs: 30_000 });
  temporal.mend();
  await worker.waitFor(/"Temporal answers again"/, { timeoutMs: 30_000 });
  expect(lines().filter(({ level, message }) => level === 'WARN' && message.includes('retried'))).toEqual([]);
}, 90_000);

test('an error that nobody caught is a line, before the process ends', async () => {
  worker.child.kill('SIGUSR2');
  expect(await worker.exited).toMatchObject({
    code: 1,
    stderr: expect.stringContaining('unexpected, please report it'),
  });
  const last = lines().at(-1);
  expect(last).toMatchObject({
    level: 'ERROR',
    message: 'worker ends: an error that nobody expected; standard error says more',
    fields: { error_name: 'TypeError', stack: expect.stringContaining('preload.js') },
  });
});

test('no line has a secret in any form, or data of flows', () => {
  const log = { name: 'standard output', content: Buffer.from(worker.stdout()) };
  const [secret = Buffer.of()] = searchForms(SECRET).values();
  expect(searchPlaces([planted(log, secret)], [SECRET])).not.toEqual([]);
  expect(searchPlaces([log], [SECRET, DATA])).toEqual([]);
  expect(new Set(lines().map(({ worker_id }) => worker_id)).size).toBe(1);
});

test('a worker that does not start says why in the log as well', async () => {
  const { code, stdout, stderr } = await runCli([
    ...['worker', '--address', `127.0.0.1:${await freePort('127.0.0.1')}`, '--blob-root', join(folder, 'other')],
  ]);
  expect(code).toBe(3);
  expect(stderr).toContain('[BLW_TEMPORAL_UNREACHABLE]');
  const last = parseLine(stdout.trimEnd().split('\n').at(-1) ?? '');
  expect(last).toMatchObject({
    level: 'ERROR',
    message: 'worker did not start',
    fields: { error_code: 'BLW_TEMPORAL_UNREACHABLE', error: expect.stringContaining('Temporal does not answer') },
  });
}, 60_000);
