import type { Json, JsonObject } from '../dsl/json';
import type { CompensatePlan, TaskPlan } from '../dsl/planning/plan';
import type { TaskScope } from './scope';

/** A step that is done and can be undone. Travels in history: add, never change. */
export interface CompensationEntry {
  /** JSON Pointer of the step. */
  readonly path: string;
  readonly iteration: string;
  readonly depth: number;
  /** Variables and outputs that the step's scope had. */
  readonly variables: JsonObject;
  readonly steps: JsonObject;
  /** The step's output: what its compensation gets as input. */
  output: Json;
}

/** Steps that are done, in the order in which they ended, for the case that the flow fails later. */
export class Compensations {
  readonly #entries = new Map<string, CompensationEntry>();

  constructor(entries: readonly CompensationEntry[] = []) {
    for (const entry of entries) this.#add(entry);
  }

  get entries(): readonly CompensationEntry[] {
    return [...this.#entries.values()];
  }

  /** Notes that a step has run. The entry gets the step's output once that is known. */
  note(task: TaskPlan & { readonly compensate: CompensatePlan }, scope: TaskScope, output: Json): CompensationEntry {
    const { path, compensate } = task;
    const { iteration, depth, variables, steps } = scope;
    // Over-approximated: outputs that no expression of it can read need not be kept.
    const readsSteps = JSON.stringify(compensate).includes('steps');
    return this.#add({ path, iteration, depth, variables, steps: readsSteps ? { ...steps } : {}, output });
  }

  /** Takes over what a window of a loop has done. */
  addAll(entries: readonly CompensationEntry[]): void {
    for (const entry of entries) this.#add(entry);
  }

  /** A step that was tried again counts once, as the last one that ended. */
  #add(entry: CompensationEntry): CompensationEntry {
    const key = `${entry.path} ${entry.iteration}`;
    this.#entries.delete(key);
    this.#entries.set(key, entry);
    return entry;
  }
}
