/** Writes bytes from an offset on; gives how many it has written. Throws errors of the system; EAGAIN where there is no room now. */
export type Write = (bytes: Buffer, offset: number) => number;

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

  get isEmpty(): boolean {
    return this.#entries.length === 0;
  }

  /** Lines are lost of which nothing has been said yet. */
  get isLosing(): boolean {
    return this.#lost > 0 || this.#entries.slice(0, 2).some(({ kind }) => kind === 'notice');
  }

  /** The oldest give way: what a process says last says most. */
  add(line: string): void {
    this.#entries.push({ bytes: Buffer.from(line), lines: 1, kind: 'line' });
    this.#bytes += Buffer.byteLength(line);
    const first = this.#written > 0 ? 1 : 0;
    while (this.#bytes > this.maxBytes && this.#entries.length > first + 1) this.#drop(first);
  }

  /** Writes what there is room for; false where there was not enough. */
  drain(): boolean {
    for (;;) {
      if (this.#written === 0 && this.#entries[0]?.kind === 'line') this.#announce();
      const [entry] = this.#entries;
      if (entry === undefined) return true;
      try {
        this.#written += this.write(entry.bytes, this.#written);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EAGAIN') this.#giveUp();
        else this.#takeBack();
        return this.isEmpty;
      }
      if (this.#written < entry.bytes.length) continue;
      this.#remove(0);
      this.#written = 0;
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
