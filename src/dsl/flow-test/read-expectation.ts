import { findStep, tasksOf } from '../dry-run/mock-table';
import { DECISIONS } from '../dry-run/read-mock';
import { parseDuration } from '../durations';
import { ERROR_CODES, isErrorCode } from '../error-codes';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import type { FlowPlan } from '../planning/plan';
import { closestName, shortJson } from '../problems';
import type { Checker, Path, Shape } from '../validation/checker';
import { durationAdvice } from '../validation/explain-duration';
import { checkExpected } from './expected-value';
import type { Expectation, ExpectedRun, ExpectedStep } from './flow-test';

const EXPECT_SHAPE: Shape = {
  optional: ['output', 'error', 'path', 'steps', 'approvals', 'waited'],
  habits: {
    aliases: {
      result: 'output',
      errors: 'error',
      step: 'steps',
      approval: 'approvals',
      skipped: 'waited',
      time: 'waited',
    },
    advice: { status: 'leave it out: with error the flow has to fail, without it has to complete' },
  },
  example: '{ output: {…}, path: […] }',
};

/** What a report has of a step, and a run of it can be expected to be. */
const VALUES = ['status', 'decision', 'attempts', 'input', 'output', 'error', 'would', 'answer', 'case'];

const RUN_SHAPE: Shape = {
  optional: ['ran', 'times', 'flow', ...VALUES],
  habits: { aliases: { with: 'input', arguments: 'input', result: 'output', count: 'times', runs: 'times' } },
  example: '{ input: {…} }',
};

const APPROVAL_SHAPE: Shape = {
  required: ['step'],
  optional: ['input', 'decision'],
  example: '{ step: approve, decision: approved }',
};

const WAITED_MATCHERS = ['$atLeast', '$atMost'];

/** Where something stands; `plan` is absent for the steps of another flow, of which nothing is known. */
interface Place {
  readonly path: Path;
  readonly plan: FlowPlan | undefined;
  readonly checker: Checker;
}

/** Reads what is expected of a flow; what is wrong is reported. */
export function readExpectation(value: Json | undefined, context: Place): Expectation {
  const { path, checker } = context;
  if (value === undefined) return {};
  const object = checker.shaped(value, path, 'expect', EXPECT_SHAPE);
  if (object === undefined) return {};
  const { output, error } = object;
  if (output !== undefined && error !== undefined)
    checker.report('BLW_VALUE_INVALID', path, 'expect: got output and error, expected one of them');
  for (const key of ['output', 'path'] as const)
    if (object[key] !== undefined) checkExpected(object[key], [...path, key], checker);
  return {
    ...(output === undefined ? {} : { output }),
    ...(error === undefined ? {} : { error: readError(error, [...path, 'error'], checker) }),
    ...(object.path === undefined ? {} : { path: readPath(object.path, context) }),
    ...(object.steps === undefined ? {} : { steps: readSteps(object.steps, context) }),
    ...(object.approvals === undefined ? {} : { approvals: readApprovals(object.approvals, context) }),
    ...(object.waited === undefined ? {} : { waited: readWaited(object.waited, [...path, 'waited'], checker) }),
  };
}

/** A code alone stands for an error with that code. */
function readError(value: Json, path: Path, checker: Checker): Json {
  if (typeof value === 'string') {
    checkCode(value, path, checker);
    return { code: value };
  }
  const object = checker.object(value, path, 'error', '{ code: BLW_HTTP_STATUS }');
  if (object === undefined) return value;
  if (typeof object.code === 'string') checkCode(object.code, [...path, 'code'], checker);
  checkExpected(object, path, checker);
  return value;
}

function checkCode(code: string, path: Path, checker: Checker): void {
  if (isErrorCode(code)) return;
  const meant = closestName(code, Object.keys(ERROR_CODES));
  const advice = meant === undefined ? 'docs/errors.md has them all' : `did you mean ${meant}?`;
  const message = `code: got ${shortJson(code)}, expected a code such as BLW_HTTP_STATUS; ${advice}`;
  checker.report('BLW_VALUE_INVALID', path, message);
}

function readPath(value: Json, { path, plan, checker }: Place): Json {
  const at = [...path, 'path'];
  if (!Array.isArray(value) && !isJsonObject(value)) {
    checker.report(
      'BLW_VALUE_INVALID',
      at,
      `path: got ${shortJson(value)}, expected a list of steps or { $inOrder: […] }`,
    );
    return value;
  }
  if (Array.isArray(value))
    for (const [index, step] of value.entries())
      if (typeof step === 'string') checkStep(step, { path: [...at, index], plan, checker });
  return value;
}

function readSteps(value: Json, context: Place): readonly ExpectedStep[] {
  const { plan, checker } = context;
  const path = [...context.path, 'steps'];
  const object = checker.object(value, path, 'steps', '{ charge: { input: {…} } }') ?? {};
  return Object.entries(object).map(([step, runs]) => {
    const at = [...path, step];
    checkStep(step, { path: at, plan, checker });
    return {
      step,
      runs: Array.isArray(runs)
        ? { inTurn: runs.map((run, index) => readRun(run, [...at, index], checker)) }
        : { each: readRun(runs, at, checker) },
    };
  });
}

function checkStep(step: string, { path, plan, checker }: Place): void {
  if (plan === undefined) return;
  const found = findStep(step, tasksOf(plan));
  if ('problem' in found) checker.report('BLW_VALUE_INVALID', path, found.problem, 'key');
  else if ('rest' in found) {
    const message = `${shortJson(step)} is a step of another flow; write it under flow: { steps: … } of ${found.task.path}`;
    checker.report('BLW_VALUE_INVALID', path, message, 'key');
  }
}

function readRun(value: Json, path: Path, checker: Checker): ExpectedRun {
  const object = checker.shaped(value, path, 'a step', RUN_SHAPE);
  if (object === undefined) return { values: {} };
  const { ran, times, flow } = object;
  checker.boolean(ran, [...path, 'ran'], 'ran');
  if (ran === false && Object.keys(object).length > 1)
    checker.report(
      'BLW_VALUE_INVALID',
      [...path, 'ran'],
      'ran: got false, so that nothing else can be expected of the step',
    );
  const values: JsonObject = {};
  for (const key of [...VALUES, 'times']) {
    const expected = object[key];
    if (expected === undefined) continue;
    checkExpected(expected, [...path, key], checker);
    if (typeof expected === 'string') checkWord(key, expected, [...path, key], checker);
    if (key !== 'times') setOwn(values, key, key === 'error' ? readError(expected, [...path, key], checker) : expected);
  }
  return {
    ...(typeof ran === 'boolean' ? { ran } : {}),
    ...(times === undefined ? {} : { times }),
    values,
    ...(flow === undefined
      ? {}
      : { flow: readExpectation(flow, { path: [...path, 'flow'], plan: undefined, checker }) }),
  };
}

/** Values of which there are only some. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  status: ['completed', 'failed', 'skipped', 'cancelled'],
  decision: DECISIONS,
  answer: ['request', 'document', 'generated', 'computed'],
};

function checkWord(key: string, word: string, path: Path, checker: Checker): void {
  const allowed = Object.hasOwn(WORDS, key) ? WORDS[key] : undefined;
  if (allowed !== undefined) checker.oneOf(word, path, key, allowed);
}

function readApprovals(value: Json, { path, plan, checker }: Place): readonly JsonObject[] {
  const at = [...path, 'approvals'];
  return checker.list(value, at, 'approvals').flatMap((item, index) => {
    const object = checker.shaped(item, [...at, index], 'an approval', APPROVAL_SHAPE);
    if (object === undefined) return [];
    const step = checker.text(object.step, [...at, index, 'step'], 'step');
    if (step !== undefined) checkStep(step, { path: [...at, index, 'step'], plan, checker });
    checkExpected(object, [...at, index], checker);
    if (typeof object.decision === 'string')
      checkWord('decision', object.decision, [...at, index, 'decision'], checker);
    return [object];
  });
}

/** Durations become what a report has: ms. */
function readWaited(value: Json, path: Path, checker: Checker): Json {
  if (!isJsonObject(value) || !Object.keys(value).every((key) => WAITED_MATCHERS.includes(key)))
    return readDuration(value, path, checker);
  const limits: JsonObject = {};
  for (const [key, limit] of Object.entries(value)) limits[key] = readDuration(limit, [...path, key], checker);
  return limits;
}

function readDuration(value: Json, path: Path, checker: Checker): number {
  const parsed = parseDuration(value);
  if ('ms' in parsed) return parsed.ms;
  const others = `or { ${WAITED_MATCHERS.join(': …, ')}: … }`;
  checker.report('BLW_DURATION_INVALID', path, `waited: ${parsed.problem}${durationAdvice(value)}, ${others}`);
  return 0;
}
