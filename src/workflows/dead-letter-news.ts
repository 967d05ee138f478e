import { CancellationScope, workflowInfo } from '@temporalio/workflow';
import type { DeadLetter, Resolution } from '../dsl/dead-letter';
import { type LetterEnd, type LetterPlace, parkedEvent, resolvedEvent } from '../dsl/dead-letter-event';
import { messageOf } from '../dsl/errors';
import type { CloudEvent } from '../dsl/events/cloud-event';
import { type Routine, waitFor } from './drive';
import { eventActivities } from './events/event-activities';
import { tellNews } from './flow-news';
import type { FlowRun } from './flow-run';

/** Tells the log of a new dead letter, and others; undefined where no others are told. What it gives never rejects. */
export function tellParked(run: FlowRun, letter: DeadLetter): Promise<void> | undefined {
  const { id, step, block, failedAt, error } = letter;
  tellNews({
    status: 'deadLettered',
    tenant: run.tenant,
    flow: run.plan.flow,
    letter: { id, step, block, failedAt },
    ...(typeof error.code === 'string' ? { code: error.code } : {}),
  });
  return run.prepared.publishesDeadLetters === true ? tell(run, parkedEvent(placeOf(run), letter)) : undefined;
}

/** Tells others what has become of a dead letter. */
export function* tellResolved(run: FlowRun, letter: DeadLetter, { action, by, comment }: Resolution): Routine<void> {
  yield* tellEnd(run, letter, {
    action,
    ...(by === undefined ? {} : { by }),
    ...(comment === undefined ? {} : { comment }),
  });
}

/** Tells others that nobody is asked any more: the flow was cancelled, or what the step is part of. */
export function* tellCancelled(run: FlowRun, letter: DeadLetter): Routine<void> {
  yield* tellEnd(run, letter, { action: 'cancelled' });
}

function* tellEnd(run: FlowRun, letter: DeadLetter, end: Omit<LetterEnd, 'at'>): Routine<void> {
  if (run.prepared.publishesDeadLetters !== true) return;
  yield* waitFor(tell(run, resolvedEvent(placeOf(run), letter, { ...end, at: Date.now() })));
}

/** Short: it is only written down what NATS is to get. A flow that is cancelled tells as well. */
async function tell({ tenant, taskQueue, proof, progress, locals }: FlowRun, event: CloudEvent): Promise<void> {
  try {
    await CancellationScope.nonCancellable(() =>
      locals.onRecord((asked) => eventActivities.publishDeadLetter({ tenant, taskQueue, event, ...proof, ...asked })),
    );
  } catch (error) {
    // The flow is worth more than the news of it.
    progress.note(`${event.id} was not published: ${messageOf(error)}`);
  }
}

function placeOf({ tenant, plan, id }: FlowRun): LetterPlace {
  return { tenant, flow: plan.flow, flowId: id, workflowId: workflowInfo().workflowId };
}
