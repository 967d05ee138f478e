import { StepPlaces } from '../../../src/activities/in-place/step-places';

const BEGINS = { begins: true };

describe('the places of a pool', () => {
  test('are as many as the pool is large, and go to those who wait in their order, whichever way they came', async () => {
    const places = new StepPlaces(2);
    expect([places.take(), places.isFull, places.take(), places.isFull]).toEqual([true, false, true, true]);
    expect(places.take()).toBe(false);
    const order: string[] = [];
    const come = (name: string, entered: Promise<unknown>) => entered.then(() => order.push(name));
    const waiting = [
      come('first', places.waitInPlace(60_000)),
      come('second', places.wait()),
      come('third', places.waitInPlace(60_000)),
    ];
    for (const entered of waiting) {
      places.leave();
      await entered;
    }
    expect(order).toEqual(['first', 'second', 'third']);
  });

  test('go to those that begin a row of reads after all others, but not never', async () => {
    const places = new StepPlaces(1);
    places.take();
    const order: string[] = [];
    const come = (name: string, entered: Promise<unknown>) => entered.then(() => order.push(name));
    const others = Array.from({ length: 20 }, (_, index) => `other ${index}`);
    const waiting = [
      come('begins', places.waitInPlace(60_000, BEGINS)),
      come('of the queue', places.wait()),
      ...others.map((name) => come(name, places.waitInPlace(60_000))),
      come('begins later', places.waitInPlace(60_000, BEGINS)),
    ];
    expect(await places.waitInPlace(1, BEGINS)).toBe(false);
    for (const _ of waiting) {
      places.leave();
      await new Promise(setImmediate);
    }
    await Promise.all(waiting);
    const [before, after] = [others.slice(0, 14), others.slice(14)];
    expect(order).toEqual(['of the queue', ...before, 'begins', ...after, 'begins later']);
    places.leave();
    expect(places.take()).toBe(true);
  });

  test('are not waited for in place longer than is said, and who has given up gets none', async () => {
    const places = new StepPlaces(1);
    places.take();
    expect(await places.waitInPlace(1)).toBe(false);
    expect(await places.waitInPlace(0)).toBe(false);
    const late = places.wait();
    places.leave();
    await late;
    places.leave();
    expect(places.take()).toBe(true);
    expect(await places.waitInPlace(1)).toBe(false);
  });

  test('are not waited for in place by so many that flows could not go on beside', async () => {
    const places = new StepPlaces(1);
    places.take();
    const waiting = Array.from({ length: 900 }, () => places.waitInPlace(60_000));
    expect(await places.waitInPlace(60_000)).toBe(false);
    for (const entered of waiting) {
      places.leave();
      expect(await entered).toBe(true);
    }
  });
});
