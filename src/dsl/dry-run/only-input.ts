import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { adviseName, shortJson, shortText } from '../problems';

/** The start's `only`: one step, and what the flow around it would have given it. */
export interface OnlyInput {
  /** Its name or, where several have it, its path as a JSON Pointer. */
  readonly step: string;
  /** `$context`; absent: null. */
  readonly context?: Json;
  /** Variables of the loops and catches around it, by name. */
  readonly variables?: JsonObject;
  /** Outputs of other steps, by name. */
  readonly steps?: JsonObject;
  /** `$workflow.input`; absent: null. */
  readonly workflowInput?: Json;
}

/** What the flow would give the step, beside its input. */
export const ONLY_DATA = ['context', 'variables', 'steps', 'workflowInput'] as const;

/** Says what is wrong with `only` before the flow is known. */
export function onlyProblems(only: Json): string[] {
  if (!isJsonObject(only)) return [`only: got ${describeJsonType(only)}, expected {"step": "name or path of a step"}`];
  const { step, ...data } = only;
  const problems = dataProblems(data).map((problem) => `only: ${problem}`);
  if (typeof step !== 'string' || step === '')
    problems.push(`only: step: got ${shortJson(step)}, expected the name or the path of a step`);
  return problems;
}

/** Says what is wrong with what is given to a step. */
export function dataProblems(data: JsonObject): string[] {
  const problems = Object.keys(data)
    .filter((key) => !ONLY_DATA.some((known) => known === key))
    .map((key) => `"${shortText(key)}" is not known; ${adviseName(key, ONLY_DATA)}`);
  for (const name of ['variables', 'steps']) {
    const value = data[name];
    if (value === undefined) continue;
    if (!isJsonObject(value)) problems.push(`${name}: got ${describeJsonType(value)}, expected an object by name`);
    else
      for (const key of Object.keys(value).filter((known) => known.startsWith('$')))
        problems.push(`${name}: ${shortJson(key)}: write the name without the dollar: ${shortJson(key.slice(1))}`);
  }
  return problems;
}
