import type { RetryPolicy } from '@temporalio/common';
import { ActivityFailure, sleep, TimeoutFailure, workflowInfo } from '@temporalio/workflow';
import { measureJson } from '../dsl/encoded-json';
import type { JsonObject } from '../dsl/json';
import {
  LOCAL_ATTEMPT_MS,
  type LocalAttempt,
  localUseOf,
  mayChoose,
  type RecordedOnly,
  type Unrecorded,
} from '../dsl/local-step';
import type { CallPlan } from '../dsl/planning/plan';
import type { PreparedFlow } from '../dsl/start';
import { CLAIM_THRESHOLD_BYTES, type StepResult } from '../dsl/step-request';
import { type Routine, waitFor } from './drive';
import { withoutCancelling } from './local-activities';
import { type ReadAttempt, ReadsTogether } from './reads-together';

/** What is left of a step for its attempts. */
interface Left {
  readonly retry: RetryPolicy;
  /** ms. */
  readonly scheduleToCloseTimeout?: number;
}

/**
 * Which steps of a run are tried in place, as local activities. All that is decided by what happens there, its worker decides and the history
 * has: when the flow hears of a local activity may differ in a replay (`clock.ts`), and what a queue gives may not.
 */
export class LocalSteps {
  readonly #quick: Set<string> | undefined;
  /** Workflow tasks, by the length of the history that they began with: the last in which the flow heard what it might not hear again, a time among it. */
  #unsureIn = -1;
  /** The last in which it heard of any attempt in place. */
  #heardIn = -1;

  /** Those that begin together. */
  readonly together: ReadsTogether;

  /** Without `quickSteps` no step is, as in flows of before. */
  constructor({ quickSteps, triesTogether }: Pick<PreparedFlow, 'quickSteps' | 'triesTogether'>) {
    this.#quick = quickSteps === undefined ? undefined : new Set(quickSteps);
    this.together = new ReadsTogether(triesTogether === true);
  }

  /** Steps of this flow are tried in place. */
  get areTried(): boolean {
    return this.#quick !== undefined;
  }

  /** How the step is to be tried; undefined: in its queue only. */
  attemptOf(
    task: CallPlan,
    args: JsonObject,
    { retry, scheduleToCloseTimeout: leftMs }: Left,
  ): LocalAttempt | undefined {
    const isAsked = task.dispatch === 'local';
    if (this.#quick === undefined || task.dispatch === 'queue' || !(isAsked || this.#quick.has(task.path))) return;
    const use = localUseOf(task, args);
    if (typeof use !== 'string' || (!isAsked && !mayChoose(use, task))) return;
    // What is large goes by the queue, which keeps it out of the history.
    if (measureJson(args) > CLAIM_THRESHOLD_BYTES) return;
    const { historyLength } = workflowInfo();
    return {
      use,
      task: historyLength,
      isAsked,
      isUnrecorded: this.#unsureIn === historyLength,
      isLast: retry.maximumAttempts === 1,
      ...(leftMs === undefined ? {} : { leftMs }),
    };
  }

  /** The flow hears of a time that the history does not have yet. */
  tellTime(): void {
    this.#unsureIn = workflowInfo().historyLength;
  }

  /** The flow hears of an attempt in place, whatever became of it. */
  hear({ use }: Pick<LocalAttempt, 'use'>): void {
    this.#heardIn = workflowInfo().historyLength;
    if (use === 'reads') this.#unsureIn = this.#heardIn;
  }

  /**
   * Runs a local activity that has an effect outside the flow: once the history has what the flow knows from steps in place, as its worker
   * says. What it knows in this workflow task it may not know in another one, should the worker be lost. Only what is asked of a worker depends on
   * the workflow task: that is in no history.
   */
  onRecord<T>(act: (asked: RecordedOnly) => Promise<T | Unrecorded>): Promise<T> {
    // Without steps in place there is nothing to wait for.
    return this.#quick === undefined ? (act({}) as Promise<T>) : this.#untilRecorded(act);
  }

  async #untilRecorded<T>(act: (asked: RecordedOnly) => Promise<T | Unrecorded>): Promise<T> {
    for (;;) {
      const answer = await act(this.#heardIn === workflowInfo().historyLength ? { isUnrecorded: true } : {});
      if (!isUnrecorded(answer)) return answer;
      await sleep(1, { summary: 'lets the history have what steps in place gave' });
    }
  }

  /** What the queue's worker says of a step's pace, which counts from the next time on. */
  learn(path: string, { quick }: StepResult): void {
    if (quick === true) this.#quick?.add(path);
    else this.#quick?.delete(path);
  }
}

function isUnrecorded(answer: unknown): answer is Unrecorded {
  return typeof answer === 'object' && answer !== null && 'unrecorded' in answer;
}

/** Tries a step in place, once. An answer with `elsewhere` sends it to its queue. */
export function* tryInPlace(attempt: ReadAttempt, { together }: LocalSteps): Routine<StepResult> {
  try {
    return yield* waitFor(withoutCancelling(() => together.send(attempt)));
  } catch (error) {
    // The worker stood still: its answer would have come before. In a replay the SDK gives the failure itself (1.23).
    const failure = error instanceof ActivityFailure ? error.cause : error;
    if (!(failure instanceof TimeoutFailure)) throw error;
    return { output: null, attempt: 1, elsewhere: { reason: 'slow', attempts: 0, tookMs: LOCAL_ATTEMPT_MS } };
  }
}
