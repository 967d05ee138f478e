import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import type { BlockExecutor } from '../../src/activities/block';
import type { ResolvedAddress } from '../../src/activities/ports/guarded-connector';
import { createHttpClient, type HttpClientOptions } from '../../src/activities/ports/guarded-http-client';
import type { HttpClient } from '../../src/activities/ports/http-client';
import type { Json, JsonObject } from '../../src/dsl/json';
import { makeContext } from '../helpers/block-context';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { MemoryBlobStore } from '../helpers/memory-blob-store';
import { type Outcome, outcomeOf } from './attack';

/** Time of a step; hostile servers use all of it. */
const TIMEOUT_MS = 500;

/** A server on both loopback addresses that nobody may reach. */
export interface InnerServer {
  readonly port: number;
  connections(): number;
  close(): Promise<void>;
}

/** What attacks on HTTP need. */
export class HttpWorld {
  readonly #servers = new LoopbackServers();
  readonly #clients: HttpClient[] = [];
  /** How often a resolver was asked. */
  lookups = 0;

  private constructor(readonly inner: InnerServer) {}

  static async open(): Promise<HttpWorld> {
    return new HttpWorld(await startInner());
  }

  get servers(): LoopbackServers {
    return this.#servers;
  }

  /** A client that the world closes; names resolve to loopback unless it is told otherwise. */
  client(allowHosts: readonly string[], options: Partial<HttpClientOptions> = {}): HttpClient {
    const resolve = this.resolver(['127.0.0.1']);
    const client = createHttpClient({ allowHosts, resolve, connectTimeoutMs: 2_000, ...options });
    this.#clients.push(client);
    return client;
  }

  resolver(addresses: readonly string[]): NonNullable<HttpClientOptions['resolve']> {
    return async () => {
      this.lookups += 1;
      return addresses.map((address): ResolvedAddress => ({ address, family: address.includes(':') ? 6 : 4 }));
    };
  }

  /** Runs a block as a step would. */
  run(block: BlockExecutor, args: JsonObject, http: HttpClient, timeoutMs = TIMEOUT_MS): Promise<Outcome<Json>> {
    const blobs = new MemoryBlobStore({ keep: false }).port;
    return outcomeOf(() => block(args, makeContext({ http, blobs }, { timeoutMs })));
  }

  /** A friendly server, closed with {@link tidy}. */
  friend(answer = 'welcome'): Promise<LoopbackServer> {
    return this.#servers.http((_request, response) => response.setHeader('content-type', 'text/plain').end(answer));
  }

  /** Says so where somebody has reached the server that nobody may reach. */
  findContact(before: number): string | undefined {
    const connections = this.inner.connections() - before;
    return connections === 0 ? undefined : `${connections} connection(s) to the server that nobody may reach`;
  }

  /** Closes what an attempt has opened. */
  async tidy(): Promise<void> {
    await Promise.all(this.#clients.splice(0).map((client) => client.close()));
    await this.#servers.close();
  }

  async close(): Promise<void> {
    await this.tidy();
    await this.inner.close();
  }
}

async function startInner(): Promise<InnerServer> {
  let connections = 0;
  const sockets = new Set<Socket>();
  const onSocket = (socket: Socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nsecret'));
  };
  const first = createServer(onSocket).listen(0, '127.0.0.1');
  await once(first, 'listening');
  const { port } = first.address() as AddressInfo;
  const second = createServer(onSocket).listen(port, '::1');
  // Where there is no IPv6, its addresses cannot be reached either.
  await Promise.race([once(second, 'listening'), once(second, 'error')]).catch(() => undefined);
  return {
    port,
    connections: () => connections,
    async close() {
      for (const socket of sockets) socket.destroy();
      for (const server of [first, second]) if (server.listening) await new Promise((resolve) => server.close(resolve));
    },
  };
}
