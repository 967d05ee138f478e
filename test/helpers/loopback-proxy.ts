import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/** A proxy on loopback in front of a server on loopback; what passes between both is the business of who extends it. */
export abstract class LoopbackProxy {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  protected constructor(private readonly targetPort: number) {
    this.#server = createServer((client) => this.#serve(client));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.breakAll();
    this.#server.close();
    await once(this.#server, 'close');
  }

  protected async listen(): Promise<this> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return this;
  }

  /** Breaks every connection that there is. */
  protected breakAll(): void {
    for (const socket of this.#sockets) socket.destroy();
  }

  /** False: a client that comes now is turned away. */
  protected accepts(): boolean {
    return true;
  }

  /** Passes data on between both sides; `end` breaks the connection. */
  protected abstract pass(client: Socket, server: Socket, end: () => void): void;

  #serve(client: Socket): void {
    if (!this.accepts()) {
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
    this.pass(client, server, end);
  }
}
