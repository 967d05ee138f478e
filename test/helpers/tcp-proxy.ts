import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { LoopbackProxy } from './loopback-proxy';

/** A proxy on loopback that can be cut, so that nothing passes and connections break, or made slow. */
export class TcpProxy extends LoopbackProxy {
  /** Added to everything that passes, in ms. */
  delayMs = 0;
  #isCut = false;

  static async start(targetPort: number): Promise<TcpProxy> {
    return await new TcpProxy(targetPort).listen();
  }

  cut(): void {
    this.#isCut = true;
    this.breakAll();
  }

  mend(): void {
    this.#isCut = false;
  }

  protected override accepts(): boolean {
    return !this.#isCut;
  }

  protected override pass(client: Socket, server: Socket): void {
    this.#hold(client, server);
    this.#hold(server, client);
  }

  /** In order, however long each piece is held up. */
  #hold(from: Socket, to: Socket): void {
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
