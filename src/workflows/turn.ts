import type { Routine } from './drive';
import { type Room, WaitingLine } from './waiting-line';

/** Lets one routine run at a time: those of other branches wait until it is done. Gives no commands to Temporal. */
export class Turn implements Room {
  #isTaken = false;
  readonly #line = new WaitingLine(this);

  /** Runs the routine when it is its turn. Throws the cancellation where it is cancelled while it waits. */
  *run<T>(start: () => Routine<T>): Routine<T> {
    yield* this.#line.enter(1);
    try {
      return yield* start();
    } finally {
      this.#isTaken = false;
    }
  }

  fits(): boolean {
    return !this.#isTaken;
  }

  take(): void {
    this.#isTaken = true;
  }

  waits(): void {}
}
