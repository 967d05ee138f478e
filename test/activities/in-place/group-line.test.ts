import { GroupLine } from '../../../src/activities/in-place/group-line';

const PATIENT = { patienceMs: 60_000, signal: new AbortController().signal };

describe('groups of steps', () => {
  test('begin while there is room, and then in the order in which they came', async () => {
    const line = new GroupLine(3);
    expect(await line.enter(2, PATIENT)).toBe(true);
    expect(await line.enter(5, PATIENT)).toBe(true);
    const begun: string[] = [];
    const waiting = ['first', 'second'].map((name) => line.enter(2, PATIENT).then(() => begun.push(name)));
    for (let left = 7; left > 3; left -= 1) line.leave();
    await Promise.resolve();
    expect(begun).toEqual([]);
    line.leave();
    await waiting[0];
    expect(begun).toEqual(['first']);
    line.leave();
    line.leave();
    await waiting[1];
    expect(begun).toEqual(['first', 'second']);
  });

  test('give up after their time, or when they are stopped, and leave the line to the others', async () => {
    const line = new GroupLine(1);
    await line.enter(1, PATIENT);
    const stop = new AbortController();
    expect(await line.enter(1, { ...PATIENT, patienceMs: 0 })).toBe(false);
    const late = line.enter(1, { ...PATIENT, patienceMs: 1 });
    const stopped = line.enter(1, { ...PATIENT, signal: stop.signal });
    const last = line.enter(1, PATIENT);
    expect(await late).toBe(false);
    stop.abort();
    expect(await stopped).toBe(false);
    line.leave();
    expect(await last).toBe(true);
  });
});
