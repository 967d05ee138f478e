import { describeJsonType, isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import type { FlowPlan, SubflowPlan, TaskPlan } from '../planning/plan';
import { closestName, listNames, shortJson } from '../problems';
import { type MockAnswer, mockedKind, parseMock, type StepMock } from './mock';

/** Where the answer of a step comes from: the start's `mocks`, the step's `metadata.mock`, or made from what is known of it. */
export type AnswerSource = 'request' | 'document' | 'generated';

/** Mocks of the steps of a flow, by the paths of the steps in its plan. In histories: add optional fields, never change one. */
export type MockTable = Readonly<Record<string, StepMock & { readonly source: 'request' | 'document' }>>;

/** Most mocks of one start. */
const MAX_MOCKS = 1_000;

/**
 * The mocks of a dry run: those of the start input before those of the document. A key is the name of a step, or its path as a JSON
 * Pointer; the path of a step that runs another flow, followed by a path in that flow, is a step of that flow.
 */
export function resolveMocks(plan: FlowPlan, given: JsonObject = {}): { mocks: MockTable } | { problems: string[] } {
  const tasks = tasksOf(plan);
  const table: Record<string, MockTable[string]> = {};
  const problems: string[] = [];
  for (const task of tasks.values()) {
    const kind = mockedKind(task);
    if (task.mock === undefined || kind === undefined) continue;
    const parsed = parseMock(task.mock, kind);
    if ('mock' in parsed) table[task.path] = { ...parsed.mock, source: 'document' };
  }
  const entries = Object.entries(given);
  if (entries.length > MAX_MOCKS)
    return { problems: [`mocks: got ${entries.length} of them, expected at most ${MAX_MOCKS}`] };
  // Without the catalog at hand the steps of its functions are not known: whoever has it will say.
  const isPartial = [...tasks.values()].some((task) => task.kind === 'function' && task.task === undefined);
  const inner = new Map<string, JsonObject>();
  const seen = new Set<string>();
  for (const [key, value] of entries) {
    const found = findStep(key, tasks);
    if ('problem' in found) {
      if (!isPartial) problems.push(`mocks: ${found.problem}`);
    } else if ('rest' in found) addInner(inner, found.task.path, found.rest, value);
    else {
      const { task } = found;
      const parsed = parseStepMock(task, value);
      if ('problem' in parsed) problems.push(`mocks: ${shortJson(key)}: ${parsed.problem}`);
      else if (seen.has(task.path))
        problems.push(`mocks: ${shortJson(key)}: ${task.path} is mocked twice, expected once`);
      else table[task.path] = { ...parsed.mock, source: 'request' };
      seen.add(task.path);
    }
  }
  for (const [path, mocks] of inner) problems.push(...mergeInner(table, path, mocks));
  return problems.length > 0 ? { problems } : { mocks: table };
}

/** Says what is wrong with `mocks` before the flow is known; undefined where nothing is. */
export function mocksProblem(mocks: Json): string | undefined {
  if (isJsonObject(mocks)) return undefined;
  return `mocks: got ${describeJsonType(mocks)}, expected an object: answers by the name or the path of a step`;
}

/** The answers from an attempt on, counted from 0: what is left of the list, at least its last. */
export function answersFrom(answers: readonly MockAnswer[], attempt: number): readonly MockAnswer[] {
  return answers.slice(Math.max(0, Math.min(attempt, answers.length - 1)));
}

function parseStepMock(task: TaskPlan, value: Json): { mock: StepMock } | { problem: string } {
  const kind = mockedKind(task);
  if (kind !== undefined) return parseMock(value, kind);
  return { problem: `${task.path} is a ${task.kind} task, which reaches nothing; mock a call, run, listen or emit` };
}

/** Steps of another flow, collected by the step that runs it. */
function addInner(inner: Map<string, JsonObject>, path: string, rest: string, value: Json): void {
  const mocks = inner.get(path) ?? {};
  setOwn(mocks, rest, value);
  inner.set(path, mocks);
}

function mergeInner(table: Record<string, MockTable[string]>, path: string, mocks: JsonObject): string[] {
  const own = table[path];
  if (own !== undefined && own.source === 'request' && own.inner === undefined)
    return [`mocks: ${path} is mocked as a whole, so that its steps cannot be; remove one of the two`];
  table[path] = {
    answers: [],
    inner: { ...(own?.source === 'request' ? own.inner : {}), ...mocks },
    source: 'request',
  };
  return [];
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
    const meant = closestName(key, tasks.keys());
    return { problem: `no step has the path ${shortJson(key)}; ${adviceOf(meant, [...tasks.keys()])}` };
  }
  const named = [...tasks.values()].filter(({ name }) => name === key);
  const [task, ...others] = named;
  if (task === undefined) {
    const names = [...new Set([...tasks.values()].map(({ name }) => name))];
    return { problem: `no step is called ${shortJson(key)}; ${adviceOf(closestName(key, names), names)}` };
  }
  if (others.length === 0) return { task };
  return {
    problem: `${named.length} steps are called ${shortJson(key)}; write the path: ${listNames(named.map(({ path }) => path))}`,
  };
}

function adviceOf(meant: string | undefined, known: readonly string[]): string {
  return meant === undefined ? `there are: ${listNames(known)}` : `did you mean ${shortJson(meant)}?`;
}

/** Every task of a plan by its path: also those of branches, functions and compensations. */
export function tasksOf({ tasks }: Pick<FlowPlan, 'tasks'>): ReadonlyMap<string, TaskPlan> {
  const found = new Map<string, TaskPlan>();
  const visit = (list: readonly TaskPlan[] | undefined): void => {
    for (const task of list ?? []) {
      found.set(task.path, task);
      for (const inner of listsOf(task)) visit(inner);
      visit(task.compensate?.tasks);
    }
  };
  visit(tasks);
  return found;
}

function listsOf(task: TaskPlan): readonly (readonly TaskPlan[] | undefined)[] {
  switch (task.kind) {
    case 'do':
    case 'for':
      return [task.tasks];
    case 'fork':
      return [task.branches];
    case 'try':
      return [task.tasks, task.catch.do];
    case 'listen':
      return [task.foreach?.tasks];
    case 'function':
      return [task.task === undefined ? [] : [task.task]];
    default:
      return [];
  }
}
