import type { Context } from '@temporalio/activity';
import type { Json } from '../dsl/json';

/** Pause between two heartbeats of a step; the worker sends them on as often (see its throttle interval). */
export const HEARTBEAT_INTERVAL_MS = 500;

/**
 * Heartbeats for every step that takes longer than a moment, whether its block reports progress or not: a cancellation
 * reaches an activity only with the answer to a heartbeat, and a lost worker is noticed by their silence.
 */
export class Heartbeat {
  #details: Json | undefined;
  readonly #timer: NodeJS.Timeout | undefined;

  constructor(private readonly temporal: Context) {
    // A retried attempt goes on from what the one before reported, until it reports itself.
    this.#details = temporal.info.heartbeatDetails as Json | undefined;
    if ((temporal.info.heartbeatTimeoutMs ?? 0) > 0) {
      this.#timer = setInterval(() => temporal.heartbeat(this.#details), HEARTBEAT_INTERVAL_MS);
    }
  }

  /** Progress of the block; goes out now, and again with each further heartbeat. */
  report(details: Json): void {
    this.#details = details;
    this.temporal.heartbeat(details);
  }

  /** Sends the progress once more. */
  repeat(): void {
    this.temporal.heartbeat(this.#details);
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}
