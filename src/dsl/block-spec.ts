import type { ErrorCode } from './error-codes';
import type { JsonObject } from './json';

/** Where a step runs: one task queue and one pool of slots each. */
export type ResourceClass = 'io' | 'cpu' | 'gpu';

export const RESOURCE_CLASSES: readonly ResourceClass[] = ['io', 'cpu', 'gpu'];

/** What a worker serves: the pool of a resource class, or the sandbox, where flows are tried and nothing is reached. */
export type PoolName = ResourceClass | 'sandbox';

export const POOL_NAMES: readonly PoolName[] = [...RESOURCE_CLASSES, 'sandbox'];

/** True for a pool whose queue has flows too, and not only their steps. */
export function runsFlows(pool: PoolName): boolean {
  return pool === 'io' || pool === 'sandbox';
}

/** Temporal's retry policy, in its own words; intervals in milliseconds. */
export interface RetryPolicySpec {
  readonly initialIntervalMs: number;
  readonly backoffCoefficient: number;
  readonly maximumIntervalMs: number;
  /** Total attempts, the first included; 1 is no retry. */
  readonly maximumAttempts: number;
  readonly nonRetryableErrorTypes?: readonly string[];
}

/**
 * All that is known of a block without running it. Workflow, activities, command line and documentation
 * read the same spec; only activities see the block's executor.
 */
export interface BlockSpec {
  /** The name under `call:`. */
  readonly call: string;
  /** The block's type as metrics, traces, `progress` and Temporal's activity type show it, e.g. `http.request`. */
  readonly type: string;
  /** `activity`: a Temporal activity; `human`: a child workflow that awaits a decision. */
  readonly kind: 'activity' | 'human';
  /** One line for tables. */
  readonly summary: string;
  /** Markdown: behaviour, limits, what is promised. */
  readonly description: string;
  /** JSON Schema (draft 2020-12, no $ref, no combinators) of `with`. */
  readonly arguments: JsonObject;
  /** JSON Schema of the output. */
  readonly output: JsonObject;
  readonly resources: ResourceClass;
  /** Limit of one attempt. */
  readonly startToCloseMs: number;
  /** Longest silence of a running attempt before it counts as lost; the worker reports by itself. 0 for human blocks. */
  readonly heartbeatMs: number;
  readonly retry: RetryPolicySpec;
  /** True where doing it twice leaves what doing it once leaves. */
  readonly idempotent: boolean;
  /** Codes that the block fails with, beside the general ones. */
  readonly errors: readonly ErrorCode[];
  /** A step that shows the block, as YAML text of one task. */
  readonly example: string;
  /**
   * Arguments whose values make the one line that Temporal's UI shows for the step, as dotted paths under `with`,
   * e.g. `['method', 'endpoint.uri']`. Never one that may hold a secret.
   */
  readonly summaryArguments: readonly string[];
}

/** What blocks do unless they say otherwise: 1 s, doubling, at most 30 s apart, 5 attempts. */
export const DEFAULT_RETRY: RetryPolicySpec = {
  initialIntervalMs: 1_000,
  backoffCoefficient: 2,
  maximumIntervalMs: 30_000,
  maximumAttempts: 5,
};

/** Silence after which an attempt counts as lost: a stalled worker is given time, an ended one is not waited for long. */
export const DEFAULT_HEARTBEAT_MS = 30_000;
