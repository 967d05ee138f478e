import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';
import type { KeyRing } from '../activities/payloads/key-ring';
import { clientDataConverter } from './data-converter';

/** Clients that are kept; they hold nothing open. */
const MAX_KEPT = 1_000;

/** Clients of one server by namespace and tenant: workers of several namespaces may share a state store, and tenants have keys. */
export class NamespaceClients {
  readonly #clients = new Map<string, Client>();

  constructor(
    private readonly connection: NativeConnection,
    private readonly keys: KeyRing,
  ) {}

  /** Encrypts for the tenant, where there is a key for it. */
  of(namespace: string, tenant: string): Client {
    return this.#find(namespace, tenant);
  }

  /** Encrypts nothing: for what is no tenant's, and is read by workers that may have other keys. */
  unencrypted(namespace: string): Client {
    return this.#find(namespace);
  }

  #find(namespace: string, tenant?: string): Client {
    const key = JSON.stringify([namespace, tenant]);
    const known = this.#clients.get(key);
    if (known !== undefined) return known;
    if (this.#clients.size >= MAX_KEPT) this.#clients.clear();
    const dataConverter = clientDataConverter({ keys: this.keys, tenant }, namespace);
    const client = new Client({ connection: this.connection, namespace, dataConverter });
    this.#clients.set(key, client);
    return client;
  }
}
