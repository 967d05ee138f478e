import { type Json, type JsonObject, setOwn } from '../json';
import type { FlowPlan, TaskPlan } from '../planning/plan';
import { tasksOf } from '../planning/tasks-of';
import { shortJson } from '../problems';
import { DIRECTIVES } from '../validation/check-control';
import type { StepMock } from './mock';
import { findStep, type MockTable } from './mock-table';
import { mockedStepOf } from './mocked-step';
import { type MockProblem, parseMock } from './read-mock';

/** What is wrong with the mocks of a start. */
export interface MocksProblem {
  /** Keys and indexes in the mocks; what is wrong is the key itself, or what stands there. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** Mistakes that are told at once: each is compared with all steps, and the worker of all tenants does it. */
const MAX_PROBLEMS = 20;

/** Most mocks of one start. */
const MAX_MOCKS = 1_000;

/**
 * The mocks of a dry run: those of the start input before those of the document. A key is the name of a step, or its path as a JSON
 * Pointer; the path of a step that runs another flow, followed by a path in that flow, is a step of that flow.
 */
export function resolveMocks(
  plan: FlowPlan,
  given: JsonObject = {},
): { mocks: MockTable } | { problems: MocksProblem[] } {
  const tasks = tasksOf(plan);
  const table: Record<string, MockTable[string]> = {};
  const problems: MocksProblem[] = [];
  const report = (message: string, ...path: MocksProblem['path']): void => {
    problems.push({ path, message });
  };
  for (const task of tasks.values()) {
    const step = mockedStepOf(task);
    if (task.mock === undefined || step === undefined) continue;
    const parsed = parseMock(task.mock, step);
    if ('mock' in parsed) table[task.path] = { ...parsed.mock, source: 'document' };
  }
  const entries = Object.entries(given);
  if (entries.length > MAX_MOCKS)
    return { problems: [{ path: [], message: `got ${entries.length} mocks, expected at most ${MAX_MOCKS}` }] };
  // Without the catalog at hand the steps of its functions are not known: whoever has it will say.
  const isPartial = [...tasks.values()].some((task) => task.kind === 'function' && task.task === undefined);
  const inner = new Map<string, JsonObject>();
  const seen = new Set<string>();
  for (const [key, value] of entries) {
    if (problems.length >= MAX_PROBLEMS) break;
    const found = findStep(key, tasks);
    if ('problem' in found) {
      if (!isPartial) report(found.problem, key);
    } else if ('rest' in found) addInner(inner, found.task.path, found.rest, value);
    else {
      const { task } = found;
      const parsed = parseStepMock(task, value);
      if ('problem' in parsed) report(`${shortJson(key)}: ${parsed.problem}`, key, ...(parsed.at ?? []));
      else if (seen.has(task.path)) report(`${shortJson(key)}: ${task.path} is mocked twice, expected once`, key);
      else if (parsed.mock.rounds !== undefined && !mayRepeat(task, tasks))
        report(
          `${shortJson(key)}: rounds: ${task.path} is in no loop; write one answer, or a list of attempts`,
          key,
          'rounds',
        );
      else table[task.path] = { ...parsed.mock, source: 'request' };
      seen.add(task.path);
    }
  }
  for (const [path, mocks] of inner) {
    const problem = mergeInner(table, path, mocks);
    if (problem !== undefined) report(problem, `${path}${Object.keys(mocks)[0]}`);
  }
  return problems.length > 0 ? { problems: problems.slice(0, MAX_PROBLEMS) } : { mocks: table };
}

function parseStepMock(task: TaskPlan, value: Json): { mock: StepMock } | MockProblem {
  const step = mockedStepOf(task);
  if (step !== undefined) return parseMock(value, step);
  return { problem: `${task.path} is a ${task.kind} task, which reaches nothing; mock a call, run, listen or emit` };
}

/** False for a step of which it is sure that it is in no loop: there is none around, and no `then` leads anywhere. */
function mayRepeat({ path }: TaskPlan, tasks: ReadonlyMap<string, TaskPlan>): boolean {
  return [...tasks.values()].some(
    (task) =>
      ((task.kind === 'for' || task.kind === 'listen') && path.startsWith(`${task.path}/`)) || leadsSomewhere(task),
  );
}

/** Says by `then`, in a case of a `switch` or after a `catch`, where to go on. */
function leadsSomewhere(task: TaskPlan): boolean {
  const cases = task.kind === 'switch' ? task.cases.map(({ next }) => next) : [];
  const after = task.kind === 'try' ? [task.catch.next] : [];
  return [task.next, ...cases, ...after].some((next) => next !== undefined && !DIRECTIVES.includes(next));
}

/** Steps of another flow, collected by the step that runs it. */
function addInner(inner: Map<string, JsonObject>, path: string, rest: string, value: Json): void {
  const mocks = inner.get(path) ?? {};
  setOwn(mocks, rest, value);
  inner.set(path, mocks);
}

function mergeInner(table: Record<string, MockTable[string]>, path: string, mocks: JsonObject): string | undefined {
  const own = table[path];
  if (own !== undefined && own.source === 'request' && own.inner === undefined)
    return `${path} is mocked as a whole, so that its steps cannot be; remove one of the two`;
  table[path] = {
    answers: [],
    inner: { ...(own?.source === 'request' ? own.inner : {}), ...mocks },
    source: 'request',
  };
  return undefined;
}
