import { temporal } from '@temporalio/proto';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { LOCAL_BLOCKS } from '../../dsl/local-step';
import {
  ADMIT_WINDOW,
  APPROVAL,
  EMIT_EVENT,
  PREPARE_FLOW,
  RUN_WINDOW,
  SUBSCRIBE_EVENTS,
  TRY_STEPS,
} from '../../dsl/names';
import { childId } from '../../workflows/tasks/child-id';
import type { HistoryEvent } from '../history-events';
import { type ChildRun, closedChild, type RunHistory } from './run-history';

/** What a run failed by: something that can be done again, and the place in the history to go back to for that. */
export interface FoundFailure {
  /** JSON Pointer of the step, where it is one. */
  readonly step?: string;
  /** The event of the failure. */
  readonly at: number;
  /** When it began. */
  readonly begunAt: number;
  /** Where to go back to. */
  readonly point: number;
  /** A child that is to go on, and not to begin again. */
  readonly child?: ChildRun;
}

/** Local activities whose failure is not certain to happen again. */
const REPEATABLE = [PREPARE_FLOW, EMIT_EVENT, SUBSCRIBE_EVENTS, ADMIT_WINDOW, TRY_STEPS, ...LOCAL_BLOCKS];

/** What is said of a start that is the same for ever. */
const FINAL = ['BLW_START_INVALID', 'BLW_FLOW_INVALID'];

/**
 * What made a run fail with one of these errors; undefined where it is nothing that was done, but something that the run itself made out.
 * Where several overlap, the first of them: the others were ended with it.
 */
export async function findFailure(
  history: RunHistory,
  errors: readonly JsonObject[],
): Promise<FoundFailure | undefined> {
  const candidates = [
    ...(await failedActivities(history, errors)),
    ...(await failedChildren(history, errors)),
    ...(await failedLocally(history, errors)),
    ...(await failedWithin(history, errors)),
  ].sort((left, right) => left.at - right.at);
  let found = candidates.pop();
  for (const earlier of candidates.reverse()) if (found !== undefined && found.begunAt < earlier.at) found = earlier;
  return found;
}

/** The errors that a loop which tolerates some tells of, else the error itself. */
export function singleErrors(error: JsonObject): JsonObject[] {
  const items = error.code === 'BLW_LOOP_FAILED' && Array.isArray(error.data) ? error.data : [];
  const inner = items.map((item) => (isJsonObject(item) ? item.error : undefined)).filter((one) => isJsonObject(one));
  return inner.length === 0 ? [error] : inner;
}

async function failedActivities(history: RunHistory, errors: readonly JsonObject[]): Promise<FoundFailure[]> {
  const found: FoundFailure[] = [];
  for (const event of history.events) {
    const closed = event.activityTaskFailedEventAttributes ?? event.activityTaskTimedOutEventAttributes;
    if (closed == null) continue;
    const begunAt = Number(closed.scheduledEventId);
    const scheduled = history.event(begunAt)?.activityTaskScheduledEventAttributes;
    const request = await history.decode(scheduled?.input?.payloads?.[0]);
    const step = isJsonObject(request) ? request.stepId : undefined;
    if (typeof step !== 'string' || !errors.some(({ instance }) => instance === step)) continue;
    const at = Number(event.eventId);
    // Its time would go on from when it was scheduled first, so that it is scheduled anew.
    const isTimed =
      Number(scheduled?.scheduleToCloseTimeout?.seconds ?? 0) > 0 ||
      (scheduled?.scheduleToCloseTimeout?.nanos ?? 0) > 0;
    const point = isTimed ? Number(scheduled?.workflowTaskCompletedEventId) : history.pointBefore(at);
    if (point !== undefined) found.push({ step, at, begunAt, point });
  }
  return found;
}

async function failedChildren(history: RunHistory, errors: readonly JsonObject[]): Promise<FoundFailure[]> {
  const found: FoundFailure[] = [];
  for (const child of history.children()) {
    const event = child.closedAt === undefined ? undefined : history.event(child.closedAt);
    if (event === undefined || !(await isFailureOf(history, child, event, errors))) continue;
    const at = Number(event.eventId);
    const begunAt = child.initiatedAt;
    // People are asked again; so is what never began.
    if (child.workflowType === APPROVAL || child.startedRunId === undefined)
      found.push({ at, begunAt, point: child.initiatedBy });
    else found.push({ at, begunAt, point: history.pointBefore(at) ?? child.initiatedBy, child });
  }
  return found;
}

async function isFailureOf(
  history: RunHistory,
  { workflowId, workflowType }: ChildRun,
  event: HistoryEvent,
  errors: readonly JsonObject[],
): Promise<boolean> {
  const completed = event.childWorkflowExecutionCompletedEventAttributes;
  if (completed != null) {
    if (workflowType !== RUN_WINDOW) return false;
    const result = await history.decode(completed.result?.payloads?.[0]);
    return windowErrors(result).some((one) => errors.some((error) => isSame(one, error)));
  }
  const failure = event.childWorkflowExecutionFailedEventAttributes?.failure;
  if (failure != null) {
    const own = await history.errorOf(failure);
    return errors.some((error) => (own === undefined ? isAt(workflowId, error) : isSame(own, error)));
  }
  return closedChild(event) !== undefined && errors.some((error) => isAt(workflowId, error));
}

/** The errors of the items of a loop's batch that failed. */
export function windowErrors(result: unknown): JsonObject[] {
  if (!isJsonObject(result) || !Array.isArray(result.failures)) return [];
  return result.failures
    .map((item) => (isJsonObject(item) ? item.error : undefined))
    .filter((one) => isJsonObject(one));
}

/** A step that runs a flow puts itself in the place of the error's own. */
function isSame(left: JsonObject, right: JsonObject): boolean {
  return left.type === right.type && left.code === right.code && left.detail === right.detail;
}

/** True where the child's id says that it is the failed step's. */
function isAt(workflowId: string, { instance }: JsonObject): boolean {
  return typeof instance === 'string' && `${workflowId}/`.includes(`${childId('', instance, '')}/`);
}

async function failedLocally(history: RunHistory, errors: readonly JsonObject[]): Promise<FoundFailure[]> {
  const found: FoundFailure[] = [];
  for (const { type, recordedBy, failure } of await history.localActivities()) {
    if (failure === undefined || !REPEATABLE.includes(type)) continue;
    const own = await history.errorOf(failure);
    if (FINAL.includes(String(own?.code))) continue;
    if (own === undefined || errors.some((error) => isSame(own, error)))
      found.push({ at: recordedBy, begunAt: recordedBy, point: recordedBy });
  }
  return found;
}

async function failedWithin(history: RunHistory, errors: readonly JsonObject[]): Promise<FoundFailure[]> {
  return (await history.failedWithin())
    .filter(({ step, error: own }) => errors.some((error) => isSame(own, error) && isOf(step, error)))
    .map(({ recordedBy }) => ({ at: recordedBy, begunAt: recordedBy, point: recordedBy }));
}

function isOf(step: string, { instance }: JsonObject): boolean {
  return typeof instance !== 'string' || instance === step;
}

/** True of an event that ended a run with a failure. */
export function isFailedEnd({ eventType }: HistoryEvent): boolean {
  return eventType === temporal.api.enums.v1.EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED;
}
