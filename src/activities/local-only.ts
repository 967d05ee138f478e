import { Context } from '@temporalio/activity';
import { FlowError } from '../dsl/errors';
import { notRetryable } from './block-failure';
import type { RunPlace } from './ports/gate';
import { toApplicationFailure } from './step-failure';

/** A local activity, with the run that calls it. */
type LocalActivity<Args extends unknown[], R> = (at: RunPlace, ...args: Args) => Promise<R>;

/**
 * A local activity that only the worker's own workflows can call. A worker registers local activities and others alike, so that
 * any workflow of the namespace could schedule one on our task queue, with arguments of its own making. A FlowError becomes a
 * failure as that of a step does.
 */
export function localOnly<Args extends unknown[], R>(activity: LocalActivity<Args, R>): (...args: Args) => Promise<R> {
  return async (...args) => {
    const { isLocal, workflowExecution, activityType } = Context.current().info;
    try {
      if (!isLocal || workflowExecution === undefined) {
        const detail = `${activityType} is the worker's own local activity; no other workflow may schedule it`;
        throw notRetryable('BLW_CALLER_DENIED', detail);
      }
      const { workflowId, runId } = workflowExecution;
      return await activity({ workflowId, runId }, ...args);
    } catch (error) {
      throw error instanceof FlowError ? toApplicationFailure(error, { attempt: 1 }) : error;
    }
  };
}
