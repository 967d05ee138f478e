import { Writable } from 'node:stream';

/** A stream that keeps what is written to it; pretends to be a terminal where asked to. */
export class CollectedText extends Writable {
  readonly isTTY: boolean;
  text = '';

  constructor({ isTerminal = false }: { isTerminal?: boolean } = {}) {
    super({ decodeStrings: false });
    this.isTTY = isTerminal;
  }

  override _write(chunk: string, _encoding: BufferEncoding, done: () => void): void {
    this.text += chunk;
    done();
  }

  lines(): string[] {
    return this.text.split('\n').slice(0, -1);
  }
}
