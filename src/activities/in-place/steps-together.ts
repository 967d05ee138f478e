import { setMaxListeners } from 'node:events';
import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { measureJson } from '../../dsl/encoded-json';
import { messageOf } from '../../dsl/errors';
import type { RecordedFailure } from '../../dsl/recorded-failure';
import type { StepResult } from '../../dsl/step-request';
import {
  ANSWER_MS,
  type AnswerTogether,
  type AttemptTogether,
  attemptMs,
  type StepsTogether,
  TURN_MS,
  togetherMs,
} from '../../dsl/steps-together';
import {
  type AttemptPlace,
  attemptInfo,
  contextOf,
  recordedFailure,
  StopClock,
  type TriedStep,
} from './attempt-context';
import { elsewhere } from './local-end';

/** Results of all, in bytes of JSON: they are in one record of the history, and no claim. */
const MAX_BYTES = 250_000;

/** Makes one attempt as if it had come alone. */
type Attempt = (step: TriedStep) => Promise<StepResult>;

/**
 * Makes attempts side by side, now that it is their turn, `width` at once; none has to do with the others but that their results share a record, and
 * that one answers for all. `at`: of the activity that they share; `ended` is told of each, once.
 */
export async function tryTogether(
  { attempts }: StepsTogether,
  {
    at,
    width,
    attempt,
    ended,
  }: { readonly at: AttemptPlace; readonly width: number; readonly attempt: Attempt; readonly ended: () => void },
): Promise<AnswerTogether[]> {
  const endsAt = performance.now() + togetherMs(attempts) - TURN_MS - ANSWER_MS / 2;
  const clock = new StopClock(at.temporal.cancellationSignal, endsAt);
  const { signal } = clock;
  const own: AttemptPlace = { ...at, temporal: contextOf(at.temporal, at.temporal.info, signal) };
  // Each of them listens, some more than once.
  setMaxListeners(0, signal);
  const record = new SharedRecord();
  const answerOf = async (one: AttemptTogether, index: number): Promise<AnswerTogether> => {
    const { stepId } = one.request;
    const since = Date.now();
    const tookMs = (): number => Date.now() - since;
    try {
      if (signal.aborted) return { step: stepId, result: elsewhere(clock.isTimeUp ? 'slow' : 'stopped') };
      const result = await Promise.race([attempt(stepOf(one, own, index)), clock.stopped]);
      return { step: stepId, result: result === undefined ? elsewhere('slow', tookMs()) : record.add(result) };
    } catch (error) {
      if (error instanceof CancelledFailure) return { step: stepId, result: elsewhere('stopped', tookMs()) };
      return { step: stepId, failure: failureOf(error) };
    } finally {
      ended();
    }
  };
  const answers: AnswerTogether[] = [];
  const left = attempts.entries();
  const lane = async (): Promise<void> => {
    for (const [index, one] of left) answers[index] = await answerOf(one, index);
  };
  try {
    await Promise.all(Array.from({ length: Math.min(width, attempts.length) }, lane));
    return answers;
  } finally {
    clock.end();
  }
}

/** Has the results in the order in which they come, as far as there is room. */
class SharedRecord {
  #leftBytes = MAX_BYTES;

  add(result: StepResult): StepResult {
    const { ahead, ...alone } = result;
    if (this.#takes(result)) return result;
    // What was read ahead is read again.
    return ahead !== undefined && this.#takes(alone) ? alone : elsewhere('long');
  }

  #takes(result: StepResult): boolean {
    const bytes = measureJson(result);
    if (bytes > this.#leftBytes) return false;
    this.#leftBytes -= bytes;
    return true;
  }
}

function stepOf(
  { block, request, startToCloseMs, retry }: AttemptTogether,
  { temporal, group }: AttemptPlace,
  index: number,
): TriedStep {
  // What is read ahead of it has numbers behind that.
  const info = attemptInfo(temporal.info, `-t${index}`, {
    activityType: block,
    startToCloseTimeoutMs: attemptMs(startToCloseMs, request),
    retryPolicy: retry,
  });
  return { blockType: block, request, temporal: contextOf(temporal, info), group };
}

/** Whatever it is, it is one step's. */
function failureOf(error: unknown): RecordedFailure {
  if (error instanceof ApplicationFailure) return recordedFailure(error);
  const type = error instanceof Error ? error.name : 'Error';
  return { message: messageOf(error), type, nonRetryable: false, details: [] };
}
