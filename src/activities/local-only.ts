import { Context } from '@temporalio/activity';
import { FlowError } from '../dsl/errors';
import { notRetryable } from './block-failure';
import type { RunPlace } from './ports/gate';
import { toApplicationFailure } from './step-failure';

/** The call of a local activity: the run that makes it, and what it is in there. */
export interface LocalCall extends RunPlace {
  readonly namespace: string;
  /** Local activities have numbers of their own. */
  readonly activityId: string;
}

/** A local activity, with the call of it. */
type LocalActivity<Args extends unknown[], R> = (at: LocalCall, ...args: Args) => Promise<R>;

/**
 * A local activity that only the worker's own workflows can call. A worker registers local activities and others alike, so that
 * any workflow of the namespace could schedule one on our task queue, with arguments of its own making. A FlowError becomes a
 * failure as that of a step does.
 */
export function localOnly<Args extends unknown[], R>(activity: LocalActivity<Args, R>): (...args: Args) => Promise<R> {
  return async (...args) => {
    const { isLocal, workflowExecution, activityType, namespace, activityId } = Context.current().info;
    try {
      if (!isLocal || workflowExecution === undefined) {
        const detail = `${activityType} is the worker's own local activity; no other workflow may schedule it`;
        throw notRetryable('BLW_CALLER_DENIED', detail);
      }
      const { workflowId, runId } = workflowExecution;
      return await activity({ workflowId, runId, namespace, activityId }, ...args);
    } catch (error) {
      throw error instanceof FlowError ? toApplicationFailure(error, { attempt: 1 }) : error;
    }
  };
}
