import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Registry } from 'prom-client';
import type { TenantPolicy } from '../../../src/worker/policy/policy';
import { openSqliteStore } from '../../../src/worker/state/sqlite-store';
import { type StateStore, StateStoreUnavailable } from '../../../src/worker/state/state-store';
import type { FlowFigures } from '../../../src/worker/telemetry/flow-survey';
import { InstallationMetrics, type InstallationParts } from '../../../src/worker/telemetry/installation-metrics';
import type { QueueStates } from '../../../src/worker/telemetry/queue-survey';
import { countAttempts } from '../../../src/worker/usage/usage-rules';
import { MetricsText } from '../../helpers/metrics-text';

const FIGURES: FlowFigures = {
  open: new Map([['Running', 3]]),
  closed: new Map([['Completed', 9]]),
  approvals: 2,
  oldestApproval: 60,
  deadLetters: 1,
};
const QUEUES: QueueStates = {
  pools: new Map([['cpu', { depth: 5, ageSeconds: 720, addRate: 0, dispatchRate: 0, pollers: [] }]]),
};
const policyOf = (...names: string[]) => ({
  current: () => ({ tenants: new Map(names.map((name) => [name, { quotas: {} } as TenantPolicy])) }),
});

let folder: string;
let store: StateStore;
let isOut: boolean;
let stores = 0;
const opened: InstallationMetrics[] = [];
/** Where it is out of reach for one worker. */
const shaky: StateStore = {
  run: (rule, options) => (isOut ? Promise.reject(new StateStoreUnavailable('gone')) : store.run(rule, options)),
  close: async () => undefined,
};

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
});
beforeEach(async () => {
  isOut = false;
  store = openSqliteStore(join(folder, `${++stores}.sqlite`));
  jest.useFakeTimers({ doNotFake: ['setTimeout', 'setImmediate', 'nextTick', 'queueMicrotask', 'Date'] });
});
afterEach(async () => {
  jest.useRealTimers();
  await Promise.all(opened.splice(0).map((one) => one.close()));
  await store.close();
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function open(
  worker: string,
  {
    policy = policyOf('acme'),
    flows = async () => FIGURES,
    queues = async () => QUEUES,
    scope = 'default/beamline',
  }: {
    policy?: InstallationParts['policy'];
    flows?: () => Promise<FlowFigures>;
    queues?: () => Promise<QueueStates>;
    scope?: string;
  } = {},
) {
  const registry = new Registry();
  const problems: (string | undefined)[] = [];
  const metrics = new InstallationMetrics(
    {
      store: shaky,
      worker,
      policy,
      quotasOf: () => ({ concurrentSteps: 1 }),
      flows: { read: flows },
      queues: { read: queues },
      isTemporalAway: () => false,
      scope,
      onProblem: (problem) => problems.push(problem),
    },
    registry,
  );
  opened.push(metrics);
  const page = async () => {
    await metrics.wanted();
    return new MetricsText(await registry.metrics());
  };
  return { metrics, page, problems };
}

const count = (id: string, tenant = 'acme') =>
  store.run(() => countAttempts(tenant, [{ id, attempt: 1, end: 'completed' }], undefined));

test('only one worker shows them, and the next one goes on where it stopped', async () => {
  await count('a');
  const [one, other] = [open('one'), open('other')];
  const shown = await one.page();
  expect(shown.value('beamline_tenant_steps_total', { tenant: 'acme' })).toBe(1);
  expect(shown.value('beamline_flows', { status: 'Running' })).toBe(3);
  expect(shown.value('beamline_flows_closed', { status: 'Completed' })).toBe(9);
  expect(shown.value('beamline_approval_oldest_seconds')).toBe(60);
  expect(shown.has('beamline_dead_letter_oldest_seconds')).toBe(false);
  const ofCpu = (name: string) => shown.value(`beamline_pool_${name}`, { pool: 'cpu' });
  expect([ofCpu('queue_depth'), ofCpu('queue_age_seconds'), ofCpu('pollers')]).toEqual([5, 720, 0]);
  expect(shown.value('beamline_tenant_over_quota', { tenant: 'acme', quota: 'concurrentSteps' })).toBe(0);
  expect((await other.page()).text).not.toMatch(/^beamline/m);

  await one.metrics.close();
  expect((await one.page()).text).not.toMatch(/^beamline/m);
  await count('b');
  await jest.advanceTimersByTimeAsync(5_000);
  expect((await other.page()).value('beamline_tenant_steps_total', { tenant: 'acme' })).toBe(2);
});

test('a worker that nobody scrapes any more leaves them to others', async () => {
  const [one, other] = [open('one'), open('other')];
  await one.page();
  await jest.advanceTimersByTimeAsync(200_000);
  expect((await other.page()).has('beamline_approvals_waiting')).toBe(true);
});

test('a worker that is scraped again after a pause shows them at once', async () => {
  const { page } = open('one');
  await page();
  await jest.advanceTimersByTimeAsync(400_000);
  expect((await page()).has('beamline_approvals_waiting')).toBe(true);
});

test('flows of another namespace or queue prefix are shown by one of their own workers', async () => {
  const [one, other] = [open('one'), open('other', { scope: 'default/blue' })];
  await one.page();
  const shown = await other.page();
  expect(shown.value('beamline_approvals_waiting')).toBe(2);
  expect(shown.series('beamline_tenant_steps_total')).toEqual([]);
});

test('tenants that the policy does not name have no series, and without a policy none has', async () => {
  await count('a', 'stranger');
  const shown = await open('one', { policy: policyOf('acme', 'idle') }).page();
  expect(shown.series('beamline_tenant_steps_total').map(([name]) => name)).toEqual([
    'beamline_tenant_steps_total{tenant="acme"}',
    'beamline_tenant_steps_total{tenant="idle"}',
  ]);
  await opened[0]?.close();
  const bare = open('two', { policy: { current: () => undefined } });
  expect((await bare.page()).text).not.toContain('tenant=');
});

test('figures that cannot be read are gone, it is said why, and they come back', async () => {
  let isTemporalAway = false;
  const flows = async () => {
    if (isTemporalAway) throw new Error('no visibility');
    return FIGURES;
  };
  const { page, problems } = open('one', { flows });
  const after = async (ms: number) => {
    await jest.advanceTimersByTimeAsync(ms);
    return await page();
  };
  expect((await page()).has('beamline_approvals_waiting')).toBe(true);
  isTemporalAway = true;
  const half = await after(20_000);
  expect([
    half.has('beamline_approvals_waiting'),
    half.has('beamline_tenant_steps_waiting', { tenant: 'acme' }),
  ]).toEqual([false, true]);
  expect(problems.at(-1)).toBe('no visibility');
  isTemporalAway = false;
  isOut = true;
  expect((await after(5_000)).text).not.toMatch(/^beamline/m);
  expect(problems.at(-1)).toContain('the state store cannot be used');
  isOut = false;
  expect((await after(5_000)).has('beamline_approvals_waiting')).toBe(true);
  expect(problems.at(-1)).toBeUndefined();
});

test('a queue that cannot be told takes no other figure along, and it is said why', async () => {
  let failure: string | undefined = 'beamline-gpu: no answer';
  const queues = async () => (failure === undefined ? QUEUES : { ...QUEUES, failure });
  const { page, problems } = open('one', { queues });
  const shown = await page();
  expect([shown.value('beamline_approvals_waiting'), shown.value('beamline_pool_pollers', { pool: 'cpu' })]).toEqual([
    2, 0,
  ]);
  expect(shown.has('beamline_pool_pollers', { pool: 'gpu' })).toBe(false);
  expect(problems.at(-1)).toBe('beamline-gpu: no answer');
  failure = undefined;
  await jest.advanceTimersByTimeAsync(20_000);
  await page();
  expect(problems.at(-1)).toBeUndefined();
});
