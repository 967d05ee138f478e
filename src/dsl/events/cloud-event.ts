import { describeJsonType, getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import { shortJson, shortText } from '../problems';
import { lostPayloadOf, undecodableReason } from '../undecodable';

/** An event in the JSON format of CloudEvents 1.0 ("structured mode"): context attributes, and the data under `data`. */
export type CloudEvent = JsonObject & {
  readonly specversion: '1.0';
  readonly id: string;
  readonly source: string;
  readonly type: string;
};

/** How a consumer reads an event (OWS dsl-reference, "Listen": read). */
export const READ_MODES = ['data', 'envelope', 'raw'] as const;
export type ReadMode = (typeof READ_MODES)[number];

/** Longest event, in characters of its JSON: an event crosses Temporal's wire several times, with others beside it. */
export const MAX_EVENT_LENGTH = 500_000;

/** Longest value of an attribute. They are compared, kept to find duplicates, and part of workflow ids. */
const MAX_ATTRIBUTE_LENGTH = 2_000;
const MAX_ID_LENGTH = 500;

const REQUIRED = ['specversion', 'id', 'source', 'type'];

/** RFC 3339, which CloudEvents asks of `time`. */
const TIMESTAMP = /^\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;

/** Reads an event of any origin; returns it, without attributes that are null, or what is wrong with it. */
export function parseCloudEvent(value: unknown): { readonly event: CloudEvent } | { readonly problem: string } {
  const unreadable = undecodableReason(value) ?? lostPayloadOf(value)?.detail;
  if (unreadable !== undefined) return { problem: `the payload cannot be read (${unreadable}), expected JSON` };
  if (!isJsonObject(value)) {
    const example = '{"specversion": "1.0", "id": "1", "source": "/shop", "type": "order.placed", "data": {…}}';
    return { problem: `got ${describeJsonType(value)}, expected a CloudEvent such as ${example}` };
  }
  const event: JsonObject = {};
  for (const [name, attribute] of Object.entries(value)) {
    if (name === 'data' || attribute !== null) setOwn(event, name, attribute);
  }
  const problem = firstProblem(event);
  return problem === undefined ? { event: event as CloudEvent } : { problem };
}

function firstProblem(event: JsonObject): string | undefined {
  for (const name of REQUIRED) {
    const value = getOwn(event, name);
    if (value === undefined) return `"${name}" is missing; a CloudEvent has ${REQUIRED.join(', ')}`;
    if (typeof value !== 'string' || value === '') return `${name}: got ${shortJson(value)}, expected text`;
  }
  if (event.specversion !== '1.0') return `specversion: got ${shortJson(event.specversion)}, expected "1.0"`;
  if (String(event.id).length > MAX_ID_LENGTH) return `id: expected at most ${MAX_ID_LENGTH} characters`;
  if (event.time !== undefined && !(typeof event.time === 'string' && isTimestamp(event.time)))
    return `time: got ${shortJson(event.time)}, expected RFC 3339 such as 2026-01-31T12:00:00Z`;
  if (event.data !== undefined && event.data_base64 !== undefined) return 'it has data and data_base64, expected one';
  for (const [name, value] of Object.entries(event)) {
    const problem = name === 'data' ? undefined : attributeProblem(name, value);
    if (problem !== undefined) return problem;
  }
  const { length } = JSON.stringify(event);
  if (length <= MAX_EVENT_LENGTH) return undefined;
  return `it has ${length} characters of JSON, at most ${MAX_EVENT_LENGTH} fit; write large data to a blob and send its path`;
}

function attributeProblem(name: string, value: Json): string | undefined {
  if (name === '' || name === '__proto__' || name.length > 128) return `"${shortText(name)}" cannot be an attribute`;
  if (typeof value === 'object') {
    return `${shortText(name)}: got ${describeJsonType(value)}, expected text, a number or true or false; other data goes under "data"`;
  }
  if (typeof value === 'string' && value.length > MAX_ATTRIBUTE_LENGTH && name !== 'data_base64')
    return `${shortText(name)}: expected at most ${MAX_ATTRIBUTE_LENGTH} characters`;
  return undefined;
}

/** True for an instant as CloudEvents writes it (RFC 3339). */
export function isTimestamp(text: string): boolean {
  return TIMESTAMP.test(text) && !Number.isNaN(Date.parse(text));
}

/** What is the same for two copies of one event, and different for any others (CloudEvents, "id"). */
export function eventKey({ source, id }: CloudEvent): string {
  return JSON.stringify([source, id]);
}

/**
 * What a consumer sees of an event. `data`: its data, or null; `envelope`: all of it; `raw`: its data as text, as it was sent
 * (JSON as JSON text, binary data in base64), or null.
 */
export function readEvent(event: CloudEvent, mode: ReadMode): Json {
  if (mode === 'envelope') return event;
  const binary = getOwn(event, 'data_base64');
  const data = getOwn(event, 'data') ?? binary ?? null;
  if (mode === 'data' || data === null) return data;
  return typeof data === 'string' ? data : JSON.stringify(data);
}
