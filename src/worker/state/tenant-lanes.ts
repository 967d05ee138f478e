import { StateStoreUnavailable } from './state-store';

/**
 * Connections of one tenant: one that works, and those whose statements are on their way meanwhile. Measured, with 16 steps of a tenant at
 * once on two busy cores: 140 to 245 steps a second with two, 177 to 380 with three, and no more with four or eight.
 */
const MAX_OF_TENANT = 3;

/** Pause between two tries of a tenant whose rows are locked. */
const TRY_EVERY_MS = 1_000;

/** How long one waits for its turn: longer than a step lets the store keep it, and no queue grows without end where the store is slow. */
const MAX_WAIT_MS = 3_000;

interface Lane {
  /** Turns that are taken. */
  active: number;
  /** The oldest first. */
  readonly waiting: Set<() => void>;
  /** Set where its rows are locked by somebody who does not let go. */
  stuck: { readonly error: StateStoreUnavailable; retryAt: number } | undefined;
}

/**
 * Keeps tenants out of each other's way: the transactions of one follow each other anyway, since they lock its row, so they get few
 * connections at a time and wait for these outside of the pool. Where the row is not to be had, one try a second finds out whether it is
 * free, and all others are told at once.
 */
export class TenantLanes {
  readonly #lanes = new Map<string, Lane>();

  constructor(private readonly clock: () => number = () => performance.now()) {}

  /**
   * Does work of a tenant; `isTrial`: it should not wait long for a lock. Throws {@link StateStoreUnavailable}, also where its turn does not
   * come in time: then nothing was done.
   */
  async run<T>(tenant: string, work: (isTrial: boolean) => Promise<T>): Promise<T> {
    const lane = this.#lanes.get(tenant) ?? { active: 0, waiting: new Set<() => void>(), stuck: undefined };
    this.#lanes.set(tenant, lane);
    // Whoever ends hands his turn on.
    if (lane.active >= MAX_OF_TENANT) await takeTurn(lane);
    else lane.active += 1;
    try {
      const result = await work(this.#admit(lane));
      lane.stuck = undefined;
      return result;
    } catch (error) {
      // Those who wait for the same would only find the same: each is told on his turn.
      if (error instanceof StateStoreUnavailable && error.scope === 'call') {
        lane.stuck ??= { error, retryAt: this.clock() + TRY_EVERY_MS };
      }
      throw error;
    } finally {
      const [next] = lane.waiting;
      if (next === undefined) lane.active -= 1;
      else next();
      if (lane.active === 0 && lane.stuck === undefined) this.#lanes.delete(tenant);
    }
  }

  /** True for a trial. */
  #admit({ stuck }: Lane): boolean {
    if (stuck === undefined) return false;
    const now = this.clock();
    if (now < stuck.retryAt) throw stuck.error;
    stuck.retryAt = now + TRY_EVERY_MS;
    return true;
  }
}

/** Waits until somebody hands his turn on. */
function takeTurn({ waiting }: Lane): Promise<void> {
  return new Promise<void>((resolve, reject) => {
    const take = (): void => {
      clearTimeout(timer);
      waiting.delete(take);
      resolve();
    };
    const giveUp = (): void => {
      waiting.delete(take);
      const cause = new Error(`the tenant's turn did not come within ${MAX_WAIT_MS} ms`);
      reject(new StateStoreUnavailable(cause, 'call'));
    };
    const timer = setTimeout(giveUp, MAX_WAIT_MS);
    waiting.add(take);
  });
}
