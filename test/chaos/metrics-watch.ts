import { setTimeout as delay } from 'node:timers/promises';
import { type MetricsText, scrape } from '../helpers/metrics-text';
import type { WorkerProcess } from './workers';

const PAUSE_MS = 2_000;
/** A page takes milliseconds; but this machine may be busy. */
const PATIENCE_MS = 20_000;

/** Scrapes a worker all the while, as Prometheus would: the page has to answer while the process runs, and no counter may fall. */
export class MetricsWatch {
  readonly problems: string[] = [];
  /** Pages that were read. */
  pages = 0;
  #life = 0;
  #last: ReadonlyMap<string, number> = new Map();

  constructor(private readonly worker: WorkerProcess) {}

  async watch(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#look();
      await delay(PAUSE_MS);
    }
  }

  async #look(): Promise<void> {
    const { metricsUrl, undisturbed } = this.worker;
    if (metricsUrl === undefined) return;
    try {
      const page = await within(PATIENCE_MS, scrape(metricsUrl));
      this.pages += 1;
      this.#compare(page, undisturbed);
    } catch (error) {
      // Of a process that was ended, or stood still, nothing is expected.
      if (this.worker.undisturbed !== undisturbed || undisturbed === undefined) return;
      this.problems.push(`${this.worker.name}: its metrics: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #compare(page: MetricsText, life: number | undefined): void {
    const counters = countersOf(page);
    if (life !== undefined && life === this.#life) {
      for (const [series, before] of this.#last) {
        const now = counters.get(series);
        if (now !== undefined && now < before)
          this.problems.push(`${this.worker.name}: the counter ${series} fell from ${before} to ${now}`);
      }
    }
    this.#life = life ?? 0;
    this.#last = counters;
  }
}

/** Everything that only grows: counters, and what histograms count. */
function countersOf(page: MetricsText): Map<string, number> {
  const counters = new Map<string, number>();
  for (const [name, type] of page.types) {
    const names =
      type === 'counter' ? [name] : type === 'histogram' ? [`${name}_bucket`, `${name}_count`, `${name}_sum`] : [];
    for (const [series, value] of names.flatMap((one) => page.series(one))) counters.set(series, value);
  }
  return counters;
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  const timer = new AbortController();
  const late = delay(ms, undefined, { signal: timer.signal }).then(() => {
    throw new Error(`did not answer within ${ms / 1_000} s`);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    timer.abort();
    late.catch(() => undefined);
  }
}
