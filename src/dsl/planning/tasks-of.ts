import type { CallPlan, FlowPlan, TaskPlan } from './plan';

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

/** Its calls of blocks, likewise. */
export function callsOf(plan: Pick<FlowPlan, 'tasks'>): readonly CallPlan[] {
  return [...tasksOf(plan).values()].filter((task): task is CallPlan => task.kind === 'call');
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
