import type { CloudEvent } from '../../src/dsl/events/cloud-event';
import { EventInbox, type InboxState, type Listener } from '../../src/workflows/events/event-inbox';

let ids = 0;
function event(type: string, more: { id?: string; data?: string } = {}): CloudEvent {
  ids += 1;
  return { specversion: '1.0', id: `e${ids}`, source: '/s', type, ...more } as CloudEvent;
}

function newInbox(state?: InboxState): { inbox: EventInbox; notes: string[] } {
  const notes: string[] = [];
  return { inbox: new EventInbox((text) => void notes.push(text), state), notes };
}

const typesOf = ({ queue }: Listener) => queue.map(({ event: queued }) => queued.type);

/** Decides on what is in front of a listener. */
function decide(inbox: EventInbox, listener: Listener, isTaken: boolean): void {
  const queued = listener.queue.shift();
  if (queued === undefined) throw new Error('the queue is empty');
  inbox.settle(queued, isTaken);
}

it('keeps what no listener takes for the next one that may', () => {
  const { inbox } = newInbox();
  expect(inbox.receive(event('b'))).toBe('kept');
  const first = inbox.open('/do/0/a', [{ type: 'a|b' }]);
  expect(typesOf(first)).toEqual(['b']);
  expect(inbox.receive(event('a'))).toBe('delivered');
  decide(inbox, first, false);
  decide(inbox, first, true);
  inbox.close(first);
  expect(typesOf(inbox.open('/do/1/b', [{}]))).toEqual(['b']);
});

it('gives an event to every listener, and keeps it only where none took it', () => {
  const { inbox } = newInbox();
  const listeners = [inbox.open('/a', [{}]), inbox.open('/b', [{}])];
  inbox.receive(event('x'));
  inbox.receive(event('y'));
  for (const [index, listener] of listeners.entries()) decide(inbox, listener, index === 0);
  for (const listener of listeners) inbox.close(listener);
  expect(typesOf(inbox.open('/c', [{}]))).toEqual(['y']);
});

it('gives what came by a subscription to its listener only, and drops it after that', () => {
  const { inbox } = newInbox();
  const listener = inbox.open('/a', [{ type: 'a' }]);
  const other = inbox.open('/b', [{ type: 'a' }]);
  inbox.deliver(listener.id, event('a'));
  inbox.deliver('9:/gone', event('a'));
  expect([typesOf(listener), typesOf(other)]).toEqual([['a'], []]);
  inbox.close(listener);
  expect(typesOf(inbox.open('/c', [{}]))).toEqual([]);
  expect(listener.id).not.toBe(other.id);
});

it('keeps what comes by a subscription before its listener is there, as after a reset, also in a new history', () => {
  const { inbox } = newInbox();
  for (const type of ['a', 'b']) inbox.deliver('1:/a', event(type));
  inbox.deliver('3:/a', event('c'));
  inbox.deliver('2:/b', event('d'));
  const { inbox: next } = newInbox(inbox.state());
  const listeners = ['/a', '/c', '/b', '/a', '/a'].map((place) => next.open(place, [{}]));
  expect(listeners.map(typesOf)).toEqual([['a', 'b'], [], ['d'], ['c'], []]);
  expect(next.state()).not.toHaveProperty('early');
});

it('takes an event with the same source and id once', () => {
  const { inbox } = newInbox();
  const sent = event('a');
  expect([inbox.receive(sent), inbox.receive({ ...sent, type: 'b' })]).toEqual(['kept', 'duplicate']);
});

it('keeps the newest 1,000, and says what it dropped', () => {
  const { inbox, notes } = newInbox();
  for (let n = 0; n < 1_003; n += 1) inbox.receive(event('a', { id: `n${n}` }));
  const listener = inbox.open('/a', [{}]);
  expect(listener.queue).toHaveLength(1_000);
  expect(listener.queue[0]?.event.id).toBe('n3');
  expect(notes).toHaveLength(3);
  expect(notes[0]).toContain('event n0 was dropped');
});

it('keeps no more than fits into a history', () => {
  const { inbox, notes } = newInbox();
  for (let n = 0; n < 5; n += 1) inbox.receive(event('a', { data: 'x'.repeat(300_000) }));
  expect(inbox.open('/a', [{}]).queue).toHaveLength(3);
  expect(notes).toHaveLength(2);
});

it('goes on in the next history where it was', () => {
  const { inbox } = newInbox();
  const early = event('early');
  inbox.receive(early);
  const first = inbox.open('/a', [{ type: 'a' }]);
  const second = inbox.open('/b', [{ type: 'a|b' }]);
  inbox.receive(event('a'));
  inbox.receive(event('b'));
  inbox.deliver(second.id, event('bus'));
  decide(inbox, first, true);

  const state = JSON.parse(JSON.stringify(inbox.state())) as InboxState;
  const next = newInbox(state).inbox;
  const again = next.reopen(second.id);
  expect([typesOf(next.reopen(first.id)), typesOf(again)]).toEqual([[], ['a', 'b', 'bus']]);
  for (let n = 0; n < 3; n += 1) decide(next, again, false);
  expect(next.receive(early)).toBe('duplicate');
  const third = next.open('/c', [{}]);
  // The first listener has taken `a`; nobody took `b`.
  expect(typesOf(third)).toEqual(['early', 'b']);
  expect(third.id.startsWith('3:')).toBe(true);
});

it('takes events that nobody listens to at a cost that does not grow with those that are kept', () => {
  const { inbox, notes } = newInbox();
  const data = 'x'.repeat(900);
  const startedAt = performance.now();
  for (let n = 0; n < 10_000; n += 1) inbox.receive(event('x', { data }));
  // With the length of all of them taken each time it is 10 GB of JSON: longer than a workflow task may take.
  expect(performance.now() - startedAt).toBeLessThan(2_000);
  expect(inbox.state().direct.length).toBeLessThanOrEqual(1_000);
  expect(notes.length + inbox.state().direct.length).toBe(10_000);
});

it('counts what is kept on after it was offered, given back and carried to another run', () => {
  const { inbox } = newInbox();
  const data = 'x'.repeat(100_100);
  const listen = (to: EventInbox) => to.open('/a', [{}]);
  for (let n = 0; n < 8; n += 1) inbox.receive(event('x', { data }));
  inbox.close(listen(inbox));
  const { inbox: next, notes } = newInbox(inbox.state());
  next.receive(event('x', { data }));
  expect(notes).toEqual([]);
  next.receive(event('x', { data }));
  expect(notes).toHaveLength(1);
  expect(listen(next).queue).toHaveLength(9);
});
