import type { ServerResponse } from 'node:http';
import type { LoopbackServer, LoopbackServers } from './loopback';
import { eventually } from './test-worker';

/** A loopback server that holds requests until they are let go, and counts how many are there at once. */
export class Gate {
  readonly #held: ServerResponse[] = [];
  #server: LoopbackServer | undefined;
  /** Requests that were there at once. */
  most = 0;

  async open(servers: LoopbackServers): Promise<this> {
    this.#server = await servers.http((_, response) => {
      this.#held.push(response);
      response.on('close', () => {
        const index = this.#held.indexOf(response);
        if (index !== -1) this.#held.splice(index, 1);
      });
      this.most = Math.max(this.most, this.#held.length);
    });
    return this;
  }

  get url(): string {
    return `${this.server.origin}/`;
  }

  get server(): LoopbackServer {
    if (this.#server === undefined) throw new Error('the gate is not open');
    return this.#server;
  }

  get held(): number {
    return this.#held.length;
  }

  /** Answers the first of those that wait now. */
  let(count = this.#held.length): void {
    for (const response of this.#held.splice(0, count)) response.end('{}');
  }

  /** Waits until so many requests have come in all. */
  async saw(count: number, deadlineMs = 15_000): Promise<void> {
    await eventually(async () => (this.server.requests.length === count ? true : undefined), deadlineMs);
  }

  async holds(count: number, deadlineMs = 15_000): Promise<void> {
    await eventually(async () => (this.held === count ? true : undefined), deadlineMs);
  }
}
