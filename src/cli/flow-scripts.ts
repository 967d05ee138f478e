import type { ScriptText } from '../activities/script/check-scripts';
import { isWholeExpression } from '../dsl/expressions/template';
import { isJsonObject, type JsonObject, jsonAt } from '../dsl/json';
import type { FlowPlan } from '../dsl/planning/plan';
import { callsOf } from '../dsl/planning/tasks-of';
import { fromJsonPointer, type Problem } from '../dsl/problems';
import { isScriptTask, SCRIPT_BLOCK } from '../dsl/script';

/** What is wrong with the scripts of a flow: those that stand in its document, which is all but what catalogs have. */
export async function findScriptProblems(flow: JsonObject, plan: FlowPlan): Promise<readonly Problem[]> {
  const problems: Problem[] = [];
  const inSteps = callsOf(plan)
    .filter(({ block }) => block === SCRIPT_BLOCK)
    .map(({ path }) => scriptAt(flow, fromJsonPointer(path)));
  for (const found of [...inSteps, ...scriptsBelow(flow, ['use', 'functions'])]) {
    if (found === undefined || isWholeExpression(found.code, plan.language ?? 'cel')) continue;
    // Its engine is loaded only where it is needed.
    const { checkScript } =
      require('../activities/script/check-scripts') as typeof import('../activities/script/check-scripts');
    const problem = await checkScript(found);
    if (problem !== undefined)
      problems.push({
        code: 'BLW_SCRIPT_SYNTAX',
        path: found.path,
        message: `the script does not compile: ${problem}`,
      });
  }
  return problems;
}

/** Scripts of functions, whose steps have paths of the calls in the plan. */
function scriptsBelow(flow: JsonObject, path: readonly string[]): (ScriptAt | undefined)[] {
  const value = jsonAt(flow, path);
  if (typeof value !== 'object' || value === null) return [];
  const below = Object.keys(value).flatMap((key) => scriptsBelow(flow, [...path, key]));
  return isJsonObject(value) && (value.call === SCRIPT_BLOCK || isScriptTask(value))
    ? [scriptAt(flow, path), ...below]
    : below;
}

type ScriptAt = ScriptText & Pick<Problem, 'path'>;

function scriptAt(flow: JsonObject, path: readonly string[]): ScriptAt | undefined {
  const task = jsonAt(flow, path);
  if (!isJsonObject(task)) return undefined;
  const isTask = isScriptTask(task);
  const place = isTask ? ['run', 'script', 'code'] : ['with', 'code'];
  const code = jsonAt(task, place);
  if (typeof code !== 'string') return undefined;
  const isProcess = isTask || jsonAt(task, ['with', 'process']) !== undefined;
  return { kind: isProcess ? 'process' : 'function', code, path: [...path, ...place] };
}
