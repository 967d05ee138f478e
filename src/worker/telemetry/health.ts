import { runsFlows } from '../../dsl/block-spec';
import { PACKAGE_VERSION } from '../package-files';
import type { Pool } from '../pools';
import type { TenantLoad } from '../quota/tenant-load';
import type { Conditions } from './conditions';
import type { PartWatch } from './part-watch';
import type { QueueSurvey } from './queue-survey';
import type { Answer } from './telemetry-server';

/** What there is to look at once a worker has its pools. */
export interface HealthSources {
  readonly pools: readonly (Pick<Pool, 'resources' | 'taskQueue' | 'slots'> & {
    readonly worker: Pick<Pool['worker'], 'getState' | 'getStatus'>;
  })[];
  readonly queues: Pick<QueueSurvey, 'read'>;
  readonly watch: Pick<PartWatch, 'problemOf'>;
  /** Of the tenants that the policy names. Throws where the state store does not answer. */
  readonly readLoad: () => Promise<readonly TenantLoad[]>;
}

/** How long what the state store said of tenants is said again. */
const FRESH_MS = 5_000;

const OK = 'ok';

/** Answers whether a worker lives, whether it takes steps, and what it does: for probes and for people. */
export class Health {
  readonly #startedAt = new Date();
  #beginning: string | undefined = 'the worker reads its settings';
  #sources: HealthSources | undefined;
  #isDraining = false;
  #tenants: { readonly overQuota: Promise<readonly object[]>; readonly until: number } | undefined;

  constructor(
    private readonly worker: {
      readonly id: string;
      readonly address: string;
      readonly namespace: string;
      readonly conditions: Conditions;
    },
  ) {}

  /** Says what the worker does before it takes steps, for people. */
  begins(what: string): void {
    this.#beginning = what;
  }

  /** The worker has its pools. */
  serve(sources: HealthSources): void {
    this.#sources = sources;
    this.#beginning = undefined;
  }

  /** The worker takes no more work. */
  drain(): void {
    this.#isDraining = true;
  }

  /** Status 200 as long as the process can answer and no pool has failed: one that fails takes the worker down. */
  live(): Answer {
    const failed = this.#pools().filter(({ worker }) => worker.getState() === 'FAILED');
    const pools = failed.length === 0 ? OK : `failed: ${failed.map(({ resources }) => resources).join(', ')}`;
    return answer({ alive: failed.length === 0, checks: { pools } }, failed.length === 0);
  }

  /** Status 200 where the worker takes steps of all its pools and has what they need. */
  ready(): Answer {
    const checks = this.#checks();
    const isReady = Object.values(checks).every((check) => check === OK);
    return answer({ ready: isReady, checks }, isReady);
  }

  async status(): Promise<Answer> {
    const { id, address, namespace, conditions } = this.worker;
    const [queues, overQuota] = await Promise.all([this.#sources?.queues.read(), this.#overQuota()]);
    const pools = this.#pools().map((pool) => {
      const { depth = null, ageSeconds = null } = queues?.pools.get(pool.resources) ?? {};
      return {
        resources: pool.resources,
        task_queue: pool.taskQueue,
        slots: pool.slots,
        used: pool.worker.getStatus().numInFlightNonLocalActivities,
        polling: isPolling(pool),
        queue_depth: depth,
        queue_age_seconds: ageSeconds,
      };
    });
    return answer({
      version: PACKAGE_VERSION,
      worker_id: id,
      started_at: this.#startedAt.toISOString(),
      ...(this.#beginning === undefined ? {} : { starting: this.#beginning }),
      draining: this.#isDraining,
      namespace,
      temporal: { reachable: this.#sources !== undefined && this.#problemOf('temporal') === undefined, address },
      pools,
      degraded: conditions.list().map(({ part, since, message }) => ({ part, since: iso(since), message })),
      tenants_over_quota: overQuota,
    });
  }

  #checks(): Readonly<Record<string, string>> {
    const { conditions } = this.worker;
    if (this.#isDraining) return { worker: 'draining: it takes no more steps' };
    if (this.#beginning !== undefined) return { worker: `starting: ${this.#beginning}` };
    const idle = this.#pools().filter((pool) => !isPolling(pool));
    return {
      worker: OK,
      temporal: this.#problemOf('temporal') ?? OK,
      pools: idle.length === 0 ? OK : `not polling: ${idle.map(({ resources }) => resources).join(', ')}`,
      state_store: conditions.find('state_store')?.message ?? OK,
      blob_store: this.#problemOf('blob_store') ?? OK,
    };
  }

  #pools(): HealthSources['pools'] {
    return this.#sources?.pools ?? [];
  }

  #problemOf(part: 'temporal' | 'blob_store'): string | undefined {
    return this.#sources?.watch.problemOf(part);
  }

  /** Null where the state store does not say. */
  async #overQuota(): Promise<readonly object[] | null> {
    if (this.#sources === undefined) return null;
    const now = performance.now();
    if (this.#tenants === undefined || now > this.#tenants.until) {
      const overQuota = this.#sources.readLoad().then(usedUp);
      this.#tenants = { overQuota, until: now + FRESH_MS };
    }
    return await this.#tenants.overQuota.catch(() => null);
  }
}

function usedUp(load: readonly TenantLoad[]): readonly object[] {
  return load.flatMap(({ tenant, quotas }) =>
    [...quotas].flatMap(([quota, isUsedUp]) => (isUsedUp ? [{ tenant, quota }] : [])),
  );
}

/** Flows are polled for on the queues that have some. */
function isPolling({ resources, worker }: HealthSources['pools'][number]): boolean {
  const { runState, workflowPollerState, activityPollerState } = worker.getStatus();
  const isForFlows = !runsFlows(resources) || workflowPollerState === 'POLLING';
  return runState === 'RUNNING' && activityPollerState === 'POLLING' && isForFlows;
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function answer(body: object, isGood = true): Answer {
  return {
    status: isGood ? 200 : 503,
    contentType: 'application/json; charset=utf-8',
    body: `${JSON.stringify(body)}\n`,
  };
}
