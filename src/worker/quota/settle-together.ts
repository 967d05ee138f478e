import type { AttemptGroup } from '../../activities/in-place/attempt-context';
import type { QuotaKeeper } from './quota-keeper';
import type { Settlement } from './settle-rules';

/**
 * Attempts of one local activity, all of one tenant. Temporal hears of none of them before all have ended, so what they used is told to the store at
 * once, before that; but for what others may wait for.
 */
export class SettleGroup implements AttemptGroup {
  /** Undefined: it has ended. */
  #settlements: Settlement[] | undefined = [];

  constructor(
    private readonly keeper: QuotaKeeper,
    private readonly tenant: string,
  ) {}

  /** False where it has ended: what ends later was given up, and is told by itself. */
  add(settlement: Settlement): boolean {
    this.#settlements?.push(settlement);
    return this.#settlements !== undefined;
  }

  async end(): Promise<void> {
    const settlements = this.#settlements ?? [];
    this.#settlements = undefined;
    await this.keeper.settleTogether(this.tenant, settlements);
  }
}

/** Settles an attempt; together with others where it shares an activity with them. */
export async function settleNowOrTogether(
  keeper: QuotaKeeper,
  settlement: Settlement,
  group: AttemptGroup | undefined,
): Promise<void> {
  const mayWait = group instanceof SettleGroup && !keeper.mustSettleAtOnce(settlement);
  if (!mayWait || !group.add(settlement)) await keeper.settle(settlement);
}
