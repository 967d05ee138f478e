import { retryable } from '../block-failure';
import { parseAllowedHosts } from './address-policy';
import { createHttpClient, type HttpClientOptions } from './guarded-http-client';
import type { HttpClient } from './http-client';
import { RestingHttpClient, type RestKeeper } from './resting-http-client';

/** Clients that differ in the private hosts that they may reach. */
export interface HttpClients {
  /** The client of those who may reach these hosts (HOST or HOST:PORT) beside the worker's; the same one for as long as it is known. */
  reaching(privateHosts: readonly string[]): HttpClient;
  close(): Promise<void>;
}

/** How long what a client holds outlives its last request. A policy that is read again may bring other hosts. */
const REST_AFTER_MS = 60_000;

/** Clients that may be idle and hold something; the one that is longest goes to rest before its time. */
const MAX_IDLE = 100;

/** Clients that are known, most of them at rest; as many as accesses of steps whose ports are kept (scoped-ports.ts). */
const MAX_KNOWN = 1_000;

/**
 * Makes one client for each set of private hosts: a connection that is kept alive to a host that only one tenant may reach
 * must not serve another's request to a name that leads there. Those that nobody uses hold nothing, and one that is not known any
 * more works on for who has it. `wrap` puts a client of the caller's around each. Throws BLW_CONFIG for bad hosts.
 */
export function createHttpClients(
  options: HttpClientOptions & { readonly restAfterMs?: number; readonly maxIdle?: number },
  wrap: (client: HttpClient) => HttpClient = (client) => client,
): HttpClients {
  const { restAfterMs = REST_AFTER_MS, maxIdle = MAX_IDLE, ...own } = options;
  parseAllowedHosts(own.allowHosts);
  const clients = new RestingHttpClients({ restAfterMs, maxIdle });
  return {
    reaching: (privateHosts) => {
      const allowHosts = [...own.allowHosts, ...privateHosts];
      const key = JSON.stringify([...privateHosts].sort());
      return clients.find(key, () => {
        parseAllowedHosts(allowHosts);
        return () => wrap(createHttpClient({ ...own, allowHosts }));
      });
    },
    close: () => clients.close(),
  };
}

/** The clients, with something of the caller's around each: the same around the same client, since caches hang on it. */
export function wrapClients(clients: HttpClients, wrap: (client: HttpClient) => HttpClient): HttpClients {
  const wrapped = new WeakMap<HttpClient, HttpClient>();
  return {
    reaching: (hosts) => {
      const client = clients.reaching(hosts);
      const known = wrapped.get(client) ?? wrap(client);
      wrapped.set(client, known);
      return known;
    },
    close: () => clients.close(),
  };
}

/** The clients of a worker: those that are known, and those that hold something. */
class RestingHttpClients implements RestKeeper {
  readonly #known = new Map<string, RestingHttpClient>();
  readonly #busy = new Set<RestingHttpClient>();
  /** The longest idle first. */
  readonly #idle = new Map<RestingHttpClient, NodeJS.Timeout>();
  #isClosed = false;

  constructor(private readonly limits: { readonly restAfterMs: number; readonly maxIdle: number }) {}

  find(key: string, prepare: () => () => HttpClient): HttpClient {
    const client = this.#known.get(key) ?? new RestingHttpClient(prepare(), this);
    // Last used, last forgotten.
    this.#known.delete(key);
    this.#known.set(key, client);
    const [oldest] = this.#known.keys();
    if (this.#known.size > MAX_KNOWN && oldest !== undefined) this.#known.delete(oldest);
    return client;
  }

  onBusy(client: RestingHttpClient): void {
    if (this.#isClosed) {
      throw retryable(
        'BLW_HTTP_UNREACHABLE',
        'got a request while the worker stops, expected none; nothing was sent, another worker sends it',
      );
    }
    clearTimeout(this.#idle.get(client));
    this.#idle.delete(client);
    this.#busy.add(client);
  }

  onIdle(client: RestingHttpClient): void {
    this.#busy.delete(client);
    if (this.#isClosed) return;
    this.#idle.set(client, setTimeout(() => this.#rest(client), this.limits.restAfterMs).unref());
    const [longest] = this.#idle.keys();
    if (this.#idle.size > this.limits.maxIdle && longest !== undefined) this.#rest(longest);
  }

  /** Fails what is under way. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const timer of this.#idle.values()) clearTimeout(timer);
    await Promise.all([...this.#busy, ...this.#idle.keys()].map((client) => client.close()));
    this.#idle.clear();
  }

  #rest(client: RestingHttpClient): void {
    clearTimeout(this.#idle.get(client));
    this.#idle.delete(client);
    // Nothing is under way that could fail; sockets that are idle close by themselves in any case.
    client.close().catch(() => undefined);
  }
}
