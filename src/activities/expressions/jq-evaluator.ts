import type { Evaluation } from '../../dsl/expressions/batch';
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
import type { SyntaxQuestion } from './protocol';

/** jq's exit status for a program that does not compile. */
const COMPILE_ERROR = 3;

/** What a line has around its value. */
const LINE_OVERHEAD_BYTES = 1_000;

/** One thing to say of an expression: its value, or what is wrong. */
export type Evaluated = { readonly value: Json } | { readonly failure: ExpressionFailure };

/**
 * Evaluates expressions that see the same variables, in one run of jq (most of a run is the reading of jq's own library).
 * Gives the values up to the first failure, which comes last. `onPosition` hears how many are done.
 */
export async function evaluateJq(
  runtime: JqRuntime,
  group: readonly Evaluation[],
  onPosition: (done: number) => void,
): Promise<Evaluated[]> {
  const [first] = group;
  if (first === undefined) return [];
  const obstructed = group.findIndex(({ expression }) => jqObstacle(expression) !== undefined);
  const sound = obstructed === -1 ? group : group.slice(0, obstructed);
  const results = sound.length === 0 ? [] : await runGroup(runtime, sound, onPosition);
  if (obstructed === -1 || results.some((result) => 'failure' in result)) return results;
  const { expression } = group[obstructed] as Evaluation;
  return [...results, { failure: new ExpressionFailure(expression, jqObstacle(expression) ?? '') }];
}

async function runGroup(
  runtime: JqRuntime,
  group: readonly Evaluation[],
  onPosition: (done: number) => void,
): Promise<Evaluated[]> {
  const { variables } = group[0] as Evaluation;
  const { data, ...others } = variables;
  const names = Object.keys(others);
  const run = await runtime.run({
    args: [
      ...JQ_FLAGS,
      jqProgram(
        group.map(({ expression }) => expression),
        names,
      ),
    ],
    stdin: JSON.stringify([data, names.map((name) => others[name] ?? null)]),
    maxBytes: MAX_PAYLOAD_BYTES + group.length * LINE_OVERHEAD_BYTES,
    onLines: onPosition,
  });
  if (run.status === COMPILE_ERROR) return await failedToCompile(runtime, group, names);
  return readRun(run, group);
}

function readRun(run: JqRun, group: readonly Evaluation[]): Evaluated[] {
  const lines = run.stdout.split('\n').slice(0, -1);
  const results: Evaluated[] = [];
  for (const [index, { expression }] of group.entries()) {
    const line = lines[index];
    const read = line === undefined ? { problem: missingLine(run) } : readJqLine(line);
    if ('problem' in read) return [...results, { failure: new ExpressionFailure(expression, read.problem) }];
    results.push(read);
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
  group: readonly Evaluation[],
  names: readonly string[],
): Promise<Evaluated[]> {
  for (const [index, { expression }] of group.entries()) {
    const error = await compileError(runtime, { expression, variables: names });
    if (error === null) continue;
    const before = index === 0 ? [] : await runGroup(runtime, group.slice(0, index), () => undefined);
    if (before.some((result) => 'failure' in result)) return before;
    return [...before, { failure: new ExpressionFailure(expression, error) }];
  }
  // Each compiles and all together do not: too large together.
  const [first] = group;
  return [{ failure: new ExpressionFailure(first?.expression ?? '', 'the expressions of the step are too large') }];
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
