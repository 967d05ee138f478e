/**
 * Which names an expression may use at a place of the document (OWS dsl, "Runtime expression arguments").
 * A scope is never changed; a nested one is made from it.
 */
export interface Scope {
  /** Variables of loops and catches around the place. */
  readonly variables: readonly string[];
  /** Steps of the same list, whose output may be read as that of those in the scopes around. */
  readonly steps: ReadonlySet<string>;
  readonly outer?: Scope;
}

export const ROOT_SCOPE: Scope = { variables: [], steps: new Set() };

/** The scope of a nested list. */
export function innerScope(outer: Scope, steps: Iterable<string>): Scope {
  return { variables: outer.variables, steps: new Set(steps), outer };
}

/** The same scope with more variables. */
export function withVariables(scope: Scope, ...names: readonly string[]): Scope {
  return { ...scope, variables: [...scope.variables, ...names] };
}

/** True where the output of a step may be read. */
export function hasStep(scope: Scope, name: string): boolean {
  return scope.steps.has(name) || (scope.outer !== undefined && hasStep(scope.outer, name));
}

/** Every step whose output may be read, the nearest first. */
export function* stepsIn(scope: Scope): Generator<string> {
  yield* scope.steps;
  if (scope.outer !== undefined) yield* stepsIn(scope.outer);
}

/** Where an expression stands, which decides about the arguments it has. */
export type Place = 'workflowInput' | 'taskInput' | 'definition' | 'taskOutput' | 'export' | 'workflowOutput';

const ARGUMENTS: Record<Place, readonly string[]> = {
  workflowInput: ['data', 'workflow', 'runtime'],
  taskInput: ['data', 'context', 'task', 'workflow', 'runtime', 'steps'],
  definition: ['data', 'context', 'input', 'task', 'workflow', 'runtime', 'steps'],
  taskOutput: ['data', 'context', 'input', 'task', 'workflow', 'runtime', 'steps'],
  export: ['data', 'context', 'input', 'output', 'task', 'workflow', 'runtime', 'steps'],
  workflowOutput: ['data', 'context', 'workflow', 'runtime', 'steps'],
};

/** Names that every expression may use at a place. */
export function variablesAt(scope: Scope, place: Place): string[] {
  return [...new Set([...ARGUMENTS[place], ...scope.variables])];
}

/** Names that no loop or catch may take for its variable. */
export const RESERVED_VARIABLES: ReadonlySet<string> = new Set([
  ...Object.values(ARGUMENTS).flat(),
  'secrets',
  'authorization',
]);
