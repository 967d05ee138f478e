import { expressionReferences, expressionVariables } from '../expressions/check';
import { foreignReferences } from '../expressions/foreign-references';
import type { ExpressionLanguage } from '../expressions/language';
import { referencedVariables } from '../expressions/references';
import type { TaskPlan } from '../planning/plan';
import { planExpressions } from '../planning/plan-references';
import type { OnlyInput } from './only-input';
import { NOTHING_AROUND, placesBelow, type StepPlace, type Surroundings } from './step-places';

/** What of one step is named; a list of everything helps nobody. */
const MAX_NAMED = 20;

/**
 * What the expressions of a step and of those below it read that a flow would have and that was not given, by the paths of the steps: as
 * places in the start's `only`, e.g. `variables.item`, `steps.getOrder`, `context`.
 */
export function notGiven(
  place: StepPlace,
  given: Omit<OnlyInput, 'step'>,
  language: ExpressionLanguage,
): Record<string, readonly string[]> {
  const wanted: Record<string, readonly string[]> = {};
  const missing = place.variables.filter((name) => !Object.hasOwn(given.variables ?? {}, name));
  const look = (task: TaskPlan, inner: Surroundings): void => {
    const names = wantedBy(task, { inner, missing, given, language });
    if (names.length > 0) wanted[task.path] = names;
  };
  look(place.task, NOTHING_AROUND);
  for (const { task, ...inner } of placesBelow(place.task, NOTHING_AROUND)) look(task, inner);
  return wanted;
}

function wantedBy(
  task: TaskPlan,
  {
    inner,
    missing,
    given,
    language,
  }: {
    inner: Surroundings;
    missing: readonly string[];
    given: Omit<OnlyInput, 'step'>;
    language: ExpressionLanguage;
  },
): string[] {
  const wanted = new Set<string>();
  for (const expression of planExpressions(withoutInner(task))) {
    const { variables, steps } = readsOf(expression, language);
    for (const name of missing)
      if (!inner.isApart && variables.has(name) && !inner.variables.includes(name)) wanted.add(`variables.${name}`);
    for (const name of steps)
      if (!Object.hasOwn(given.steps ?? {}, name) && !inner.steps.includes(name)) wanted.add(`steps.${name}`);
    if (given.context === undefined && variables.has('context')) wanted.add('context');
    // Over-approximated: of the workflow it may read something else.
    if (given.workflowInput === undefined && variables.has('workflow') && expression.includes('input'))
      wanted.add('workflowInput');
  }
  return [...wanted].slice(0, MAX_NAMED);
}

/** The task without those below it, which are looked at by themselves. */
function withoutInner(task: TaskPlan): object {
  const { compensate: _, ...rest } = task;
  switch (rest.kind) {
    case 'do':
      return { ...rest, tasks: [] };
    case 'for':
      return { ...rest, tasks: [] };
    case 'fork':
      return { ...rest, branches: [] };
    case 'try':
      return { ...rest, tasks: [], catch: { ...rest.catch, do: [] } };
    case 'listen':
      return { ...rest, ...(rest.foreach === undefined ? {} : { foreach: { ...rest.foreach, tasks: [] } }) };
    case 'function':
      return { ...rest, task: undefined };
    default:
      return rest;
  }
}

/** Steps that are computed could be any: none is named then. */
function readsOf(
  expression: string,
  language: ExpressionLanguage,
): { variables: ReadonlySet<string>; steps: readonly string[] } {
  const isCel = language === 'cel';
  const { steps } = isCel ? expressionReferences(expression) : foreignReferences(expression, language);
  const variables = isCel ? expressionVariables(expression) : referencedVariables(expression);
  return { variables, steps: steps === true ? [] : steps };
}
