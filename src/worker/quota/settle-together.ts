import { AsyncLocalStorage } from 'node:async_hooks';
import type { QuotaKeeper } from './quota-keeper';
import type { Settlement } from './settle-rules';

/** Attempts of one local activity that are settled at its end; undefined: it has ended. */
interface Shared {
  settlements: Settlement[] | undefined;
}

const current = new AsyncLocalStorage<Shared>();

/**
 * Runs attempts of one local activity, all of one tenant. Temporal hears of none of them before all have ended, so what they used is told to
 * the store at once, before that; but for what others may wait for.
 */
export async function settlingTogether<T>(keeper: QuotaKeeper, tenant: string, work: () => Promise<T>): Promise<T> {
  const shared: Shared = { settlements: [] };
  try {
    return await current.run(shared, work);
  } finally {
    const { settlements = [] } = shared;
    // What ends later was given up, and is told by itself.
    shared.settlements = undefined;
    await keeper.settleTogether(tenant, settlements);
  }
}

/** Settles an attempt; together with others where it shares an activity with them. */
export async function settleNowOrTogether(keeper: QuotaKeeper, settlement: Settlement): Promise<void> {
  const settlements = current.getStore()?.settlements;
  if (settlements === undefined || keeper.mustSettleAtOnce(settlement)) await keeper.settle(settlement);
  else settlements.push(settlement);
}
