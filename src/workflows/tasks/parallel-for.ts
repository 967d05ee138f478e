import { CancellationScope } from '@temporalio/workflow';
import { FlowError, type FlowErrorData, flowError, flowErrorToJson } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import type { ForPlan, ParallelPlan } from '../../dsl/planning/plan';
import { abandon } from '../abandon';
import type { CompensationEntry } from '../compensations';
import { drive, type Routine, waitFor } from '../drive';
import type { RehearsalState } from '../dry-run/rehearsal-state';
import type { TrackedStep } from '../progress-tracker';
import { innerScope } from '../scope';
import { SideBySide } from '../side-by-side';
import { type ItemFailure, type ItemsCursor, type ListCursor, Suspension } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';

/** Failures that an error of the loop spells out. */
const SPELLED_OUT = 20;

/** The items of a loop whose iterations do not depend on each other. */
export interface IndependentItems {
  readonly task: ForPlan;
  readonly items: readonly Json[];
  /** Index of the first item in the whole loop. */
  readonly firstIndex: number;
  readonly concurrency: number;
  /** Failures that are tolerated among these items. */
  readonly tolerated: number;
}

/** What became of the items. */
export interface ItemsResult {
  /** In the order of the items; `{ error }` in the place of those that failed, null where none began any more. */
  readonly outputs: readonly Json[];
  readonly failures: readonly ItemFailure[];
  /** An iteration met `then: end`, with this output. */
  readonly ended?: { readonly output: Json };
  /** A window ended before it was through, by an error that is no iteration's or by a cancellation: nothing of the rest counts. */
  readonly broken?: 'cancelled' | { readonly error: FlowErrorData };
  /** Steps of a window that the flow may have to undo. */
  readonly compensations?: readonly CompensationEntry[];
  /** Of a window in a dry run. */
  readonly rehearsal?: RehearsalState;
}

/** How many of so many items may fail. */
export function toleratedOf({ tolerated }: ParallelPlan, items: number): number {
  return 'count' in tolerated ? tolerated.count : Math.floor((items * tolerated.percent) / 100);
}

/** The result of the loop's task. */
export function loopResult({ outputs, ended }: ItemsResult): TaskResult {
  return ended === undefined ? { output: [...outputs] } : { output: ended.output, endsFlow: true };
}

/** Runs iterations side by side in this workflow, until one more fails than is tolerated. */
export function* runItems(items: IndependentItems, frame: TaskFrame): Routine<ItemsResult> {
  return yield* waitFor(new ItemRun(items, frame).result());
}

class ItemRun {
  readonly #lanes: SideBySide;
  readonly #outputs: Json[];
  readonly #failures: ItemFailure[];
  /** Iterations that stand somewhere: those of the run before until they go on, those of this one once they stop. */
  readonly #begun: { index: number; list: ListCursor }[];
  readonly #stopped: { index: number; list: ListCursor }[] = [];
  readonly #suspendedSteps: TrackedStep[] = [];
  #next: number;
  #isSuspended = false;
  /** More have failed than is tolerated. */
  #isHopeless = false;
  #ended: { readonly output: Json } | undefined;
  #error: { readonly error: unknown } | undefined;

  constructor(
    private readonly items: IndependentItems,
    private readonly frame: TaskFrame,
  ) {
    this.#lanes = new SideBySide(frame.run.clock);
    const from = frame.from as ItemsCursor | undefined;
    this.#next = from?.next ?? 0;
    this.#outputs = [...(from?.outputs ?? [])];
    this.#failures = [...(from?.failures ?? [])];
    this.#begun = [...(from?.begun ?? [])];
  }

  /** Settles once every iteration that began has ended or stopped. */
  async result(): Promise<ItemsResult> {
    const left = this.items.items.length - this.#next + this.#begun.length;
    const { concurrency } = this.items;
    const { locals } = this.frame.run;
    const start = () => Array.from({ length: Math.min(concurrency, left) }, () => this.#runLane());
    await locals.together.run(start);
    const [cursors, steps] = [[...this.#begun, ...this.#stopped], this.#suspendedSteps];
    if (!this.#isOver && this.#isSuspended) throw new Suspension(this.#cursor(), steps);
    if (cursors.length > 0) await drive(abandon(this.frame.run, { cursors, steps }));
    if (this.#error !== undefined) throw this.#error.error;
    const outputs = this.items.items.map((_, index) => this.#outputs[index] ?? null);
    return { outputs, failures: this.#failures, ...(this.#ended === undefined ? {} : { ended: this.#ended }) };
  }

  #cursor(): ItemsCursor {
    const outputs = Array.from({ length: this.#next }, (_, index) => this.#outputs[index] ?? null);
    return { next: this.#next, outputs, failures: this.#failures, begun: [...this.#begun, ...this.#stopped] };
  }

  get #isOver(): boolean {
    return this.#isHopeless || this.#ended !== undefined || this.#error !== undefined;
  }

  /** One iteration after the other, as long as there are any: as many lanes as may run at once. */
  #runLane(): Promise<void> {
    return this.#lanes.run(() => this.#lane()).catch((error: unknown) => this.#fail(error));
  }

  *#lane(): Routine<void> {
    for (let item = this.#take(); item !== undefined; item = this.#take()) yield* this.#runItem(item);
  }

  #take(): { index: number; list?: ListCursor } | undefined {
    if (this.#isOver || this.#isSuspended) return undefined;
    const begun = this.#begun.shift();
    if (begun !== undefined) return begun;
    if (this.#next >= this.items.items.length) return undefined;
    if (this.frame.run.shouldContinueAsNew()) {
      this.#isSuspended = true;
      return undefined;
    }
    const index = this.#next;
    this.#next += 1;
    return { index };
  }

  *#runItem({ index, list }: { index: number; list?: ListCursor }): Routine<void> {
    const { task, items, firstIndex } = this.items;
    const { run, runList, input, scope } = this.frame;
    const at = firstIndex + index;
    const variables = { [task.each]: items[index] ?? null, [task.at]: at };
    try {
      const outcome = yield* runList(
        task.tasks,
        input,
        innerScope(scope, { variables, index: at, reads: run.newReads(true) }),
        list,
      );
      this.#outputs[index] = outcome.output;
      if (outcome.endsFlow) this.#end(outcome.output);
    } catch (error) {
      if (error instanceof Suspension) this.#stop(index, error);
      else this.#tolerate(error, index);
    }
  }

  #stop(index: number, { cursor, steps }: Suspension): void {
    this.#isSuspended = true;
    this.#stopped.push({ index, list: cursor as ListCursor });
    this.#suspendedSteps.push(...steps);
  }

  /** Counts a failure of an iteration; one too many is thrown. */
  #tolerate(error: unknown, index: number): void {
    const isOver = this.#isOver || CancellationScope.current().consideredCancelled;
    if (!(error instanceof FlowError) || error.data.code === 'BLW_STEP_LIMIT' || isOver) throw error;
    this.#failures.push({ index: this.items.firstIndex + index, error: error.data });
    this.#outputs[index] = { error: flowErrorToJson(error.data) };
    if (this.#failures.length > this.items.tolerated) {
      this.#isHopeless = true;
      this.#lanes.cancel();
    }
  }

  #end(output: Json): void {
    if (this.#isOver) return;
    this.#ended = { output };
    this.#lanes.cancel();
  }

  #fail(error: unknown): void {
    // What is cancelled once all is decided is no error of its own.
    if (!this.#isOver) this.#error = { error };
    this.#lanes.cancel();
  }
}

/**
 * Throws where more failed than is tolerated: the error of the iteration where none may fail, else BLW_LOOP_FAILED, which
 * tells of several.
 */
export function refuseFailures(failures: readonly ItemFailure[], tolerated: number): void {
  const [first] = failures;
  if (first === undefined || failures.length <= tolerated) return;
  if (tolerated === 0) throw new FlowError(first.error);
  throw flowError(
    'BLW_LOOP_FAILED',
    `${failures.length} iterations failed, at most ${tolerated} may; the first of them, ${first.index}: ${first.error.detail ?? first.error.type}`,
    {
      data: failures.slice(0, SPELLED_OUT).map(({ index, error }) => ({ index, error: flowErrorToJson(error) })),
    },
  );
}
