import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import { messageOf } from '../../dsl/errors';
import type { JsonObject } from '../../dsl/json';
import type { EventStrategyPlan, ListenPlan } from '../../dsl/planning/plan';
import { type Routine, waitFor } from '../drive';
import { eventActivities } from '../events/event-activities';
import type { Listener } from '../events/event-inbox';
import { Listening } from '../events/listening';
import { toFlowError } from '../failures';
import type { FlowRun } from '../flow-run';
import { type ListenCursor, Suspension } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';

/**
 * Consumes events as the strategy says; the output is the list of what was consumed, in its order (OWS dsl-reference,
 * "Listen"). Events come from the tenant's event bus, to which the step is subscribed while it runs, and from whoever sends
 * them to the flow itself.
 */
export function* executeListen(task: ListenPlan, frame: TaskFrame): Routine<TaskResult> {
  const { run, step } = frame;
  const from = frame.from as ListenCursor | undefined;
  const listener =
    from === undefined ? run.inbox.open(task.path, literalFilters(task.to)) : run.inbox.reopen(from.listener);
  let isSuspended = false;
  try {
    if (from === undefined) yield* subscribe(run, listener);
    step.update({ status: 'listening' });
    return yield* new Listening(task, frame, listener).run();
  } catch (error) {
    isSuspended = error instanceof Suspension;
    throw error;
  } finally {
    if (!isSuspended) yield* endListening(run, listener);
  }
}

/** Literal attributes of every filter of a strategy, also of the one that ends it; `any` without filters takes all. */
export function literalFilters({ filters, until }: EventStrategyPlan): JsonObject[] {
  const own = filters.length === 0 ? [{}] : filters.map(({ literal }) => literal);
  return until !== undefined && 'consumed' in until ? [...own, ...literalFilters(until.consumed)] : own;
}

/** Never cancelled halfway: what may be subscribed has to be unsubscribed after it, not before. */
function* subscribe({ tenant, taskQueue, proof, locals }: FlowRun, { id, filters }: Listener): Routine<void> {
  const request = { tenant, taskQueue, subscription: { id, flowId: workflowInfo().workflowId, filters }, ...proof };
  try {
    yield* waitFor(
      CancellationScope.nonCancellable(() =>
        locals.onRecord((asked) => eventActivities.subscribeEvents({ ...request, ...asked })),
      ),
    );
  } catch (error) {
    throw toFlowError(error);
  }
}

/** To be called once for every listener, unless the step goes on in the next run of the flow. */
export function* endListening(
  { tenant, taskQueue, inbox, progress, proof, locals }: FlowRun,
  listener: Listener,
): Routine<void> {
  inbox.close(listener);
  const request = { tenant, taskQueue, id: listener.id, flowId: workflowInfo().workflowId, ...proof };
  try {
    yield* waitFor(
      CancellationScope.nonCancellable(() =>
        locals.onRecord((asked) => eventActivities.unsubscribeEvents({ ...request, ...asked })),
      ),
    );
  } catch (error) {
    // The step has ended, whatever its subscription does: events that still come are not wanted by anybody.
    progress.note(`${listener.id} is still subscribed: ${messageOf(error)}`);
  }
}
