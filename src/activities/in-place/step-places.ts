/** Local activities that a worker runs at once. */
export const LOCAL_SLOTS = 1_000;

/** Steps in place that wait for a place at once: some slots are left for what flows need beside. */
const MAX_WAITING = 900;

/** The steps of a pool that run at once, whichever way they came: those in place take none of the slots that Temporal's worker counts. */
export class StepPlaces {
  #taken = 0;
  #waitingInPlace = 0;
  readonly #line: (() => void)[] = [];

  constructor(private readonly size: number) {}

  /** Whoever comes now has to wait. */
  get isFull(): boolean {
    return this.#taken >= this.size;
  }

  /** Takes a place that is free; false where none is. `leave` has to follow where there was one. */
  take(): boolean {
    if (this.isFull) return false;
    this.#taken += 1;
    return true;
  }

  /** For a step of the queue: waits for a place. `leave` has to follow. */
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => this.#line.push(resolve));
  }

  /** For a step in place: false where there is none within `patienceMs`, or too many wait. `leave` has to follow where there is one. */
  async waitInPlace(patienceMs: number): Promise<boolean> {
    if (patienceMs <= 0 || this.#waitingInPlace >= MAX_WAITING) return false;
    this.#waitingInPlace += 1;
    return await new Promise<boolean>((resolve) => {
      const end = (has: boolean): void => {
        this.#waitingInPlace -= 1;
        resolve(has);
      };
      const admit = (): void => {
        clearTimeout(timer);
        end(true);
      };
      const giveUp = (): void => {
        this.#line.splice(this.#line.indexOf(admit), 1);
        end(false);
      };
      const timer = setTimeout(giveUp, patienceMs);
      this.#line.push(admit);
    });
  }

  /** The place goes to the first who waits. */
  leave(): void {
    const next = this.#line.shift();
    if (next === undefined) this.#taken -= 1;
    else next();
  }
}
