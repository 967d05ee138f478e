import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type RequestListener, type Server } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { type AddressInfo, createServer as createTcpServer, type Socket } from 'node:net';
import type { SelfSigned } from './self-signed';

/** One request as a loopback server saw it. */
export interface SeenRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A server on a free port of 127.0.0.1. */
export interface LoopbackServer {
  readonly port: number;
  /** Without a slash at the end. */
  readonly origin: string;
  readonly requests: SeenRequest[];
  /** How many connections it has accepted. */
  connections(): number;
}

/** Fulfilled when a server's socket is closed, by whichever side, orderly or not. */
export function closeOf(socket: Socket): Promise<unknown> {
  return new Promise((resolve) => {
    socket.once('close', resolve);
  });
}

/** Starts servers and closes them all, connections included; for `afterEach`. */
export class LoopbackServers {
  private readonly releases: (() => Promise<void>)[] = [];

  /** An HTTP server; the handler runs when the request's body is in. */
  async http(handler: RequestListener, tls?: SelfSigned): Promise<LoopbackServer> {
    const requests: SeenRequest[] = [];
    const listener: RequestListener = (request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        const { method = '', url = '', headers } = request;
        requests.push({ method, url, headers, body: Buffer.concat(chunks).toString() });
        handler(request, response);
      });
    };
    const server: Server = tls === undefined ? createServer(listener) : createTlsServer(tls, listener);
    // Longer than a client keeps an idle connection: a POST on one that is just being closed has an unknown outcome.
    server.keepAliveTimeout = 30_000;
    this.releases.push(async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    });
    return this.listen(server, { requests, scheme: tls === undefined ? 'http' : 'https' });
  }

  /** A TCP server, for answers that HTTP does not allow. */
  async tcp(onSocket: (socket: Socket) => void): Promise<LoopbackServer> {
    const sockets = new Set<Socket>();
    const server = createTcpServer((socket) => {
      sockets.add(socket);
      // A client that goes away resets the connection; that is part of the tests.
      socket.on('error', () => undefined);
      onSocket(socket);
    });
    this.releases.push(async () => {
      const closed = once(server, 'close');
      server.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    });
    return this.listen(server, { requests: [], scheme: 'http' });
  }

  /** A port of 127.0.0.1 at which nobody listens. */
  async closedPort(): Promise<number> {
    const server = createTcpServer();
    const closed = once(server, 'close');
    const { port } = await this.listen(server, { requests: [], scheme: 'http' });
    server.close();
    await closed;
    return port;
  }

  async close(): Promise<void> {
    await Promise.all(this.releases.splice(0).map((release) => release()));
  }

  private async listen(
    server: Server | ReturnType<typeof createTcpServer>,
    { requests, scheme }: { requests: SeenRequest[]; scheme: string },
  ): Promise<LoopbackServer> {
    let connections = 0;
    server.on('connection', () => {
      connections += 1;
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    return { port, origin: `${scheme}://127.0.0.1:${port}`, requests, connections: () => connections };
  }
}
