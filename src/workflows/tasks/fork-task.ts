import { isCancellation } from '@temporalio/workflow';
import { FlowError } from '../../dsl/errors';
import type { ForkPlan, TaskPlan } from '../../dsl/planning/plan';
import { abandon } from '../abandon';
import { drive, type Routine, waitFor } from '../drive';
import type { TrackedStep } from '../progress-tracker';
import { innerScope, type TaskOutcome } from '../scope';
import { SideBySide } from '../side-by-side';
import { type BranchCursor, type ForkCursor, Suspension, type TaskCursor } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';

/**
 * Runs all branches side by side (OWS dsl-reference, "Fork"). Without `compete` the output is the list of their outputs in
 * the order of the document, and the first failure cancels the others. With `compete` the first to complete wins and the
 * others are cancelled; it fails only when every branch that ran has failed.
 */
export function* executeFork(task: ForkPlan, frame: TaskFrame): Routine<TaskResult> {
  return yield* waitFor(new ForkRace(task, frame).result());
}

class ForkRace {
  readonly #sideBySide: SideBySide;
  readonly #branches: BranchCursor[];
  readonly #suspendedSteps: TrackedStep[] = [];
  #firstError: { error: unknown } | undefined;
  /** The fork as a whole was cancelled: counts more than what branches failed with before. */
  #cancellation: { error: unknown } | undefined;
  /** Set by the branch that decides before all have ended: the winner, or one that ends the flow. */
  #decided: TaskResult | undefined;

  constructor(
    private readonly task: ForkPlan,
    private readonly frame: TaskFrame,
  ) {
    this.#sideBySide = new SideBySide(frame.run.clock);
    const from = frame.from as ForkCursor | undefined;
    this.#branches = task.branches.map((_, index) => from?.branches[index] ?? {});
    const failed = this.#branches.find((branch) => 'error' in branch);
    if (failed !== undefined && 'error' in failed) this.#firstError = { error: new FlowError(failed.error) };
  }

  /** Settles once every branch has ended or is suspended, so that nothing of the fork goes on after it. */
  async result(): Promise<TaskResult> {
    const { locals } = this.frame.run;
    await locals.together.run(() => this.#start(), { isApart: this.task.compete });
    if (this.#branches.some((branch) => 'task' in branch)) await this.#suspend();
    if (this.#decided !== undefined) return this.#decided;
    const failure = this.#cancellation ?? this.#firstError;
    if (failure !== undefined) throw failure.error;
    // With `compete` there is neither a winner nor a failure: all were skipped.
    if (this.task.compete) return { output: this.frame.input };
    return { output: this.#branches.map((branch) => ('output' in branch ? branch.output : null)) };
  }

  #start(): Promise<void>[] {
    const running: Promise<void>[] = [];
    for (const [index, branch] of this.task.branches.entries()) {
      if (this.#isOver) break;
      const from = this.#branches[index] ?? {};
      if ('output' in from || 'error' in from) continue;
      // It goes on from its cursor, which must not be taken for one that stands still once the branch has ended.
      this.#branches[index] = {};
      running.push(this.#runBranch(branch, index, from));
    }
    return running;
  }

  /** Takes those that stand still to the next run of the flow, unless the fork ends without them. */
  async #suspend(): Promise<void> {
    const [cursors, steps] = [this.#branches, this.#suspendedSteps];
    const isUndecided = this.#cancellation === undefined && !this.#isOver;
    if (isUndecided) throw new Suspension({ branches: cursors }, steps);
    await drive(abandon(this.frame.run, { cursors, steps }));
  }

  get #isOver(): boolean {
    return this.#decided !== undefined || (this.#firstError !== undefined && !this.task.compete);
  }

  #runBranch(branch: TaskPlan, index: number, { task: from }: { readonly task?: TaskCursor }): Promise<void> {
    const { run, runOne, input, scope } = this.frame;
    return this.#sideBySide
      .run(() => runOne(branch, input, innerScope(scope, this.task.compete ? {} : { reads: run.newReads(true) }), from))
      .then(
        (outcome) => this.#completed(outcome, index),
        (error: unknown) => this.#failed(error, index),
      );
  }

  #completed({ output, endsFlow, isSkipped }: TaskOutcome, index: number): void {
    this.#branches[index] = { output };
    const wins = this.task.compete && !(isSkipped === true && this.task.skippedLose === true);
    if (this.#isOver || !(endsFlow || wins)) return;
    this.#decided = { output, endsFlow };
    this.#sideBySide.cancel();
  }

  #failed(error: unknown, index: number): void {
    if (error instanceof Suspension) {
      this.#branches[index] = { task: error.cursor as TaskCursor };
      this.#suspendedSteps.push(...error.steps);
      return;
    }
    if (error instanceof FlowError) this.#branches[index] = { error: error.data };
    if (!this.#isOver && isCancellation(error)) this.#cancellation ??= { error };
    this.#firstError ??= { error };
    if (this.#isOver) this.#sideBySide.cancel();
  }
}
