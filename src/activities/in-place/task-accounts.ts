import { CLAIM_THRESHOLD_BYTES } from '../../dsl/step-request';

/** Longest time of steps in place in one workflow task, ms: meanwhile its flow hears of nothing, and a lost worker has to do it all again. */
export const TASK_MS = 2_000;

/** The same where there are other tenants, whose flows wait for workflow tasks of the worker. */
export const SHARED_TASK_MS = 200;

/** Results of steps in place in one workflow task go into one message of at most 4 MiB: so many bytes of them, and so many. */
const TASK_BYTES = 1_000_000;
const TASK_STEPS = 1_000;

/** The same with what the steps that are under way may give; what the flow sends to queues has the rest (`dispatch.ts`). */
const EXPECTED_BYTES = 1_900_000;

/** A claim, and what goes along with a small result. */
const SMALL_BYTES = 1_000;

/** What is remembered of a flow's workflow task that long after its last step, ms. */
const MEMORY_MS = 60_000;

/** What the steps in place of one workflow task came to. */
export interface TaskAccount {
  readonly task: number;
  readonly since: number;
  at: number;
  /** Of the time since then, what went by before groups had their turn, ms. */
  turnMs: number;
  steps: number;
  bytes: number;
  /** Of results of steps that are under way. */
  expectedBytes: number;
  /** One gave what it might not give again. */
  hasUnrecorded: boolean;
}

/** The accounts of workflow tasks, by the run of their flow. */
export class TaskAccounts {
  readonly #accounts = new Map<string, TaskAccount>();
  #prunedAt = 0;

  of(runId: string, task: number): TaskAccount {
    const known = this.#accounts.get(runId);
    if (known?.task === task) return known;
    const now = Date.now();
    this.#prune(now);
    const account = {
      task,
      since: performance.now(),
      at: now,
      turnMs: 0,
      steps: 0,
      bytes: 0,
      expectedBytes: 0,
      hasUnrecorded: false,
    };
    this.#accounts.set(runId, account);
    return account;
  }

  #prune(now: number): void {
    if (now - this.#prunedAt < MEMORY_MS) return;
    this.#prunedAt = now;
    for (const [runId, { at }] of this.#accounts) if (now - at > MEMORY_MS) this.#accounts.delete(runId);
  }
}

/** What is left of the time of steps in place in the workflow task, ms; less than nothing where it is over. */
export function leftMs({ since, turnMs }: TaskAccount, taskMs: number): number {
  return since + turnMs + taskMs - performance.now();
}

/** True where no further step may begin in the workflow task that gives at most `expected` bytes. */
export function isUsedUp(
  account: TaskAccount,
  { expected, taskMs }: { readonly expected: number; readonly taskMs: number },
): boolean {
  const { steps, bytes, expectedBytes } = account;
  return (
    leftMs(account, taskMs) < 0 ||
    steps >= TASK_STEPS ||
    bytes > TASK_BYTES ||
    bytes + expectedBytes + expected > EXPECTED_BYTES
  );
}

/** What a step may give that gave at most so much of late; undefined: nobody knows. */
export function expectedBytes(largest: number | undefined): number {
  return largest === undefined ? CLAIM_THRESHOLD_BYTES : Math.min(CLAIM_THRESHOLD_BYTES, 2 * largest + SMALL_BYTES);
}

/** What is larger goes as a claim. */
export function sentBytes(bytes: number): number {
  return bytes > CLAIM_THRESHOLD_BYTES ? SMALL_BYTES : bytes + SMALL_BYTES;
}
