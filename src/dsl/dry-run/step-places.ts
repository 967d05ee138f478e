import type { TaskPlan } from '../planning/plan';

/** What is around a step in its document. */
export interface Surroundings {
  /** Variables of the loops and catches around it. */
  readonly variables: readonly string[];
  /** Names of the steps of the lists around it, its own among them. */
  readonly steps: readonly string[];
  /** A function is between here and where the walk began: what is around that is not seen. */
  readonly isApart: boolean;
}

/** A step, and what is around it. */
export interface StepPlace extends Surroundings {
  readonly task: TaskPlan;
  /** Name of the next step of its list; null: it is the last, or steps do not follow each other there. */
  readonly following: string | null;
}

export const NOTHING_AROUND: Surroundings = { variables: [], steps: [], isApart: false };

/** Every step of a list and those below them: also those of branches, functions and compensations. */
export function* placesIn(
  list: readonly TaskPlan[],
  around: Surroundings = NOTHING_AROUND,
  areBranches = false,
): Generator<StepPlace> {
  const steps = [...around.steps, ...(areBranches ? [] : list.map(({ name }) => name))];
  for (const [index, task] of list.entries()) {
    const here = { ...around, steps };
    const following = areBranches ? undefined : list[index + 1]?.name;
    yield { task, following: following ?? null, ...here };
    yield* placesBelow(task, here);
  }
}

/** Every step below a step. */
export function* placesBelow(task: TaskPlan, around: Surroundings): Generator<StepPlace> {
  const withVariables = (...names: string[]): Surroundings => ({
    ...around,
    variables: [...around.variables, ...names],
  });
  if (task.compensate !== undefined) yield* placesIn(task.compensate.tasks, withVariables('error'));
  switch (task.kind) {
    case 'do':
      return yield* placesIn(task.tasks, around);
    case 'for':
      return yield* placesIn(task.tasks, withVariables(task.each, task.at));
    case 'fork':
      return yield* placesIn(task.branches, around, true);
    case 'try':
      yield* placesIn(task.tasks, around);
      return yield* placesIn(task.catch.do ?? [], withVariables(task.catch.as));
    case 'listen':
      return yield* placesIn(task.foreach?.tasks ?? [], withVariables(...foreachVariables(task)));
    case 'function':
      return yield* placesIn(task.task === undefined ? [] : [task.task], { ...NOTHING_AROUND, isApart: true }, true);
    default:
      return;
  }
}

function foreachVariables({ foreach }: Extract<TaskPlan, { kind: 'listen' }>): string[] {
  return foreach === undefined ? [] : [foreach.item, foreach.at];
}
