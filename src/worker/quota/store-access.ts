import { TooLate } from '../../activities/within';
import { messageOf } from '../../dsl/errors';
import type { Logger } from '../logger';
import type { Rule } from '../state/rule';
import { isOutOfReach, type RunOptions, type StateStore, StateStoreUnavailable } from '../state/state-store';
import { Outage } from './outage';

/** How long who asks or reports waits for the store. */
export const STORE_PATIENCE_MS = 2_000;

/** Pause between two lines about a store that does not answer, so that one that comes and goes does not fill the log. */
const WARN_EVERY_MS = 30_000;

/** The state store as the parts of the keeper use it: they all know together whether it is out of reach. */
export class StoreAccess {
  readonly #outage = new Outage();
  readonly #onStore: (problem: string | undefined) => void;
  #warnedAt = Number.NEGATIVE_INFINITY;
  /** The log has that the store does not answer, and nothing was written since. */
  #isSaid = false;

  constructor(
    private readonly store: StateStore,
    private readonly logger: Logger,
    {
      onStore = () => undefined,
      isOut = false,
    }: {
      /** Told why the store is out of reach; undefined: it takes what is written. */
      readonly onStore?: ((problem: string | undefined) => void) | undefined;
      /** It is known to be out of reach. */
      readonly isOut?: boolean | undefined;
    } = {},
  ) {
    this.#onStore = onStore;
    if (isOut) this.#outage.begin();
  }

  get isOut(): boolean {
    return this.#outage.isOut;
  }

  /** True where a call may go to the store. */
  allowsTry(): boolean {
    return this.#outage.allowsTry();
  }

  /** As {@link StateStore.run}. */
  async run<T>(rule: () => Rule<T>, options?: RunOptions): Promise<T> {
    try {
      const result = await this.#outage.watch(() => this.store.run(rule, options), options);
      if (options?.isReading !== true) {
        this.#isSaid = false;
        this.#onStore(undefined);
      }
      return result;
    } catch (error) {
      if (isOutOfReach(error)) this.#onStore(messageOf(error));
      throw error;
    }
  }

  /** Says in the log that something could not be kept; of a store that does not answer once, until something is written again. */
  warn(error: unknown): void {
    const isKnown = error instanceof StateStoreUnavailable || error instanceof TooLate;
    const now = performance.now();
    if (isKnown) {
      if (this.#isSaid || now - this.#warnedAt < WARN_EVERY_MS) return;
      this.#isSaid = true;
      this.#warnedAt = now;
    }
    const [text, fields] = isKnown
      ? ['the state store does not answer; steps of tenants with quotas wait', { part: 'state_store' }]
      : ['quotas could not be kept', {}];
    this.logger.log('warn', text, { ...fields, error: messageOf(error) });
  }

  async close(): Promise<void> {
    await this.store.close();
  }
}
