import { type ApplicationFailure, CancelledFailure, type Context, type Info } from '@temporalio/activity';
import type { Json } from '../../dsl/json';
import type { RecordedFailure } from '../../dsl/recorded-failure';
import type { StepRequest } from '../../dsl/step-request';

/** What attempts of one local activity have in common. */
export interface AttemptGroup {
  /** All of them have ended, or were given up. Never throws. */
  end(): Promise<void>;
}

/** Where an attempt is made. */
export interface AttemptPlace {
  /** Of the activity; of its own where several share one. */
  readonly temporal: Context;
  /** Absent: it shares nothing. */
  readonly group?: AttemptGroup | undefined;
}

/** A step that is tried in place, and how. */
export interface TriedStep extends AttemptPlace {
  readonly blockType: string;
  readonly request: StepRequest;
}

/** What one of several attempts within a local activity has for itself. */
type OwnInfo = Pick<Info, 'activityType' | 'startToCloseTimeoutMs' | 'retryPolicy'>;

/** What the attempt would be told if it had come alone, now. `suffix` makes its id: usage and places under quotas go by it. */
export function attemptInfo(around: Info, suffix: string, own: OwnInfo): Info {
  const now = Date.now();
  return {
    ...around,
    ...own,
    activityId: `${around.activityId}${suffix}`,
    attempt: 1,
    scheduledTimestampMs: now,
    currentAttemptScheduledTimestampMs: now,
    retryPolicy: { ...own.retryPolicy, maximumAttempts: 1 },
  };
}

/** The context of the activity that `info` is of, with the connection of the one `around` it, and with that one's cancellation unless there is a `signal`. */
export function contextOf(around: Context, info: Info, signal?: AbortSignal): Context {
  const cancellation = signal === undefined ? {} : { cancellationSignal: { value: signal } };
  return Object.create(around, { info: { value: info }, ...cancellation });
}

/** Stops what is under way when the time is up, or when what it is part of is stopped. */
export class StopClock {
  readonly #abort = new AbortController();
  readonly #timer: NodeJS.Timeout;
  readonly #follow = (): void => this.#abort.abort(this.around.reason);
  #isTimeUp = false;
  /** Fulfilled when the time is up. */
  readonly stopped: Promise<undefined>;

  /** `endsAt`: as `performance.now()`. */
  constructor(
    private readonly around: AbortSignal,
    endsAt: number,
  ) {
    if (around.aborted) this.#follow();
    around.addEventListener('abort', this.#follow, { once: true });
    let stop = (): void => undefined;
    this.stopped = new Promise((resolve) => {
      stop = () => resolve(undefined);
    });
    this.#timer = setTimeout(() => {
      this.#isTimeUp = true;
      stop();
      this.#abort.abort(new CancelledFailure('TIMED_OUT'));
    }, endsAt - performance.now());
  }

  get signal(): AbortSignal {
    return this.#abort.signal;
  }

  get isTimeUp(): boolean {
    return this.#isTimeUp;
  }

  end(): void {
    clearTimeout(this.#timer);
    this.around.removeEventListener('abort', this.#follow);
  }
}

/** As Temporal would record it. */
export function recordedFailure({ message, type, nonRetryable, details }: ApplicationFailure): RecordedFailure {
  return { message, type: type ?? 'Error', nonRetryable: nonRetryable === true, details: (details ?? []) as Json[] };
}
