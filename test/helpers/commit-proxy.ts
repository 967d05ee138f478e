import type { Socket } from 'node:net';
import { LoopbackProxy } from './loopback-proxy';

/** `ReadyForQuery` outside of a transaction (PostgreSQL, "Message Formats"): what was sent is done. */
const READY = Buffer.from([0x5a, 0, 0, 0, 5, 0x49]);

/** Where a connection breaks: before the server hears of the end of a transaction, or once it has done it and nobody was told. */
export type Cut = 'before COMMIT' | 'after COMMIT';

/**
 * A proxy on loopback in front of PostgreSQL that breaks or holds up connections at the worst moment: it can lose a COMMIT on its way
 * to the server, and lose or keep the answer to one, which has taken effect then.
 */
export class CommitProxy extends LoopbackProxy {
  /** Answers to COMMIT that are still to be lost, whoever gets them. */
  cuts = 0;
  /** COMMITs, and answers to them, that were lost, each with its connection. */
  lost = 0;
  /** Answers to COMMIT that are still to be kept. */
  holds = 0;
  #next: { readonly cut: Cut; readonly text: string } | undefined;
  readonly #held: (() => void)[] = [];

  static async start(targetPort: number): Promise<CommitProxy> {
    return await new CommitProxy(targetPort).listen();
  }

  /** A URL of the server, through the proxy. */
  through(url: string): string {
    const parsed = new URL(url);
    parsed.port = String(this.port);
    return parsed.href;
  }

  /** Cuts the connection on which the next transaction ends whose last message has this text. */
  cutNext(cut: Cut, text: string): void {
    this.#next = { cut, text };
  }

  /** Answers that are kept now. */
  get held(): number {
    return this.#held.length;
  }

  let(): void {
    for (const pass of this.#held.splice(0)) pass();
  }

  protected override pass(client: Socket, server: Socket, end: () => void): void {
    const lose = (): void => {
      this.lost += 1;
      end();
    };
    /** What the server says after a COMMIT of which nobody is to hear. */
    let unheard: Buffer | undefined;
    client.on('end', () => server.end());
    client.on('data', (data: Buffer) => {
      const cut = this.#takeCut(data);
      if (cut === 'before COMMIT') return lose();
      if (cut === 'after COMMIT') unheard = Buffer.alloc(0);
      server.write(data);
    });
    server.on('data', (data: Buffer) => {
      if (unheard === undefined) return this.#answer(data, client, lose);
      unheard = Buffer.concat([unheard, data]);
      if (unheard.includes(READY)) lose();
    });
  }

  /** What becomes of the connection, where this is the message that was waited for. */
  #takeCut(message: Buffer): Cut | undefined {
    const next = this.#next;
    if (next === undefined || !message.includes('COMMIT') || !message.includes(next.text)) return undefined;
    this.#next = undefined;
    return next.cut;
  }

  #answer(data: Buffer, client: Socket, lose: () => void): void {
    // CommandComplete: its tag is the name of the command.
    const isAnswer = data.includes('COMMIT\0');
    if (isAnswer && this.holds > 0) {
      this.holds -= 1;
      this.#held.push(() => client.write(data));
    } else if (isAnswer && this.cuts > 0) {
      this.cuts -= 1;
      lose();
    } else {
      client.write(data);
    }
  }
}
