import { findStep } from '../dry-run/mock-table';
import { DECISIONS } from '../dry-run/read-mock';
import { parseDuration } from '../durations';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import type { FlowPlan, TaskPlan } from '../planning/plan';
import { tasksOf } from '../planning/tasks-of';
import { shortJson } from '../problems';
import type { Checker, Path, Shape } from '../validation/checker';
import { durationAdvice } from '../validation/explain-duration';
import { checkExpected } from './expected-value';
import type { Expectation, ExpectedRun, ExpectedStep } from './flow-test';
import { readExpectedError } from './read-expected-error';

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

/** More steps than a report tells of. */
const MAX_COUNT = 1_000_000;

const WAITED_MATCHERS = ['$atLeast', '$atMost'];

/** Where something stands, and what is known of the flow that it is of: without its plan, no step is compared with it. */
export interface Place {
  readonly path: Path;
  readonly plan: FlowPlan | undefined;
  /** The plan of a flow that a step runs, `namespace/name:version`; undefined where there is no catalog that has it. */
  readonly planOf: (flow: string) => FlowPlan | undefined;
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
    ...(error === undefined ? {} : { error: readExpectedError(error, [...path, 'error'], checker) }),
    ...(object.path === undefined ? {} : { path: readPath(object.path, context) }),
    ...(object.steps === undefined ? {} : { steps: readSteps(object.steps, context) }),
    ...(object.approvals === undefined ? {} : { approvals: readApprovals(object.approvals, context) }),
    ...(object.waited === undefined ? {} : { waited: readWaited(object.waited, [...path, 'waited'], checker) }),
  };
}

function readPath(value: Json, place: Place): Json {
  const path = [...place.path, 'path'];
  if (Array.isArray(value) || isJsonObject(value)) checkSteps(value, { ...place, path });
  else {
    const message = `path: got ${shortJson(value)}, expected a list of steps or { $inOrder: […] }`;
    place.checker.report('BLW_VALUE_INVALID', path, message);
  }
  return value;
}

/** All names in a path are steps, those within matchers too; patterns are none. */
function checkSteps(value: Json, place: Place): void {
  if (typeof value === 'string') findTask(value, place);
  else if (Array.isArray(value))
    for (const [index, item] of value.entries()) checkSteps(item, { ...place, path: [...place.path, index] });
  else if (isJsonObject(value))
    for (const [key, item] of Object.entries(value))
      if (HOLDS_STEPS.has(key)) checkSteps(item, { ...place, path: [...place.path, key] });
}

const HOLDS_STEPS: ReadonlySet<string> = new Set(['$contains', '$inOrder', '$oneOf', '$not', '$equals']);

function readSteps(value: Json, place: Place): readonly ExpectedStep[] {
  const path = [...place.path, 'steps'];
  const object = place.checker.object(value, path, 'steps', '{ charge: { input: {…} } }') ?? {};
  return Object.entries(object).map(([step, runs]) => {
    const at = { ...place, path: [...path, step] };
    const task = findTask(step, at);
    if (!Array.isArray(runs)) return { step, runs: { each: readRun(runs, at, task) } };
    return {
      step,
      runs: { inTurn: runs.map((run, index) => readTurn(run, { ...at, path: [...at.path, index] }, task)) },
    };
  });
}

/** The step that a name or a path means; undefined after reporting, or where nothing is known of the flow. */
function findTask(step: string, { path, plan, checker }: Place): TaskPlan | undefined {
  if (plan === undefined) return undefined;
  const found = findStep(step, tasksOf(plan));
  if ('problem' in found) {
    checker.report('BLW_VALUE_INVALID', path, found.problem, 'key');
    return undefined;
  }
  if (!('rest' in found)) return found.task;
  const message = `${shortJson(step)} is a step of another flow; write it under flow: { steps: … } of ${found.task.path}`;
  checker.report('BLW_VALUE_INVALID', path, message, 'key');
  return undefined;
}

/** One of a list, which says by its length how often the step runs. */
function readTurn(value: Json, place: Place, task: TaskPlan | undefined): ExpectedRun {
  const run = readRun(value, place, task);
  for (const key of ['ran', 'times'] as const)
    if (run[key] !== undefined) {
      const message = `${key}: a list has an object for each time that the step runs; write { ${key}: … } without a list`;
      place.checker.report('BLW_VALUE_INVALID', [...place.path, key], message, 'key');
    }
  return run;
}

function readRun(value: Json, place: Place, task: TaskPlan | undefined): ExpectedRun {
  const { path, checker } = place;
  const object = checker.shaped(value, path, 'a step', RUN_SHAPE);
  if (object === undefined) return { values: {} };
  const { ran, times, flow } = object;
  checker.boolean(ran, [...path, 'ran'], 'ran');
  const never = ran === false ? 'ran: got false' : times === 0 ? 'times: got 0' : undefined;
  if (never !== undefined && Object.keys(object).length > 1)
    checker.report('BLW_VALUE_INVALID', path, `${never}, so that nothing else can be expected of the step`);
  if (task !== undefined) checkKeysOf(task, object, place);
  const values: JsonObject = {};
  for (const key of [...VALUES, 'times']) {
    const expected = object[key];
    if (expected === undefined) continue;
    checkExpected(expected, [...path, key], checker);
    checkValue(key, expected, [...path, key], checker);
    if (key !== 'times')
      setOwn(values, key, key === 'error' ? readExpectedError(expected, [...path, key], checker) : expected);
  }
  const plan = task?.kind === 'subflow' ? place.planOf(task.flow) : undefined;
  return {
    ...(typeof ran === 'boolean' ? { ran } : {}),
    ...(times === undefined ? {} : { times }),
    values,
    ...(flow === undefined ? {} : { flow: readExpectation(flow, { ...place, path: [...path, 'flow'], plan }) }),
  };
}

/** Steps of which a report has no output: it is that of the steps in them, or none of their own. */
const WITHOUT_OUTPUT: ReadonlySet<TaskPlan['kind']> = new Set(['do', 'for', 'fork', 'try', 'switch', 'wait']);

/** Steps of which a report has no arguments either. */
const QUIET: ReadonlySet<TaskPlan['kind']> = new Set(['set', 'raise', 'do', 'for', 'fork', 'try', 'switch']);

/** What a report never has of such a step would be absent, whatever it is expected to be. */
function checkKeysOf(task: TaskPlan, object: JsonObject, { path, checker }: Place): void {
  const isQuiet = QUIET.has(task.kind) ? 'it does nothing outside of the flow' : undefined;
  const refused = {
    input: isQuiet,
    would: isQuiet,
    answer: isQuiet,
    output: WITHOUT_OUTPUT.has(task.kind) ? 'expect the output of the steps in it, or after it' : undefined,
    case: task.kind === 'switch' ? undefined : 'only a switch has one',
    decision: task.kind === 'call' && task.human === true ? undefined : 'only an approval has one',
    flow: task.kind === 'subflow' ? undefined : 'only a step that runs a flow has one',
  };
  for (const [key, advice] of Object.entries(refused)) {
    if (object[key] === undefined || advice === undefined) continue;
    const message = `${key}: ${task.path} is a ${task.kind} task, of which a report has no ${key}; ${advice}`;
    checker.report('BLW_VALUE_INVALID', [...path, key], message, 'key');
  }
}

/** Values of which there are only some. */
const WORDS: Readonly<Record<string, readonly string[]>> = {
  status: ['completed', 'failed', 'skipped', 'cancelled'],
  decision: DECISIONS,
  answer: ['request', 'document', 'generated', 'computed'],
};

/** What can be said of a value without knowing it: a matcher may be anything. */
function checkValue(key: string, value: Json, path: Path, checker: Checker): void {
  if (isJsonObject(value)) return;
  const allowed = Object.hasOwn(WORDS, key) ? WORDS[key] : undefined;
  if (allowed !== undefined) checker.oneOf(value, path, key, allowed);
  if (key === 'times') checker.integer(value, path, key, { min: 0, max: MAX_COUNT });
  if (key === 'attempts') checker.integer(value, path, key, { min: 1, max: MAX_COUNT });
}

function readApprovals(value: Json, place: Place): readonly JsonObject[] {
  const { checker } = place;
  const path = [...place.path, 'approvals'];
  return checker.list(value, path, 'approvals').flatMap((item, index) => {
    const at = [...path, index];
    const object = checker.shaped(item, at, 'an approval', APPROVAL_SHAPE);
    if (object === undefined) return [];
    const step = checker.text(object.step, [...at, 'step'], 'step');
    const task = step === undefined ? undefined : findTask(step, { ...place, path: [...at, 'step'] });
    if (task !== undefined && !(task.kind === 'call' && task.human === true))
      checker.report('BLW_VALUE_INVALID', [...at, 'step'], `step: ${task.path} is no approval; write it under steps`);
    checkExpected(object, at, checker);
    if (object.decision !== undefined) checkValue('decision', object.decision, [...at, 'decision'], checker);
    return [object];
  });
}

/** Durations become what a report has: ms. */
function readWaited(value: Json, path: Path, checker: Checker): Json {
  if (!isJsonObject(value) || !Object.keys(value).some((key) => key.startsWith('$')))
    return readDuration(value, path, checker);
  checker.keys(value, path, 'waited', { optional: WAITED_MATCHERS });
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
