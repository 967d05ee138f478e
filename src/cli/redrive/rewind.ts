import type { Client } from '@temporalio/client';
import type { JsonObject } from '../../dsl/json';
import { APPROVAL, SUBSCRIBE_EVENTS, UNSUBSCRIBE_EVENTS } from '../../dsl/names';
import { mapBounded } from '../bounded';
import { describeRun } from '../describe-run';
import type { HistoryEvent, RunAddress } from '../history-events';
import { begunAgain } from './begun-again';
import { type FoundFailure, findFailure, singleErrors, windowErrors } from './find-failure';
import { Refusal, stillRunning, unreadable } from './refusal';
import { type ChildRun, RunHistory } from './run-history';
import { unknownOutcomes } from './unknown-outcomes';

const CALLS_AT_ONCE = 8;

/** A run that is to go on from a point of its history, and the runs below it that go on with it. */
export interface Rewind extends RunAddress {
  /** The reset's `workflow_task_finish_event_id`: this event and all after it are left out. */
  readonly point: number;
  /** The same, as the server wants it. */
  readonly finishEventId: HistoryEvent['eventId'];
  /** The step that failed, where it is one. */
  readonly step?: string;
  /** Runs that this one waits for at that point. Where there are any, the server must not tell it how they ended before. */
  readonly children: readonly Rewind[];
  /** It has such children, whether they go on or begin again. */
  readonly hasChildren: boolean;
  /** What was sent to the run after the point. */
  readonly messages: readonly HistoryEvent[];
}

/** What somebody wants, beside that flows go on. */
export interface RedriveOptions {
  /** Also where something would be sent again of which nobody knows whether it was done. */
  readonly repeatUnknown?: boolean | undefined;
}

interface Context extends RedriveOptions {
  readonly client: Client;
}

/** How a failed run goes on from what it failed by. Throws {@link Refusal}. */
export async function rewindFailed(context: Context, history: RunHistory, error: JsonObject): Promise<Rewind> {
  const failure = await findFailure(history, singleErrors(error));
  if (failure === undefined) throw nothingToRepeat(history, error);
  return await rewindTo(context, history, failure);
}

function nothingToRepeat({ address }: RunHistory, { code, instance, detail }: JsonObject): Refusal {
  const where = typeof instance === 'string' ? ` at ${instance}` : '';
  const why = code === 'BLW_STEP_TIMEOUT' ? 'its time was up' : 'no step that could be done again failed there';
  return new Refusal(
    'noStep',
    `"${address.workflowId}" failed${where}, and ${why}: ${String(detail ?? code ?? 'it gave no reason')}`,
    'It would fail again: mend the flow, or its input, and start it again.',
  );
}

/**
 * Goes back to a point, or further where something beside the failed step can only begin again: a child that cannot go on, or a step that
 * listened, which has to subscribe again.
 */
async function rewindTo(
  context: Context,
  history: RunHistory,
  found: Pick<FoundFailure, 'point' | 'step'> & Partial<FoundFailure>,
): Promise<Rewind> {
  let { point } = found;
  for (;;) {
    const listenedSince = await openListenBefore(history, point);
    const bound = point;
    const pending = history
      .children()
      .filter(({ initiatedAt, closedAt = Infinity }) => initiatedAt < bound && closedAt >= bound);
    const begun = pending.filter(({ startedAt = Infinity }) => startedAt < bound);
    const rewinds = await mapBounded(begun, CALLS_AT_ONCE, (child) =>
      rewindChild(context, child, child.initiatedAt === found.child?.initiatedAt),
    );
    const anew = begun.filter((_, index) => rewinds[index] === undefined).map(({ initiatedBy }) => initiatedBy);
    const next = Math.min(point, listenedSince ?? point, ...anew);
    if (next === point) {
      await refuseUnknown(context, history, point);
      return {
        ...history.address,
        point,
        finishEventId: history.event(point)?.eventId,
        ...(found.step === undefined ? {} : { step: found.step }),
        children: rewinds.filter((rewind) => rewind !== undefined),
        hasChildren: pending.length > 0,
        messages: history.messagesFrom(point),
      };
    }
    point = next;
  }
}

/** Refuses where something would be sent again, by the run itself or by what it started, that may have been done. */
async function refuseUnknown({ client, repeatUnknown }: Context, history: RunHistory, point: number): Promise<void> {
  const { histories, forgotten } = await begunAgain(client, history, point);
  if (repeatUnknown === true) return;
  const steps = await unknownOutcomes(history, point);
  for (const below of histories) {
    const { workflowId } = below.address;
    steps.push(...(await unknownOutcomes(below, 0)).map((step) => `${step} of "${workflowId}"`));
  }
  steps.push(...forgotten.map((workflowId) => `what "${workflowId}" did, which Temporal has forgotten`));
  const [first, ...more] = [...new Set(steps)];
  if (first === undefined) return;
  throw new Refusal(
    'unknownOutcome',
    `"${history.address.workflowId}": may have been done, and would be sent again: ${[first, ...more.slice(0, 4)].join(', ')}`,
    'Look there. With --repeat-unknown it is sent again, with the same Idempotency-Key.',
  );
}

/** The workflow task that subscribed the first of the steps that listen at a point; undefined where none does. */
async function openListenBefore(history: RunHistory, point: number): Promise<number | undefined> {
  let open = 0;
  let since: number | undefined;
  for (const { type, recordedBy } of await history.localActivities()) {
    const isBefore = recordedBy < point;
    if (type === SUBSCRIBE_EVENTS) {
      if (open === 0 && isBefore) since = recordedBy;
      open += 1;
    } else if (type === UNSUBSCRIBE_EVENTS) {
      open -= 1;
      if (open < 0 && !isBefore) throw carriedListen(history);
      open = Math.max(0, open);
      if (open === 0 && isBefore) since = undefined;
    }
  }
  return since;
}

function carriedListen({ address }: RunHistory): Refusal {
  return new Refusal(
    'listens',
    `"${address.workflowId}": a step that listened beside the failed one was ended with it, and had begun before the flow continued as new`,
    'Start the flow again.',
  );
}

/** How a child goes on that its parent waits for; undefined where it has to begin again. */
async function rewindChild(context: Context, child: ChildRun, isCause: boolean): Promise<Rewind | undefined> {
  const description = await describeRun(context.client, { workflowId: child.workflowId });
  // Another workflow has taken its id, or it is forgotten.
  if (description === undefined || description.raw.workflowExecutionInfo?.firstRunId !== child.startedRunId)
    return undefined;
  const status = description.status.name;
  if (status === 'RUNNING') throw stillRunning(child.workflowId);
  const { workflowId, runId } = description;
  const history = await RunHistory.read(context.client, { workflowId, runId });
  refuseUndone(history);
  const cancelled = history.events.find((event) => event.workflowExecutionCancelRequestedEventAttributes != null);
  if (cancelled !== undefined) return await rewindIf(context, history, history.pointBefore(Number(cancelled.eventId)));
  if (status === 'FAILED') return await rewindFailedChild(context, history, { child, isCause });
  if (status === 'COMPLETED') {
    const failures = windowErrors(
      await history.decode(history.last.workflowExecutionCompletedEventAttributes?.result?.payloads?.[0]),
    );
    const failure = failures.length === 0 ? undefined : await findFailure(history, failures);
    if (failure !== undefined) return await rewindTo(context, history, failure);
  }
  return await rewindIf(context, history, history.lastTaskEnd());
}

async function rewindFailedChild(
  context: Context,
  history: RunHistory,
  { child, isCause }: { child: ChildRun; isCause: boolean },
): Promise<Rewind | undefined> {
  if (child.workflowType === APPROVAL) return undefined;
  try {
    return await rewindFailed(context, history, await readError(history));
  } catch (error) {
    if (isCause || !(error instanceof Refusal) || error.reason !== 'noStep') throw error;
    return undefined;
  }
}

async function rewindIf(context: Context, history: RunHistory, point: number | undefined): Promise<Rewind | undefined> {
  return point === undefined ? undefined : await rewindTo(context, history, { point });
}

/** Throws {@link Refusal} where steps of the run were undone. */
export function refuseUndone(history: RunHistory): void {
  if (!history.hasCompensated()) return;
  throw new Refusal('undone', `"${history.address.workflowId}": its steps were undone`, 'Start it again.');
}

/** The error that a run failed with. Throws {@link Refusal} where it cannot be read. */
export async function readError(history: RunHistory): Promise<JsonObject> {
  const error = await history.errorOf(history.last.workflowExecutionFailedEventAttributes?.failure);
  if (error !== undefined && typeof error.type === 'string') return error;
  throw unreadable(history.address.workflowId, 'why it failed cannot be read');
}

/** Runs below one that was redriven that were to go on with it, and have not: whoever redrove it was stopped halfway. */
export async function leftBehind(context: Context, history: RunHistory): Promise<Rewind[]> {
  const open = history
    .children()
    .filter(({ closedAt, startedAt }) => closedAt === undefined && startedAt !== undefined);
  const rewinds = await mapBounded(open, CALLS_AT_ONCE, async (child) => {
    try {
      return await rewindChild(context, child, true);
    } catch (error) {
      if (error instanceof Refusal && error.reason === 'running') return undefined;
      throw error;
    }
  });
  return rewinds.filter((rewind) => rewind !== undefined);
}
