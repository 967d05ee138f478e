import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';

/** A proxy on loopback that can be cut, so that nothing passes and connections break, or made slow. */
export class TcpProxy {
  /** Added to everything that passes, in ms. */
  delayMs = 0;
  #isCut = false;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(private readonly targetPort: number) {
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(targetPort: number): Promise<TcpProxy> {
    const proxy = new TcpProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mend(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    if (this.#isCut) {
      client.destroy();
      return;
    }
    const server = connect(this.targetPort, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', () => {
        this.#sockets.delete(socket);
        end();
      });
    }
    this.#pass(client, server);
    this.#pass(server, client);
  }

  /** In order, however long each piece is held up. */
  #pass(from: Socket, to: Socket): void {
    let last = Promise.resolve();
    from.on('data', (data: Buffer) => {
      const held = this.delayMs;
      if (held === 0) {
        last = last.then(() => void to.write(data));
        return;
      }
      const due = delay(held);
      last = last.then(() => due).then(() => void to.write(data));
    });
    from.on('end', () => {
      last = last.then(() => void to.end());
    });
  }
}
