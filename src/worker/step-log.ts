import { CancelledFailure } from '@temporalio/common';
import { stackFrames } from '../activities/stack-frames';
import type { StepMiddleware } from '../activities/step-activities';
import { FlowError } from '../dsl/errors';
import type { LogFields, Logger } from './logger';

/** Writes one line for every attempt of a step: what, how long, how it ended. Never what it was given or gave. */
export function stepLog(logger: Logger): StepMiddleware {
  return async (step, next) => {
    const startedAt = performance.now();
    const fields = (status: string) => ({
      block_type: step.blockType,
      status,
      latency_ms: Math.round(performance.now() - startedAt),
      tenant_id: step.tenant,
      flow_id: step.flowId,
      step_id: step.stepId,
      run_id: step.runId,
      attempt: step.attempt,
      ...(step.local === undefined ? {} : { dispatch: 'local' }),
      ...(step.dryRun === undefined ? {} : { dry_run: true }),
      ...(step.trace === undefined ? {} : { trace_id: step.trace.id, span_id: step.trace.span }),
    });
    try {
      const outcome = await next();
      if (outcome.waiting !== undefined) {
        logger.log('debug', 'step waits', { ...fields('waiting'), reason: outcome.waiting.reason });
        return outcome;
      }
      const cached = outcome.cached === true ? { cached: true } : {};
      logger.log('info', 'step completed', { ...fields('completed'), ...cached });
      return outcome;
    } catch (error) {
      logger.log('warn', 'step failed', { ...fields('failed'), ...causeFields(error) });
      throw error;
    }
  };
}

/** The code; of what has none, a defect, the place in our code. */
function causeFields(error: unknown): LogFields {
  if (error instanceof FlowError) return error.data.code === undefined ? {} : { error_code: error.data.code };
  const stack = error instanceof Error && !(error instanceof CancelledFailure) ? stackFrames(error) : undefined;
  return stack === undefined ? {} : { stack };
}
