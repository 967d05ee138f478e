import { CancellationScope, scheduleLocalActivity } from '@temporalio/workflow';
import { jsonBytes } from '../dsl/encoded-json';
import { TRY_STEPS } from '../dsl/names';
import type { StepRequest, StepResult } from '../dsl/step-request';
import {
  type AnswerTogether,
  type AttemptTogether,
  attemptMs,
  type RetryTogether,
  type StepsTogether,
  togetherMs,
} from '../dsl/steps-together';
import { failureOf } from './failures';
import { shortSummary } from './short-summary';

/** Attempts that one local activity makes. */
const MAX_ATTEMPTS = 50;

/**
 * JSON of the arguments of their steps and what goes with them, in bytes. Nothing else counts: which attempts are made together has to come out the same in a replay, where
 * the worker is told of other workflow tasks and times.
 */
const MAX_ARGUMENT_BYTES = 131_072;

/** JSON of all that is asked, in bytes, so that it is no claim: what would exceed it tells nothing of the steps after it. */
const MAX_ASKED_BYTES = 220_000;

/** What an attempt takes beside its request. */
const OTHER_BYTES = 400;

/** An attempt in place of a step, as it is sent out. */
export interface ReadAttempt {
  readonly block: string;
  readonly request: StepRequest;
  readonly options: {
    readonly startToCloseTimeout: number;
    readonly retry: RetryTogether;
    readonly summary: string;
  };
}

interface WaitingRead extends ReadAttempt {
  resolve(result: StepResult | Promise<StepResult>): void;
  reject(error: unknown): void;
}

/**
 * Reads in place that begin together, where a flow goes on in several branches: one local activity makes the attempts of all of them, since each costs
 * Temporal's SDK some 2 ms of CPU time. What waits before its first read is not among them, and is sent by itself.
 */
export class ReadsTogether {
  /** Those that have begun while branches are started; undefined: each is sent as it comes. */
  #waiting: WaitingRead[] | undefined;
  /** Calls of `run` under way, around each other or side by side. */
  #running = 0;

  /** False in flows of before: nothing is ever sent together. */
  constructor(private readonly isOn: boolean) {}

  /**
   * Runs branches to their ends; what they read first is sent once all have begun. Those that are started by the way begin with those around them,
   * unless they are to stay `apart`, each to be heard as soon as it can be. Those that begin later beside others send by themselves: what has room under a
   * quota then depends on when these others were heard, which may differ in a replay.
   */
  run(
    start: () => readonly Promise<void>[],
    { isApart = false }: { readonly isApart?: boolean } = {},
  ): Promise<unknown> {
    return this.isOn ? this.#run(start, isApart) : Promise.all(start());
  }

  async #run(start: () => readonly Promise<void>[], isApart: boolean): Promise<void> {
    const isBesideOthers = this.#running > 0;
    this.#running += 1;
    try {
      await Promise.all(isApart ? this.#startApart(start) : isBesideOthers ? start() : this.#startTogether(start));
    } finally {
      this.#running -= 1;
    }
  }

  #startTogether<T>(start: () => T): T {
    const waiting: WaitingRead[] = [];
    this.#waiting = waiting;
    try {
      return start();
    } finally {
      this.#waiting = undefined;
      for (const group of groupsOf(waiting)) void CancellationScope.nonCancellable(() => send(group));
    }
  }

  #startApart<T>(start: () => T): T {
    const waiting = this.#waiting;
    this.#waiting = undefined;
    try {
      return start();
    } finally {
      this.#waiting = waiting;
    }
  }

  /** Sends the attempt, or has it sent with the others. The promise is not cancelled. */
  send(attempt: ReadAttempt): Promise<StepResult> {
    const waiting = attempt.request.local?.use === 'reads' ? this.#waiting : undefined;
    if (waiting === undefined) return sendAlone(attempt);
    return new Promise<StepResult>((resolve, reject) => {
      waiting.push({ ...attempt, resolve, reject });
    });
  }
}

function groupsOf(waiting: readonly WaitingRead[]): WaitingRead[][] {
  const groups: WaitingRead[][] = [];
  let group: WaitingRead[] = [];
  let bytes = 0;
  for (const read of waiting) {
    const { with: args, cache = null, secrets = null, grant = '' } = read.request;
    const ownBytes = jsonBytes([args, cache, secrets, grant]);
    if (group.length === 0 || group.length === MAX_ATTEMPTS || bytes + ownBytes > MAX_ARGUMENT_BYTES) {
      group = [];
      bytes = 0;
      groups.push(group);
    }
    group.push(read);
    bytes += ownBytes;
  }
  return groups;
}

/** Settles each of them, whatever becomes of it. */
async function send(group: readonly WaitingRead[]): Promise<void> {
  const [first] = group;
  try {
    if (first !== undefined && group.length === 1) first.resolve(await sendAlone(first));
    else await sendTogether(group);
  } catch (error) {
    for (const { reject } of group) reject(error);
  }
}

/** Temporal makes one attempt: the others in place it would make as well, or wait for them with a timer of its own. */
const ONCE = { maximumAttempts: 1 };

function sendAlone({ block, request, options }: ReadAttempt): Promise<StepResult> {
  const { startToCloseTimeout, retry, summary } = options;
  return scheduleLocalActivity<StepResult>(block, [request], {
    startToCloseTimeout: attemptMs(startToCloseTimeout, request),
    retry: { ...retry, ...ONCE },
    summary,
  });
}

async function sendTogether(group: readonly WaitingRead[]): Promise<void> {
  const attempts = attemptsOf(group);
  const asked: StepsTogether = { tenant: attempts[0]?.request.tenant ?? '', attempts };
  const answers = await scheduleLocalActivity<AnswerTogether[]>(TRY_STEPS, [asked], {
    startToCloseTimeout: togetherMs(attempts),
    retry: ONCE,
    summary: summaryOf(group),
  });
  for (const [index, read] of group.entries()) settle(read, answerAt(answers, index));
}

function attemptsOf(group: readonly WaitingRead[]): AttemptTogether[] {
  const bare = group.map(({ request }) => withoutAhead(request));
  let leftBytes = MAX_ASKED_BYTES - jsonBytes(bare);
  return group.map(({ block, request, options: { startToCloseTimeout: startToCloseMs, retry } }, index) => {
    const { initialInterval, backoffCoefficient, maximumInterval, nonRetryableErrorTypes } = retry;
    if (leftBytes >= 0)
      leftBytes -= OTHER_BYTES + (request.local?.ahead === undefined ? 0 : jsonBytes(request.local.ahead));
    return {
      block,
      request: leftBytes < 0 ? (bare[index] ?? request) : request,
      startToCloseMs,
      retry: { initialInterval, backoffCoefficient, maximumInterval, nonRetryableErrorTypes },
    };
  });
}

function withoutAhead(request: StepRequest): StepRequest {
  if (request.local?.ahead === undefined) return request;
  const { ahead: _, ...local } = request.local;
  return { ...request, local };
}

/** What cannot be read is that for each of them, and each says so. */
function answerAt(answers: readonly AnswerTogether[], index: number): AnswerTogether | undefined {
  return Array.isArray(answers) ? answers[index] : { step: '', result: answers as unknown as StepResult };
}

function settle({ resolve, reject }: WaitingRead, answer: AnswerTogether | undefined): void {
  if (answer === undefined) reject(new Error('a step that was tried together with others has no answer'));
  else if ('result' in answer) resolve(answer.result);
  else reject(failureOf(answer.failure));
}

function summaryOf(group: readonly WaitingRead[]): string {
  return shortSummary(`${group.length} steps: ${group.map(({ options: { summary } }) => summary).join(', ')}`);
}
