import { isIdempotentMethod } from '../../dsl/http-methods';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import type { HistoryEvent } from '../history-events';
import type { RunHistory } from './run-history';

/** What became of an activity, as far as the history tells. */
interface End {
  readonly at: number;
  /** Nothing was done of it, or it failed for certain. */
  readonly isNothing: boolean;
}

/**
 * Steps that a run would do again from a point on, though they may have been done, where doing them again is not harmless of itself: calls by
 * HTTP with a method such as POST, which only the receiver can know by their key. What failed for certain is none of them.
 */
export async function unknownOutcomes(history: RunHistory, point: number): Promise<string[]> {
  const ends = await endsOf(history);
  const steps = new Set<string>();
  for (const event of history.events) {
    const scheduled = event.activityTaskScheduledEventAttributes;
    if (scheduled == null) continue;
    const end = ends.get(Number(event.eventId));
    const isKept = end !== undefined && end.at < point;
    if (isKept || end?.isNothing === true) continue;
    const request = await history.decode(scheduled.input?.payloads?.[0]);
    if (!isJsonObject(request) || isHarmless(scheduled.activityType?.name ?? '', request)) continue;
    steps.add(String(request.stepId));
  }
  return [...steps];
}

async function endsOf(history: RunHistory): Promise<ReadonlyMap<number, End>> {
  const ends = new Map<number, End>();
  for (const event of history.events) {
    const closed =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskTimedOutEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    if (closed == null) continue;
    const isNothing = Number(closed.startedEventId) === 0 || (await hasDoneNothing(history, event));
    ends.set(Number(closed.scheduledEventId), { at: Number(event.eventId), isNothing });
  }
  return ends;
}

/** It failed for certain, or was told to wait for its tenant's quota. */
async function hasDoneNothing(history: RunHistory, event: HistoryEvent): Promise<boolean> {
  const completed = event.activityTaskCompletedEventAttributes;
  if (completed != null) {
    const result = await history.decode(completed.result?.payloads?.[0]);
    return isJsonObject(result) && result.waiting !== undefined;
  }
  const error = await history.errorOf(event.activityTaskFailedEventAttributes?.failure);
  return error !== undefined && !(isJsonObject(error.data) && error.data.outcome === 'unknown');
}

/** SQL has its ledger, and blobs know which step made them; a read does nothing. */
function isHarmless(block: string, { idempotent, with: args }: JsonObject): boolean {
  if (idempotent === true || !isHttp(block)) return true;
  const method = isJsonObject(args) && args.method !== undefined ? String(args.method) : 'GET';
  return block !== OPENAPI && isIdempotentMethod(method);
}

const OPENAPI = 'openapi.call';

function isHttp(block: string): boolean {
  return block.startsWith('http.') || block === OPENAPI;
}
