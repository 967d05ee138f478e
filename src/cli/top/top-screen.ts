import type { WriteStream } from 'node:tty';

/** Control sequences (xterm, "Alternate Screen Buffer", DECAWM, DECTCEM): the shell's own lines come back afterwards. */
const ENTER = '\u001b[?1049h\u001b[?25l\u001b[?7l';
const LEAVE = '\u001b[?7h\u001b[?25h\u001b[?1049l';
const HOME = '\u001b[H';
const ERASE_TO_LINE_END = '\u001b[K';
const ERASE_BELOW = '\u001b[J';

/** Where a picture is drawn over and over: the part of a terminal that is needed for it. */
export type ScreenStream = Pick<WriteStream, 'write' | 'on' | 'off'> & { columns?: number; rows?: number };

/** What keys are read from: a terminal, or anything else that has none. */
export type KeyStream = Pick<NodeJS.ReadableStream, 'on' | 'off' | 'pause' | 'resume'> & {
  isTTY?: boolean;
  setRawMode?(isRaw: boolean): unknown;
};

/** Of a terminal that does not say. */
const DEFAULT_SIZE = { width: 80, height: 24 };

/** Keys that end the view; the last two are Ctrl-C and Ctrl-D, of which a terminal in raw mode makes nothing. */
const END_KEYS = ['q', 'Q', '\u0003', '\u0004'];

/** Takes the terminal, and gives it back as it was, however the process ends (but for SIGKILL). */
export class TopScreen {
  #isOpen = false;

  constructor(
    private readonly stream: ScreenStream,
    private readonly keys: KeyStream,
    private readonly events: { onResize(): void; onEnd(): void },
  ) {}

  open(): void {
    if (this.#isOpen) return;
    this.#isOpen = true;
    // Also where somebody calls process.exit: writing to a terminal is synchronous.
    process.on('exit', this.#close);
    this.stream.on('resize', this.#resized);
    if (this.keys.isTTY === true) {
      this.keys.setRawMode?.(true);
      this.keys.on('data', this.#pressed);
      this.keys.resume();
    }
    this.stream.write(ENTER);
  }

  size(): { width: number; height: number } {
    const { columns: width = DEFAULT_SIZE.width, rows: height = DEFAULT_SIZE.height } = this.stream;
    // Some terminals say 0 before they know.
    return { width: width || DEFAULT_SIZE.width, height: height || DEFAULT_SIZE.height };
  }

  /** Draws over what is there, without clearing it first, which would flicker. */
  draw(lines: readonly string[]): void {
    if (!this.#isOpen) return;
    this.stream.write(`${HOME}${lines.map((line) => `${line}${ERASE_TO_LINE_END}`).join('\r\n')}${ERASE_BELOW}`);
  }

  close(): void {
    this.#close();
  }

  readonly #close = (): void => {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    process.off('exit', this.#close);
    this.stream.off('resize', this.#resized);
    if (this.keys.isTTY === true) {
      this.keys.off('data', this.#pressed);
      this.keys.setRawMode?.(false);
      // A terminal that is read keeps the process alive.
      this.keys.pause();
    }
    this.stream.write(LEAVE);
  };

  readonly #resized = (): void => this.events.onResize();

  readonly #pressed = (data: Buffer | string): void => {
    const typed = data.toString();
    if (END_KEYS.some((key) => typed.includes(key))) this.events.onEnd();
  };
}
