import { CancellationScope, condition, sleep, workflowInfo } from '@temporalio/workflow';
import { measureJson } from '../dsl/encoded-json';
import { flowError } from '../dsl/errors';
import { CLAIM_THRESHOLD_BYTES } from '../dsl/step-request';
import { type Routine, waitFor } from './drive';
import { WaitingLine } from './waiting-line';

/** Steps of one flow that Temporal knows of at once; it refuses the 2,001st, and would do so for ever. */
const MAX_PENDING = 1_900;

/** What one workflow task sends, in bytes: its message holds 4 MiB, and the first one has the plan too. */
const MAX_TASK_BYTES = 2_200_000;

/** Local activities of one flow at once: their results go out with the workflow task in which they end, all together. */
const MAX_LOCAL = 8;

/** On top of its argument, what a step's command takes: names, options, summary, details. */
const COMMAND_BYTES = 1_000;

/**
 * Lets a flow's steps out to Temporal only as fast as it takes them: a wide fork, or several large arguments at once,
 * would else fail the workflow task, again and again.
 */
export class Dispatch {
  #pending = 0;
  /** Bytes sent in the present workflow task, which the length of the history tells from the others. */
  #taskBytes = 0;
  #task = -1;
  #isTurning = false;
  #local = 0;
  readonly #line = new WaitingLine({
    fits: (size) => this.#hasRoom(size),
    take: (size) => this.#take(size),
    waits: () => {
      if (this.#pending < MAX_PENDING) this.#turn();
    },
  });
  readonly #localLine = new WaitingLine({
    fits: () => this.#local < MAX_LOCAL && this.#bytesOfTask() <= MAX_TASK_BYTES,
    take: () => {
      this.#local += 1;
    },
    waits: () => {
      if (this.#local < MAX_LOCAL) this.#turn();
    },
  });

  /**
   * `maxBytes`: the largest request; `claimsLarge`: those above the threshold travel as claims, and count as little;
   * `hasLine`: steps wait in a {@link WaitingLine}.
   */
  constructor(
    private readonly limits: { readonly maxBytes: number; readonly claimsLarge: boolean; readonly hasLine: boolean },
  ) {}

  /** Waits for room; `leave` has to follow. Throws BLW_ARG_INVALID for a request that never fits. */
  *enter(request: object): Routine<void> {
    const bytes = measureJson(request);
    const { maxBytes } = this.limits;
    if (bytes > maxBytes) {
      throw flowError(
        'BLW_ARG_INVALID',
        `the arguments have ${bytes} bytes of JSON, at most ${maxBytes} fit; pass large data as a blob`,
      );
    }
    const size = this.#sentBytes(bytes) + COMMAND_BYTES;
    if (this.limits.hasLine) yield* this.#line.enter(size);
    else yield* this.#enterUnlined(size);
  }

  /** As flows of 0.1.0 did: the order of their commands is in histories. */
  *#enterUnlined(size: number): Routine<void> {
    while (!this.#hasRoom(size)) {
      if (this.#pending < MAX_PENDING) this.#turn();
      yield* waitFor(condition(() => this.#hasRoom(size)));
    }
    this.#take(size);
  }

  leave(): void {
    this.#pending -= 1;
  }

  /** Waits until the result of one more local activity has room; `leaveLocal` has to follow. */
  *enterLocal(): Routine<void> {
    yield* this.#localLine.enter(0);
  }

  /** `resultBytes` is the size of what it gave. */
  leaveLocal(resultBytes: number): void {
    this.#local -= 1;
    this.#taskBytes = this.#bytesOfTask() + this.#sentBytes(resultBytes) + COMMAND_BYTES;
    // Once none runs any more, nothing else makes for the workflow task in which there is room again.
    this.#localLine.freed();
  }

  #sentBytes(bytes: number): number {
    return this.limits.claimsLarge ? Math.min(bytes, CLAIM_THRESHOLD_BYTES) : bytes;
  }

  #bytesOfTask(): number {
    const { historyLength } = workflowInfo();
    if (historyLength !== this.#task) {
      this.#task = historyLength;
      this.#taskBytes = 0;
    }
    return this.#taskBytes;
  }

  #take(size: number): void {
    this.#pending += 1;
    this.#taskBytes += size;
  }

  #hasRoom(size: number): boolean {
    const taskBytes = this.#bytesOfTask();
    return this.#pending < MAX_PENDING && (taskBytes === 0 || taskBytes + size <= MAX_TASK_BYTES);
  }

  /** Makes for another workflow task, whatever else the flow waits for. */
  #turn(): void {
    if (this.#isTurning) return;
    this.#isTurning = true;
    const turned = () => {
      this.#isTurning = false;
    };
    CancellationScope.nonCancellable(() => sleep(1)).then(turned, turned);
  }
}
