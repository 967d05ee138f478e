import { FlowError } from '../../dsl/errors';
import { translateClientError } from '../client-errors';
import { CommandError } from '../command-error';
import type { TemporalSession } from '../temporal-session';
import type { Endpoint } from './endpoints';
import { readTemporal, type TemporalReading } from './temporal-reading';
import type { TopSample } from './top-view';
import { readWorker } from './worker-reading';

/** Reads again and again; where Temporal goes away, what it said last stays. */
export class TopSampler {
  #last: TemporalReading | undefined;
  #lost: TopSample['lost'];

  constructor(
    private readonly session: TemporalSession,
    private readonly where: { readonly queuePrefix: string; readonly endpoints: readonly Endpoint[] },
  ) {}

  /** Rejects where Temporal does not answer the first time, with what its client throws. */
  async read(): Promise<TopSample> {
    const [temporal, workers] = await Promise.all([
      this.#readTemporal(),
      Promise.all(this.where.endpoints.map((endpoint) => readWorker(endpoint))),
    ]);
    return { at: Date.now(), temporal, workers, ...(this.#lost === undefined ? {} : { lost: this.#lost }) };
  }

  async #readTemporal(): Promise<TemporalReading> {
    try {
      this.#last = await readTemporal(this.session.client, this.where.queuePrefix);
      this.#lost = undefined;
      return this.#last;
    } catch (thrown) {
      const error = translateClientError(thrown, this.session);
      const isKnown = error instanceof FlowError || error instanceof CommandError;
      if (this.#last === undefined || !isKnown) throw thrown;
      this.#lost = { since: this.#lost?.since ?? Date.now(), reason: error.message };
      return this.#last;
    }
  }
}
