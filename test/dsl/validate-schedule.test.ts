import { readSchedule } from '../../src/dsl/schedule/schedule';
import { badRows, expectProblem, flowText, HEADER, validFlow } from './marked-flow';

const TASKS = 'do: [{ pause: { wait: PT1S } }]\n';

describe('schedule', () => {
  it.each(
    badRows([
      'BLW_KEY_MISSING | schedule needs one of every, cron, after, on | «schedule: {}',
      'BLW_VALUE_INVALID | schedule: got a string | schedule: «daily',
      'BLW_KEY_UNKNOWN | did you mean "cron"? | schedule: { «crn: "@daily", every: PT1S }',
      'BLW_DURATION_INVALID | schedule: every: expected at least 1000 ms | schedule: { every: «PT0.5S }',
      'BLW_DURATION_INVALID | schedule: after | schedule: { after: «soon }',
      'BLW_VALUE_INVALID | every: expected no expression | schedule: { every: «"${ data.every }" }',
      'BLW_VALUE_INVALID | cron: got 1 fields | schedule: { cron: «often }',
      'BLW_VALUE_INVALID | schedule: cron: got a number | schedule: { cron: «5 }',
      'BLW_VALUE_INVALID | after and cron contradict each other | schedule: { cron: "@daily", «after: PT1S }',
      'BLW_VALUE_INVALID | read is only for `on` | schedule: { cron: "@daily", «read: data }',
      'BLW_VALUE_INVALID | schedule: read: got "all" | schedule: { on: { one: { with: { type: a } } }, read: «all }',
      'BLW_VALUE_INVALID | exactly one of them | schedule: { on: «{} }',
      'BLW_VALUE_INVALID | exactly one of them | schedule: { on: «{ one: { with: { type: a } }, any: [{ with: { type: b } }] } }',
      'BLW_EXPR_SYNTAX | nope | schedule: { on: { one: { with: { type: a, data: «"${ nope }" } } } }',
      'BLW_KEY_MISSING | event filter needs "with" | schedule: { on: { «one: { } } }',
      'BLW_VALUE_INVALID | at least one attribute | schedule: { on: { one: { with: «{} } } }',
      'BLW_KEY_UNKNOWN | "until" is not known in on | schedule: { on: { any: [{ with: { type: a } }], «until: data.done } }',
    ]),
  )('rejects %s with %s', (text, code, message) => {
    expectProblem(flowText('- pause: { wait: PT1S }', `${text}\n`), code, message);
  });

  it.each(
    badRows([
      'BLW_VALUE_INVALID | timezone: got "Mars/Olympus" | { timezone: «Mars/Olympus }',
      'BLW_VALUE_INVALID | timezone: got "+01:00" | { timezone: «"+01:00" }',
      'BLW_VALUE_INVALID | overlap: got "never", expected one of skip, bufferOne | { overlap: «never }',
      'BLW_DURATION_INVALID | catchupWindow: expected at least 10000 ms | { catchupWindow: «PT1S }',
      'BLW_KEY_UNKNOWN | did you mean "timezone"? | { «timezon: UTC }',
    ]),
  )('rejects metadata.schedule %s with %s', (text, code, message) => {
    const header = HEADER.replace(' }\n', `, metadata: { schedule: ${text} } }\n`);
    expectProblem(header + TASKS, code, message);
  });
});

describe('readSchedule', () => {
  it.each([
    ['schedule: { every: { minutes: 5 } }', { everyMs: 300_000, overlap: 'allowAll' }],
    ["schedule: { cron: ' 0 7 * * * ' }", { cron: '0 7 * * *', overlap: 'skip' }],
    ['schedule: { after: PT1M }', { afterMs: 60_000, overlap: 'skip' }],
    [
      'schedule: { on: { one: { with: { type: a } } }, read: raw }',
      { on: { one: { with: { type: 'a' } } }, read: 'raw', overlap: 'skip' },
    ],
    ['schedule: { every: PT1H, cron: "@daily" }', { everyMs: 3_600_000, cron: '@daily', overlap: 'allowAll' }],
  ])('reads %s', (text, expected) => {
    expect(readSchedule(validFlow(`${HEADER}${text}\n${TASKS}`))).toEqual({
      timezone: 'UTC',
      catchupWindowMs: 3_600_000,
      ...expected,
    });
  });

  it("takes the document's settings", () => {
    const settings = '{ timezone: Europe/Berlin, overlap: bufferAll, catchupWindow: PT1M }';
    const header = HEADER.replace(' }\n', `, metadata: { schedule: ${settings} } }\n`);
    expect(readSchedule(validFlow(`${header}schedule: { every: PT1S }\n${TASKS}`))).toMatchObject({
      timezone: 'Europe/Berlin',
      overlap: 'bufferAll',
      catchupWindowMs: 60_000,
    });
  });

  it('gives nothing for a flow without one', () => {
    expect(readSchedule(validFlow(HEADER + TASKS))).toBeUndefined();
  });
});
