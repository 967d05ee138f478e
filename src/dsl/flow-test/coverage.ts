import type { Visits } from '../dry-run/visits';
import type { FlowPlan, TaskPlan } from '../planning/plan';
import { tasksOf } from '../planning/tasks-of';
import { shortText } from '../problems';

/** How much of a flow was come to by its tests. */
export interface Coverage {
  readonly steps: Share;
  /** Cases of `switch` (none of them among these, where no case takes everything), both ways of `if`, and the `catch` of each `try`. */
  readonly branches: Share;
  readonly missing: readonly Missing[];
}

/** So many of so many. */
export interface Share {
  readonly covered: number;
  readonly total: number;
}

/** What no test came to. */
export interface Missing {
  /** JSON Pointer of the step. */
  readonly path: string;
  /** `it never ran`, `case "express" was never taken` */
  readonly what: string;
}

interface Branch {
  readonly isCovered: boolean;
  readonly what: string;
}

/** Adds up what several runs of a flow came to. */
export function measureCoverage(plan: Pick<FlowPlan, 'tasks'>, runs: readonly Visits[]): Coverage {
  const steps = { covered: 0, total: 0 };
  const branches = { covered: 0, total: 0 };
  const missing: Missing[] = [];
  for (const [path, task] of tasksOf(plan)) {
    const visits = runs.flatMap((run) => (Object.hasOwn(run, path) ? [run[path] as Visits[string]] : []));
    const ran = sum(visits, ({ ran }) => ran);
    steps.total += 1;
    if (ran > 0) steps.covered += 1;
    else missing.push({ path, what: 'it never ran' });
    for (const { isCovered, what } of branchesOf(task, visits)) {
      branches.total += 1;
      if (isCovered) branches.covered += 1;
      // Of a step that never ran, nothing else needs to be said.
      else if (ran > 0) missing.push({ path, what });
    }
  }
  return { steps, branches, missing };
}

function branchesOf(task: TaskPlan, visits: readonly Visits[string][]): readonly Branch[] {
  const ran = sum(visits, (visit) => visit.ran) > 0;
  const condition =
    task.if === undefined
      ? []
      : [
          { isCovered: ran, what: 'its if was never true' },
          { isCovered: sum(visits, ({ skipped }) => skipped) > 0, what: 'its if was never false' },
        ];
  return [...condition, ...ownBranches(task, visits)];
}

function ownBranches(task: TaskPlan, visits: readonly Visits[string][]): readonly Branch[] {
  if (task.kind === 'try')
    return [{ isCovered: sum(visits, ({ caught }) => caught) > 0, what: 'it never caught an error' }];
  if (task.kind !== 'switch') return [];
  const cases = task.cases.map(({ name }) => ({
    isCovered: sum(visits, ({ cases = {} }) => (Object.hasOwn(cases, name) ? cases[name] : 0)) > 0,
    what: `case "${shortText(name)}" was never taken`,
  }));
  if (task.cases.some(({ when }) => when === undefined)) return cases;
  return [...cases, { isCovered: sum(visits, ({ noCase }) => noCase) > 0, what: 'one of its cases was always taken' }];
}

function sum<T>(items: readonly T[], count: (item: T) => number | undefined): number {
  return items.reduce((total, item) => total + (count(item) ?? 0), 0);
}
