import type { Rule } from './rule';

/** Where what all workers have to know is kept: leases, lines, usage. Only rules change it, one transaction each. */
export interface StateStore {
  /**
   * Runs a rule in one transaction and gives its result once that is committed. Throws {@link StateStoreUnavailable} where the
   * store is busy or out of reach; whether the transaction was committed is not known then. With `mayBeLost` a crash of the store's
   * server right after may undo it, as if it had never been asked: right for what says who runs now.
   */
  run<T>(rule: () => Rule<T>, options?: { readonly mayBeLost?: boolean }): Promise<T>;
  close(): Promise<void>;
}

/** The store is busy, broken or out of reach; what was asked may be asked again later. */
export class StateStoreUnavailable extends Error {
  constructor(cause: unknown) {
    super(`the state store cannot be used: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StateStoreUnavailable';
  }
}

/** `--state-store`, read. JSON. A URL may hold a password: never log it. */
export type StateStoreConfig =
  | { readonly kind: 'sqlite' /** Absolute. */; readonly file: string }
  | { readonly kind: 'postgres'; readonly url: string };
