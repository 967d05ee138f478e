import { ERROR_CODES, isErrorCode } from '../error-codes';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, listNames, shortJson } from '../problems';
import type { MockAnswer, MockError, StepMock } from './mock';
import { familyOf, foreignCodeProblem, type MockedKind, type MockedStep } from './mocked-step';
import { shapeProblem } from './output-shape';

/** What is wrong with a mock, and below what key of it. */
export interface MockProblem {
  readonly problem: string;
  readonly at?: readonly (string | number)[];
}

/** Most answers of one step. */
const MAX_ANSWERS = 100;

/** Most rounds of one loop. */
const MAX_ROUNDS = 1_000;

/** Rounds may be in rounds: those of `then` in those of `for`. */
const MAX_ROUND_DEPTH = 2;

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

/**
 * Reads a mock: one answer, a list of them, or one or a list for each round of a loop. Values are taken as they stand: a mock has no expressions. An output has to be of the
 * shape of the block's; what the block always gives may be absent.
 */
export function parseMock(value: Json, step: MockedStep): { mock: StepMock } | MockProblem {
  return parseLevel(value, step, 0);
}

function parseLevel(value: Json, step: MockedStep, depth: number): { mock: StepMock } | MockProblem {
  if (isJsonObject(value) && value.rounds !== undefined) return parseRounds(value, step, depth);
  if (step.kind === 'subflow' && isJsonObject(value) && value.mocks !== undefined) return parseInner(value);
  const list = Array.isArray(value) ? value : [value];
  if (list.length === 0) return { problem: 'got an empty list, expected an answer for each attempt' };
  if (list.length > MAX_ANSWERS)
    return { problem: `got ${list.length} answers, expected at most ${MAX_ANSWERS}; the last one repeats` };
  const answers: MockAnswer[] = [];
  for (const [index, item] of list.entries()) {
    const parsed = parseAnswer(item, step);
    if ('problem' in parsed) return Array.isArray(value) ? within(parsed, index, `answer ${index + 1}: `) : parsed;
    answers.push(parsed.answer);
  }
  return { mock: { answers } };
}

function parseRounds(value: JsonObject, step: MockedStep, depth: number): { mock: StepMock } | MockProblem {
  const { rounds: list, ...rest } = value;
  const problem = (message: string): MockProblem => ({ problem: `rounds: ${message}`, at: ['rounds'] });
  const [other] = Object.keys(rest);
  if (other !== undefined) return { problem: `got rounds and ${shortJson(other)}, expected one of them` };
  if (depth >= MAX_ROUND_DEPTH)
    return problem('got rounds in rounds in rounds, expected at most those of `then` in those of `for`');
  if (!Array.isArray(list))
    return problem(`got ${describeJsonType(list)}, expected a list of answers, one for each round`);
  if (list.length === 0) return problem('got an empty list, expected an answer for each round');
  if (list.length > MAX_ROUNDS)
    return problem(`got ${list.length}, expected at most ${MAX_ROUNDS}; the last one repeats`);
  const rounds: StepMock[] = [];
  for (const [index, item] of list.entries()) {
    const parsed = parseLevel(item, step, depth + 1);
    if ('problem' in parsed) {
      const { problem: message, at } = within(parsed, index, `round ${index + 1}: `);
      return { problem: message, at: ['rounds', ...(at ?? [])] };
    }
    rounds.push(parsed.mock);
  }
  return { mock: { answers: [], rounds } };
}

/** A problem that is below a key. */
function within({ problem, at = [] }: MockProblem, key: string | number, prefix: string): MockProblem {
  return { problem: `${prefix}${problem}`, at: [key, ...at] };
}

function parseInner(value: JsonObject): { mock: StepMock } | MockProblem {
  const { mocks, ...rest } = value;
  const [other] = Object.keys(rest);
  if (other !== undefined) return { problem: `got mocks and ${shortJson(other)}, expected one of them` };
  if (!isJsonObject(mocks)) return { problem: `mocks: got ${describeJsonType(mocks)}, expected an object by step` };
  return { mock: { answers: [], inner: mocks } };
}

function parseAnswer(value: Json, step: MockedStep): { answer: MockAnswer } | MockProblem {
  const forms = FORMS[step.kind];
  const expected = `expected ${forms.map((form) => EXAMPLES[form]).join(' or ')}`;
  if (!isJsonObject(value)) return { problem: `got ${describeJsonType(value)}, ${expected}` };
  const keys = Object.keys(value);
  const named = forms.filter((form) => value[form] !== undefined);
  const [form] = named;
  if (form === undefined || named.length > 1) {
    const meant = keys.length === 1 ? closestName(keys[0] ?? '', [...forms, 'rounds']) : undefined;
    const advice = meant === undefined ? expected : `did you mean "${meant}"?`;
    return { problem: `got ${shortJson(value)}, ${advice}` };
  }
  const extra = keys.find((key) => key !== form && !(form === 'decision' && DECISION_KEYS.includes(key)));
  if (extra !== undefined) return { problem: `"${extra}" is not known beside "${form}"`, at: [extra] };
  if (form === 'output') return parseOutput(value.output as Json, step);
  if (form === 'timeout')
    return value.timeout === true
      ? { answer: { timeout: true } }
      : { problem: `timeout: got ${shortJson(value.timeout)}, expected true`, at: ['timeout'] };
  if (form === 'decision') return parseDecision(value);
  const parsed = parseError(value.error as Json, step);
  return 'problem' in parsed ? within(parsed, 'error', 'error: ') : parsed;
}

function parseOutput(output: Json, { kind, output: shape }: MockedStep): { answer: MockAnswer } | MockProblem {
  if (kind === 'listen' && !Array.isArray(output)) {
    const got = describeJsonType(output);
    return {
      problem: `output: got ${got}, expected the list of events that are consumed, as they are read`,
      at: ['output'],
    };
  }
  const found = shapeProblem(output, shape);
  if (found === undefined) return { answer: { output } };
  const at = ['output', ...found.path];
  return { problem: `${at.join('.')}: ${found.message}`, at };
}

const DECISION_KEYS = ['by', 'comment', 'form'];

function parseDecision({ decision, by, comment, form }: JsonObject): { answer: MockAnswer } | MockProblem {
  const known = DECISIONS.find((name) => name === decision);
  if (known === undefined)
    return { problem: `decision: got ${shortJson(decision)}, expected ${DECISIONS.join(', ')}`, at: ['decision'] };
  for (const [name, text] of Object.entries({ by, comment }))
    if (text !== undefined && typeof text !== 'string')
      return { problem: `${name}: got ${describeJsonType(text)}, expected text`, at: [name] };
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

function parseError(value: Json, step: MockedStep): { answer: MockAnswer } | MockProblem {
  if (!isJsonObject(value)) return { problem: `got ${describeJsonType(value)}, expected {"code": "BLW_…"}` };
  const unknown = Object.keys(value).find((key) => !ERROR_KEYS.includes(key));
  if (unknown !== undefined)
    return { problem: `"${unknown}" is not known; there are: ${ERROR_KEYS.join(', ')}`, at: [unknown] };
  const { code, type, status, title, detail, data, retryable } = value;
  if (code === undefined && type === undefined)
    return { problem: 'expected a code such as BLW_HTTP_STATUS, or a type' };
  if (code !== undefined) {
    const problem = codeProblem(code, step);
    if (problem !== undefined) return { problem: `code: ${problem}`, at: ['code'] };
  }
  for (const [name, text] of Object.entries({ type, title, detail }))
    if (text !== undefined && (typeof text !== 'string' || text === ''))
      return { problem: `${name}: got ${shortJson(text)}, expected text`, at: [name] };
  if (status !== undefined && !(Number.isInteger(status) && Number(status) >= 100 && Number(status) <= 599))
    return { problem: `status: got ${shortJson(status)}, expected a whole number from 100 to 599`, at: ['status'] };
  if (retryable !== undefined && typeof retryable !== 'boolean')
    return { problem: `retryable: got ${shortJson(retryable)}, expected true or false`, at: ['retryable'] };
  // Checked one by one above.
  const error = Object.fromEntries(
    Object.entries({ code, type, status, title, detail, data, retryable }).filter(([, item]) => item !== undefined),
  ) as MockError;
  return { answer: { error } };
}

function codeProblem(code: Json, step: MockedStep): string | undefined {
  if (typeof code === 'string' && isErrorCode(code)) return foreignCodeProblem(code, step);
  const codes = Object.keys(ERROR_CODES);
  const meant = closestName(String(code), codes);
  const family = codes.filter((known) => familyOf(known) === familyOf(String(code)));
  const others = family.length > 0 ? family : ['BLW_HTTP_STATUS', 'BLW_SQL_FAILED'];
  const advice = meant === undefined ? `such as ${listNames(others)}` : `did you mean ${meant}?`;
  return `got ${shortJson(code)}, expected one of docs/errors.md; ${advice}`;
}
