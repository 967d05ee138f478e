/** Writes bytes from an offset on; gives how many it has written. Throws errors of the system; EAGAIN where there is no room now. */
export type Write = (bytes: Buffer, offset: number) => number;

/** Lines are written together up to so many bytes: what a pipe takes in one piece, whoever else writes into it (POSIX, PIPE_BUF on Linux). */
const MAX_TOGETHER_BYTES = 4_096;

interface Entry {
  readonly bytes: Buffer;
  /** Lines that are lost where it is. */
  readonly lines: number;
  readonly kind: 'line' | 'notice' | 'break';
}

/**
 * Lines on their way out, in order. Lines that had to give way to newer ones, and those that could not be written, are counted; in
 * their place is what `describeLoss` says of them.
 */
export class LogQueue {
  #entries: Entry[] = [];
  /** Bytes of the first one that have been written. */
  #written = 0;
  #bytes = 0;
  #lost = 0;
  /** The last thing that was written is half a line. */
  #isBroken = false;

  constructor(
    private readonly write: Write,
    private readonly describeLoss: (lines: number) => string,
    private readonly maxBytes: number,
  ) {}

  /** Of what waits. */
  get bytes(): number {
    return this.#bytes;
  }

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Lines are lost of which nothing has been said yet. */
  get isLosing(): boolean {
    return this.#lost > 0 || this.#entries.slice(0, 2).some(({ kind }) => kind === 'notice');
  }

  /** The oldest give way: what a process says last says most. */
  add(line: string): void {
    const bytes = Buffer.from(line);
    this.#entries.push({ bytes, lines: 1, kind: 'line' });
    this.#bytes += bytes.length;
    const first = this.#written > 0 ? 1 : 0;
    while (this.#bytes > this.maxBytes && this.#entries.length > first + 1) this.#drop(first);
  }

  /** Writes what there is room for; false where there was not enough. */
  drain(): boolean {
    for (;;) {
      if (this.#written === 0 && this.#entries[0]?.kind === 'line') this.#announce();
      if (this.isEmpty) return true;
      try {
        this.#written += this.write(this.#together(), this.#written);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#giveUp();
        else this.#takeBack();
        return this.isEmpty;
      }
      this.#removeWritten();
    }
  }

  /** The first ones: as many as go out in one piece, one at least. Alone the rest of a line behind which something has to be said. */
  #together(): Buffer {
    const maxBytes = this.#written > 0 && this.#lost > 0 ? 0 : MAX_TOGETHER_BYTES;
    let count = 0;
    let bytes = 0;
    for (const entry of this.#entries) {
      if (count > 0 && bytes + entry.bytes.length > maxBytes) break;
      bytes += entry.bytes.length;
      count += 1;
    }
    const first = this.#entries.slice(0, count).map((entry) => entry.bytes);
    return first.length === 1 && first[0] !== undefined ? first[0] : Buffer.concat(first, bytes);
  }

  #removeWritten(): void {
    for (;;) {
      const length = this.#entries[0]?.bytes.length ?? Number.POSITIVE_INFINITY;
      if (this.#written < length) return;
      this.#remove(0);
      this.#written -= length;
    }
  }

  /** Puts in front what has to be said before the next line. */
  #announce(): void {
    if (this.#lost > 0) {
      this.#putFirst({ bytes: Buffer.from(this.describeLoss(this.#lost)), lines: this.#lost, kind: 'notice' });
      this.#lost = 0;
    }
    if (this.#isBroken) this.#putFirst({ bytes: Buffer.from('\n'), lines: 0, kind: 'break' });
    this.#isBroken = false;
  }

  /** What was put in front and has not gone out is put there anew: there may be more to say by then. */
  #takeBack(): void {
    if (this.#written > 0) return;
    if (this.#entries[0]?.kind === 'break') {
      this.#isBroken = true;
      this.#remove(0);
    }
    if (this.#entries[0]?.kind === 'notice') this.#drop(0);
  }

  /** Nothing can be written: what waits is lost. */
  #giveUp(): void {
    this.#isBroken = this.#written > 0 || this.#entries[0]?.kind === 'break';
    this.#written = 0;
    while (!this.isEmpty) this.#drop(0);
  }

  #putFirst(entry: Entry): void {
    this.#entries.unshift(entry);
    this.#bytes += entry.bytes.length;
  }

  #drop(index: number): void {
    this.#lost += this.#remove(index);
  }

  #remove(index: number): number {
    const [entry] = this.#entries.splice(index, 1);
    this.#bytes -= entry?.bytes.length ?? 0;
    return entry?.lines ?? 0;
  }
}
