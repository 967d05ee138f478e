import { CancelledFailure, type Info } from '@temporalio/activity';
import type { StepIdentity } from '../../activities/block';
import { retryable } from '../../activities/block-failure';
import { endsInPlace } from '../../activities/in-place/local-end';
import type { RunningAttempt, StepMiddleware } from '../../activities/step-activities';
import { isFinalFailure, toApplicationFailure } from '../../activities/step-failure';
import { FlowError } from '../../dsl/errors';
import { isJsonObject } from '../../dsl/json';
import type { LocalAttempt } from '../../dsl/local-step';
import type { QuotaClaim, QuotaHint, QuotaWait } from '../../dsl/quota';
import type { StepResult } from '../../dsl/step-request';
import type { Quotas } from '../policy/policy';
import type { StepEnd } from '../usage/usage-rules';
import type { QuotaKeeper } from './quota-keeper';
import type { Settlement } from './settle-rules';
import { settleNowOrTogether } from './settle-together';
import type { Asker } from './tickets';

/** Priority of steps that say nothing (Temporal docs, "Task Queue Priority"). */
const DEFAULT_PRIORITY = 3;

/**
 * Lets a step run only within its tenant's quotas. Where these are used up, the step ends at once with what it has to wait for:
 * nothing of its block was touched, no attempt is spent and its slot is free. Its place is released by {@link stepUsage}.
 */
export function stepQuota(keeper: QuotaKeeper, worker: string): StepMiddleware {
  return (step, next, { info }) => {
    const quotas = keeper.quotasOf(step.tenant);
    const asker = askerOf(step, { info, worker });
    const run = () => runWithin(quotas, { keeper, step, asker }, next);
    // Who stands in a line takes himself out of it, also where the quota is gone.
    const isFree = !limitsSteps(quotas) && step.claim?.ticket === undefined;
    return isFree ? run() : askAndRun(keeper, { step, asker, quotas }, run);
  };
}

async function askAndRun(
  keeper: QuotaKeeper,
  { step, asker, quotas }: { readonly step: StepIdentity; readonly asker: Asker; readonly quotas: Quotas },
  run: () => Promise<StepResult>,
): Promise<StepResult> {
  const wait = await keeper.ask(asker);
  if (wait === undefined) {
    const outcome = await run();
    // As of its end: the policy may have changed meanwhile.
    return { ...outcome, ...hintOf(keeper.quotasOf(step.tenant)) };
  }
  if (step.claim !== undefined) return { ...waiting(step, wait), ...hintOf(quotas) };
  throw retryable('BLW_QUOTA_WAIT', `the tenant is over its quota ${wait.reason}`, { retryAfterMs: wait.afterMs });
}

async function runWithin(
  { memoryMb }: Quotas,
  { keeper, step, asker }: { readonly keeper: QuotaKeeper; readonly step: StepIdentity; readonly asker: Asker },
  next: Parameters<StepMiddleware>[1],
): Promise<StepResult> {
  try {
    return await (memoryMb === undefined ? next() : next({ ...step, memoryMb }));
  } catch (error) {
    const needs = neededSpace(error);
    if (needs === undefined || step.claim === undefined) throw error;
    return waiting(step, await keeper.awaitSpace(asker, needs));
  }
}

function waiting({ attempt }: StepIdentity, wait: QuotaWait): StepResult {
  return { output: null, attempt, waiting: wait };
}

function askerOf(
  { tenant, claim, flowId }: StepIdentity,
  { info, worker }: { readonly info: Info; readonly worker: string },
): Asker {
  const { ticket, since, priority } = readClaim(claim);
  return {
    tenant,
    kind: 'step',
    ticket: ticket ?? activityOf(info),
    ...(since === undefined ? {} : { since }),
    lease: attemptOf(info),
    worker,
    namespace: info.namespace,
    flowId,
    priority: priority ?? DEFAULT_PRIORITY,
  };
}

/** Whoever reaches Temporal can send a claim of his own making: what is not one counts as none, and moves only his own tenant's line. */
function readClaim({ ticket, since, priority }: QuotaClaim = {}): Pick<QuotaClaim, 'ticket' | 'since' | 'priority'> {
  return {
    ...(typeof ticket === 'string' && /^[\w:-]{1,200}$/.test(ticket) ? { ticket } : {}),
    ...(Number.isSafeInteger(since) ? { since } : {}),
    ...(Number.isInteger(priority) && Number(priority) >= 1 && Number(priority) <= 5 ? { priority } : {}),
  };
}

/** Bytes for which a block found no room in its tenant's blobs. */
function neededSpace(error: unknown): number | undefined {
  if (!(error instanceof FlowError) || error.data.code !== 'BLW_QUOTA_WAIT') return undefined;
  const { data } = error.data;
  return isJsonObject(data) && typeof data.bytes === 'number' ? data.bytes : undefined;
}

/** Counts what a step used and how it ended, and releases its place, before Temporal hears of the end. */
export function stepUsage(keeper: QuotaKeeper): StepMiddleware {
  return async (step, next, running) => {
    const { info, group } = running;
    const begunAt = performance.now();
    const settle = (end: StepEnd | undefined): Promise<void> => {
      const settlement = { ...settlementOf(keeper, step, running), ...(end === undefined ? {} : { end }) };
      return settleNowOrTogether(keeper, settlement, group);
    };
    try {
      const outcome = await next();
      await settle(outcome.waiting === undefined ? 'completed' : 'none');
      return outcome;
    } catch (error) {
      await settle(endOf(error, { info, local: step.local, tookMs: Math.ceil(performance.now() - begunAt) }));
      throw error;
    }
  };
}

/** Releases the place of a step of a dry run, which is not counted itself: only what a script that really ran has used. */
export function stepRelease(keeper: QuotaKeeper): StepMiddleware {
  return async (step, next, running) => {
    try {
      return await next();
    } finally {
      await keeper.settle(settlementOf(keeper, step, running));
    }
  };
}

/** What the store is told of an attempt that has ended, but for how. */
function settlementOf(keeper: QuotaKeeper, { tenant }: StepIdentity, { info, meter }: RunningAttempt): Settlement {
  const lease = attemptOf(info);
  return {
    tenant,
    id: activityOf(info),
    attempt: info.attempt,
    usage: meter.usage(),
    ...(keeper.holds(lease) ? { lease } : {}),
  };
}

/** Undefined where another attempt follows. */
function endOf(
  error: unknown,
  { info, local, tookMs }: { info: Info; local: LocalAttempt | undefined; tookMs: number },
): StepEnd | undefined {
  if (error instanceof CancelledFailure) return 'none';
  const isFinal =
    local === undefined
      ? isFinalFailure(error, info)
      : endsInPlace({ failure: toApplicationFailure(error, {}), local, info, tookMs });
  return isFinal ? 'failed' : undefined;
}

function limitsSteps({ concurrentSteps, stepsPerSecond, cpuTime }: Quotas): boolean {
  return concurrentSteps !== undefined || stepsPerSecond !== undefined || cpuTime !== undefined;
}

function hintOf({ concurrentSteps }: Quotas): { quota?: QuotaHint } {
  return concurrentSteps === undefined ? {} : { quota: { concurrentSteps } };
}

/** Tells an activity from all others, over all its attempts. */
function activityOf({ workflowExecution, activityId }: Info): string {
  return `${workflowExecution?.runId}:${activityId}`;
}

function attemptOf(info: Info): string {
  return `${activityOf(info)}:${info.attempt}`;
}
