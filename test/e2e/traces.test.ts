import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WorkflowClient, type WorkflowHandle } from '@temporalio/client';
import { defaultPayloadConverter, type Payload } from '@temporalio/common';
import type { ApprovalState } from '../../src/dsl/approval';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { spanIdOf } from '../../src/dsl/trace';
import type { TemporalServer } from '../../temporal-dev/server';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import {
  errorOf,
  eventually,
  flowOf,
  openApproval,
  progressWhen,
  startTestWorker,
  type TestWorker,
} from '../helpers/test-worker';
import { type CollectedSpan, TraceCollector } from '../helpers/trace-collector';
import { kill, WorkerProcesses } from '../helpers/worker-process';

const SECRET = 'tok-5e/c+r=et';
const OTEL = /^(OTEL_|TRACE)/;
const TENANT = { tenant: 'acme' };

const servers = new LoopbackServers();
const catalog = makeCatalogFolder({
  'inner.yaml': flowText('sub/inner:1.0.0', 'do: [{within: {call: fs.list, with: {prefix: x}}}]'),
});
let folder: string;
let collector: TraceCollector;
let target: LoopbackServer;
let server: TemporalServer;
let worker: TestWorker;
const logged: { message: string; fields: JsonObject }[] = [];

/** A server that suggests a new history soon, and one worker: the environment of a process has one set of OTEL_ variables. */
beforeAll(async () => {
  for (const name of Object.keys(process.env)) if (OTEL.test(name)) delete process.env[name];
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  writeFileSync(join(folder, 'token'), SECRET);
  collector = await TraceCollector.start();
  Object.assign(process.env, {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment=test',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  });
  target = await servers.http((request, response) => {
    const isFirst = target.requests.filter(({ url }) => url === request.url).length === 1;
    const status = request.url?.startsWith('/flaky') === true && isFirst ? 503 : 200;
    response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify({ said: SECRET }));
  });
  server = await startTemporalOfShortHistories(70);
  const logger = { log: (_: string, message: string, fields = {}) => logged.push({ message, fields }) };
  const settings = {
    catalog: catalog.folder,
    secret: [`token=file:${join(folder, 'token')}`],
    'max-cached-flows': '8',
  };
  worker = await startTestWorker(settings, server, logger);
}, 60_000);
afterAll(async () => {
  await worker.stop();
  await server.stop();
  await servers.close();
  await collector.stop();
  catalog.dispose();
  rmSync(folder, { recursive: true, force: true });
  for (const name of Object.keys(process.env)) if (OTEL.test(name)) delete process.env[name];
});

const newTrace = () => randomBytes(16).toString('hex');
const parentOf = (traceId: string, sampled = true) => `00-${traceId}-00f067aa0ba902b7-${sampled ? '01' : '00'}`;

/** Starts a flow as a program with Temporal's own interceptor would, within a trace of the caller's. */
async function startWithin(traceId: string, flow: string, input: JsonObject | number[] = {}, sampled = true) {
  const header = { traceparent: parentOf(traceId, sampled), tracestate: 'vendor=1' };
  return await startWith(defaultPayloadConverter.toPayload(header), flow, input);
}

async function startWith(header: Payload, flow: string, input: JsonObject | number[] = {}) {
  const client = new WorkflowClient({
    connection: worker.client.connection,
    interceptors: [{ start: (call, next) => next({ ...call, headers: { '_tracer-data': header } }) }],
  });
  return await client.start(RUN_FLOW, {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [{ flow: flowOf(flow), input, ...TENANT }],
  });
}

const named = (spans: readonly CollectedSpan[], name: string): CollectedSpan[] =>
  spans.filter((span) => span.name === name);
const has = (name: string) => (spans: readonly CollectedSpan[]) => named(spans, name).length > 0;
function only(spans: readonly CollectedSpan[], name: string): CollectedSpan {
  const [found, ...more] = named(spans, name);
  if (found === undefined || more.length > 0)
    throw new Error(`${more.length} more than one of ${name} in ${spans.map((span) => span.name).join(', ')}`);
  return found;
}

/** Names by their place in the tree, such as `flow > step > attempt`. */
function pathsOf(spans: readonly CollectedSpan[]): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const path = (span: CollectedSpan): string => {
    const parent = byId.get(span.parentSpanId);
    return parent === undefined ? span.name : `${path(parent)} > ${span.name}`;
  };
  return spans.map(path).sort();
}

test('one trace has the whole run, from the start on the command line to statements, in order', async () => {
  const file = join(folder, 'flow.yaml');
  const flow = `use: { secrets: [token] }
do:
  - fetch:
      call: http
      with:
        method: get
        endpoint:
          uri: '${target.origin}/flaky/path-of-4711?key=query-value'
          authentication: { bearer: { token: '\${ secrets.token }' } }
      metadata: { retry: { initialInterval: PT0.01S } }
  - group:
      do:
        - store:
            call: sql.transaction
            with:
              database: test
              statements:
                - statement: CREATE TABLE orders (id, what)
                - { statement: "INSERT INTO orders VALUES (:id, 'literal-value')", parameters: { id: bound-value } }
        - save: { call: fs.put, with: { path: 'orders/\${ secrets.token }.txt', content: blob-content } }
  - never: { if: '\${ false }', set: { n: 1 } }
  - ask: { call: human.approval, with: { title: OK? } }
  - sub: { run: { workflow: { namespace: sub, name: inner, version: '1.0.0' } } }`;
  writeFileSync(file, flowText('test/whole:1.0.0', flow));
  const traceId = newTrace();
  const { address, namespace } = server;
  const where = ['--address', address, '--namespace', namespace, '--queue-prefix', worker.queuePrefix];
  const env = { ...process.env, TRACEPARENT: parentOf(traceId) };
  const started = await runInProcess(['run', file, '--tenant', 'acme', '--detach', '--json', ...where], { env });
  expect(started).toMatchObject({ code: 0, stderr: '' });
  const { workflowId } = JSON.parse(started.stdout) as { workflowId: string };
  const handle = worker.client.workflow.getHandle(workflowId);
  const approval = await openApproval(worker.client, handle);
  const decide: { args: [JsonObject] } = { args: [{ decision: 'approved', by: 'somebody-by-name' }] };
  await approval.executeUpdate<ApprovalState, [JsonObject]>('decide', decide);
  await handle.result();

  const spans = await collector.trace(traceId, (all) => has('test/whole:1.0.0')(all) && all.length >= 18);
  const whole = 'start test/whole:1.0.0 > test/whole:1.0.0';
  expect(pathsOf(spans)).toEqual([
    'start test/whole:1.0.0',
    whole,
    `${whole} > ask`,
    `${whole} > ask > approval`,
    `${whole} > fetch`,
    `${whole} > fetch > http.request attempt`,
    `${whole} > fetch > http.request attempt`,
    `${whole} > fetch > http.request attempt > GET`,
    `${whole} > fetch > http.request attempt > GET`,
    `${whole} > group`,
    `${whole} > group > save`,
    `${whole} > group > save > fs.put attempt`,
    `${whole} > group > save > fs.put attempt > blob put`,
    `${whole} > group > store`,
    `${whole} > group > store > sql.transaction attempt`,
    `${whole} > group > store > sql.transaction attempt > transaction test`,
    `${whole} > sub`,
    `${whole} > sub > sub/inner:1.0.0`,
    `${whole} > sub > sub/inner:1.0.0 > within`,
    `${whole} > sub > sub/inner:1.0.0 > within > fs.list attempt`,
    `${whole} > sub > sub/inner:1.0.0 > within > fs.list attempt > blob list`,
  ]);
  expect(only(spans, 'start test/whole:1.0.0').parentSpanId).toBe('00f067aa0ba902b7');

  const five = { tenant_id: 'acme', flow_id: workflowId, worker_id: worker.worker.id };
  expect(only(spans, 'fetch')).toMatchObject({
    attributes: {
      ...five,
      step_id: '/do/0/fetch',
      block_type: 'http.request',
      'beamline.step.attempts': 2,
      'beamline.step.status': 'completed',
    },
    status: {},
    resource: { 'service.name': 'beamline-worker', 'deployment.environment': 'test' },
  });
  const [first, second] = named(spans, 'http.request attempt').sort((a, b) => a.startMs - b.startMs);
  expect(first).toMatchObject({
    attributes: { ...five, step_id: '/do/0/fetch', block_type: 'http.request', 'beamline.attempt': 1 },
    status: { code: 2, message: expect.stringMatching(/^BLW_HTTP_STATUS: .*503/) },
  });
  expect(second).toMatchObject({ attributes: { 'beamline.attempt': 2, 'beamline.attempt.status': 'completed' } });
  const { port } = target;
  const call = {
    'http.request.method': 'GET',
    'server.address': '127.0.0.1',
    'server.port': port,
    'url.scheme': 'http',
  };
  const calls = named(spans, 'GET').sort((a, b) => a.startMs - b.startMs);
  expect(calls.map(({ attributes }) => attributes)).toEqual([
    { ...call, 'http.response.status_code': 503 },
    { ...call, 'http.response.status_code': 200 },
  ]);
  expect(target.requests.map(({ headers }) => headers.traceparent)).toEqual(
    calls.map(({ spanId }) => `00-${traceId}-${spanId}-01`),
  );
  expect(only(spans, 'transaction test').attributes).toEqual({
    'db.system.name': 'sqlite',
    'db.namespace': 'test',
    'db.operation.name': 'transaction',
    'db.operation.batch.size': 2,
    'db.query.text': 'CREATE TABLE orders (id, what); INSERT INTO orders VALUES (:id, ?)',
  });
  expect(only(spans, 'blob put').attributes).toMatchObject({
    'beamline.blob.path': 'orders/***.txt',
    'beamline.blob.size': 12,
  });
  expect(only(spans, 'approval')).toMatchObject({
    attributes: { 'beamline.approval.outcome': 'approved', block_type: 'human.approval' },
    events: [{ name: 'approved' }],
  });
  expect(only(spans, 'ask').events).toEqual([{ name: 'awaitingApproval', attributes: {} }]);
  const secrets = [SECRET, 'query-value', 'literal-value', 'bound-value', 'blob-content', 'somebody-by-name'];
  expect(secrets.filter((secret) => collector.text.includes(secret))).toEqual([]);

  const lines = logged.filter(({ fields }) => fields.flow_id === workflowId && fields.step_id === '/do/0/fetch');
  expect(lines.map(({ fields }) => [fields.trace_id, fields.span_id])).toEqual(
    [first, second].map((attempt) => [traceId, attempt?.spanId]),
  );
});

test('runs that continue as new, and windows, are in the trace of the first run, and linked', async () => {
  const traceId = newTrace();
  const items = Array.from({ length: 24 }, (_, index) => index);
  const handle = await startWithin(
    traceId,
    `do:
  - wide:
      for: { each: item, in: workflow.input }
      do: [{ one: { call: fs.stat, with: { path: x, ifMissing: ignore } } }]
      metadata: { concurrency: 4, batchSize: 12 }
  - long:
      for: { each: item, in: workflow.input }
      do: [{ two: { call: fs.stat, with: { path: x, ifMissing: ignore }, metadata: { dispatch: queue } } }]`,
    items,
  );
  await handle.result();
  const flows = (all: readonly CollectedSpan[]) =>
    named(all, 'test/flow:1.0.0').filter(({ attributes }) => attributes['beamline.workflow_type'] === RUN_FLOW);
  const spans = await collector.trace(traceId, (all) =>
    flows(all).some(({ attributes }) => attributes['beamline.flow.status'] === 'Completed'),
  );
  const runs = flows(spans).sort((a, b) => a.startMs - b.startMs);
  expect(runs.length).toBeGreaterThan(1);
  for (const [index, run] of runs.entries()) {
    expect(run.parentSpanId).toBe('00f067aa0ba902b7');
    const before = runs[index - 1];
    expect(run.links).toEqual(before === undefined ? [] : [{ traceId, spanId: before.spanId }]);
    const isLast = index === runs.length - 1;
    expect(run.attributes['beamline.flow.status']).toBe(isLast ? 'Completed' : 'ContinuedAsNew');
  }
  // Each step once, each in the run or the window that it ran in.
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  expect(named(spans, 'one')).toHaveLength(items.length);
  expect(named(spans, 'two')).toHaveLength(items.length);
  const orphans = spans.filter((span) => !runs.includes(span) && !byId.has(span.parentSpanId));
  expect(orphans).toEqual([]);
  for (const one of named(spans, 'one')) {
    const window = byId.get(one.parentSpanId);
    expect(window?.attributes['beamline.workflow_type']).toBe('runWindow');
    const batch = byId.get(window?.parentSpanId ?? '');
    expect(batch?.attributes).toMatchObject({ block_type: 'window', flow_id: handle.workflowId });
    expect(byId.get(batch?.parentSpanId ?? '')?.name).toBe('wide');
  }
  const parts = named(spans, 'long');
  expect(parts.map(({ attributes }) => attributes['beamline.step.status']).sort()).toEqual(
    [...runs.slice(1).map(() => 'suspended'), 'completed'].sort((a, b) => a.localeCompare(b)),
  );
});

test('a run that was reset has spans of its own, linked to those of the run before', async () => {
  const traceId = newTrace();
  const handle = await startWithin(
    traceId,
    `do: [{ok: {call: fs.list, with: {prefix: a}}}, {bad: {call: fs.get, with: {path: missing-4711}}}]`,
  );
  await errorOf(handle);
  const { workflowId, firstExecutionRunId: runId } = handle;
  const { events } = await worker.client.workflow.getHandle(workflowId, runId).fetchHistory();
  const failed = events?.find((event) => event.activityTaskFailedEventAttributes != null);
  const task = events?.find(
    (event) => event.workflowTaskCompletedEventAttributes != null && Number(event.eventId) > Number(failed?.eventId),
  );
  await worker.run('do: [{put: {call: fs.put, with: {path: missing-4711, content: x}}}]', null, TENANT);
  const reset = await worker.client.workflowService.resetWorkflowExecution({
    namespace: server.namespace,
    workflowExecution: { workflowId, runId },
    workflowTaskFinishEventId: Number(task?.eventId) as never,
    reason: 'test',
    requestId: randomUUID(),
  });
  // The step failed in the history that the new run has too, so it fails again: in a run of its own.
  await errorOf(worker.client.workflow.getHandle(workflowId, reset.runId));
  const spans = await collector.trace(traceId, (all) => named(all, 'test/flow:1.0.0').length === 2);
  const [before, after] = named(spans, 'test/flow:1.0.0').sort((a, b) => a.startMs - b.startMs);
  expect(before?.spanId).toBe(spanIdOf(runId, 0));
  expect(after).toMatchObject({ spanId: spanIdOf(reset.runId, 0), links: [{ traceId, spanId: before?.spanId }] });
  expect(after?.status).toMatchObject({ code: 2, message: 'BLW_FS_NOT_FOUND' });
  expect(named(spans, 'ok')).toHaveLength(1);
});

test('a flow that is not sampled sends nothing, and tells servers so; what an author sets is left alone', async () => {
  const traceId = newTrace();
  const before = target.requests.length;
  const get = (name: string, more: string) =>
    `{${name}: {call: http, with: {method: get, endpoint: '${target.origin}/${name}'${more}}}}`;
  const flow = `do: [${get('plain', '')}, ${get('own', ", headers: {traceparent: '00-own'}")}, {sub: {run: {workflow: {namespace: sub, name: inner, version: '1.0.0'}}}}]`;
  await (await startWithin(traceId, flow, {}, false)).result();
  const [plain, own] = target.requests.slice(before).map(({ headers }) => headers);
  expect(plain?.traceparent).toMatch(new RegExp(`^00-${traceId}-[0-9a-f]{16}-00$`));
  expect(plain?.tracestate).toBe('vendor=1');
  expect(own?.traceparent).toBe('00-own');
  // What comes after it has arrived.
  const next = newTrace();
  await (await startWithin(next, 'do: [{a: {set: {n: 1}}}]')).result();
  await collector.trace(next, has('test/flow:1.0.0'));
  expect(collector.spans.filter((span) => span.traceId === traceId)).toEqual([]);
});

test('a flow without a context begins a trace; one that fails says why', async () => {
  const handle = await worker.start(
    'do: [{a: {set: {n: 1}}}, {b: {raise: {error: {type: https://example.com/no, status: 500, title: no}}}}]',
    null,
    TENANT,
  );
  await errorOf(handle);
  const span = await eventually(async () =>
    collector.spans.find(
      ({ attributes, name }) => attributes.flow_id === handle.workflowId && name.startsWith('test/'),
    ),
  );
  expect(span).toMatchObject({
    parentSpanId: '',
    attributes: { 'beamline.flow.status': 'Failed', 'error.type': 'https://example.com/no' },
  });
  const steps = collector.spans.filter(({ traceId, name }) => traceId === span.traceId && name.length === 1);
  expect(
    steps.map(({ name, attributes }) => [name, attributes.block_type, attributes['beamline.step.status']]),
  ).toEqual([
    ['a', 'set', 'completed'],
    ['b', 'raise', 'failed'],
  ]);
});

test.each([
  ['nested deeply', 'json/plain', `${'['.repeat(20_000)}${']'.repeat(20_000)}`],
  ['that is large', 'json/plain', JSON.stringify({ traceparent: '0'.repeat(1_000_000) })],
  ['that is no JSON', 'json/plain', '{'],
  ['that is not encoded as it should be', 'zip/zap', '{}'],
])('a header %s leaves the flow alone, which begins a trace', async (_, encoding, data) => {
  const header = { metadata: { encoding: Buffer.from(encoding) }, data: Buffer.from(data) };
  const flow = await startWith(header, 'do: [{a: {set: {n: 1}}}]');
  expect(await flow.result()).toEqual({ n: 1 });
  const isIt = ({ attributes, name }: CollectedSpan) => attributes.flow_id === flow.workflowId && name !== 'a';
  expect(await eventually(async () => collector.spans.find(isIt))).toMatchObject({ parentSpanId: '' });
});

test('a start that is refused is in the trace of whoever started it', async () => {
  const traceId = newTrace();
  await errorOf(await startWithin(traceId, 'do: [{a: {call: nothing-of-that-name}}]'));
  const spans = await collector.trace(traceId, has('refused start'));
  expect(spans).toMatchObject([
    { parentSpanId: '00f067aa0ba902b7', attributes: { 'error.type': 'BLW_FLOW_INVALID' }, status: { code: 2 } },
  ]);
});

test('flows that leave the memory and come back tell nothing twice', async () => {
  const waiting = (name: string) =>
    `do: [{before: {call: fs.list, with: {prefix: a}}}, {ask: {call: human.approval, with: {title: ${name}}}}, {after: {call: fs.list, with: {prefix: a}}}]`;
  const traces = Array.from({ length: 5 }, newTrace);
  // More than the worker keeps: each is rebuilt from its history, with the steps that were done.
  const handles = await Promise.all(traces.map((traceId, index) => startWithin(traceId, waiting(`n${index}`))));
  for (const handle of handles) await approve(handle);
  await Promise.all(handles.map((handle) => handle.result()));
  for (const traceId of traces) {
    const spans = await collector.trace(traceId, (all) => has('test/flow:1.0.0')(all) && has('approval')(all));
    expect(spans.map(({ name }) => name).sort()).toEqual(
      [
        'after',
        'approval',
        'ask',
        'before',
        ...Array(2).fill('blob list'),
        ...Array(2).fill('fs.list attempt'),
        'test/flow:1.0.0',
      ].sort(),
    );
  }
  const ids = collector.spans.map(({ traceId, spanId }) => `${traceId}${spanId}`);
  expect(new Set(ids).size).toBe(ids.length);
});

test('a trace goes on over the crash of a worker', async () => {
  const processes = new WorkerProcesses();
  const queuePrefix = `test-${randomUUID()}`;
  const flags = [
    '--queue-prefix',
    queuePrefix,
    '--blob-root',
    join(folder, 'crash'),
    '--pools',
    'io',
    '--address',
    server.address,
  ];
  const env = { ...process.env, OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf', OTEL_SERVICE_NAME: 'crashing' };
  try {
    const first = await processes.start(flags, env);
    const handle = await worker.client.workflow.start(RUN_FLOW, {
      taskQueue: `${queuePrefix}-io`,
      workflowId: `flow-${randomUUID()}`,
      args: [
        {
          flow: flowOf(
            'do: [{before: {call: fs.list, with: {prefix: a}}}, {ask: {call: human.approval, with: {title: t}}}, {after: {call: fs.list, with: {prefix: a}}}]',
          ),
        },
      ],
    });
    await progressWhen(handle, (progress) => progress.steps.some(({ approval }) => approval));
    const before = await eventually(async () =>
      collector.spans.find(({ name, attributes }) => name === 'before' && attributes.flow_id === handle.workflowId),
    );
    await kill(first);
    await processes.start(flags, env);
    await forgetWorker(handle.workflowId);
    await approve(handle, forgetWorker);
    await handle.result();
    const spans = await collector.trace(before.traceId, has('test/flow:1.0.0'));
    expect(
      spans
        .map(({ name }) => name)
        .filter((name) => /^(before|after|ask|test)/.test(name))
        .sort(),
    ).toEqual(['after', 'ask', 'before', 'test/flow:1.0.0']);
    expect(only(spans, 'after').parentSpanId).toBe(before.parentSpanId);
    expect(only(spans, 'after').attributes.worker_id).not.toBe(before.attributes.worker_id);
    expect(before.resource['service.name']).toBe('crashing');
  } finally {
    await processes.killAll();
  }
}, 60_000);

/** Else the server waits for 10 s for the worker that knows the workflow, which is gone. */
async function forgetWorker(workflowId: string): Promise<void> {
  const { namespace } = server;
  await worker.client.workflowService.resetStickyTaskQueue({ namespace, execution: { workflowId } });
}

/** `prepare` is given the approval's workflow id before the decision is sent. */
async function approve(handle: WorkflowHandle, prepare: (approval: string) => Promise<void> = async () => undefined) {
  const approval = await openApproval(worker.client, handle);
  await prepare(approval.workflowId);
  const decision: { args: [JsonObject] } = { args: [{ decision: 'approved', by: 'ann' }] };
  await approval.executeUpdate<ApprovalState, [JsonObject]>('decide', decision);
}

test.each([
  ['sampled, reads nothing ahead: its spans are below the steps that they are of', true, 3],
  ['not sampled, reads ahead', false, 1],
])('a flow that is %s', async (_, sampled, records) => {
  const get = (name: string) =>
    `{${name}: {call: http, with: {method: get, endpoint: '${target.origin}/ahead'}, metadata: {dispatch: local}}}`;
  const flow = `do: [${['a', 'b', 'c'].map(get).join(', ')}]`;
  const recordsOf = async (): Promise<number> => {
    const handle = await startWithin(newTrace(), flow, {}, sampled);
    await handle.result();
    const { events } = await handle.fetchHistory();
    const markers = (events ?? []).flatMap(
      (event) => event.markerRecordedEventAttributes?.details?.data?.payloads ?? [],
    );
    return markers.filter(({ data }) => Buffer.from(data ?? []).includes('http.request')).length;
  };
  // Where the machine is busy the time to read ahead may be over.
  const seen = await eventually(async () => ((await recordsOf()) === records ? records : undefined));
  expect(seen).toBe(records);
  if (sampled) expect(await recordsOf()).toBe(records);
});
