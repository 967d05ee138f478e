/** Local activities that a worker runs at once. */
export const LOCAL_SLOTS = 1_000;

/** Steps in place that wait for a place at once: some slots are left for what flows need beside. */
const MAX_WAITING = 900;

/** Places that others may get before one of those that begin a row of reads. */
const MAX_PASSED_BY = 15;

/** The steps of a pool that run at once, whichever way they came: those in place take none of the slots that Temporal's worker counts. */
export class StepPlaces {
  #taken = 0;
  #waitingInPlace = 0;
  readonly #line: (() => void)[] = [];
  /** Of those that begin a row of reads, behind all others. */
  readonly #beginning: (() => void)[] = [];
  /** Places that went to others since one of these got one. */
  #passedBy = 0;

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
  wait(): Promise<void> {
    return new Promise((resolve) => void this.#line.push(resolve));
  }

  /**
   * For a step in place: false where there is none within `patienceMs`, or too many wait. `leave` has to follow where there is one. One that begins a row
   * of reads comes after those that have begun: so flows end one after the other, and not all of them late.
   */
  waitInPlace(patienceMs: number, { begins = false }: { readonly begins?: boolean } = {}): Promise<boolean> {
    if (patienceMs <= 0 || this.#waitingInPlace >= MAX_WAITING) return Promise.resolve(false);
    this.#waitingInPlace += 1;
    const line = begins ? this.#beginning : this.#line;
    return new Promise<boolean>((resolve) => {
      const end = (has: boolean): void => {
        this.#waitingInPlace -= 1;
        resolve(has);
      };
      const admit = (): void => {
        clearTimeout(timer);
        end(true);
      };
      const giveUp = (): void => {
        line.splice(line.indexOf(admit), 1);
        end(false);
      };
      const timer = setTimeout(giveUp, patienceMs);
      line.push(admit);
    });
  }

  /** The place goes to the first in line, or to one of those that begin where none is in line, or has been passed by for long. */
  leave(): void {
    const isTheirs = this.#line.length === 0 || this.#passedBy >= MAX_PASSED_BY;
    const beginning = isTheirs ? this.#beginning.shift() : undefined;
    this.#passedBy = beginning === undefined && this.#beginning.length > 0 ? this.#passedBy + 1 : 0;
    const next = beginning ?? this.#line.shift();
    if (next === undefined) this.#taken -= 1;
    else next();
  }
}
