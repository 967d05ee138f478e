import { setTimeout as delay } from 'node:timers/promises';
import { MetricsText } from '../helpers/metrics-text';
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
      const page = await read(metricsUrl);
      this.pages += 1;
      this.#compare(page, undisturbed);
    } catch (error) {
      // Of a process that was ended, or stood still, nothing is expected.
      if (this.worker.undisturbed !== undisturbed || undisturbed === undefined) return;
      this.problems.push(`${this.worker.name}: its metrics: ${reasonOf(error)}`);
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

/** By a connection of its own: one that was kept may just be closed by the server. */
async function read(url: string): Promise<MetricsText> {
  const response = await fetch(`${url}/metrics`, {
    headers: { connection: 'close' },
    signal: AbortSignal.timeout(PATIENCE_MS),
  });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`status ${response.status}: ${text}`);
  return new MetricsText(text);
}

function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return error.cause === undefined ? error.message : `${error.message}: ${reasonOf(error.cause)}`;
}
