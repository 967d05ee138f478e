import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { openSync, writeSync } from 'node:fs';
import type { Write } from '../../src/worker/log-queue';
import { openLogSink } from '../../src/worker/log-sink';
import { type Compiled, compileSources } from '../helpers/compiled';

const loss = (lines: number) => `lost ${lines}\n`;
const failure = (code: string) => Object.assign(new Error(code), { code });

test('goes on where nothing can be written', () => {
  const full = openSync('/dev/full', 'w');
  const sink = openLogSink(loss, (bytes, offset) => writeSync(full, bytes, offset));
  expect(() => {
    for (let count = 0; count < 3; count += 1) sink.write('line\n');
  }).not.toThrow();
});

test('says how many lines were lost, once there is room again', () => {
  let written = '';
  let room = Number.POSITIVE_INFINITY;
  const told: boolean[] = [];
  const write = (bytes: Buffer, offset: number): number => {
    const taken = bytes.subarray(offset, offset + room);
    if (taken.length === 0) throw failure('ENOSPC');
    room -= taken.length;
    written += taken.toString();
    return taken.length;
  };
  const sink = openLogSink(loss, write, (isLosing) => told.push(isLosing));
  sink.write('one\n');
  room = 2;
  for (const line of ['two\n', 'three\n', 'four\n']) {
    sink.write(line);
    sink.flush();
  }
  room = Number.POSITIVE_INFINITY;
  sink.write('five\n');
  sink.write('six\n');
  sink.flush();
  // A line that was broken off stays one of its own.
  expect(written.split('\n')).toEqual(['one', 'tw', 'lost 3', 'five', 'six', '']);
  expect(told).toEqual([true, false]);
});

/** A pipe with room for so many bytes. */
function pipeOf(bytes: number): { room: number; written: string; write: Write } {
  const pipe = {
    room: bytes,
    written: '',
    write: (text: Buffer, offset: number): number => {
      if (pipe.room === 0) throw failure('EAGAIN');
      const taken = text.subarray(offset, offset + pipe.room);
      pipe.room -= taken.length;
      pipe.written += taken.toString();
      return taken.length;
    },
  };
  return pipe;
}

describe('lines that come close together', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  function recorded(): { writes: string[]; write: Write } {
    const writes: string[] = [];
    const write = (bytes: Buffer, offset: number): number =>
      writes.push(bytes.subarray(offset).toString()) && bytes.length - offset;
    return { writes, write };
  }

  test('go out together, but for the first', () => {
    const { writes, write } = recorded();
    const sink = openLogSink(loss, write);
    for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line);
    expect(writes).toEqual(['one\n']);
    jest.advanceTimersByTime(20);
    expect(writes).toEqual(['one\n', 'two\nthree\n']);
    jest.advanceTimersByTime(20);
    sink.write('four\n');
    expect(writes).toEqual(['one\n', 'two\nthree\n', 'four\n']);
  });

  test('do not wait where somebody has to hear of them, or where they are many', () => {
    const { writes, write } = recorded();
    const sink = openLogSink(loss, write);
    for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line);
    sink.flush();
    expect(writes).toEqual(['one\n', 'two\nthree\n']);
    const long = `${'x'.repeat(3_999)}\n`;
    for (let count = 0; count < 5; count += 1) sink.write(long);
    // Each piece is one that a pipe takes as a whole.
    expect(writes.slice(2)).toEqual([long, long, long, long, long]);
  });
});

describe('a pipe that is full', () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });
  afterEach(() => {
    jest.useRealTimers();
  });

  test('holds nobody up: lines wait, and go out in order once it is read', () => {
    const pipe = pipeOf(6);
    const sink = openLogSink(loss, pipe.write);
    for (const line of ['one\n', 'two\n', 'three\n']) sink.write(line);
    jest.advanceTimersByTime(20);
    expect(pipe.written).toBe('one\ntw');
    pipe.room = 3;
    jest.advanceTimersByTime(50);
    expect(pipe.written).toBe('one\ntwo\nt');
    pipe.room = 100;
    sink.write('four\n');
    jest.advanceTimersByTime(50);
    expect(pipe.written).toBe('one\ntwo\nthree\nfour\n');
    jest.advanceTimersByTime(20);
    sink.write('five\n');
    expect(pipe.written).toMatch(/five\n$/);
  });

  test('keeps the newest lines, and says in the place of the others how many these were', () => {
    const pipe = pipeOf(2);
    const sink = openLogSink(loss, pipe.write);
    const line = (n: number) => `${String(n).padStart(6, '0')} ${'x'.repeat(1_016)}\n`;
    for (let n = 0; n < 3_000; n += 1) sink.write(line(n));
    pipe.room = Number.POSITIVE_INFINITY;
    jest.advanceTimersByTime(50);
    const [first = '', notice = '', ...rest] = pipe.written.split('\n');
    expect(`${first}\n`).toBe(line(0));
    expect(rest.pop()).toBe('');
    expect(notice).toBe(`lost ${3_000 - 1 - rest.length}`);
    expect(rest.length).toBeGreaterThan(1_000);
    // Without a gap to the end.
    expect(rest.map((text) => Number(text.slice(0, 6)))).toEqual(rest.map((_, index) => 3_000 - rest.length + index));
  });

  test('that breaks in the end loses what waits, and says so to who comes after', () => {
    const pipe = pipeOf(2);
    let breaks = false;
    const sink = openLogSink(loss, (bytes, offset) => {
      if (breaks) throw failure('EIO');
      return pipe.write(bytes, offset);
    });
    sink.write('one\n');
    sink.write('two\n');
    breaks = true;
    jest.advanceTimersByTime(50);
    breaks = false;
    pipe.room = 100;
    sink.write('three\n');
    sink.flush();
    expect(pipe.written).toBe('on\nlost 2\nthree\n');
  });
});

describe('a process whose log nobody reads', () => {
  let compiled: Compiled;
  beforeAll(() => {
    compiled = compileSources();
  }, 120_000);
  afterAll(() => compiled?.remove());

  test('goes on, and says its last words when it crashes', async () => {
    const script = `
      const { openLogSink } = require(${JSON.stringify(compiled.path('src/worker/log-sink.js'))});
      const sink = openLogSink((lines) => 'lost ' + lines + '\\n');
      for (let n = 0; n < 5000; n += 1) sink.write(n + ' ' + 'x'.repeat(1000) + '\\n');
      process.on('message', () => {
        process.once('uncaughtExceptionMonitor', () => sink.write('last words\\n'));
        throw new Error('crash');
      });
      process.send('through');`;
    const child = spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'ignore', 'ipc'] });
    const { stdout } = child;
    if (stdout === null) throw new Error('the process has no standard output');
    // It has written five megabytes into a pipe that is not read.
    await once(child, 'message');
    const ended = once(stdout, 'end');
    let text = '';
    stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    child.send('crash');
    await ended;
    const lines = text.split('\n');
    expect(lines.pop()).toBe('');
    expect(lines.pop()).toBe('last words');
    const at = lines.findIndex((line) => line.startsWith('lost '));
    const numbers = lines.filter((_, index) => index !== at).map((line) => Number.parseInt(line, 10));
    expect(numbers).toEqual([...numbers].sort((left, right) => left - right));
    expect(numbers.length + Number(lines[at]?.slice(5))).toBe(5_000);
    expect(numbers.at(-1)).toBe(4_999);
  }, 60_000);
});
