import { CancelledFailure, Context, type Info } from '@temporalio/activity';
import { retryable } from '../../activities/block-failure';
import type { StepMiddleware } from '../../activities/step-activities';
import { isFinalFailure } from '../../activities/step-failure';
import type { QuotaHint } from '../../dsl/quota';
import type { StepResult } from '../../dsl/step-request';
import type { Quotas } from '../policy/policy';
import type { StepEnd } from '../usage/usage-rules';
import type { QuotaKeeper } from './quota-keeper';

/** Priority of steps that say nothing (Temporal docs, "Task Queue Priority"). */
const DEFAULT_PRIORITY = 3;

/**
 * Lets a step run only within its tenant's quotas. Where these are used up, the step ends at once with what it has to wait for:
 * nothing of its block was touched, no attempt is spent and its slot is free. Its place is released by {@link stepUsage}.
 */
export function stepQuota(keeper: QuotaKeeper, worker: string): StepMiddleware {
  return async (step, next) => {
    const quotas = keeper.quotasOf(step.tenant);
    const { claim } = step;
    const run = (): Promise<StepResult> => {
      const { memoryMb } = quotas;
      return memoryMb === undefined ? next() : next({ ...step, memoryMb });
    };
    // Who stands in a line takes himself out of it, also where the quota is gone.
    if (!limitsSteps(quotas) && claim?.ticket === undefined) return await run();
    const { info } = Context.current();
    const wait = await keeper.ask({
      tenant: step.tenant,
      kind: 'step',
      ticket: claim?.ticket ?? activityOf(info),
      ...(claim?.since === undefined ? {} : { since: claim.since }),
      lease: attemptOf(info),
      worker,
      namespace: info.namespace,
      flowId: step.flowId,
      priority: claim?.priority ?? DEFAULT_PRIORITY,
    });
    if (wait === undefined) {
      const outcome = await run();
      // As of its end: the policy may have changed meanwhile.
      return { ...outcome, ...hintOf(keeper.quotasOf(step.tenant)) };
    }
    if (claim !== undefined) return { output: null, attempt: step.attempt, waiting: wait, ...hintOf(quotas) };
    throw retryable('BLW_QUOTA_WAIT', `the tenant is over its quota ${wait.reason}`, { retryAfterMs: wait.afterMs });
  };
}

/** Counts what a step used and how it ended, and releases its place, before Temporal hears of the end. */
export function stepUsage(keeper: QuotaKeeper): StepMiddleware {
  return async (step, next, meter) => {
    const { info } = Context.current();
    const settle = async (end: StepEnd | undefined): Promise<void> => {
      const lease = attemptOf(info);
      await keeper.settle({
        tenant: step.tenant,
        id: activityOf(info),
        attempt: info.attempt,
        usage: meter.usage(),
        ...(end === undefined ? {} : { end }),
        ...(keeper.holds(lease) ? { lease } : {}),
      });
    };
    try {
      const outcome = await next();
      if (outcome.waiting === undefined) await settle('completed');
      return outcome;
    } catch (error) {
      const isFailed = !(error instanceof CancelledFailure) && isFinalFailure(error, info);
      await settle(isFailed ? 'failed' : undefined);
      throw error;
    }
  };
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
