import { Client } from '@temporalio/client';
import type { NativeConnection } from '@temporalio/worker';

/** Clients of one server by namespace: workers of several may share a state store. */
export class NamespaceClients {
  readonly #clients = new Map<string, Client>();

  constructor(private readonly connection: NativeConnection) {}

  of(namespace: string): Client {
    const client = this.#clients.get(namespace) ?? new Client({ connection: this.connection, namespace });
    this.#clients.set(namespace, client);
    return client;
  }
}
