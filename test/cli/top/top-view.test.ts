import { type TopSample, topView } from '../../../src/cli/top/top-view';
import { pageOf, sample, temporalReading, workerReading } from './samples';

const twoWorkers = (at: number, done: number): TopSample =>
  sample(at, [
    workerReading(at, pageOf({ done, failed: done / 10 })),
    workerReading(at, pageOf({ done, used: 16 }), { port: 2 }),
  ]);

test('of one sample has what is, and no rates', () => {
  const view = topView(undefined, twoWorkers(0, 100));
  expect(view.pools[0]).toEqual({
    pool: 'io',
    taskQueue: 'beamline-io',
    workers: 2,
    slotsUsed: 20,
    slots: 32,
    queueDepth: 1_400,
    queueAgeSeconds: 3.2,
    addedPerSecond: 40,
    dispatchedPerSecond: 0,
  });
  expect(view.steps).toEqual([
    { type: 'http.request', ended: 210 },
    { type: 'fs.put', ended: 14 },
  ]);
  expect(view.processes).toEqual({ seen: 2, draining: 0, memoryBytes: 209_715_200, flowsCached: 22 });
});

test('of two samples has rates and latencies over the time between them, of all workers together', () => {
  const view = topView(twoWorkers(0, 100), twoWorkers(2_000, 300));
  expect(view.at).toBe('1970-01-01T00:00:02.000Z');
  expect(view.steps).toEqual([
    {
      type: 'http.request',
      ended: 630,
      perSecond: 210,
      failedPerSecond: 10,
      retriedPerSecond: 10,
      p50Ms: 17.5,
      p95Ms: 24.25,
    },
    { type: 'fs.put', ended: 14, perSecond: 0, failedPerSecond: 0, retriedPerSecond: 0 },
  ]);
  expect(view.pools[0]?.startP95Ms).toBe(95);
  expect(view.processes?.cpus).toBe(2);
});

test('without metrics has what Temporal knows, and says what is missing', () => {
  const view = topView(sample(0), sample(60_000));
  expect(view).toMatchObject({
    steps: [],
    tenants: [],
    flows: { open: { Running: 12, DeadLettered: 1 }, endedLastHour: { Completed: 1_204, Failed: 3 } },
    approvals: { waiting: 3, oldestSeconds: 60 },
    deadLetters: { flows: 1 },
    degraded: [],
    notes: [expect.stringContaining('--prometheus-endpoint')],
  });
  expect(view).not.toHaveProperty('processes');
  expect(view.pools[0]).not.toHaveProperty('slots');
});

test('does not count what only waits as run', () => {
  const [, http] = topView(undefined, sample(0, [workerReading(0, pageOf({ done: 5 }))])).steps;
  expect(http).toEqual({ type: 'http.request', ended: 5 });
});

test('takes what the installation knows from whichever worker has it', () => {
  const tenants = `
worker_info{worker_id="w"} 1
beamline_tenant_steps_running{tenant="acme"} 10
beamline_tenant_steps_waiting{tenant="acme"} 40
beamline_tenant_over_quota{tenant="acme",quota="concurrentSteps"} 1
beamline_tenant_over_quota{tenant="acme",quota="cpuTime"} 0
beamline_tenant_steps_running{tenant="beta"} 2
beamline_tenant_steps_waiting{tenant="free"} 1
beamline_dead_letters_waiting 4
beamline_dead_letter_oldest_seconds 120
`;
  const status = { degraded: [], overQuota: [{ tenant: 'beta', quota: 'flows' }], isDraining: true };
  const view = topView(
    undefined,
    sample(0, [workerReading(0, tenants, { status }), workerReading(0, pageOf({ done: 1 }), { port: 2 })]),
  );
  expect(view.tenants).toEqual([
    { tenant: 'acme', running: 10, waiting: 40, overQuota: ['concurrentSteps'] },
    { tenant: 'beta', running: 2, overQuota: ['flows'] },
    { tenant: 'free', waiting: 1, overQuota: [] },
  ]);
  expect(view.deadLetters).toEqual({ flows: 1, oldestSeconds: 120 });
  expect(view.processes?.draining).toBe(1);
});

test('names a degraded part once, with the workers that do without it, and why where one says it', () => {
  const page = (value: number) => `worker_info{worker_id="w"} 1\nworker_degraded{part="nats"} ${value}`;
  const status = {
    degraded: [{ part: 'nats', since: '2026-01-01T00:00:00.000Z', message: 'connection refused' }],
    overQuota: [],
    isDraining: false,
  };
  const workers = [
    workerReading(0, page(1)),
    workerReading(0, page(1), { port: 2, status }),
    workerReading(0, page(0), { port: 3 }),
  ];
  expect(topView(undefined, sample(0, workers)).degraded).toEqual([
    { part: 'nats', workers: 2, since: '2026-01-01T00:00:00.000Z', message: 'connection refused' },
  ]);
});

test('says which worker does not answer, where it was named, and of how many the figures are', () => {
  const silent = (isNamed: boolean, name: string) => ({
    endpoint: { name, url: `http://${name}`, isNamed },
    at: 0,
    problem: 'does not answer: ECONNREFUSED',
  });
  const shown = workerReading(0, pageOf({ done: 1 }));
  expect(topView(undefined, sample(0, [shown, silent(true, 'x:1')])).notes).toEqual([
    'x:1 does not answer: ECONNREFUSED',
    'metrics of 1 of 2 workers: slots, rates and latencies are of these; figures of tenants, if there are any, another worker shows',
  ]);
  const withTenants = workerReading(0, `${pageOf({ done: 1 })}beamline_tenant_steps_waiting{tenant="acme"} 0\n`);
  expect(topView(undefined, sample(0, [withTenants, silent(false, 'y:1')])).notes).toEqual([
    'metrics of 1 of 2 workers: slots, rates and latencies are of these; name the others with --metrics',
  ]);
});

test('says since when Temporal does not answer, and goes on with what it said', () => {
  const lost = { since: 3_600_000, reason: 'Temporal at x does not answer any more: ECONNREFUSED' };
  const view = topView(undefined, { ...sample(3_605_000), lost });
  expect(view.notes[0]).toBe(
    'since 01:00:00Z Temporal at x does not answer any more: ECONNREFUSED; what is shown of it is of then',
  );
  expect(view.flows.open.Running).toBe(12);
});

test('of very many approvals knows that the oldest has waited longer', () => {
  const approvals = { waiting: 900, oldestSince: 0, isOlder: true } as const;
  expect(topView(undefined, sample(60_000, [], temporalReading({ approvals }))).approvals).toEqual({
    waiting: 900,
    oldestSeconds: 60,
    isOlder: true,
  });
});

test('makes a frame of a page with many types, tenants and quotas', () => {
  const page = Array.from({ length: 5_000 }, (_, index) =>
    [
      `worker_tasks_total{type="t${index}",status="completed"} ${index + 1}`,
      `beamline_tenant_steps_running{tenant="t${index}"} 1`,
      `beamline_tenant_over_quota{tenant="t0",quota="q${index}"} 1`,
    ].join('\n'),
  ).join('\n');
  const view = topView(sample(0, [workerReading(0, page)]), sample(2_000, [workerReading(2_000, page)]));
  expect([view.steps.length, view.tenants.length]).toEqual([5_000, 5_000]);
  expect(view.steps[0]).toMatchObject({ type: 't4999', ended: 5_000, perSecond: 0 });
  expect(view.tenants[0]?.overQuota).toHaveLength(5_000);
});

test('shows no figures that cannot be', () => {
  const page = 'worker_info 1\nworker_resource_usage{resource="memory_bytes"} -5\nworker_flows_cached NaN';
  const view = topView(undefined, sample(0, [workerReading(0, page)]));
  expect(view.processes).toEqual({ seen: 1, draining: 0 });
});
