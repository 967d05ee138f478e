import { type QueuedTimer, TimerQueue } from '../../src/workflows/dry-run/timer-queue';

function queueOf(...ats: number[]): { queue: TimerQueue<QueuedTimer>; timers: QueuedTimer[] } {
  const queue = new TimerQueue<QueuedTimer>();
  const timers = ats.map((at, order) => ({ at, order, isOver: false }));
  for (const timer of timers) queue.push(timer);
  return { queue, timers };
}

function drain(queue: TimerQueue<QueuedTimer>): QueuedTimer[] {
  const taken: QueuedTimer[] = [];
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) taken.push(next);
  return taken;
}

it('gives the timer that is due first, and of those due together the one that began first', () => {
  const ats = Array.from({ length: 1_000 }, (_, index) => (index * 7_919) % 97);
  const { queue, timers } = queueOf(...ats);
  const expected = [...timers].sort((left, right) => left.at - right.at || left.order - right.order);
  expect(queue.size).toBe(1_000);
  expect(drain(queue)).toEqual(expected);
  expect(queue.size).toBe(0);
});

it('passes over what was cancelled, which counts no more', () => {
  const { queue, timers } = queueOf(3, 1, 2, 1);
  for (const timer of [timers[1], timers[1], timers[2]]) if (timer !== undefined) queue.cancel(timer);
  expect(queue.size).toBe(2);
  expect(queue.first).toBe(timers[3]);
  expect(drain(queue)).toEqual([timers[3], timers[0]]);
  expect(queue.first).toBeUndefined();
});

it('counts one that is over only once, whatever becomes of it afterwards', () => {
  const { queue, timers } = queueOf(1, 2, 3);
  queue.shift();
  for (const timer of timers.slice(0, 1)) queue.cancel(timer);
  expect(queue.size).toBe(2);
  const [taken] = queue.takeAll(({ at }) => at === 2);
  if (taken !== undefined) queue.cancel(taken);
  expect(queue.size).toBe(1);
});

it('gives those that are asked for, in the order in which they began, and keeps the others', () => {
  const { queue, timers } = queueOf(5, 4, 3, 2);
  if (timers[2] !== undefined) queue.cancel(timers[2]);
  expect(queue.takeAll(({ at }) => at !== 4)).toEqual([timers[0], timers[3]]);
  expect(drain(queue)).toEqual([timers[1]]);
});
