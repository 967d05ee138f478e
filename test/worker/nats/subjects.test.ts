import { deadLetterSubject, eventSubject, messageId, tenantOfSubject } from '../../../src/worker/nats/subjects';

test.each([
  ['order.placed', 'beamline.events.acme.order.placed'],
  ['com.example.order.placed', 'beamline.events.acme.com.example.order.placed'],
  ['a b', 'beamline.events.acme.a%20b'],
  ['all.>', 'beamline.events.acme.all.%3E'],
  ['*', 'beamline.events.acme.%2A'],
  ['100%', 'beamline.events.acme.100%25'],
  ['line\r\nbreak', 'beamline.events.acme.line%0D%0Abreak'],
  ['größe', 'beamline.events.acme.gr%C3%B6%C3%9Fe'],
  ['.hidden', 'beamline.events.acme.%2Ehidden'],
  ['a..b', 'beamline.events.acme.a%2E%2Eb'],
  ['end.', 'beamline.events.acme.end%2E'],
])('an event of type %j has a subject that NATS takes', (type, subject) => {
  expect(eventSubject('acme', type)).toBe(subject);
});

test('subjects of tenants do not meet, whatever their names and types are', () => {
  const pairs = [
    ['acme', 'eu.order'],
    ['acme.eu', 'order'],
    ['acme-eu', 'order'],
    ['acme_eu', 'order'],
  ] as const;
  const subjects = pairs.map(([tenant, type]) => eventSubject(tenant, type));
  expect(new Set(subjects).size).toBe(pairs.length);
  expect(subjects.map(tenantOfSubject)).toEqual(pairs.map(([tenant]) => tenant));
  expect(deadLetterSubject('acme.eu')).toBe('beamline.dlq.acme%2Eeu');
});

test.each([
  'beamline.events.acme',
  'beamline.events.',
  'beamline.dlq.acme',
  'orders.acme.x',
  'beamline.events..x',
  'beamline.events.a%20b.x',
])('%s names no tenant', (subject) => {
  expect(tenantOfSubject(subject)).toBeUndefined();
});

test('a long type is cut, and types that differ at the end stay apart', () => {
  const long = 'com.example.'.repeat(160);
  const [one, two] = [eventSubject('acme', `${long}one`), eventSubject('acme', `${long}two`)];
  expect(one).not.toBe(two);
  for (const subject of [one, two, eventSubject('acme', 'ü'.repeat(2_000))]) {
    expect(subject.length).toBeLessThan(1_100);
    expect(subject).toMatch(/^beamline\.events\.acme(\.[^.\s*>]+)+$/);
    expect(subject).not.toMatch(/%(?![0-9A-F]{2})/);
  }
});

test('the id of a message is the same for the same tenant, source and id only', () => {
  const ids = [messageId('a', 'b', 'c'), messageId('a', 'b', 'd'), messageId('a', 'bc', ''), messageId('b', 'b', 'c')];
  expect(new Set(ids).size).toBe(4);
  expect(messageId('a', 'b', 'c')).toBe(ids[0]);
});
