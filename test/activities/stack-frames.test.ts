import { stackFrames } from '../../src/activities/stack-frames';

const FRAMES = '    at read (/app/read.js:1:2)\n    at async /app/main.js:3:4';
const errorOf = (stack: string, message = 'one') => Object.assign(new TypeError(message), { stack });

test.each<[string, Error, string | undefined]>([
  ['frames', errorOf(`TypeError: one\n${FRAMES}`), FRAMES],
  ['those after a message of many lines', errorOf(`TypeError: one\ntwo\n${FRAMES}`, 'one\ntwo'), FRAMES],
  ['those of an error without a message', errorOf(`TypeError\n${FRAMES}`, ''), FRAMES],
  ['none of a message that was changed', errorOf(`TypeError: first\n${FRAMES}`), undefined],
  ['none of a message that was shortened to its first line', errorOf(`TypeError: one\ntwo\n${FRAMES}`), undefined],
  ['none where other lines are between', errorOf(`TypeError: one\n${FRAMES}\ntwo\n${FRAMES}`), undefined],
  ['none where other lines follow', errorOf(`TypeError: one\n${FRAMES}\ntwo`), undefined],
  ['none of a stack without any', errorOf('TypeError: one\n'), undefined],
])('gives %s', (_, error, frames) => {
  expect(stackFrames(error)).toBe(frames);
});

test('gives where an error was thrown', () => {
  expect(stackFrames(new Error('x'))).toMatch(/^ {4}at .*stack-frames\.test/);
});
