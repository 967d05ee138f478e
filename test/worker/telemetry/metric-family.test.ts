import fc from 'fast-check';
import { Registry } from 'prom-client';
import { ANY, createFamilies } from '../../../src/worker/telemetry/metric-family';
import { WORKER_METRICS } from '../../../src/worker/telemetry/metric-table';
import { createWorkerMetrics } from '../../../src/worker/telemetry/worker-metrics';
import { MetricsText } from '../../helpers/metrics-text';

const TABLE = {
  calls_total: { type: 'counter', help: 'Calls.', labels: { kind: ['a', 'b'], status: ['ok'] }, startsAtZero: true },
  depth: { type: 'gauge', help: 'Depth.', labels: { pool: ['io'] } },
  took_ms: { type: 'histogram', help: 'Time.', labels: {}, buckets: [1, 10] },
  info: { type: 'gauge', help: 'Info.', labels: { id: ANY } },
} as const;

let registry: Registry;
let families: ReturnType<typeof createFamilies<typeof TABLE>>;
const page = async () => new MetricsText(await registry.metrics());

beforeEach(() => {
  registry = new Registry();
  families = createFamilies(TABLE, registry);
});

it('registers a table: every kind, with all series from the start where that is said', async () => {
  expect([...(await page()).types]).toEqual([
    ['calls_total', 'counter'],
    ['depth', 'gauge'],
    ['took_ms', 'histogram'],
    ['info', 'gauge'],
  ]);
  expect((await page()).series('calls_total')).toEqual([
    ['calls_total{kind="a",status="ok"}', 0],
    ['calls_total{kind="b",status="ok"}', 0],
  ]);
  families.took_ms.of().observe(5);
  families.info.of('x"y').set(1);
  expect((await page()).value('took_ms_bucket', { le: '10' })).toBe(1);
  expect((await page()).text).toContain('info{id="x\\"y"} 1');
});

it.each(['c', '', 'A', 'constructor', '__proto__', 'a\nok', 'other'])(
  'counts the unknown value %j as other',
  async (kind) => {
    families.calls_total.of(kind, 'ok').inc();
    families.calls_total.of(kind, 'ok').inc();
    families.calls_total.of('a', kind).inc();
    expect((await page()).series('calls_total')).toEqual([
      ['calls_total{kind="a",status="ok"}', 0],
      ['calls_total{kind="b",status="ok"}', 0],
      ['calls_total{kind="other",status="ok"}', 2],
      ['calls_total{kind="a",status="other"}', 1],
    ]);
  },
);

it('forgets what is not told again', async () => {
  families.depth.of('io').set(3);
  families.depth.reset();
  expect((await page()).has('depth', { pool: 'io' })).toBe(false);
  families.depth.of('io').set(4);
  expect((await page()).value('depth', { pool: 'io' })).toBe(4);
});

it('has no more series than the table allows, whatever is told', async () => {
  const metrics = createWorkerMetrics('w');
  const most = (labels: Readonly<Record<string, readonly string[] | typeof ANY>>) =>
    Object.values(labels).reduce((product, values) => product * (values.length + 1), 1);
  const counters = Object.entries(WORKER_METRICS).filter(([, { type }]) => type === 'counter');
  fc.assert(
    fc.property(
      fc.constantFrom(...counters),
      fc.array(fc.string(), { minLength: 3, maxLength: 3 }),
      ([name, { labels }], told) => {
        const family = metrics[name as 'worker_tasks_total'];
        family.of(...told.slice(0, Object.keys(labels).length)).inc();
      },
    ),
  );
  const text = new MetricsText(await metrics.registry.metrics());
  for (const [name, { labels }] of counters) expect(text.series(name).length).toBeLessThanOrEqual(most(labels));
});
