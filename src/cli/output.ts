import type { WriteStream } from 'node:tty';

/** Where a command writes: one line at a time, with a few styles where a person looks at a terminal. */
export interface TextOutput {
  line(text?: string): void;
  readonly style: Style;
  /** The terminal that it is, where it is one that can be drawn on: for what is drawn over and over. */
  readonly terminal?: WriteStream;
}

export type StyleName = 'bold' | 'dim' | 'red' | 'green' | 'yellow';

/** Wraps text in a colour, or leaves it as it is. */
export type Style = Readonly<Record<StyleName, (text: string) => string>>;

/** Control sequences (ECMA-48, SGR): what begins a style, what ends it. */
const SGR: Readonly<Record<StyleName, readonly [number, number]>> = {
  bold: [1, 22],
  dim: [2, 22],
  red: [31, 39],
  green: [32, 39],
  yellow: [33, 39],
};

/**
 * Wraps a stream. Coloured only on a terminal, and not where NO_COLOR is set to anything (no-color.org) or the terminal is
 * dumb. A reader that went away (EPIPE) is reported once to `onBroken`; later lines go nowhere.
 */
export function createOutput(
  stream: NodeJS.WritableStream & { isTTY?: boolean },
  { env, onBroken }: { env: NodeJS.ProcessEnv; onBroken: () => void },
): TextOutput {
  let isBroken = false;
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (isBroken) return;
    isBroken = true;
    // Whatever else keeps the stream from being written to (a full disk, say) must not pass for success.
    if (error.code !== 'EPIPE') process.exitCode = 1;
    onBroken();
  });
  return {
    line: (text = '') => {
      if (!isBroken) stream.write(`${text}\n`);
    },
    ...(stream.isTTY === true && env.TERM !== 'dumb' ? { terminal: stream as WriteStream } : {}),
    style: createStyle(stream.isTTY === true && !env.NO_COLOR && env.TERM !== 'dumb'),
  };
}

function createStyle(isColoured: boolean): Style {
  const paint = (name: StyleName) => {
    const [begin, end] = SGR[name];
    return (text: string) => (isColoured ? `\u001b[${begin}m${text}\u001b[${end}m` : text);
  };
  return { bold: paint('bold'), dim: paint('dim'), red: paint('red'), green: paint('green'), yellow: paint('yellow') };
}

/**
 * Text that others wrote (titles, names, error messages), on one line and without control characters, which could make a
 * terminal show something else than what is there.
 */
export function printable(text: string): string {
  return text.replace(/\s+/gu, ' ').replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\uFFFD');
}

/** The same for a line of a text that is indented: blanks at its beginning stay. */
export function printableIndented(line: string): string {
  const [indent = ''] = /^ */.exec(line) ?? [];
  return indent + printable(line.slice(indent.length));
}

/** A word of a command line that can be copied into a POSIX shell. */
export function shellWord(text: string): string {
  return /^[A-Za-z0-9_@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}
