import { openSync, writeSync } from 'node:fs';
import { openLogSink } from '../../src/worker/log-sink';

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
  for (const line of ['two\n', 'three\n', 'four\n']) sink.write(line);
  room = Number.POSITIVE_INFINITY;
  sink.write('five\n');
  sink.write('six\n');
  // A line that was broken off stays one of its own.
  expect(written.split('\n')).toEqual(['one', 'tw', 'lost 3', 'five', 'six', '']);
  expect(told).toEqual([true, false]);
});

test('waits for the reader of a full pipe, but not for ever', () => {
  let written = '';
  let refusals = 3;
  const sink = openLogSink(loss, (bytes, offset) => {
    refusals -= 1;
    if (refusals >= 0) throw failure('EAGAIN');
    written += bytes.subarray(offset).toString();
    return bytes.length - offset;
  });
  sink.write('patient\n');
  expect(written).toBe('patient\n');
  refusals = Number.POSITIVE_INFINITY;
  sink.write('lost\n');
  refusals = 0;
  sink.write('next\n');
  expect(written).toBe('patient\nlost 1\nnext\n');
});
