/**
 * Which names an expression may use at a place of the document (OWS dsl, "Runtime expression arguments").
 * A scope is never changed; a nested one is made from it.
 */
export interface Scope {
  /** Variables of loops and catches around the place. */
  readonly variables: readonly string[];
  /** Steps whose output may be read: those of the same list and of the lists around it. */
  readonly steps: readonly string[];
}

export const ROOT_SCOPE: Scope = { variables: [], steps: [] };

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
