import { divideBy, maxOf, type Observed, quantileOf, ratePerSecond, samplesOf, sumOf } from './series';
import type { QueueReading, TemporalReading } from './temporal-reading';
import type { WorkerReading } from './worker-reading';

/** All that was read at a moment, in ms since 1970. */
export interface TopSample {
  readonly at: number;
  /** The newest that there is. */
  readonly temporal: TemporalReading;
  /** Temporal does not answer any more. */
  readonly lost?: { readonly since: number; readonly reason: string };
  readonly workers: readonly WorkerReading[];
}

/** A pool. What only the workers' metrics know is absent where there are none. */
export interface PoolView {
  readonly pool: string;
  readonly taskQueue: string;
  readonly workers: number;
  readonly slotsUsed?: number;
  readonly slots?: number;
  readonly queueDepth: number;
  readonly queueAgeSeconds: number;
  readonly addedPerSecond: number;
  readonly dispatchedPerSecond: number;
  /** From scheduled to begun, since the sample before. */
  readonly startP95Ms?: number;
}

/** Steps of a block type. Rates and latencies since the sample before; absent where there is none, or nothing ran. */
export interface StepView {
  readonly type: string;
  readonly perSecond?: number;
  readonly failedPerSecond?: number;
  readonly retriedPerSecond?: number;
  readonly p50Ms?: number;
  readonly p95Ms?: number;
  /** Attempts since the workers began. */
  readonly ended: number;
}

export interface TenantView {
  readonly tenant: string;
  /** Absent where the tenant has no quota for which they are counted. */
  readonly running?: number;
  /** Absent where no worker knows it just now, as while the state store is away. */
  readonly waiting?: number;
  readonly overQuota: readonly string[];
}

/** Something that waits for people. */
export interface WaitingView {
  readonly waiting: number;
  readonly oldestSeconds?: number;
  /** The oldest has waited longer than that. */
  readonly isOlder?: true;
}

export interface DegradedView {
  readonly part: string;
  /** How many of the workers do without it. */
  readonly workers: number;
  readonly since?: string;
  readonly message?: string;
}

/** What the metrics of all workers say of their machines. */
export interface ProcessesView {
  readonly seen: number;
  readonly draining: number;
  /** Processors in use, since the sample before. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
  readonly flowsCached?: number;
}

/** A frame of `beamline top`, as `--json` prints it. */
export interface TopView {
  readonly at: string;
  readonly pools: readonly PoolView[];
  readonly processes?: ProcessesView;
  readonly steps: readonly StepView[];
  readonly tenants: readonly TenantView[];
  readonly flows: { readonly open: TemporalReading['open']; readonly endedLastHour: TemporalReading['ended'] };
  readonly approvals: WaitingView;
  /** `flows`: those, and batches of their loops, that have some. */
  readonly deadLetters: { readonly flows: number; readonly oldestSeconds?: number };
  readonly degraded: readonly DegradedView[];
  /** Why something of this is not known. */
  readonly notes: readonly string[];
}

/** Tells how to get what only metrics have. */
const NO_METRICS =
  'no worker shows metrics here, so no slots, rates, latencies and tenants: start workers with --prometheus-endpoint, and name each with --metrics HOST:PORT';

type Reading = Extract<WorkerReading, { page: unknown }>;

/** Makes a frame of two samples; without the one before there are no rates. */
export function topView(before: TopSample | undefined, now: TopSample): TopView {
  const { at, temporal } = now;
  const readings = now.workers.filter((reading) => 'page' in reading);
  const observed = readings.map((reading) => observe(reading, before));
  return {
    at: new Date(at).toISOString(),
    pools: temporal.queues.map((queue) => poolOf(queue, observed)),
    ...(readings.length === 0 ? {} : { processes: processesOf(readings, observed) }),
    steps: stepsOf(observed),
    tenants: tenantsOf(readings, observed),
    flows: { open: temporal.open, endedLastHour: temporal.ended },
    approvals: approvalsOf(now),
    deadLetters: { flows: temporal.deadLetterFlows, ...present({ oldestSeconds: oldestLetterOf(now, observed) }) },
    degraded: degradedOf(readings),
    notes: notesOf(now, readings),
  };
}

function observe(now: Reading, before: TopSample | undefined): Observed {
  const earlier = before?.workers.find((reading) => reading.endpoint.url === now.endpoint.url);
  return { now, ...(earlier !== undefined && 'page' in earlier ? { before: earlier } : {}) };
}

function poolOf(queue: QueueReading, observed: readonly Observed[]): PoolView {
  const { pool, taskQueue, pollers, depth, ageSeconds, addRate, dispatchRate } = queue;
  const [used, free] = ['used', 'free'].map((state) => sumOf(observed, 'worker_pool_slots', { pool, state }));
  const startP95Ms = quantileOf(observed, {
    name: 'worker_task_schedule_to_start_ms',
    labels: { pool },
    quantile: 0.95,
  });
  return {
    pool,
    taskQueue,
    workers: pollers.length,
    ...(used === undefined || free === undefined ? {} : { slotsUsed: used, slots: used + free }),
    queueDepth: depth,
    queueAgeSeconds: ageSeconds,
    addedPerSecond: addRate,
    dispatchedPerSecond: dispatchRate,
    ...(startP95Ms === undefined ? {} : { startP95Ms }),
  };
}

function processesOf(readings: readonly Reading[], observed: readonly Observed[]): ProcessesView {
  const cpuMs = ratePerSecond(observed, 'worker_resource_usage', { resource: 'cpu_time_ms' });
  return {
    seen: readings.length,
    draining: readings.filter(({ status }) => status?.isDraining === true).length,
    ...present({
      cpus: cpuMs === undefined ? undefined : cpuMs / 1_000,
      memoryBytes: sumOf(observed, 'worker_resource_usage', { resource: 'memory_bytes' }),
      flowsCached: sumOf(observed, 'worker_flows_cached'),
    }),
  };
}

/** The busiest first. */
function stepsOf(observed: readonly Observed[]): readonly StepView[] {
  const [tasks, retries, latency] = [
    'worker_tasks_total',
    'worker_task_retries_total',
    'worker_task_latency_ms',
  ] as const;
  const byType = divideBy(observed, [tasks, retries, `${latency}_bucket`], 'type');
  const steps = [...byType].map(([type, mine]) => {
    const rateOf = (status: string) => ratePerSecond(mine, tasks, { status });
    const ended = ['completed', 'failed', 'cancelled'];
    const rates = ended.map(rateOf).filter((rate) => rate !== undefined);
    return {
      type,
      ended: ended.reduce((sum, status) => sum + (sumOf(mine, tasks, { status }) ?? 0), 0),
      ...present({
        perSecond: rates.length === 0 ? undefined : rates.reduce((sum, rate) => sum + rate, 0),
        failedPerSecond: rateOf('failed'),
        retriedPerSecond: ratePerSecond(mine, retries),
        p50Ms: quantileOf(mine, { name: latency, quantile: 0.5 }),
        p95Ms: quantileOf(mine, { name: latency, quantile: 0.95 }),
      }),
    };
  });
  // Workers show every block from the start.
  const used = steps.filter(({ ended }) => ended > 0);
  return used.sort((a, b) => (b.perSecond ?? 0) - (a.perSecond ?? 0) || b.ended - a.ended);
}

/** Those over a quota first, then those that wait most. */
function tenantsOf(readings: readonly Reading[], observed: readonly Observed[]): readonly TenantView[] {
  const [running, waiting, over] = ['steps_running', 'steps_waiting', 'over_quota'].map(
    (name) => `beamline_tenant_${name}`,
  ) as [string, string, string];
  const byTenant = divideBy(observed, [running, waiting, over], 'tenant');
  const said = new Map<string, string[]>();
  for (const { tenant, quota } of readings.flatMap(({ status }) => status?.overQuota ?? []))
    said.set(tenant, [...(said.get(tenant) ?? []), quota]);
  const tenants = [...new Set([...byTenant.keys(), ...said.keys()])].map((tenant) => {
    const mine = byTenant.get(tenant) ?? [];
    const quotas = mine
      .flatMap(({ now }) => samplesOf(now.page, over))
      .flatMap(({ labels: { quota }, value }) => (value === 1 && quota !== undefined ? [quota] : []));
    return {
      tenant,
      ...present({ running: maxOf(mine, running), waiting: maxOf(mine, waiting) }),
      overQuota: [...new Set([...quotas, ...(said.get(tenant) ?? [])])],
    };
  });
  return tenants.sort(
    (a, b) =>
      b.overQuota.length - a.overQuota.length ||
      (b.waiting ?? 0) - (a.waiting ?? 0) ||
      (b.running ?? 0) - (a.running ?? 0),
  );
}

function approvalsOf({ at, temporal }: TopSample): WaitingView {
  const { waiting, oldestSince, isOlder } = temporal.approvals;
  if (oldestSince === undefined) return { waiting };
  const oldestSeconds = Math.max(0, at - oldestSince) / 1_000;
  return { waiting, oldestSeconds, ...(isOlder === true ? { isOlder } : {}) };
}

/** Temporal's lists do not say since when they stand still; a worker that has the duty does. */
function oldestLetterOf({ temporal }: TopSample, observed: readonly Observed[]): number | undefined {
  return temporal.deadLetterFlows === 0
    ? undefined
    : maxOf(observed, 'beamline_dead_letter_oldest_seconds') || undefined;
}

function degradedOf(readings: readonly Reading[]): readonly DegradedView[] {
  const found = new Map<string, DegradedView>();
  for (const { page, status } of readings) {
    const parts = (page.get('worker_degraded') ?? []).filter(({ value }) => value === 1);
    const names = new Set([
      ...parts.flatMap(({ labels: { part } }) => part ?? []),
      ...(status?.degraded ?? []).map(({ part }) => part),
    ]);
    for (const part of names) {
      const why = status?.degraded.find((one) => one.part === part);
      found.set(part, { part, workers: 0, ...why, ...found.get(part) });
    }
    for (const part of names) {
      const known = found.get(part);
      if (known !== undefined) found.set(part, { ...known, workers: known.workers + 1 });
    }
  }
  return [...found.values()];
}

function notesOf({ lost, workers, temporal }: TopSample, readings: readonly Reading[]): string[] {
  const lines =
    lost === undefined ? [] : [`since ${timeOf(lost.since)} ${lost.reason}; what is shown of it is of then`];
  for (const reading of workers) {
    if ('problem' in reading && reading.endpoint.isNamed) lines.push(`${reading.endpoint.name} ${reading.problem}`);
  }
  const polling = new Set(temporal.queues.flatMap((queue) => queue.pollers)).size;
  if (readings.length === 0) lines.push(NO_METRICS);
  else if (readings.length < polling) {
    // Whom somebody named is not missing for want of a name.
    const isNamed = workers.filter(({ endpoint }) => endpoint.isNamed).length >= polling;
    const ask = isNamed ? '' : '; name the others with --metrics';
    lines.push(
      `metrics of ${readings.length} of ${polling} workers: slots, rates and latencies are of these${tenantsNote(readings)}${ask}`,
    );
  }
  return lines;
}

/** One worker at a time shows them, and which one nobody chooses. */
function tenantsNote(readings: readonly Reading[]): string {
  const isShown = readings.some(({ page }) => page.has('beamline_tenant_steps_waiting'));
  return isShown ? '' : '; figures of tenants, if there are any, another worker shows';
}

function timeOf(at: number): string {
  return `${new Date(at).toISOString().slice(11, 19)}Z`;
}

type Present<T> = { readonly [K in keyof T]?: Exclude<T[K], undefined> };

function present<T extends Readonly<Record<string, number | undefined>>>(values: T): Present<T> {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Present<T>;
}
