import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

import type { SpanRecord } from '../../../src/dsl/trace';
import type { LogFields } from '../../../src/worker/logger';
import { Conditions } from '../../../src/worker/telemetry/conditions';
import { createTraceSinks } from '../../../src/worker/tracing/trace-sinks';
import { openTraces, type Traces } from '../../../src/worker/tracing/traces';
import { projectRoot } from '../../helpers/project-root';
import { eventually } from '../../helpers/test-worker';
import { TraceCollector } from '../../helpers/trace-collector';

let collector: TraceCollector;
let traces: Traces | undefined;
let conditions: Conditions;
const outage = () => conditions.list()[0];
const lines: { level: string; message: string; fields: LogFields | undefined }[] = [];

beforeEach(async () => {
  collector = await TraceCollector.start();
  lines.length = 0;
});
afterEach(async () => {
  await traces?.close();
  await collector.stop();
  for (const name of Object.keys(process.env)) if (name.startsWith('OTEL_')) delete process.env[name];
});

function open(env: Record<string, string> = {}): Traces {
  const isGrpc = env.OTEL_EXPORTER_OTLP_PROTOCOL === 'grpc';
  Object.assign(process.env, {
    OTEL_EXPORTER_OTLP_ENDPOINT: isGrpc ? collector.grpcEndpoint : collector.endpoint,
    OTEL_BSP_SCHEDULE_DELAY: '20',
    OTEL_EXPORTER_OTLP_TIMEOUT: '500',
    ...env,
  });
  conditions = new Conditions();
  traces = openTraces({
    env: process.env,
    conditions,
    service: 'beamline-worker',
    workerId: 'w1',
    hidesDataOf: () => false,
    logger: { log: (level, message, fields) => lines.push({ level, message, fields }) },
  });
  if (traces === undefined) throw new Error('traces are off');
  return traces;
}

const TRACE = '4bf92f3577b34da6a3ce929d0e0e4736';
let made = 0;
function spanOf(more: Partial<SpanRecord> = {}): SpanRecord {
  made += 1;
  const span = made.toString(16).padStart(16, '0');
  const times = { startMs: 1_000_000.25, endMs: 1_000_001.5 };
  return { trace: TRACE, span, name: 'n', kind: 'internal', ...times, attributes: { a: 'x', n: 1, b: true }, ...more };
}

test.each(['http/protobuf', 'http/json', 'grpc'])('sends spans as they are, by %s', async (protocol) => {
  const on = open({
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_EXPORTER_OTLP_HEADERS: 'api-key=k%3D1',
    OTEL_SERVICE_NAME: 'mine',
  });
  const links = [{ trace: TRACE, span: 'b'.repeat(16) }];
  const events = [{ name: 'e', atMs: 1_000_001, attributes: { k: 'v' } }];
  const error = { code: 'BLW_X', message: 'why' };
  const record = spanOf({ parent: 'a'.repeat(16), kind: 'client', links, events, error });
  on.send([record]);
  const span = await eventually(async () => collector.spans[0]);
  expect(span).toMatchObject({
    traceId: TRACE,
    spanId: record.span,
    parentSpanId: 'a'.repeat(16),
    name: 'n',
    kind: 3,
    // Long before this process began.
    startMs: 1_000_000.25,
    endMs: 1_000_001.5,
    attributes: { a: 'x', n: 1, b: true },
    events: [{ name: 'e', attributes: { k: 'v' } }],
    links: [{ traceId: TRACE, spanId: 'b'.repeat(16) }],
    status: { code: 2, message: 'BLW_X: why' },
    resource: { 'service.name': 'mine', 'service.instance.id': 'w1' },
  });
  expect(Object.keys(span.resource).filter((name) => name.startsWith('process.command'))).toEqual([]);
  expect(collector.headers[0]?.['api-key']).toBe('k=1');
});

test.each(['http/protobuf', 'http/json', 'grpc'])(
  'what is no span, since somebody started a workflow with it, does not take others along, by %s',
  async (protocol) => {
    const on = open({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
    const { fn } = createTraceSinks(on).traces.finished;
    const tell = (...spans: object[]) => fn({} as never, spans as SpanRecord[]);
    const none = [
      { trace: null },
      { trace: 5 },
      { trace: 'zz' },
      { trace: '0'.repeat(32) },
      { span: 'x' },
      { parent: {} },
    ];
    const untimed = [{ startMs: 'x' }, { endMs: Number.NaN }];
    const long = 'x'.repeat(3_000_000);
    tell(spanOf({ name: 'first' }));
    for (const more of [...none, ...untimed, { state: 7 }, { state: 'a\r\nb' }]) tell({ ...spanOf(), ...more });
    tell({
      ...spanOf(),
      name: 5,
      attributes: { object: {}, nothing: null, no: Number.NaN, long },
      error: { code: {}, message: long },
      events: [{ name: 7, atMs: Number.NaN }, ...Array.from({ length: 200 }, () => ({ name: long, atMs: 1 }))],
      links: [{ trace: 'zz', span: null }],
    });
    tell(spanOf({ name: 'last' }));
    await on.close();
    expect(collector.spans.map(({ name }) => name ?? '')).toEqual(['first', '', 'last']);
    const { attributes, events, links, status } = collector.spans[1] ?? {};
    expect(Object.entries(attributes ?? {}).map(([name, value]) => [name, String(value).length])).toEqual(
      expect.arrayContaining([['long', 2_000]]),
    );
    expect(Object.keys(attributes ?? {}).sort()).toEqual(['long', 'worker_id']);
    expect([events?.length, events?.[0]?.name.length, links]).toEqual([127, 2_000, []]);
    expect(status?.message).toHaveLength(2_002);
    expect(lines).toEqual([]);
  },
);

test('a collector that is away is said once, and again when it takes spans; meanwhile nothing waits', async () => {
  const on = open();
  collector.refuseWith = 400;
  on.send([spanOf()]);
  const away = await eventually(async () => outage());
  expect(away).toMatchObject({ part: 'traces', since: expect.any(Number), message: expect.any(String) });
  on.send([spanOf(), spanOf()]);
  await eventually(async () => (collector.headers.length >= 2 ? true : undefined));
  collector.refuseWith = undefined;
  const before = collector.headers.length;
  await eventually(async () => {
    on.send([spanOf()]);
    return outage() === undefined && collector.headers.length > before ? true : undefined;
  });
  expect(lines.map(({ level, message }) => [level, message])).toEqual([
    ['warn', 'traces cannot be sent; flows go on without them'],
    ['info', 'traces are sent again'],
  ]);
  expect(lines[1]?.fields?.lost_spans).toBe(3);
});

test.each(['http/protobuf', 'http/json', 'grpc'])(
  'an idle worker finds out that the collector is back, by %s',
  async (protocol) => {
    jest.useFakeTimers({
      doNotFake: [
        'Date',
        'performance',
        'hrtime',
        'nextTick',
        'queueMicrotask',
        'setImmediate',
        'setTimeout',
        'clearImmediate',
        'clearTimeout',
      ],
    });
    try {
      const on = open({ OTEL_EXPORTER_OTLP_PROTOCOL: protocol });
      collector.refuseWith = 400;
      on.send([spanOf()]);
      await eventually(async () => outage());
      const requests = collector.headers.length;
      jest.advanceTimersByTime(30_000);
      await eventually(async () => (collector.headers.length > requests ? true : undefined));
      expect(outage()).toBeDefined();
      collector.refuseWith = undefined;
      await eventually(async () => {
        jest.advanceTimersByTime(30_000);
        return outage() === undefined ? true : undefined;
      });
      expect(lines.map(({ message }) => message).at(-1)).toBe('traces are sent again');
      expect(collector.spans).toEqual([]);
      // The library of gRPC has some of its own.
      if (protocol !== 'grpc') expect(jest.getTimerCount()).toBe(0);
    } finally {
      jest.useRealTimers();
    }
  },
);

test('more spans than the queue holds are lost, and known to be', async () => {
  const on = open({
    OTEL_BSP_MAX_QUEUE_SIZE: '5',
    OTEL_BSP_MAX_EXPORT_BATCH_SIZE: '5',
    OTEL_BSP_SCHEDULE_DELAY: '60000',
  });
  on.send(Array.from({ length: 3 }, () => spanOf()));
  expect(outage()).toBeUndefined();
  on.send(Array.from({ length: 12 }, () => spanOf()));
  expect(outage()?.message).toBe('there are more spans than the collector takes');
  await eventually(async () => (outage() === undefined ? true : undefined));
  await on.close();
  traces = undefined;
  expect(collector.spans.length + Number(lines[1]?.fields?.lost_spans)).toBe(15);
});

test('what is left is sent at the end, and a collector that never answers does not hold it up for long', async () => {
  const on = open({ OTEL_BSP_SCHEDULE_DELAY: '60000' });
  on.send([spanOf()]);
  expect(collector.spans).toEqual([]);
  await on.close();
  expect(collector.spans).toHaveLength(1);
  // Nobody answers at a port that takes connections.
  const silent = createServer(() => undefined);
  await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
  const { port } = silent.address() as AddressInfo;
  const away = open({ OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_EXPORTER_OTLP_TIMEOUT: '2500' });
  away.send([spanOf()]);
  await away.close();
  expect(lines.map(({ message }) => message)).toEqual(['the last traces could not be sent']);
  silent.close();
  silent.closeAllConnections();
});

const HEADER = { traceparent: `00-${TRACE}-00f067aa0ba902b7-01`, tracestate: 'v=1' };

test.each<[string, unknown, Record<string, string>, object]>([
  ['of a header', HEADER, {}, { id: TRACE, parent: '00f067aa0ba902b7', sampled: true, state: 'v=1' }],
  [
    'of a header that is not sampled',
    { traceparent: HEADER.traceparent.replace(/1$/, '0') },
    {},
    { id: TRACE, parent: '00f067aa0ba902b7' },
  ],
  [
    'a header against a sampler',
    HEADER,
    { OTEL_TRACES_SAMPLER: 'always_off' },
    { id: TRACE, parent: '00f067aa0ba902b7', state: 'v=1' },
  ],
  ['of nobody', undefined, {}, { id: expect.stringMatching(/^[0-9a-f]{32}$/), sampled: true }],
  [
    'of nobody, none',
    undefined,
    { OTEL_TRACES_SAMPLER: 'traceidratio', OTEL_TRACES_SAMPLER_ARG: '0' },
    { id: expect.any(String) },
  ],
  ['of what is no header', { traceparent: '00-0-0-0' }, {}, { sampled: true }],
])('decides the trace %s', (_, header, env, expected) => {
  const trace = open(env).begin('flow', header, {});
  expect(trace).toMatchObject(expected);
  expect('sampled' in trace).toBe('sampled' in expected);
  expect('parent' in trace).toBe('parent' in expected);
});

test('without a variable that asks for traces the SDK is not loaded', () => {
  const script = `
    const { openTraces } = require('./dist/src/worker/tracing/traces.js');
    require('./dist/src/worker/run-worker.js');
    require('./dist/src/cli/main.js');
    const loaded = () => Object.keys(require.cache).filter((file) => /@opentelemetry.(sdk|exporter|otlp)-/.test(file)).length;
    const off = [openTraces({ env: {} }), loaded()];
    process.env.OTEL_TRACES_EXPORTER = 'otlp';
    const on = openTraces({ env: process.env, service: 's', workerId: 'w' });
    process.stdout.write(JSON.stringify({ off, on: on !== undefined && loaded() > 0 }));
    process.exit();`;
  const output = execFileSync(process.execPath, ['-e', script], {
    cwd: projectRoot(),
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  expect(JSON.parse(/\{.*\}/.exec(output)?.[0] ?? '')).toEqual({ off: [null, 0], on: true });
});
