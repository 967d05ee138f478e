import { CancelledFailure } from '@temporalio/activity';
import type { StepMiddleware } from '../../activities/step-activities';
import type { PoolName } from '../../dsl/block-spec';
import { FlowError } from '../../dsl/errors';
import { OTHER } from './metric-family';
import { isDenial } from './metric-table';
import type { WorkerMetrics } from './worker-metrics';

/** Counts every attempt of a step: how it ended, how long it ran, how long it waited for a slot. `pools` are by task queue. */
export function stepMetrics(metrics: WorkerMetrics, pools: ReadonlyMap<string, PoolName>): StepMiddleware {
  return async ({ blockType, attempt }, next, { info }) => {
    const startedAt = performance.now();
    const { taskQueue, currentAttemptScheduledTimestampMs: scheduledAt } = info;
    // Clocks of two machines: it may seem to have begun before.
    const waitedMs = Math.max(0, Date.now() - scheduledAt);
    metrics.worker_task_schedule_to_start_ms.of(pools.get(taskQueue) ?? OTHER).observe(waitedMs);
    const end = (status: string): void => {
      metrics.worker_tasks_total.of(blockType, status).inc();
      metrics.worker_task_latency_ms.of(blockType).observe(performance.now() - startedAt);
      if (attempt > 1) metrics.worker_task_retries_total.of(blockType).inc();
    };
    try {
      const outcome = await next();
      if (outcome.waiting === undefined) end('completed');
      else metrics.worker_tasks_total.of(blockType, 'waiting').inc();
      return outcome;
    } catch (error) {
      end(error instanceof CancelledFailure ? 'cancelled' : 'failed');
      if (!(error instanceof CancelledFailure)) countFailure(metrics, blockType, error);
      throw error;
    }
  };
}

function countFailure(metrics: WorkerMetrics, blockType: string, error: unknown): void {
  // What is no FlowError reaches the flow under this code (step-failure.ts).
  const code = error instanceof FlowError ? error.data.code : 'BLW_BLOCK_FAILED';
  metrics.worker_task_failures_total.of(blockType, code ?? OTHER).inc();
  if (isDenial(code)) metrics.beamline_scope_denials_total.of(code).inc();
}
