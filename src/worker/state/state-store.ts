import { messageOf } from '../../dsl/errors';
import type { Rule } from './rule';

/** Where what all workers have to know is kept: leases, lines, usage. Only rules change it, one transaction each. */
export interface StateStore {
  /**
   * Runs a rule in one transaction and gives its result once that is committed. Throws {@link StateStoreUnavailable} where the
   * store is busy or out of reach; whether the transaction was committed is not known then. What is wrong with the rule itself,
   * and would be at the next try, is thrown as it is.
   */
  run<T>(rule: () => Rule<T>, options?: RunOptions): Promise<T>;
  close(): Promise<void>;
}

/** What is known of a rule before it runs. */
export interface RunOptions {
  /** Whose rows it locks: where these are not free, only this tenant's rules wait. */
  readonly tenant?: string;
  /** A crash of the store's server right after may undo it, as if it had never been asked: right for what says who runs now. */
  readonly mayBeLost?: boolean;
  /** It changes nothing; the store holds it to that. */
  readonly isReading?: boolean;
}

/** The store is busy, broken or out of reach; what was asked may be asked again later. */
export class StateStoreUnavailable extends Error {
  /** `scope`: `call` where others may get an answer, such as on a lock that was not free in time. */
  constructor(
    cause: unknown,
    readonly scope: 'store' | 'call' = 'store',
  ) {
    super(`the state store cannot be used: ${messageOf(cause)}`, { cause });
    this.name = 'StateStoreUnavailable';
  }
}

/** True where no other call would get an answer either. */
export function isOutOfReach(error: unknown): boolean {
  return error instanceof StateStoreUnavailable && error.scope === 'store';
}

/** `--state-store`, read. JSON. A URL may hold a password: never log it. */
export type StateStoreConfig =
  | { readonly kind: 'sqlite' /** Absolute. */; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };
