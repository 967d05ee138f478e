import type { Json, JsonObject } from '../dsl/json';
import { joinIteration } from '../dsl/step-request';
import type { AheadReads, Around, Place } from './ahead-reads';

/**
 * Where a task list runs: the variables around it, the outputs of steps that it may read, and its place in the loops.
 * Never changed but for `steps`, to which the list adds as it goes.
 */
export interface TaskScope {
  /** Variables of loops and catches. */
  readonly variables: JsonObject;
  /** `steps` of expressions: `{ name: { output } }`. */
  readonly steps: JsonObject;
  /** Indexes of the loops around and numbers of repeated visits, e.g. `2`, `0.4`, `~1`; part of every idempotency key. */
  readonly iteration: string;
  /** Lists around this one: 0 for the flow's own. */
  readonly depth: number;
  /** Number of the span of the task around this list; absent: the flow's own, or the flow is not traced. */
  readonly span?: number | undefined;
  /** What was read ahead of the tasks here; absent: nothing ever is. */
  readonly reads?: AheadReads | undefined;
  /** Of a task that its list runs for the first time: where it stands. */
  readonly here?: Place;
  /** Of a list: what runs it, where the same reads go on after it. */
  readonly around?: Around;
}

/** What the scope of a nested list has that the one around has not. */
interface ScopeChanges {
  readonly variables?: JsonObject;
  readonly index?: number;
  /** The list is run by itself, and tasks after what runs it once it has ended. */
  readonly around?: Around;
  /** Of a list that others run beside. */
  readonly reads?: AheadReads | undefined;
}

/** The scope of a nested list: sees the outputs around it, keeps its own to itself. */
export function innerScope(scope: TaskScope, changes: ScopeChanges = {}): TaskScope {
  const { around, reads } = changes;
  return {
    variables: changes.variables === undefined ? scope.variables : { ...scope.variables, ...changes.variables },
    steps: { ...scope.steps },
    iteration: changes.index === undefined ? scope.iteration : joinIteration(scope.iteration, String(changes.index)),
    depth: scope.depth + 1,
    span: scope.span,
    ...(around === undefined ? { reads } : { reads: scope.reads, around }),
  };
}

/** The scope of a task in the list of a scope. */
export function taskScope(scope: TaskScope, here: Place, visit: number): TaskScope {
  const own = visitScope(scope, visit);
  return scope.reads === undefined || visit > 0 ? own : { ...own, here };
}

/**
 * The scope of a task that is visited again in the same list (`then` pointed back): a new execution with a new key. The depth
 * of the list is part of it, since the second visit of a group and the second visit of a step in it are not the same.
 */
function visitScope(scope: TaskScope, visit: number): TaskScope {
  return visit === 0
    ? scope
    : { ...scope, iteration: joinIteration(scope.iteration, `${scope.depth === 0 ? '' : scope.depth}~${visit}`) };
}

/** How a task or a list ended. */
export interface TaskOutcome {
  readonly output: Json;
  /** Where to go on: `continue`, `exit`, or the name of a task of the same list. */
  readonly next: string;
  /** A directive `end` was met: the flow ends gracefully, whatever is around. */
  readonly endsFlow: boolean;
  /** Its `if` said no: it did not run. */
  readonly isSkipped?: true;
}
