import { ERROR_CODES, type ErrorCode, isErrorCode } from '../error-codes';
import { type FlowErrorData, flowErrorData } from '../errors';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import type { TaskPlan } from '../planning/plan';
import { closestName, listNames, shortJson } from '../problems';

/** What a step of a dry run is answered instead of being done, at one attempt. In histories: add optional forms, never change one. */
export type MockAnswer =
  | { readonly output: Json }
  | { readonly error: MockError }
  /** The attempt takes as long as it may. */
  | { readonly timeout: true }
  | MockDecision;

/** What a person decides on an approval; `timedOut`: nobody did. */
export interface MockDecision {
  readonly decision: 'approved' | 'rejected' | 'timedOut';
  readonly by?: string;
  readonly comment?: string;
  readonly form?: Json;
}

/** An error as `catch` sees it; it has a code of the project's, or a type of its author's. */
export interface MockError {
  readonly code?: ErrorCode;
  readonly type?: string;
  readonly status?: number;
  readonly title?: string;
  readonly detail?: string;
  readonly data?: Json;
  /** Whether another attempt follows; absent: as {@link isRetriedError} says. */
  readonly retryable?: boolean;
}

/** Answers of a step, one for each attempt; the last one repeats. */
export interface StepMock {
  readonly answers: readonly MockAnswer[];
  /** Of a step that runs another flow: mocks of that flow's steps, as its start input has them. */
  readonly inner?: JsonObject;
}

/** Kinds of step that can be mocked, by what the step is. */
export type MockedKind = 'block' | 'approval' | 'function' | 'subflow' | 'listen' | 'emit';

/** Most answers of one step. */
const MAX_ANSWERS = 100;

const FORMS: Readonly<Record<MockedKind, readonly string[]>> = {
  block: ['output', 'error', 'timeout'],
  approval: ['decision', 'error', 'timeout'],
  function: ['output', 'error', 'timeout'],
  subflow: ['output', 'error', 'timeout', 'mocks'],
  listen: ['output', 'error', 'timeout'],
  emit: ['error'],
};

const EXAMPLES: Readonly<Record<string, string>> = {
  output: '{"output": …}',
  error: '{"error": {"code": "BLW_…"}}',
  timeout: '{"timeout": true}',
  decision: '{"decision": "approved"}',
  mocks: '{"mocks": {…}} for the steps of that flow',
};

/** What an approval can be answered. */
export const DECISIONS = ['approved', 'rejected', 'timedOut'] as const;

/** What can be mocked of a task; undefined: nothing, since it reaches nothing. */
export function mockedKind(task: Pick<TaskPlan, 'kind'> & { readonly human?: boolean }): MockedKind | undefined {
  switch (task.kind) {
    case 'call':
      return task.human === true ? 'approval' : 'block';
    case 'function':
    case 'subflow':
    case 'listen':
    case 'emit':
      return task.kind;
    default:
      return undefined;
  }
}

/** Reads a mock: one answer or a list of them. Values are taken as they stand: a mock has no expressions. */
export function parseMock(value: Json, kind: MockedKind): { mock: StepMock } | { problem: string } {
  if (kind === 'subflow' && isJsonObject(value) && value.mocks !== undefined) return parseInner(value);
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) return { problem: 'got an empty list, expected an answer for each attempt' };
  if (list.length > MAX_ANSWERS)
    return { problem: `got ${list.length} answers, expected at most ${MAX_ANSWERS}; the last one repeats` };
  const answers: MockAnswer[] = [];
  for (const [index, item] of list.entries()) {
    const parsed = parseAnswer(item, kind);
    if ('problem' in parsed)
      return { problem: Array.isArray(value) ? `answer ${index + 1}: ${parsed.problem}` : parsed.problem };
    answers.push(parsed.answer);
  }
  return { mock: { answers } };
}

function parseInner(value: JsonObject): { mock: StepMock } | { problem: string } {
  const { mocks, ...rest } = value;
  const [other] = Object.keys(rest);
  if (other !== undefined) return { problem: `got mocks and ${shortJson(other)}, expected one of them` };
  if (!isJsonObject(mocks)) return { problem: `mocks: got ${describeJsonType(mocks)}, expected an object by step` };
  return { mock: { answers: [], inner: mocks } };
}

function parseAnswer(value: Json, kind: MockedKind): { answer: MockAnswer } | { problem: string } {
  const forms = FORMS[kind];
  const expected = `expected ${forms.map((form) => EXAMPLES[form]).join(' or ')}`;
  if (!isJsonObject(value)) return { problem: `got ${describeJsonType(value)}, ${expected}` };
  const keys = Object.keys(value);
  const named = forms.filter((form) => value[form] !== undefined);
  const [form] = named;
  if (form === undefined || named.length > 1) {
    const meant = keys.length === 1 ? closestName(keys[0] ?? '', forms) : undefined;
    const advice = meant === undefined ? expected : `did you mean "${meant}"?`;
    return { problem: `got ${shortJson(value)}, ${advice}` };
  }
  const extra = keys.find((key) => key !== form && !(form === 'decision' && DECISION_KEYS.includes(key)));
  if (extra !== undefined) return { problem: `"${extra}" is not known beside "${form}"` };
  if (form === 'output') return parseOutput(value.output as Json, kind);
  if (form === 'timeout')
    return value.timeout === true
      ? { answer: { timeout: true } }
      : { problem: `timeout: got ${shortJson(value.timeout)}, expected true` };
  return form === 'decision' ? parseDecision(value) : parseError(value.error as Json);
}

function parseOutput(output: Json, kind: MockedKind): { answer: MockAnswer } | { problem: string } {
  if (kind !== 'listen' || Array.isArray(output)) return { answer: { output } };
  return {
    problem: `output: got ${describeJsonType(output)}, expected the list of events that are consumed, as they are read`,
  };
}

const DECISION_KEYS = ['by', 'comment', 'form'];

function parseDecision({ decision, by, comment, form }: JsonObject): { answer: MockAnswer } | { problem: string } {
  const known = DECISIONS.find((name) => name === decision);
  if (known === undefined) return { problem: `decision: got ${shortJson(decision)}, expected ${DECISIONS.join(', ')}` };
  for (const [name, text] of Object.entries({ by, comment }))
    if (text !== undefined && typeof text !== 'string')
      return { problem: `${name}: got ${describeJsonType(text)}, expected text` };
  return {
    answer: {
      decision: known,
      ...(by === undefined ? {} : { by: by as string }),
      ...(comment === undefined ? {} : { comment: comment as string }),
      ...(form === undefined ? {} : { form }),
    },
  };
}

const ERROR_KEYS = ['code', 'type', 'status', 'title', 'detail', 'data', 'retryable'];

function parseError(value: Json): { answer: MockAnswer } | { problem: string } {
  if (!isJsonObject(value)) return { problem: `error: got ${describeJsonType(value)}, expected {"code": "BLW_…"}` };
  const unknown = Object.keys(value).find((key) => !ERROR_KEYS.includes(key));
  if (unknown !== undefined)
    return { problem: `error: "${unknown}" is not known; there are: ${ERROR_KEYS.join(', ')}` };
  const { code, type, status, title, detail, data, retryable } = value;
  if (code === undefined && type === undefined)
    return { problem: 'error: expected a code such as BLW_HTTP_STATUS, or a type' };
  if (code !== undefined && !(typeof code === 'string' && isErrorCode(code))) {
    const meant = closestName(String(code), Object.keys(ERROR_CODES));
    const advice =
      meant === undefined ? `such as ${listNames(['BLW_HTTP_STATUS', 'BLW_SQL_FAILED'])}` : `did you mean ${meant}?`;
    return { problem: `error: code: got ${shortJson(code)}, expected one of docs/errors.md; ${advice}` };
  }
  for (const [name, text] of Object.entries({ type, title, detail }))
    if (text !== undefined && (typeof text !== 'string' || text === ''))
      return { problem: `error: ${name}: got ${shortJson(text)}, expected text` };
  if (status !== undefined && !(Number.isInteger(status) && Number(status) >= 100 && Number(status) <= 599))
    return { problem: `error: status: got ${shortJson(status)}, expected a whole number from 100 to 599` };
  if (retryable !== undefined && typeof retryable !== 'boolean')
    return { problem: `error: retryable: got ${shortJson(retryable)}, expected true or false` };
  // Checked one by one above.
  const error = Object.fromEntries(
    Object.entries({ code, type, status, title, detail, data, retryable }).filter(([, item]) => item !== undefined),
  ) as MockError;
  return { answer: { error } };
}

/** The error that a mock stands for. */
export function mockedError({
  code,
  type,
  status,
  title,
  detail = 'the mock of the step says so',
  data,
}: MockError): FlowErrorData {
  const known =
    code === undefined
      ? { type: type ?? 'about:blank', status: status ?? 500, detail }
      : flowErrorData(code, detail, status === undefined ? {} : { status });
  return {
    ...known,
    ...(type === undefined ? {} : { type }),
    ...(title === undefined ? {} : { title }),
    ...(data === undefined ? {} : { data }),
  };
}

/** Outages, which blocks themselves try again. */
const OUTAGES: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BLW_BLOCK_CRASHED',
  'BLW_BLOCK_FAILED',
  'BLW_FS_IO',
  'BLW_HTTP_UNREACHABLE',
  'BLW_IDENTITY_UNAVAILABLE',
  'BLW_PAYLOAD_STORE',
  'BLW_SQL_UNAVAILABLE',
]);

/** Where the effect is not known: tried again where that does no harm. */
const UNCERTAIN: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'BLW_HTTP_OUTCOME_UNKNOWN',
  'BLW_HTTP_TIMEOUT',
  'BLW_SQL_TIMEOUT',
]);

/** Answers by which a server says "not now" (activities/http/status-failure.ts). */
const TRY_LATER: ReadonlySet<number> = new Set([408, 425, 429, 503]);

/** Whether the block would try again after an error: an outage, or a doubtful end of a step that may be repeated. */
export function isRetriedError({ code, status = 0, retryable }: MockError, isRepeatable: boolean): boolean {
  if (retryable !== undefined) return retryable;
  if (code === undefined) return false;
  if (code === 'BLW_HTTP_STATUS') return TRY_LATER.has(status) || (isRepeatable && status >= 500);
  return OUTAGES.has(code) || (isRepeatable && UNCERTAIN.has(code));
}
