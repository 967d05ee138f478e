import { EventEmitter } from 'node:events';
import { TopScreen } from '../../../src/cli/top/top-screen';

class FakeTerminal extends EventEmitter {
  written = '';
  columns = 100;
  rows = 30;

  write(text: string): boolean {
    this.written += text;
    return true;
  }
}

class FakeKeys extends EventEmitter {
  isTTY = true;
  readonly calls: string[] = [];
  setRawMode = (isRaw: boolean) => this.calls.push(isRaw ? 'raw' : 'cooked');
  pause = () => this.calls.push('pause') > 0;
  resume = () => this.calls.push('resume') > 0;
}

function open() {
  const [terminal, keys, events] = [new FakeTerminal(), new FakeKeys(), [] as string[]];
  const screen = new TopScreen(terminal as never, keys as never, {
    onResize: () => events.push('resize'),
    onEnd: () => events.push('end'),
  });
  screen.open();
  return { terminal, keys, events, screen };
}

const LEFT = '\u001b[?7h\u001b[?25h\u001b[?1049l';

test('takes the terminal, draws over what is there, and gives the terminal back, once', () => {
  const { terminal, keys, screen } = open();
  expect(terminal.written).toBe('\u001b[?1049h\u001b[?25l\u001b[?7l');
  terminal.written = '';
  screen.draw(['a', 'b']);
  expect(terminal.written).toBe('\u001b[Ha\u001b[K\r\nb\u001b[K\u001b[J');
  terminal.written = '';
  screen.close();
  screen.close();
  screen.draw(['c']);
  expect(terminal.written).toBe(LEFT);
  expect(keys.calls).toEqual(['raw', 'resume', 'cooked', 'pause']);
  expect([terminal.listenerCount('resize'), keys.listenerCount('data')]).toEqual([0, 0]);
});

test('gives it back where the process ends in the middle', () => {
  const { terminal } = open();
  const before = process.listeners('exit').length;
  terminal.written = '';
  // As process.exit would.
  const listener = process.listeners('exit').at(-1) as unknown as () => void;
  listener();
  expect(terminal.written).toBe(LEFT);
  expect(process.listeners('exit')).toHaveLength(before - 1);
});

test.each([
  ['q', ['end']],
  ['Q', ['end']],
  ['\u0003', ['end']],
  ['\u0004', ['end']],
  ['xyq', ['end']],
  ['x', []],
  ['\u001b[A', []],
])('the keys %j mean %j', (typed, meant) => {
  const { keys, events, screen } = open();
  keys.emit('data', Buffer.from(typed));
  screen.close();
  expect(events).toEqual(meant);
});

test('tells of another size, and has one where the terminal does not say', () => {
  const { terminal, events, screen } = open();
  terminal.emit('resize');
  expect(events).toEqual(['resize']);
  expect(screen.size()).toEqual({ width: 100, height: 30 });
  terminal.columns = 0;
  terminal.rows = 0;
  expect(screen.size()).toEqual({ width: 80, height: 24 });
  screen.close();
});
