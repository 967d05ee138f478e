import { jsonBytes } from '../encoded-json';
import { getOwn, setOwn } from '../json';
import type { StepStatus } from '../progress';

/** How often a dry run came to a step, and what became of it; what is absent did not happen. */
export interface StepVisits {
  /** Times that it ran, those that failed or were cancelled among them. */
  readonly ran: number;
  /** Times that its `if` said no. */
  readonly skipped?: number;
  readonly failed?: number;
  /** Of a `switch`: how often each case was taken, by its name. */
  readonly cases?: Readonly<Record<string, number>>;
  /** Of a `switch`: how often none matched. */
  readonly noCase?: number;
  /** Of a `try`: how often its `catch` handled an error. */
  readonly caught?: number;
}

/** Visits by the paths of the steps. */
export type Visits = Readonly<Record<string, StepVisits>>;

type Counts = { ran: number; cases?: Record<string, number> } & Partial<Record<CountName, number>>;
type CountName = 'skipped' | 'failed' | 'noCase' | 'caught';

const COUNTS: readonly CountName[] = ['skipped', 'failed', 'noCase', 'caught'];

/**
 * Counts what a dry run comes to: all of it, as against the list of steps, since there is one entry for each step of the document, however
 * often it runs. Pure, so that it can be part of a workflow.
 */
export class VisitCounter {
  readonly #visits = new Map<string, Counts>();

  constructor(visits: Visits = {}) {
    this.add(visits);
  }

  /** The step begins; to be called once for each time, also where it goes on in a new history. */
  begin(path: string): void {
    this.#of(path).ran += 1;
  }

  /** What became of a step that began. */
  end(path: string, status: StepStatus): void {
    const counts = this.#of(path);
    if (status === 'failed') increase(counts, 'failed');
    if (status !== 'skipped') return;
    counts.ran -= 1;
    increase(counts, 'skipped');
  }

  /** Which case a `switch` took; null: none matched. */
  choose(path: string, name: string | null): void {
    const counts = this.#of(path);
    if (name === null) increase(counts, 'noCase');
    else increaseCase(counts, name, 1);
  }

  /** The `catch` of a `try` handles an error. */
  catches(path: string): void {
    increase(this.#of(path), 'caught');
  }

  /** What was counted elsewhere: before, or in a batch of a loop. */
  add(visits: Visits): void {
    for (const [path, { ran, cases = {}, ...others }] of Object.entries(visits)) {
      const counts = this.#of(path);
      counts.ran += ran;
      for (const name of COUNTS) increase(counts, name, others[name] ?? 0);
      for (const [name, count] of Object.entries(cases)) increaseCase(counts, name, count);
    }
  }

  state(): Visits {
    return Object.fromEntries(this.#visits);
  }

  /** As many as have room in so many bytes of JSON, those that were come to first before the others; and how many have none. */
  within(maxBytes: number): { visits: Visits; omitted: number } {
    const kept: [string, StepVisits][] = [];
    let bytes = 0;
    for (const entry of this.#visits) {
      bytes += jsonBytes(entry);
      if (bytes > maxBytes) break;
      kept.push(entry);
    }
    return { visits: Object.fromEntries(kept), omitted: this.#visits.size - kept.length };
  }

  #of(path: string): Counts {
    const known = this.#visits.get(path);
    if (known !== undefined) return known;
    const counts: Counts = { ran: 0 };
    this.#visits.set(path, counts);
    return counts;
  }
}

function increase(counts: Counts, name: CountName, by = 1): void {
  if (by > 0) counts[name] = (counts[name] ?? 0) + by;
}

/** An author may call a case as he likes, `__proto__` too. */
function increaseCase(counts: Counts, name: string, by: number): void {
  counts.cases ??= {};
  setOwn(counts.cases, name, Number(getOwn(counts.cases, name) ?? 0) + by);
}
