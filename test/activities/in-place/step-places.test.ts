import { StepPlaces } from '../../../src/activities/in-place/step-places';

const BEGINS = { goesOn: false };
const GOES_ON = { goesOn: true };

describe('the places of a pool', () => {
  test('are as many as the pool is large, and go to those who wait in their order, whichever way they came', async () => {
    const places = new StepPlaces(2);
    expect([places.take(), places.isFull, places.take(), places.isFull]).toEqual([true, false, true, true]);
    expect(places.take()).toBe(false);
    const order: string[] = [];
    const come = (name: string, entered: Promise<unknown>) => entered.then(() => order.push(name));
    const waiting = [
      come('first', places.waitInPlace(60_000, BEGINS)),
      come('second', places.wait()),
      come('third', places.waitInPlace(60_000, BEGINS)),
    ];
    for (const entered of waiting) {
      places.leave();
      await entered;
    }
    expect(order).toEqual(['first', 'second', 'third']);
  });

  test('go first to what goes on with what has begun', async () => {
    const places = new StepPlaces(1);
    places.take();
    const order: string[] = [];
    const come = (name: string, entered: Promise<unknown>) => entered.then(() => order.push(name));
    const waiting = [
      come('begins', places.waitInPlace(60_000, BEGINS)),
      come('of the queue', places.wait()),
      come('goes on', places.waitInPlace(60_000, GOES_ON)),
      come('goes on later', places.waitInPlace(60_000, GOES_ON)),
    ];
    expect(await places.waitInPlace(1, GOES_ON)).toBe(false);
    for (const _ of waiting) {
      places.leave();
      await new Promise(setImmediate);
    }
    await Promise.all(waiting);
    expect(order).toEqual(['goes on', 'goes on later', 'begins', 'of the queue']);
  });

  test('are not waited for in place longer than is said, and who has given up gets none', async () => {
    const places = new StepPlaces(1);
    places.take();
    expect(await places.waitInPlace(1, BEGINS)).toBe(false);
    expect(await places.waitInPlace(0, BEGINS)).toBe(false);
    const late = places.wait();
    places.leave();
    await late;
    places.leave();
    expect(places.take()).toBe(true);
    expect(await places.waitInPlace(1, BEGINS)).toBe(false);
  });

  test('are not waited for in place by so many that flows could not go on beside', async () => {
    const places = new StepPlaces(1);
    places.take();
    const waiting = Array.from({ length: 900 }, () => places.waitInPlace(60_000, BEGINS));
    expect(await places.waitInPlace(60_000, BEGINS)).toBe(false);
    for (const entered of waiting) {
      places.leave();
      expect(await entered).toBe(true);
    }
  });
});
