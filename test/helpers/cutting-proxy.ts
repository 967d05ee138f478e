import { connect, type Socket } from 'node:net';
import type { LoopbackServers } from './loopback';

/** `ReadyForQuery` outside of a transaction (PostgreSQL, "Message Formats"): what was sent is done. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Where a connection breaks: before the server hears of the end of a transaction, or once it has done it and nobody was told. */
export type Cut = 'before COMMIT' | 'after COMMIT';

/** A proxy on loopback in front of PostgreSQL, which breaks connections at the worst moments. */
export class CuttingProxy {
  #next: { readonly cut: Cut; readonly text: string } | undefined;
  #port = 0;
  /** Connections that were cut. */
  cuts = 0;

  async open(servers: LoopbackServers, serverPort: number): Promise<this> {
    const proxy = await servers.tcp((client) => this.#connect(client, serverPort));
    this.#port = proxy.port;
    return this;
  }

  /** A URL of the server, through the proxy. */
  through(url: string): string {
    const parsed = new URL(url);
    parsed.port = String(this.#port);
    return parsed.href;
  }

  /** Cuts the connection on which the next transaction ends whose last message has this text. */
  cutNext(cut: Cut, text: string): void {
    this.#next = { cut, text };
  }

  #connect(client: Socket, port: number): void {
    const server = connect(port, '127.0.0.1');
    let isCut = false;
    const cut = (): void => {
      this.cuts += 1;
      client.destroy();
      server.destroy();
    };
    client.on('data', (chunk: Buffer) => {
      const isIt = this.#next !== undefined && chunk.includes('COMMIT') && chunk.includes(this.#next.text);
      if (isIt && this.#next?.cut === 'before COMMIT') {
        this.#next = undefined;
        return cut();
      }
      if (isIt) {
        this.#next = undefined;
        isCut = true;
      }
      server.write(chunk);
      return undefined;
    });
    let answer = Buffer.alloc(0);
    server.on('data', (chunk: Buffer) => {
      if (!isCut) return client.write(chunk);
      answer = Buffer.concat([answer, chunk]);
      if (answer.includes(READY)) cut();
      return undefined;
    });
    server.on('error', () => client.destroy());
    server.on('close', () => client.destroy());
    client.on('close', () => server.destroy());
  }
}
