/**
 * Lets groups of steps in place begin one after the other, as far as there is room: all at once they would share the places of the pool among them, and
 * all would end late.
 */
export class GroupLine {
  #running = 0;
  readonly #line: { readonly size: number; readonly admit: () => void }[] = [];

  /** `room`: steps that run before the next group has to wait; the last group may exceed it. */
  constructor(private readonly room: number) {}

  /**
   * False where there is no room within `patienceMs`, or before the signal aborts; `leave` has to follow once for each step of the group where there is.
   */
  async enter(
    size: number,
    { patienceMs, signal }: { readonly patienceMs: number; readonly signal: AbortSignal },
  ): Promise<boolean> {
    if (this.#line.length === 0 && this.#running < this.room) {
      this.#running += size;
      return true;
    }
    if (patienceMs <= 0 || signal.aborted) return false;
    return await new Promise<boolean>((resolve) => {
      const end = (has: boolean): void => {
        clearTimeout(timer);
        signal.removeEventListener('abort', giveUp);
        resolve(has);
      };
      const waiting = { size, admit: () => end(true) };
      const giveUp = (): void => {
        this.#line.splice(this.#line.indexOf(waiting), 1);
        end(false);
      };
      const timer = setTimeout(giveUp, patienceMs);
      signal.addEventListener('abort', giveUp, { once: true });
      this.#line.push(waiting);
    });
  }

  /** A step of a group has ended: the first who waits may begin. */
  leave(): void {
    this.#running -= 1;
    while (this.#running < this.room) {
      const next = this.#line.shift();
      if (next === undefined) return;
      this.#running += next.size;
      next.admit();
    }
  }
}
