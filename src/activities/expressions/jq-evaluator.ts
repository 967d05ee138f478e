import type { Variables } from '../../dsl/expressions/batch';
import type { Json } from '../../dsl/json';
import { MAX_PAYLOAD_BYTES } from '../../dsl/step-request';
import { ExpressionFailure } from './expression-failure';
import {
  brokenRunText,
  compileErrorText,
  JQ_CHECK_FLAGS,
  JQ_FLAGS,
  jqCheckProgram,
  jqObstacle,
  jqProgram,
  readJqLine,
} from './jq-program';
import type { JqRun, JqRuntime } from './jq-runtime';
import type { BatchExpression, SyntaxQuestion } from './protocol';

/** jq's exit status for a program that does not compile. */
const COMPILE_ERROR = 3;

/** What a line has around its value. */
const LINE_OVERHEAD_BYTES = 1_000;

/** One thing to say of an expression: its value, or what is wrong. */
export type Evaluated = { readonly value: Json } | { readonly failure: ExpressionFailure };

/** Expressions that see the same variables. */
export interface Group {
  readonly expressions: readonly BatchExpression[];
  readonly variables: Variables;
}

/**
 * Evaluates a group in one run of jq (most of a run is the reading of jq's own library). Gives the values up to the first
 * failure, which comes last, or to the condition that ends the batch. `onPosition` hears how many are done.
 */
export async function evaluateJq(
  runtime: JqRuntime,
  group: Group,
  onPosition: (done: number) => void,
): Promise<Evaluated[]> {
  const { expressions, variables } = group;
  const obstructed = expressions.findIndex(({ expression }) => jqObstacle(expression) !== undefined);
  if (obstructed === -1) return await runGroup(runtime, group, onPosition);
  const before = expressions.slice(0, obstructed);
  const expression = expressions[obstructed]?.expression ?? '';
  const failure = new ExpressionFailure(expression, jqObstacle(expression) ?? '');
  return await runThenFail(runtime, { expressions: before, variables }, failure, onPosition);
}

async function runGroup(runtime: JqRuntime, group: Group, onPosition: (done: number) => void): Promise<Evaluated[]> {
  const { expressions, variables } = group;
  const { data, ...others } = variables;
  const names = Object.keys(others);
  const run = await runtime.run({
    args: [...JQ_FLAGS, jqProgram(expressions, names)],
    stdin: JSON.stringify([data, names.map((name) => others[name] ?? null)]),
    maxBytes: MAX_PAYLOAD_BYTES + expressions.length * LINE_OVERHEAD_BYTES,
    onLines: onPosition,
  });
  if (run.status === COMPILE_ERROR) return await failedToCompile(runtime, group, onPosition);
  return readRun(run, expressions);
}

/** The values of a group, and behind them a failure, unless one of the group's comes before it or its end. */
async function runThenFail(
  runtime: JqRuntime,
  group: Group,
  failure: ExpressionFailure,
  onPosition: (done: number) => void,
): Promise<Evaluated[]> {
  const results = group.expressions.length === 0 ? [] : await runGroup(runtime, group, onPosition);
  return results.length < group.expressions.length || results.some((result) => 'failure' in result)
    ? results
    : [...results, { failure }];
}

function readRun(run: JqRun, expressions: readonly BatchExpression[]): Evaluated[] {
  const lines = run.stdout.split('\n').slice(0, -1);
  const results: Evaluated[] = [];
  for (const [index, { expression, goesOn }] of expressions.entries()) {
    const line = lines[index];
    const read = line === undefined ? { problem: missingLine(run) } : readJqLine(line);
    if ('problem' in read) return [...results, { failure: new ExpressionFailure(expression, read.problem) }];
    results.push(read);
    if (goesOn?.includes(read.value as boolean) === false) return results;
  }
  return results;
}

/** Why there is no line for an expression. */
function missingLine({ status, stderr, isOverfull }: JqRun): string {
  if (status === undefined || /Exceeds depth limit/.test(stderr))
    return brokenRunText(stderr, isOverfull, MAX_PAYLOAD_BYTES);
  const said = stderr.trim();
  return said === '' ? 'halt ended it' : `halt_error ended it: ${said.slice(0, 500)}`;
}

/** Finds the one that does not compile; those before it are evaluated. */
async function failedToCompile(
  runtime: JqRuntime,
  { expressions, variables }: Group,
  onPosition: (done: number) => void,
): Promise<Evaluated[]> {
  const names = Object.keys(variables).filter((name) => name !== 'data');
  for (const [index, { expression }] of expressions.entries()) {
    const error = await compileError(runtime, { expression, variables: names });
    if (error === null) continue;
    const before = { expressions: expressions.slice(0, index), variables };
    return await runThenFail(runtime, before, new ExpressionFailure(expression, error), onPosition);
  }
  const [first] = expressions;
  return [{ failure: new ExpressionFailure(first?.expression ?? '', 'jq cannot compile it with those beside it') }];
}

/** What is wrong with the syntax of each, or null. `onPosition` hears how many are done. */
export async function checkJqSyntax(
  runtime: JqRuntime,
  questions: readonly SyntaxQuestion[],
  onPosition: (done: number) => void,
): Promise<(string | null)[]> {
  if (await allCompile(runtime, questions)) return questions.map(() => null);
  const verdicts: (string | null)[] = [];
  for (const question of questions) {
    onPosition(verdicts.length);
    verdicts.push(jqObstacle(question.expression) ?? (await compileError(runtime, question)));
  }
  return verdicts;
}

/** One run for all of them, as is usual. */
async function allCompile(runtime: JqRuntime, questions: readonly SyntaxQuestion[]): Promise<boolean> {
  if (questions.some(({ expression }) => jqObstacle(expression) !== undefined)) return false;
  const byVariables = new Map<string, SyntaxQuestion[]>();
  for (const question of questions) {
    const key = question.variables.join(' ');
    byVariables.set(key, [...(byVariables.get(key) ?? []), question]);
  }
  for (const group of byVariables.values()) {
    const program = jqCheckProgram(
      group.map(({ expression }) => expression),
      group[0]?.variables ?? [],
    );
    if ((await compile(runtime, program)).status !== 0) return false;
  }
  return true;
}

async function compileError(runtime: JqRuntime, { expression, variables }: SyntaxQuestion): Promise<string | null> {
  const run = await compile(runtime, jqCheckProgram([expression], variables));
  if (run.status === 0) return null;
  if (run.status === undefined) return brokenRunText(run.stderr, run.isOverfull, MAX_PAYLOAD_BYTES);
  return compileErrorText(run.stderr, !expression.includes('\n'));
}

function compile(runtime: JqRuntime, program: string): Promise<JqRun> {
  return runtime.run({
    args: [...JQ_CHECK_FLAGS, program],
    stdin: '',
    maxBytes: LINE_OVERHEAD_BYTES,
    onLines: () => undefined,
  });
}
