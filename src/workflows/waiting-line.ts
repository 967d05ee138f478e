import { CancellationScope, condition } from '@temporalio/workflow';
import { type Routine, waitFor } from './drive';

/** What a {@link WaitingLine} stands before. */
export interface Room {
  /** True where so much fits now; then anything smaller does too. */
  fits(size: number): boolean;
  take(size: number): void;
  /** Called where somebody goes on waiting. */
  waits(): void;
}

interface Waiter {
  readonly size: number;
  readonly admit: () => void;
}

/**
 * Steps that wait for room, let in one by one. With a `condition` for each, every place that becomes free would wake them
 * all, and a promise costs tens of microseconds in Temporal's isolate: measured, of a fork of 1,000 branches in a room for
 * 200 that was two thirds of the worker's time, and it grows with the square of the branches.
 */
export class WaitingLine {
  #waiters: Waiter[] = [];
  #isWatching = false;

  constructor(private readonly room: Room) {}

  /** Takes room as soon as there is some: at once where there is, even before those who wait. */
  *enter(size: number): Routine<void> {
    if (this.room.fits(size)) {
      this.room.take(size);
      return;
    }
    this.room.waits();
    yield* waitFor(this.#join(size));
  }

  /** To be called where room became free, but none for anybody as it is: those who wait depend on what `waits` does then. */
  freed(): void {
    if (this.#waiters.length > 0 && !this.room.fits(0)) this.room.waits();
  }

  #join(size: number): Promise<void> {
    const scope = CancellationScope.current();
    return new Promise((admit, reject) => {
      const waiter = { size, admit };
      this.#waiters.push(waiter);
      if (scope.cancellable) {
        scope.cancelRequested.catch((error: unknown) => {
          this.#waiters = this.#waiters.filter((other) => other !== waiter);
          reject(error);
        });
      }
      this.#watch();
    });
  }

  /** One condition for all of them. */
  #watch(): void {
    if (this.#isWatching || this.#waiters.length === 0) return;
    this.#isWatching = true;
    const { room } = this;
    const mayLetIn = () =>
      this.#waiters.length === 0 || (room.fits(0) && this.#waiters.some(({ size }) => room.fits(size)));
    const letIn = () => {
      this.#isWatching = false;
      this.#letIn();
      this.#watch();
    };
    CancellationScope.nonCancellable(() => condition(mayLetIn)).then(letIn, letIn);
  }

  #letIn(): void {
    const { room } = this;
    this.#waiters = this.#waiters.filter(({ size, admit }) => {
      if (!room.fits(size)) return true;
      room.take(size);
      admit();
      return false;
    });
    if (this.#waiters.length > 0) room.waits();
  }
}
