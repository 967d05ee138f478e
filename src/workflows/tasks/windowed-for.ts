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
import { type ItemFailure, Suspension, type WindowsCursor } from '../suspension';
import type { TaskFrame } from '../task-frame';
import type { WindowRequest } from '../window';
import { priorityOf } from './call-task';
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
  readonly #lanes = new SideBySide();
  readonly #outputs: (readonly Json[])[];
  readonly #failures: ItemFailure[];
  readonly #tolerated: number;
  readonly #count: number;
  #next: number;
  #isSuspended = false;
  #ended: { readonly output: Json } | undefined;
  #error: { readonly error: unknown } | undefined;

  constructor(
    private readonly task: ForPlan & { readonly parallel: ParallelPlan },
    private readonly items: readonly Json[],
    private readonly frame: TaskFrame,
  ) {
    const from = frame.from as WindowsCursor | undefined;
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
    await Promise.all(Array.from({ length: Math.min(lanes, this.#count - this.#next) }, () => this.#runLane()));
    if (this.#ended === undefined && this.#error !== undefined) throw this.#error.error;
    if (this.#ended === undefined && this.#isSuspended) {
      throw new Suspension({ next: this.#next, outputs: this.#outputs, failures: this.#failures });
    }
    const outputs = this.#outputs.flat();
    return { outputs, failures: this.#failures, ...(this.#ended === undefined ? {} : { ended: this.#ended }) };
  }

  #runLane(): Promise<void> {
    return this.#lanes.run(() => this.#lane()).catch((error: unknown) => this.#fail(error));
  }

  *#lane(): Routine<void> {
    while (this.#ended === undefined && this.#error === undefined && this.#next < this.#count) {
      if (this.frame.run.shouldContinueAsNew()) {
        this.#isSuspended = true;
        return;
      }
      const batch = this.#next;
      this.#next += 1;
      this.#settle(batch, yield* this.#runBatch(batch));
    }
  }

  *#runBatch(batch: number): Routine<ItemsResult> {
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
      run.compensations.addAll(result.compensations ?? []);
      run.rehearsal?.take(result.rehearsal, request.begun);
      if (result.broken === 'cancelled') throw new CancelledFailure('the window was cancelled');
      if (result.broken !== undefined) throw new FlowError(result.broken.error);
      step.end('completed');
      return result;
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
      ...(run.rehearsal === undefined ? {} : { begun: run.rehearsal.begunOf(this.task) }),
    };
  }

  #settle(batch: number, { outputs, failures, ended }: ItemsResult): void {
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
