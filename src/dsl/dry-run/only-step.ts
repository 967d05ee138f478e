import type { Json, JsonObject } from '../json';
import type { FlowPlan } from '../planning/plan';
import { tasksOf } from '../planning/tasks-of';
import { adviseName, shortJson } from '../problems';
import type { OnlyPlan } from './dry-run';
import { findStep } from './mock-table';
import { notGiven } from './not-given';
import type { OnlyInput } from './only-input';
import { placesIn, type StepPlace } from './step-places';

/** Mistakes that are told at once, as of mocks. */
const MAX_PROBLEMS = 20;

/**
 * The step that a start asks for, with all that it runs with. `only` is undefined where the step may be one of a function that is not known
 * here, since there is no catalog at hand: whoever has it will say.
 */
export function resolveOnly(
  plan: FlowPlan,
  { step, ...given }: OnlyInput,
  input: Json,
): { only: OnlyPlan | undefined } | { problems: string[] } {
  const tasks = tasksOf(plan);
  const found = findStep(step, tasks);
  if ('problem' in found) {
    const isPartial = [...tasks.values()].some((task) => task.kind === 'function' && task.task === undefined);
    return isPartial ? { only: undefined } : { problems: [`only: ${found.problem}`] };
  }
  const { task } = found;
  if ('rest' in found && task.kind === 'subflow') {
    const problem = `${shortJson(step)} is a step of ${task.flow}, which ${task.path} runs; start that flow with "only": {"step": ${shortJson(found.rest)}}`;
    return { problems: [`only: ${problem}`] };
  }
  const [place] = [...placesIn(plan.tasks)].filter((candidate) => candidate.task === task);
  if (place === undefined) throw new Error(`${task.path} is in no list`);
  const problems = [...unknownVariables(place, given.variables ?? {}), ...unknownSteps(plan, given.steps ?? {})].slice(
    0,
    MAX_PROBLEMS,
  );
  if (problems.length > 0) return { problems: problems.map((problem) => `only: ${problem}`) };
  const { following } = place;
  const missing = notGiven(place, given, plan.language ?? 'cel');
  return { only: { path: task.path, input, ...given, following, notGiven: missing } };
}

function unknownVariables({ task: { path }, variables: known }: StepPlace, given: JsonObject): string[] {
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .slice(0, MAX_PROBLEMS)
    .map((name) =>
      known.length === 0
        ? `variables: ${shortJson(name)}: there is no loop and no catch around ${path}, so that it has no variables`
        : `variables: ${shortJson(name)} is no variable around ${path}; ${adviseName(name, known)}`,
    );
}

/** Those of any list: the data of a flow may be given to each of its steps. */
function unknownSteps(plan: FlowPlan, given: JsonObject): string[] {
  const known = [...new Set([...tasksOf(plan).values()].map(({ name }) => name))];
  return Object.keys(given)
    .filter((name) => !known.includes(name))
    .slice(0, MAX_PROBLEMS)
    .map((name) => `steps: no step is called ${shortJson(name)}; ${adviseName(name, known)}`);
}
