import type { DeadLetter, Resolution } from './dead-letter';
import type { CloudEvent } from './events/cloud-event';
import { isJsonObject, type Json, type JsonObject } from './json';
import { shortText } from './problems';

/** Types of the events that others hear of dead letters. */
export const DEAD_LETTER_PARKED = 'beamline.deadletter.parked';
export const DEAD_LETTER_RESOLVED = 'beamline.deadletter.resolved';

/** Longest value of a letter in an event, in characters of its JSON; what is longer stays in the flow. */
const MAX_VALUE_LENGTH = 50_000;
const MAX_TEXT_LENGTH = 2_000;

/** What may be too long, or secret. */
const VALUES = ['input', 'with', 'error'] as const;

/** What of an error is no value of the flow's. */
const PUBLIC_ERROR = ['code', 'type', 'status', 'title', 'instance'];

/** Where a dead letter is. */
export interface LetterPlace {
  readonly tenant: string;
  /** `namespace/name:version`. */
  readonly flow: string;
  readonly flowId: string;
  /** What the update `resolve` goes to: the flow, or a batch of one of its loops. */
  readonly workflowId: string;
}

/** What has become of a dead letter. */
export interface LetterEnd extends Pick<Resolution, 'by' | 'comment'> {
  readonly action: Resolution['action'] | 'cancelled';
  /** In ms since 1970. */
  readonly at: number;
}

/** A new dead letter, with all that the query `deadLetters` shows of it and that is not too long. */
export function parkedEvent(place: LetterPlace, letter: DeadLetter): CloudEvent {
  const { startedAt, failedAt, ...shown } = letter;
  const kept: JsonObject = { ...(shown as unknown as JsonObject) };
  const omitted = VALUES.filter((name) => JSON.stringify(kept[name] ?? null).length > MAX_VALUE_LENGTH);
  for (const name of omitted) omit(kept, name);
  return eventOf(DEAD_LETTER_PARKED, place, letter, {
    id: eventId(place, letter),
    time: failedAt,
    data: {
      ...kept,
      startedAt: instant(startedAt),
      failedAt: instant(failedAt),
      ...(omitted.length === 0 ? {} : { omitted }),
    },
  });
}

/** What has become of a dead letter. */
export function resolvedEvent(place: LetterPlace, letter: DeadLetter, end: LetterEnd): CloudEvent {
  const { step, name, block, iteration, retries } = letter;
  return eventOf(DEAD_LETTER_RESOLVED, place, letter, {
    id: `${eventId(place, letter)}:resolved`,
    time: end.at,
    data: {
      id: letter.id,
      step,
      name,
      ...(iteration === undefined ? {} : { iteration }),
      block,
      retries,
      action: end.action,
      ...(end.by === undefined ? {} : { by: shortText(end.by, MAX_TEXT_LENGTH) }),
      ...(end.comment === undefined ? {} : { comment: shortText(end.comment, MAX_TEXT_LENGTH) }),
      resolvedAt: instant(end.at),
    },
  });
}

/** The same event without what a flow works on: for tenants whose values are encrypted everywhere else. */
export function withoutValues(event: CloudEvent): CloudEvent {
  if (!isJsonObject(event.data)) return event;
  const data: JsonObject = { ...event.data };
  const omitted = new Set(Array.isArray(data.omitted) ? data.omitted : []);
  for (const name of VALUES) {
    if (data[name] === undefined) continue;
    omit(data, name);
    omitted.add(name);
  }
  delete data.comment;
  return { ...event, data: { ...data, ...(omitted.size === 0 ? {} : { omitted: [...omitted] }) } };
}

/** Of an error its kind stays. */
function omit(data: JsonObject, name: (typeof VALUES)[number]): void {
  const value = data[name];
  delete data[name];
  if (name !== 'error' || !isJsonObject(value)) return;
  const entries = Object.entries(value).filter(([key]) => PUBLIC_ERROR.includes(key));
  data.error = Object.fromEntries(
    entries.map(([key, item]) => [key, typeof item === 'string' ? shortText(item, MAX_TEXT_LENGTH) : (item ?? null)]),
  );
}

/**
 * The same for each try to tell of this failure, and another for every other: a step can fail again after a retry, and an id of a
 * workflow can be used again. Not the run's, which changes when the flow continues as new or is reset; and not the time, which is another one where a
 * worker is lost before the history has it.
 */
function eventId({ tenant, flowId }: LetterPlace, { id, retries, failedAt, failureId }: DeadLetter): string {
  return `${tenant}:${flowId}:${id}:${retries}:${failureId ?? failedAt}`;
}

function eventOf(
  type: string,
  { tenant, flow, flowId, workflowId }: LetterPlace,
  letter: DeadLetter,
  { id, time, data }: { id: string; time: number; data: JsonObject },
): CloudEvent {
  return {
    specversion: '1.0',
    id,
    source: `/beamline/${tenant}/${encodeURIComponent(flowId)}`,
    type,
    subject: letter.id,
    time: instant(time),
    datacontenttype: 'application/json',
    data: { tenant, flow, flowId, workflowId, ...data } satisfies Record<string, Json>,
  };
}

function instant(ms: number): string {
  return new Date(ms).toISOString();
}
