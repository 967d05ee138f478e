import { type CoreMetrics, readCoreMetrics } from './core-metrics';
import type { MetricGaps } from './metric-gaps';
import { measurePools, type Watched } from './pool-metrics';
import type { WorkerMetrics } from './worker-metrics';

/** The text of all metrics of a worker: its own and those of Temporal's SDK. */
export class MetricsPage {
  #watched: Watched | undefined;
  #rendering: Promise<string> | undefined;

  constructor(
    private readonly parts: {
      readonly metrics: WorkerMetrics;
      readonly coreMetrics: CoreMetrics | undefined;
      readonly gaps: MetricGaps;
    },
  ) {}

  /** Shows what is true of these, with every scrape. */
  watch(watched: Watched): void {
    this.#watched = watched;
  }

  /** Makes the page; scrapes at the same time get the same. */
  render(): Promise<string> {
    this.#rendering ??= this.#render().finally(() => {
      this.#rendering = undefined;
    });
    return this.#rendering;
  }

  async #render(): Promise<string> {
    const { metrics } = this.parts;
    const [core] = await Promise.all([this.#readCore(), this.#measurePools(metrics)]);
    return `${await metrics.registry.metrics()}${core}`;
  }

  async #measurePools(metrics: WorkerMetrics): Promise<void> {
    if (this.#watched === undefined) return;
    await measurePools(metrics, this.#watched);
    this.parts.gaps.tell('queues', (await this.#watched.queues.read()).failure);
  }

  /** Without it, the page is short of the SDK's metrics. */
  async #readCore(): Promise<string> {
    const { coreMetrics, gaps } = this.parts;
    if (coreMetrics === undefined) return '';
    try {
      const text = await readCoreMetrics(coreMetrics);
      gaps.tell('core', undefined);
      return text;
    } catch (error) {
      gaps.tell('core', `the metrics of Temporal's SDK cannot be read: ${String(error)}`);
      return '';
    }
  }
}
