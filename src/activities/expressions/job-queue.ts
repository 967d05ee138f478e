/** What is known of a job from expressions with the same text before. */
export type Experience = 'quick' | 'unknown' | 'slow';

/** Of so many jobs in a row that are taken, one is an unknown one, if any waits. */
const TURN_OF_UNKNOWN = 4;

/**
 * Jobs that wait for a place in the fast lane. Those whose expressions have been quick before go first, so that hostile ones
 * that come in numbers do not hold them up; now and then an unknown one has its turn.
 */
export class JobQueue<T> {
  readonly #quick: T[] = [];
  readonly #unknown: T[] = [];
  #taken = 0;

  get length(): number {
    return this.#quick.length + this.#unknown.length;
  }

  add(job: T, isQuick: boolean): void {
    (isQuick ? this.#quick : this.#unknown).push(job);
  }

  take(): T | undefined {
    this.#taken += 1;
    const isTurnOfUnknown = this.#taken % TURN_OF_UNKNOWN === 0;
    return (isTurnOfUnknown ? this.#unknown.shift() : undefined) ?? this.#quick.shift() ?? this.#unknown.shift();
  }

  takeAll(): T[] {
    return [...this.#quick.splice(0), ...this.#unknown.splice(0)];
  }
}
