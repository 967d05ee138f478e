/** A timer that has not rung. */
export interface QueuedTimer {
  /** On the clock. */
  readonly at: number;
  /** In the order in which they began. */
  readonly order: number;
  /** It was taken out or cancelled; to cancel it then changes nothing. */
  isOver: boolean;
}

/**
 * Timers by when they are due; those that are due together in the order in which they began. A binary heap, since a loop may make
 * thousands of them at once, and all of them ring within one workflow task.
 */
export class TimerQueue<T extends QueuedTimer> {
  readonly #heap: T[] = [];
  #size = 0;

  /** Those that are not over. */
  get size(): number {
    return this.#size;
  }

  push(timer: T): void {
    this.#size += 1;
    let index = this.#heap.push(timer) - 1;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!this.#swapIfBefore(index, parent)) break;
      index = parent;
    }
  }

  /** The next one; undefined where there is none. */
  get first(): T | undefined {
    while (this.#heap[0]?.isOver === true) this.#removeFirst();
    return this.#heap[0];
  }

  /** Takes the next one out. */
  shift(): T | undefined {
    const next = this.first;
    if (next === undefined) return undefined;
    this.#removeFirst();
    this.cancel(next);
    return next;
  }

  cancel(timer: T): void {
    if (timer.isOver) return;
    timer.isOver = true;
    this.#size -= 1;
  }

  /** Takes all out that it is true of, in the order in which they began. */
  takeAll(isWanted: (timer: T) => boolean): T[] {
    const live = this.#heap.splice(0).filter(({ isOver }) => !isOver);
    this.#size = 0;
    for (const timer of live) if (!isWanted(timer)) this.push(timer);
    const taken = live.filter(isWanted);
    for (const timer of taken) timer.isOver = true;
    return taken.sort((left, right) => left.order - right.order);
  }

  #removeFirst(): void {
    const last = this.#heap.pop();
    if (last === undefined || this.#heap.length === 0) return;
    this.#heap[0] = last;
    for (let index = 0; ; ) {
      const left = 2 * index + 1;
      const right = left + 1;
      const child = this.#isBefore(right, left) ? right : left;
      if (!this.#swapIfBefore(child, index)) return;
      index = child;
    }
  }

  #swapIfBefore(index: number, other: number): boolean {
    if (!this.#isBefore(index, other)) return false;
    const [timer, before] = [this.#heap[index] as T, this.#heap[other] as T];
    this.#heap[index] = before;
    this.#heap[other] = timer;
    return true;
  }

  #isBefore(index: number, other: number): boolean {
    const [timer, before] = [this.#heap[index], this.#heap[other]];
    if (timer === undefined || before === undefined) return false;
    return timer.at < before.at || (timer.at === before.at && timer.order < before.order);
  }
}
