import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * A proxy on loopback in front of PostgreSQL that can lose or delay the answer to a COMMIT: it passes the COMMIT on, waits until the
 * server has answered, and then cuts both connections, or keeps the answer until it is let go.
 */
export class CommitProxy {
  /** Answers to COMMIT that are still to be lost. */
  cuts = 0;
  /** Answers to COMMIT that were lost. */
  lost = 0;
  /** Answers to COMMIT that are still to be kept. */
  holds = 0;
  readonly #held: (() => void)[] = [];
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();

  private constructor(private readonly targetPort: number) {
    this.#server = createServer((client) => this.#serve(client));
  }

  static async start(targetPort: number): Promise<CommitProxy> {
    const proxy = new CommitProxy(targetPort);
    proxy.#server.listen(0, '127.0.0.1');
    await once(proxy.#server, 'listening');
    return proxy;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  /** Answers that are kept now. */
  get held(): number {
    return this.#held.length;
  }

  let(): void {
    for (const pass of this.#held.splice(0)) pass();
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #serve(client: Socket): void {
    const server = connect(this.targetPort, '127.0.0.1');
    const end = (): void => {
      client.destroy();
      server.destroy();
    };
    for (const socket of [client, server]) {
      this.#sockets.add(socket);
      socket.on('error', end).on('close', end);
    }
    client.pipe(server);
    server.on('data', (data: Buffer) => {
      // CommandComplete: its tag is the name of the command.
      const isAnswer = data.includes('COMMIT\0');
      if (isAnswer && this.holds > 0) {
        this.holds -= 1;
        this.#held.push(() => client.write(data));
      } else if (isAnswer && this.cuts > 0) {
        this.cuts -= 1;
        this.lost += 1;
        end();
      } else {
        client.write(data);
      }
    });
  }
}
