import { describeJsonType, isJsonObject, type Json } from '../json';
import type { SubflowPlan, TaskPlan } from '../planning/plan';
import { adviseName, listNames, shortJson } from '../problems';
import type { MockAnswer, StepMock } from './mock';

/** Where the answer of a step comes from: the start's `mocks`, the step's `metadata.mock`, or made from what is known of it. */
export type AnswerSource = 'request' | 'document' | 'generated';

/** Mocks of the steps of a flow, by the paths of the steps in its plan. In histories: add optional fields, never change one. */
export type MockTable = Readonly<Record<string, StepMock & { readonly source: 'request' | 'document' }>>;

/** Says what is wrong with `mocks` before the flow is known; undefined where nothing is. */
export function mocksProblem(mocks: Json): string | undefined {
  if (isJsonObject(mocks)) return undefined;
  return `mocks: got ${describeJsonType(mocks)}, expected an object: answers by the name or the path of a step`;
}

/** The answers from an attempt on, counted from 0: what is left of the list, at least its last. */
export function answersFrom(answers: readonly MockAnswer[], attempt: number): readonly MockAnswer[] {
  return answers.slice(Math.max(0, Math.min(attempt, answers.length - 1)));
}

/** The step that a name or a path means; with `rest`, a step of the flow that `task` runs. */
export function findStep(
  key: string,
  tasks: ReadonlyMap<string, TaskPlan>,
): { task: TaskPlan } | { task: SubflowPlan; rest: string } | { problem: string } {
  if (key.startsWith('/')) {
    const task = tasks.get(key);
    if (task !== undefined) return { task };
    const around = [...tasks.values()].find(({ kind, path }) => kind === 'subflow' && key.startsWith(`${path}/`));
    if (around?.kind === 'subflow') return { task: around, rest: key.slice(around.path.length) };
    return { problem: `no step has the path ${shortJson(key)}; ${adviseName(key, [...tasks.keys()])}` };
  }
  const named = [...tasks.values()].filter(({ name }) => name === key);
  const [task, ...others] = named;
  if (task === undefined) {
    const names = [...new Set([...tasks.values()].map(({ name }) => name))];
    return { problem: `no step is called ${shortJson(key)}; ${adviseName(key, names)}` };
  }
  if (others.length === 0) return { task };
  return {
    problem: `${named.length} steps are called ${shortJson(key)}; write the path: ${listNames(named.map(({ path }) => path))}`,
  };
}
