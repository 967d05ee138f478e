import { TooLate } from '../../activities/within';
import type { Logger } from '../logger';
import type { Rule } from '../state/rule';
import { isOutOfReach, type RunOptions, type StateStore, StateStoreUnavailable } from '../state/state-store';
import { Outage } from './outage';

/** How long who asks or reports waits for the store. */
export const STORE_PATIENCE_MS = 2_000;

/** Pause between two lines about a store that does not answer. */
const WARN_EVERY_MS = 30_000;

/** The state store as the parts of the keeper use it: they all know together whether it is out of reach. */
export class StoreAccess {
  readonly #outage = new Outage();
  #warnedAt = 0;

  constructor(
    private readonly store: StateStore,
    private readonly logger: Logger,
    /** Told why the store is out of reach; undefined: it answers. */
    private readonly onStore: (problem: string | undefined) => void = () => undefined,
  ) {}

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
      const result = await this.#outage.watch(() => this.store.run(rule, options));
      this.onStore(undefined);
      return result;
    } catch (error) {
      if (isOutOfReach(error)) this.onStore(textOf(error));
      throw error;
    }
  }

  /** Says in the log that something could not be kept; of a store that does not answer only now and then. */
  warn(error: unknown): void {
    const isKnown = error instanceof StateStoreUnavailable || error instanceof TooLate;
    const now = performance.now();
    if (isKnown && this.#warnedAt !== 0 && now - this.#warnedAt < WARN_EVERY_MS) return;
    this.#warnedAt = now;
    const [text, fields] = isKnown
      ? ['the state store does not answer; steps of tenants with quotas wait', { part: 'state_store' }]
      : ['quotas could not be kept', {}];
    this.logger.log('warn', text, { ...fields, error: textOf(error) });
  }

  async close(): Promise<void> {
    await this.store.close();
  }
}

export function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
