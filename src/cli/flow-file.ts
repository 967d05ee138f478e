import { checkJqExpressions } from '../activities/expressions/check-jq-expressions';
import { createExpressionEngine } from '../activities/expressions/expression-engine';
import type { FlowLibrary } from '../dsl/catalog/library';
import type { FlowPlan, TaskPlan } from '../dsl/planning/plan';
import { planFlow } from '../dsl/planning/plan-flow';
import { formatProblem, fromJsonPointer, type Position, type Problem } from '../dsl/problems';
import { decodeUtf8 } from '../dsl/utf8';
import { type ValidationResult, type ValidFlow, validateFlowText } from '../dsl/validation/validate-flow';
import { EXPRESSION_HOST_ENTRY } from '../worker/package-files';
import type { Cli } from './cli';
import { findScriptProblems } from './flow-scripts';
import { printable, type TextOutput } from './output';
import { readSource, sourceName } from './read-source';

/** A flow document that was read: its plan where it is valid, else what is wrong with it. */
export type FlowFile = { readonly name: string } & (
  | {
      readonly flow: ValidFlow;
      readonly plan: FlowPlan;
      readonly problems: readonly [];
      /** Flows and functions that could not be looked up without a catalog. */
      readonly unresolved: readonly string[];
      /** Where the step with a path, or what is around it, stands in the text. */
      readonly locateStep: (pointer: string) => Position;
    }
  | { readonly flow?: undefined; readonly problems: readonly Problem[] }
);

/**
 * Reads and validates a document, from a file or from standard input (`-`); with a library, what it refers to as well. Throws
 * BLW_USAGE where it cannot be read.
 */
export async function readFlowFile(source: string, cli: Cli, library?: FlowLibrary): Promise<FlowFile> {
  const name = sourceName(source);
  const text = decodeUtf8(await readSource(source, cli));
  if (text === undefined) return { name, problems: [NOT_UTF8] };
  const result = await validateText(text, library);
  if (result.flow === undefined) return { name, problems: result.problems };
  const { flow, unresolved = [], locate } = result;
  const locateStep = (pointer: string): Position =>
    locate?.({ code: 'BLW_VALUE_INVALID', path: fromJsonPointer(pointer), part: 'key', message: '' }).position ?? START;
  const plan = planFlow(flow, { library });
  const problems = await findScriptProblems(flow, plan);
  if (problems.length > 0) return { name, problems: problems.map((problem) => locate?.(problem) ?? problem) };
  return { name, flow, plan, problems: [], unresolved, locateStep };
}

/** With the syntax of expressions in jq, which jq itself checks; nothing is started where there is none. */
async function validateText(text: string, library: FlowLibrary | undefined): Promise<ValidationResult> {
  const engine = createExpressionEngine({ entry: EXPRESSION_HOST_ENTRY });
  try {
    return await checkJqExpressions(validateFlowText(text, { library }), engine);
  } finally {
    await engine.close();
  }
}

const START: Position = { line: 1, column: 1 };

/** What is said of bytes that are no text. */
export const NOT_UTF8: Problem = {
  code: 'BLW_DOC_SYNTAX',
  path: [],
  message: 'the document is not UTF-8 text; save it as UTF-8',
  position: START,
};

/** Prints `file:line:column CODE message` for each problem, and how many there are. */
export function printProblems(files: readonly Pick<FlowFile, 'name' | 'problems'>[], output: TextOutput): void {
  const withProblems = files.filter(({ problems }) => problems.length > 0);
  for (const { name, problems } of withProblems) {
    for (const problem of problems) output.line(printable(formatProblem(problem, name)));
  }
  const count = withProblems.reduce((sum, { problems }) => sum + problems.length, 0);
  output.line(output.style.red(`${counted(count, 'problem')} in ${counted(withProblems.length, 'file')}`));
}

/** `1 step`, `2 steps` */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

/** All steps of a plan, those inside of others among them. */
export function countSteps(tasks: readonly TaskPlan[]): number {
  return tasks.reduce((sum, task) => sum + 1 + countSteps(innerTasks(task)), 0);
}

function innerTasks(task: TaskPlan): readonly TaskPlan[] {
  switch (task.kind) {
    case 'do':
    case 'for':
      return task.tasks;
    case 'fork':
      return task.branches;
    case 'function':
      return task.task === undefined ? [] : [task.task];
    case 'listen':
      return task.foreach?.tasks ?? [];
    case 'try':
      return [...task.tasks, ...(task.catch.do ?? [])];
    default:
      return [];
  }
}
