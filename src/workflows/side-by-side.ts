import { CancellationScope } from '@temporalio/workflow';
import { drive, type Routine } from './drive';
import type { VirtualClock } from './dry-run/virtual-clock';

/** Routines that run side by side, each in a scope of its own, until one of them ends them all. */
export class SideBySide {
  #scopes: CancellationScope[] = [];
  #running = 0;

  /** `clock`: that of a dry run. */
  constructor(private readonly clock: VirtualClock | undefined) {}

  /** Starts a routine; the promise is that of its end. */
  run<T>(routine: () => Routine<T>): Promise<T> {
    const scope = new CancellationScope();
    this.#scopes.push(scope);
    return scope.run(() => drive(this.clock === undefined ? routine() : this.#counted(routine, this.clock)));
  }

  /** Who runs them waits for them, and does not count meanwhile: the first takes its place, and the last gives it back. */
  *#counted<T>(routine: () => Routine<T>, clock: VirtualClock): Routine<T> {
    this.#running += 1;
    if (this.#running > 1) clock.wakes();
    try {
      return yield* routine();
    } finally {
      this.#running -= 1;
      if (this.#running > 0) clock.ends();
    }
  }

  /**
   * Cancels those that run. Each scope once, however often it is called: every routine that is cancelled asks for it too, and
   * Temporal makes an error for each scope and call (of 2,000 branches, measured, that took the workflow thread 45 s).
   */
  cancel(): void {
    const scopes = this.#scopes;
    this.#scopes = [];
    for (const scope of scopes) scope.cancel();
  }
}
