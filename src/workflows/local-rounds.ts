import type { WorkflowInterceptors } from '@temporalio/workflow';
import { LOCAL_BLOCKS } from '../dsl/local-step';
import { EVALUATE_EXPRESSIONS, TELL_TIME, TRY_STEPS, VALIDATE_ARGUMENTS, VALIDATE_DATA } from '../dsl/names';

/** Read by Temporal's SDK. */
export const interceptors = (): WorkflowInterceptors => ({
  outbound: [{ scheduleLocalActivity: (input, next) => inRounds(input.activityType, () => next(input)) }],
});

/** A local activity that has ended, and that the flow has not heard of. */
interface Ended {
  readonly number: number;
  readonly settle: () => void;
}

/** This module is loaded for each workflow (`workflow-bundle-options.ts`): the state of one. */
let isOn = false;
let underWay = 0;
let last = 0;
let ended: Ended[] = [];

/**
 * Those of which a flow may have several under way and that take a second or two at most. What is repeated until it succeeds, an event that goes out to a server that is down,
 * would hold up branches that have nothing to do with it.
 */
const IN_ROUNDS: ReadonlySet<string> = new Set([
  ...LOCAL_BLOCKS,
  TRY_STEPS,
  TELL_TIME,
  EVALUATE_EXPRESSIONS,
  VALIDATE_DATA,
  VALIDATE_ARGUMENTS,
]);

/** From now on the workflow hears of its local activities in rounds. */
export function hearInRounds(): void {
  isOn = true;
}

/**
 * Has the workflow hear of a local activity of these types once all of them that are under way have ended, in the order in which they began.
 *
 * The reason is how they are replayed (SDK 1.23): those that the history has one after the other come in one activation, where they came in several the first
 * time. Then the branch that takes fewer promises from the answer to its next command is the first to give it, whichever was heard first. Commands are
 * matched by their numbers, so a step would get the answer of another one (`test/e2e/local-rounds.test.ts`). Nothing waits for longer: as long as one is under way
 * the workflow task does not end, and no command leaves it.
 */
function inRounds<T>(activityType: string, start: () => Promise<T>): Promise<T> {
  if (!isOn || !IN_ROUNDS.has(activityType)) return start();
  underWay += 1;
  last += 1;
  const number = last;
  return new Promise<T>((resolve, reject) => {
    start().then(
      (value) => end({ number, settle: () => resolve(value) }),
      (error: unknown) => end({ number, settle: () => reject(error) }),
    );
  });
}

function end(one: Ended): void {
  ended.push(one);
  underWay -= 1;
  if (underWay > 0) return;
  const round = ended.sort((left, right) => left.number - right.number);
  ended = [];
  for (const { settle } of round) settle();
}
