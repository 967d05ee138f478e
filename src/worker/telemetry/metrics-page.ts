import type { Logger } from '../logger';
import { type CoreMetrics, readCoreMetrics } from './core-metrics';
import { measurePools, type Watched } from './pool-metrics';
import type { WorkerMetrics } from './worker-metrics';

/** The text of all metrics of a worker: its own and those of Temporal's SDK. */
export class MetricsPage {
  #watched: Watched | undefined;
  #rendering: Promise<string> | undefined;
  #isCoreAway = false;

  constructor(
    private readonly parts: {
      readonly metrics: WorkerMetrics;
      readonly coreMetrics: CoreMetrics | undefined;
      readonly logger: Logger;
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
    const [core] = await Promise.all([
      this.#readCore(),
      this.#watched === undefined ? undefined : measurePools(metrics, this.#watched),
    ]);
    return `${await metrics.registry.metrics()}${core}`;
  }

  /** Without it, the page is short of the SDK's metrics; said once. */
  async #readCore(): Promise<string> {
    const { coreMetrics, logger } = this.parts;
    if (coreMetrics === undefined) return '';
    try {
      const text = await readCoreMetrics(coreMetrics);
      this.#isCoreAway = false;
      return text;
    } catch (error) {
      if (!this.#isCoreAway)
        logger.log('warn', "the metrics of Temporal's SDK cannot be read", { error: String(error) });
      this.#isCoreAway = true;
      return '';
    }
  }
}
