import { hkdfSync } from 'node:crypto';

/** Bytes of a key: AES-256. */
export const KEY_BYTES = 32;

/** Stands for every tenant that has no key of its own. */
export const ANY_TENANT = '*';

/** Ids of keys that are derived from the one for every tenant begin with this; ids of a tenant's own have no such sign. */
export const DERIVED_PREFIX = `${ANY_TENANT}/`;

/** Derived keys that are kept; deriving one takes some 12 µs. */
const MAX_DERIVED = 1_000;

/** A key of a tenant, and what payloads call it. */
export interface EncryptionKey {
  readonly id: string;
  readonly secret: Uint8Array;
}

/**
 * The keys of tenants. The first of a tenant's encrypts, all of them decrypt. Who has none of his own gets one that is derived
 * from the key for every tenant, if there is one (HKDF with SHA-256, RFC 5869, the tenant as its info): who knows a derived key
 * knows no other tenant's.
 */
export class KeyRing {
  static readonly EMPTY = new KeyRing(new Map());
  readonly #derived = new Map<string, EncryptionKey>();

  /** By tenant, or {@link ANY_TENANT}; lists are not empty, and have no derived key beside the one that it is derived from. */
  constructor(private readonly keys: ReadonlyMap<string, readonly EncryptionKey[]>) {}

  get isEmpty(): boolean {
    return this.keys.size === 0;
  }

  /** The key that a tenant's payloads are encrypted with; undefined: they are not. */
  encrypting(tenant: string): EncryptionKey | undefined {
    const [own] = this.keys.get(tenant) ?? [];
    if (own !== undefined) return own;
    const [master] = this.keys.get(ANY_TENANT) ?? [];
    return master === undefined ? undefined : this.#derive(master, tenant);
  }

  /** All keys of a tenant: its own, and those derived for it. With them alone, it reads and writes as with the whole ring. */
  allOf(tenant: string): readonly EncryptionKey[] {
    const own = this.keys.get(tenant) ?? [];
    const derived = (this.keys.get(ANY_TENANT) ?? []).map((master) => this.#derive(master, tenant));
    return [...own, ...derived];
  }

  /** The key of that id; undefined where there is none. A derived one may be given to a tenant as it is. */
  decrypting(tenant: string, id: string): EncryptionKey | undefined {
    const own = this.keys.get(tenant)?.find((key) => key.id === id);
    if (own !== undefined || !id.startsWith(DERIVED_PREFIX)) return own;
    const masterId = id.slice(DERIVED_PREFIX.length);
    const master = this.keys.get(ANY_TENANT)?.find((key) => key.id === masterId);
    return master === undefined ? undefined : this.#derive(master, tenant);
  }

  #derive(master: EncryptionKey, tenant: string): EncryptionKey {
    const name = JSON.stringify([master.id, tenant]);
    const known = this.#derived.get(name);
    if (known !== undefined) return known;
    const secret = hkdfSync('sha256', master.secret, '', `beamline tenant key 1\0${tenant}`, KEY_BYTES);
    const key = { id: `${DERIVED_PREFIX}${master.id}`, secret: new Uint8Array(secret) };
    // Anybody may name tenants in what he sends.
    if (this.#derived.size >= MAX_DERIVED) this.#derived.clear();
    this.#derived.set(name, key);
    return key;
  }
}
