import type { DryStep } from './dry-run/dry-run';
import type { BatchValues } from './expressions/batch';
import type { Json, JsonObject } from './json';
import type { Elsewhere, LocalAttempt } from './local-step';
import type { CallPlan } from './planning/plan';
import type { QuotaClaim, QuotaHint, QuotaWait } from './quota';
import type { StepAhead } from './read-ahead/read-ahead';
import type { StepSecrets } from './secrets';
import type { StepTrace } from './trace';

/** Largest value of a flow (input, arguments, output), in bytes of JSON: 100 MiB, by claim check where it is large. */
export const MAX_PAYLOAD_BYTES = 104_857_600;

/**
 * A payload larger than this, 256 KiB, is kept in the payload store; history has a claim of some 300 bytes instead. Part of
 * what histories replay on, since it decides how many commands go into one workflow task.
 */
export const CLAIM_THRESHOLD_BYTES = 262_144;

/**
 * The limit of flows that were prepared before there were claims (`PreparedFlow.largePayloads` is absent): what such
 * a flow refused then, it has to refuse again when it is replayed.
 */
export const MAX_INLINE_PAYLOAD_BYTES = 1_900_000;

/** Input of a step's activity. */
export interface StepRequest {
  readonly tenant: string;
  /** `namespace/name:version`. */
  readonly flow: string;
  /** JSON Pointer of the step. */
  readonly stepId: string;
  /** Idempotency key: `tenant:workflowId:stepPath:iteration:generation`. */
  readonly key: string;
  /** Names this run of the step, with all its attempts; absent in requests of flows from before. */
  readonly execution?: string;
  /** Doing it twice is harmless: the block's word, or the author's. */
  readonly idempotent: boolean;
  /** Resolved arguments; where they hold a secret, a placeholder stands for it. */
  readonly with: JsonObject;
  /** Secrets that the step's activity puts into the arguments, and no others. */
  readonly secrets?: StepSecrets;
  /** The result may be an earlier one of the same step, not older than this, with the same key or, without one, arguments. */
  readonly cache?: { readonly key?: Json; readonly maxAgeMs: number };
  /** The flow's (docs/identity.md): which tenant's it is, and for whom it runs. */
  readonly grant?: string;
  /** The flow can wait where its tenant is over a quota; absent in requests of flows from before. */
  readonly quota?: QuotaClaim;
  /** Absent: the flow is not traced. */
  readonly trace?: StepTrace;
  /** The step is not to be done but answered, by a worker of the sandbox; absent: it is live. */
  readonly dryRun?: DryStep;
  /** The step is tried in place, as a local activity; absent: it came through its task queue. */
  readonly local?: LocalAttempt;
}

/** Result of a step's activity. */
export interface StepResult {
  readonly output: Json;
  /** Number of the attempt that succeeded, from 1. */
  readonly attempt: number;
  /** The block did not run: the output is that of an earlier time. */
  readonly cached?: true;
  /** Nothing was done, since the tenant is over a quota: ask again. `attempt` is the one that did not run. */
  readonly waiting?: QuotaWait;
  /** Absent: the tenant has no such quota. */
  readonly quota?: QuotaHint;
  /** Only of an attempt in place: the step is to be done through its task queue. */
  readonly elsewhere?: Elsewhere;
  /** Only of an attempt in place: what was read of the steps after it, in their order. */
  readonly ahead?: readonly StepAhead[];
  /** The worker has measured the step to be quick: it may be tried in place. */
  readonly quick?: true;
  /** Id of the worker that ran the step, where that is traced. */
  readonly worker?: string;
}

/** What a step's identity is made of; the run id is not part of it, since it changes on reset and continue-as-new. */
export function idempotencyKey(parts: {
  tenant: string;
  flowId: string;
  stepPath: string;
  iteration: string;
  generation: number;
}): string {
  return `${parts.tenant}:${parts.flowId}:${parts.stepPath}:${parts.iteration || '0'}:${parts.generation}`;
}

/** What `metadata.cache` asks for. A key that comes out as null reuses nothing: data that is not there must not be the same everywhere. */
export function cacheOf({ cache }: CallPlan, { cacheKey: key }: BatchValues): Pick<StepRequest, 'cache'> {
  if (cache === undefined || key === null) return {};
  const { maxAgeMs } = cache;
  return { cache: key === undefined ? { maxAgeMs } : { key, maxAgeMs } };
}

/** The iteration of a loop, or the number of a visit, within another one. */
export function joinIteration(iteration: string, part: string): string {
  return iteration === '' ? part : `${iteration}.${part}`;
}

/** The iteration in an {@link idempotencyKey}; undefined for `0`, which is also that of a step outside of loops. */
export function iterationOf(key: string): string | undefined {
  const iteration = key.split(':').at(-2);
  return iteration === '0' ? undefined : iteration;
}
