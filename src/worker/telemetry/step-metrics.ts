import { CancelledFailure } from '@temporalio/common';
import type { StepMiddleware } from '../../activities/step-activities';
import type { WorkerMetrics } from './worker-metrics';

/** Counts every attempt of a step and how long it ran. */
export function stepMetrics({ tasks, taskLatency }: WorkerMetrics): StepMiddleware {
  return async ({ blockType: type }, next) => {
    const startedAt = performance.now();
    const end = (status: string) => {
      tasks.inc({ type, status });
      if (status !== 'waiting') taskLatency.observe({ type }, performance.now() - startedAt);
    };
    try {
      const outcome = await next();
      end(outcome.waiting === undefined ? 'completed' : 'waiting');
      return outcome;
    } catch (error) {
      end(error instanceof CancelledFailure ? 'cancelled' : 'failed');
      throw error;
    }
  };
}
