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
});
