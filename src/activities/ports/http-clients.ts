import { createHttpClient, type HttpClientOptions } from './guarded-http-client';
import type { HttpClient } from './http-client';

/** Clients that differ in the private hosts that they may reach. */
export interface HttpClients {
  /** The client of those who may reach these hosts (HOST or HOST:PORT) beside the worker's; always the same one. */
  reaching(privateHosts: readonly string[]): HttpClient;
  close(): Promise<void>;
}

/**
 * Makes one client for each set of private hosts: a connection that is kept alive to a host that only one tenant may reach
 * must not serve another's request to a name that leads there. `wrap` puts a client of the caller's around each. Throws BLW_CONFIG
 * for a bad `allowHosts`.
 */
export function createHttpClients(
  options: HttpClientOptions,
  wrap: (client: HttpClient) => HttpClient = (client) => client,
): HttpClients {
  const clients = new Map<string, HttpClient>();
  const reaching = (privateHosts: readonly string[]): HttpClient => {
    const key = JSON.stringify([...privateHosts].sort());
    const made = clients.get(key);
    if (made !== undefined) return made;
    const client = wrap(createHttpClient({ ...options, allowHosts: [...options.allowHosts, ...privateHosts] }));
    clients.set(key, client);
    return client;
  };
  reaching([]);
  return {
    reaching,
    close: async () => {
      await Promise.all([...clients.values()].map((client) => client.close()));
    },
  };
}
