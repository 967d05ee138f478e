import { execFileSync } from 'node:child_process';
import { createOutput, printable, shellWord } from '../../src/cli/output';
import { CollectedText } from '../helpers/collected-text';

describe('createOutput', () => {
  const paint = (isTerminal: boolean, env: NodeJS.ProcessEnv) =>
    createOutput(new CollectedText({ isTerminal }), { env, onBroken: () => undefined }).style.red('no');

  it.each([
    ['colours on a terminal', true, {}, '\u001b[31mno\u001b[39m'],
    ['does not colour a file or a pipe', false, {}, 'no'],
    ['respects NO_COLOR', true, { NO_COLOR: '1' }, 'no'],
    ['takes an empty NO_COLOR as not set', true, { NO_COLOR: '' }, '\u001b[31mno\u001b[39m'],
    ['does not colour a dumb terminal', true, { TERM: 'dumb' }, 'no'],
  ])('%s', (_, isTerminal, env, expected) => {
    expect(paint(isTerminal, env)).toBe(expected);
  });

  it('tells once that its reader went away, and writes nothing more', () => {
    const stream = new CollectedText();
    const onBroken = jest.fn();
    const output = createOutput(stream, { env: {}, onBroken });
    output.line('one');
    const error = Object.assign(new Error('write EPIPE'), { code: 'EPIPE' });
    stream.emit('error', error);
    stream.emit('error', error);
    output.line('two');
    expect(onBroken).toHaveBeenCalledTimes(1);
    expect(stream.text).toBe('one\n');
  });
});

describe('a line on a terminal', () => {
  const written = (isTerminal: boolean, text: string): string => {
    const stream = new CollectedText({ isTerminal });
    createOutput(stream, { env: {}, onBroken: () => undefined }).line(text);
    return stream.text;
  };
  const value = { id: 'a\u009b2Jb\u007f\u202Ec\u001b[2J' };

  it('has no control characters that JSON leaves as they are, and is the same JSON', () => {
    const text = written(true, JSON.stringify(value));
    expect(text.trimEnd()).not.toMatch(/[\p{Cc}\p{Bidi_Control}]/u);
    expect(JSON.parse(text)).toEqual(value);
  });

  it('is what it is in a file or a pipe', () => {
    expect(written(false, JSON.stringify(value))).toBe(`${JSON.stringify(value)}\n`);
  });
});

describe('printable', () => {
  it.each([
    ['a\nb\tc', 'a b c'],
    ['\u001b]0;title\u0007x', '\uFFFD]0;title\uFFFDx'],
    ['abc\u202Efdp.exe', 'abc\uFFFDfdp.exe'],
    ['Größe 漢字 👩‍💻', 'Größe 漢字 👩‍💻'],
  ])('shows %j as %j', (text, shown) => {
    expect(printable(text)).toBe(shown);
  });
});

describe('shellWord', () => {
  it.each([
    ['order-1/approve', 'order-1/approve'],
    ['', "''"],
    ['a b', "'a b'"],
    ["it's $HOME", "'it'\\''s $HOME'"],
    ['a;rm', "'a;rm'"],
  ])('writes %j as %s', (text, word) => {
    expect(shellWord(text)).toBe(word);
  });

  it.each(['a\u001b[2Jb', "it's\r\\n\n", 'a\u009b2J\u007f1', 'x\u202Efdp\u2028漢'])(
    'writes %j so that no control character shows, and the shell has it back',
    (text) => {
      const word = shellWord(text);
      expect(word).not.toMatch(/[\p{Cc}\p{Bidi_Control}\u2028]/u);
      expect(execFileSync('bash', ['-c', `printf %s ${word}`], { encoding: 'utf8' })).toBe(text);
    },
  );
});
