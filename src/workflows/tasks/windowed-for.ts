import { CancelledFailure, executeChild, isCancellation, ParentClosePolicy } from '@temporalio/workflow';
import { FlowError } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import { RUN_WINDOW } from '../../dsl/names';
import type { ForPlan, ParallelPlan } from '../../dsl/planning/plan';
import { type Routine, waitFor } from '../drive';
import { childError } from '../failures';
import type { FlowRun } from '../flow-run';
import { readable } from '../lost-payload';
import type { TrackedStep } from '../progress-tracker';
import { SideBySide } from '../side-by-side';
import { type ItemFailure, type RestingBatch, Suspension, type WindowsCursor } from '../suspension';
import type { TaskFrame } from '../task-frame';
import type { WindowRequest } from '../window';
import { priorityOf } from './call-request';
import { childId } from './child-id';
import { type ItemsResult, refuseFailures, toleratedOf } from './parallel-for';

/** Runs the batches of a large loop, each as a workflow of its own, so that no history holds all of it. */
export function* runWindows(
  task: ForPlan & { readonly parallel: ParallelPlan },
  items: readonly Json[],
  frame: TaskFrame,
): Routine<ItemsResult> {
  return yield* waitFor(new WindowRun(task, items, frame).result());
}

class WindowRun {
  readonly #lanes: SideBySide;
  readonly #outputs: (readonly Json[])[];
  readonly #failures: ItemFailure[];
  readonly #tolerated: number;
  readonly #count: number;
  /** Of a dry run: batches for whose end it is early; those of the run before until they go on, those of this one once they stand still. */
  readonly #resting: RestingBatch[];
  readonly #stopped: RestingBatch[] = [];
  #next: number;
  #isSuspended = false;
  #ended: { readonly output: Json } | undefined;
  #error: { readonly error: unknown } | undefined;

  constructor(
    private readonly task: ForPlan & { readonly parallel: ParallelPlan },
    private readonly items: readonly Json[],
    private readonly frame: TaskFrame,
  ) {
    this.#lanes = new SideBySide(frame.run.clock);
    const from = frame.from as WindowsCursor | undefined;
    this.#resting = [...(from?.resting ?? [])];
    this.#next = from?.next ?? 0;
    this.#outputs = [...(from?.outputs ?? [])];
    this.#failures = [...(from?.failures ?? [])];
    this.#tolerated = toleratedOf(task.parallel, items.length);
    this.#count = Math.ceil(items.length / task.parallel.batchSize);
  }

  async result(): Promise<ItemsResult> {
    const { concurrency, batchSize } = this.task.parallel;
    // At most as many iterations at once as the author wants: batches that are smaller than that run side by side.
    const lanes = Math.max(1, Math.floor(concurrency / batchSize));
    const left = this.#count - this.#next + this.#resting.length;
    await Promise.all(Array.from({ length: Math.min(lanes, left) }, () => this.#runLane()));
    if (this.#ended === undefined && this.#error !== undefined) throw this.#error.error;
    if (this.#ended === undefined && this.#isSuspended) {
      const resting = [...this.#resting, ...this.#stopped];
      throw new Suspension({
        next: this.#next,
        outputs: this.#outputs,
        failures: this.#failures,
        ...(resting.length === 0 ? {} : { resting }),
      });
    }
    const outputs = this.#outputs.flat();
    return { outputs, failures: this.#failures, ...(this.#ended === undefined ? {} : { ended: this.#ended }) };
  }

  #runLane(): Promise<void> {
    return this.#lanes.run(() => this.#lane()).catch((error: unknown) => this.#fail(error));
  }

  *#lane(): Routine<void> {
    const resting = this.#resting.shift();
    if (resting !== undefined) yield* this.#endBatch(resting);
    while (this.#ended === undefined && this.#error === undefined && this.#next < this.#count) {
      if (this.frame.run.shouldContinueAsNew()) {
        this.#isSuspended = true;
        return;
      }
      const batch = this.#next;
      this.#next += 1;
      yield* this.#endBatch(yield* this.#runBatch(batch));
    }
  }

  *#runBatch(batch: number): Routine<RestingBatch> {
    const { run } = this.frame;
    const request = this.#request(batch);
    const workflowId = childId(run.id, this.task.path, request.iteration, `items-${request.firstIndex}`);
    yield* run.dispatch.enter(request);
    const description = {
      id: this.task.path,
      name: this.task.name,
      iteration: `${request.firstIndex}-${request.firstIndex + request.items.length - 1}`,
      block: 'window',
    };
    const step = run.progress.begin(description, this.frame.scope.span);
    try {
      run.waits();
      const child = executeChild(RUN_WINDOW, {
        workflowId,
        args: [traced(request, run, step)],
        parentClosePolicy: ParentClosePolicy.REQUEST_CANCEL,
        staticSummary: `${this.task.name}: items ${request.firstIndex} to ${request.firstIndex + request.items.length - 1}`,
        priority: priorityOf({}, run),
      });
      const result: ItemsResult = readable(yield* waitFor(child), "the result of the loop's items");
      const { rehearsal, compensations = [], broken, ...ended } = result;
      run.compensations.addAll(compensations);
      run.rehearsal?.take(rehearsal, request.begun);
      if (broken === 'cancelled') throw new CancelledFailure('the window was cancelled');
      step.end(broken === undefined ? 'completed' : 'failed');
      const wakeAt = (run.clock?.now ?? 0) + (rehearsal?.skippedMs ?? 0);
      return { batch, wakeAt, result: broken === undefined ? ended : { ...ended, broken } };
    } catch (error) {
      step.end(isCancellation(error) ? 'cancelled' : 'failed');
      throw childError(error, workflowId);
    } finally {
      run.dispatch.leave();
    }
  }

  #request(batch: number): WindowRequest {
    const { run, scope, input } = this.frame;
    const { concurrency, batchSize } = this.task.parallel;
    const firstIndex = batch * batchSize;
    // Over-approximated: what no expression of the loop names need not travel with each batch.
    const text = JSON.stringify(this.task.tasks);
    return {
      flowId: run.id,
      prepared: { ...run.prepared, plan: { ...run.plan, tasks: [] } },
      workflowInput: text.includes('workflow') ? (run.constants.workflow.input ?? null) : null,
      startedAt: run.startedAt,
      context: text.includes('context') ? run.context : null,
      task: this.task,
      items: this.items.slice(firstIndex, firstIndex + batchSize),
      firstIndex,
      concurrency: Math.min(concurrency, batchSize),
      tolerated: this.#tolerated - this.#failures.length,
      input,
      variables: scope.variables,
      steps: text.includes('steps') ? scope.steps : {},
      iteration: scope.iteration,
      depth: scope.depth,
      ...(run.rehearsal === undefined
        ? {}
        : {
            begun: run.rehearsal.begunOf(this.task, {
              iteration: scope.iteration,
              from: firstIndex,
              to: firstIndex + batchSize,
            }),
          }),
    };
  }

  /** What a batch came to counts, in a dry run once it is so late. */
  *#endBatch(batch: RestingBatch): Routine<void> {
    const { clock } = this.frame.run;
    try {
      if (clock !== undefined) yield* clock.sleep(batch.wakeAt);
    } catch (error) {
      if (!(error instanceof Suspension)) throw error;
      this.#isSuspended = true;
      this.#stopped.push(batch);
      return;
    }
    const { broken } = batch.result;
    if (broken !== undefined) throw new FlowError(broken.error);
    this.#settle(batch);
  }

  #settle({ batch, result: { outputs, failures, ended } }: RestingBatch): void {
    this.#outputs[batch] = outputs;
    this.#failures.push(...failures);
    refuseFailures(this.#failures, this.#tolerated);
    if (ended === undefined || this.#ended !== undefined || this.#error !== undefined) return;
    this.#ended = ended;
    this.#lanes.cancel();
  }

  #fail(error: unknown): void {
    const isFirst = this.#error === undefined && this.#ended === undefined;
    if (isFirst) this.#error = { error };
    this.#lanes.cancel();
  }
}

/** The window's spans are below that of its batch. */
function traced(request: WindowRequest, { progress: { spans } }: FlowRun, { span }: TrackedStep): WindowRequest {
  if (spans === undefined || span === undefined) return request;
  return { ...request, prepared: { ...request.prepared, trace: spans.belowOf(span) } };
}
