import type { Json } from '../../dsl/json';

/** Where secrets come from. A value is read when a step needs it, so that a new one counts from the next step on. */
export interface SecretStore {
  /**
   * The value of a secret, for a tenant: text, or an object of JSON; undefined where there is none for that tenant.
   * Throws BlockFailure BLW_SECRET_UNAVAILABLE where there is one that cannot be read; its message has no value.
   */
  get(name: string, tenant: string): Promise<Json | undefined>;
}
