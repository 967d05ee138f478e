import { parseSubscription } from '../../src/dsl/events/bus-messages';
import { type CloudEvent, eventKey, parseCloudEvent, readEvent } from '../../src/dsl/events/cloud-event';
import { LiteralFilter } from '../../src/dsl/events/literal-filter';
import type { Json, JsonObject } from '../../src/dsl/json';
import { undecodable } from '../../src/dsl/undecodable';
import { prepareTrigger } from '../../src/dsl/validation/check-trigger';

const EVENT = { specversion: '1.0', id: '1', source: '/shop', type: 'order.placed' };
const eventWith = (more: JsonObject): CloudEvent => ({ ...EVENT, ...more }) as CloudEvent;

describe('a CloudEvent', () => {
  it('is taken as it is, without attributes that are null', () => {
    const event = { ...EVENT, time: '2026-01-31T12:00:00.5+01:00', tries: 3, last: true, data: { a: null } };
    expect(parseCloudEvent({ ...event, subject: null })).toEqual({ event });
    expect(parseCloudEvent({ ...EVENT, data: null })).toEqual({ event: { ...EVENT, data: null } });
  });

  it.each<[string, unknown, string]>([
    ['text', 'order.placed', 'got a string, expected a CloudEvent'],
    ['nothing', undefined, 'got nothing'],
    ['what could not be read', undecodable('broken'), 'cannot be read (broken)'],
    ['no id', { ...EVENT, id: null }, '"id" is missing'],
    ['no source', { specversion: '1.0', id: '1', type: 't' }, '"source" is missing'],
    ['an empty type', { ...EVENT, type: '' }, 'type: got "", expected text'],
    ['another version', { ...EVENT, specversion: '0.3' }, 'specversion: got "0.3", expected "1.0"'],
    ['a number as id', { ...EVENT, id: 5 }, 'id: got 5, expected text'],
    ['a long id', { ...EVENT, id: 'x'.repeat(501) }, 'at most 500 characters'],
    ['a bad time', { ...EVENT, time: '31.1.2026' }, 'time: got "31.1.2026", expected RFC 3339'],
    ['a time that is none', { ...EVENT, time: '2026-13-01T00:00:00Z' }, 'expected RFC 3339'],
    ['an object as an attribute', { ...EVENT, order: { id: 1 } }, 'order: got an object'],
    ['a long attribute', { ...EVENT, note: 'x'.repeat(2_001) }, 'note: expected at most 2000 characters'],
    ['two kinds of data', { ...EVENT, data: 1, data_base64: 'MQ==' }, 'expected one'],
    ['too much', { ...EVENT, data: 'x'.repeat(500_000) }, 'at most 500000 fit'],
  ])('is not %s', (_, value, problem) => {
    expect(parseCloudEvent(value)).toEqual({ problem: expect.stringContaining(problem) });
  });

  it.each<[JsonObject, Json, Json]>([
    [{ data: { a: 1 } }, { a: 1 }, '{"a":1}'],
    [{ data: 'text' }, 'text', 'text'],
    [{ data: 7 }, 7, '7'],
    [{ data_base64: 'MQ==' }, 'MQ==', 'MQ=='],
    [{ data: null }, null, null],
    [{}, null, null],
  ])('with %j is read as data and raw', (more, data, raw) => {
    const event = eventWith(more);
    expect([readEvent(event, 'data'), readEvent(event, 'raw'), readEvent(event, 'envelope')]).toEqual([
      data,
      raw,
      event,
    ]);
  });

  it('is told apart by source and id together', () => {
    const keys = [
      ['a', 'b'],
      ['a', 'c'],
      ['c', 'b'],
      ['a","b', 'c'],
    ].map(([source = '', id = '']) => eventKey(eventWith({ source, id })));
    expect(new Set(keys).size).toBe(4);
  });
});

describe('literal filters', () => {
  const event = eventWith({
    subject: 'orders/47',
    priority: 3,
    urgent: true,
    time: '2026-01-31T12:00:00Z',
    data: { a: { b: 1, c: [1, 2] }, d: 'x' },
  });

  it.each<[JsonObject]>([
    [{}],
    [{ type: 'order.placed' }],
    [{ type: 'order\\.(placed|paid)' }],
    [{ type: 'order.*', source: '/sh[a-z]+' }],
    [{ priority: 3, urgent: true }],
    [{ priority: '3' }],
    [{ time: '2026-01-31T13:00:00+01:00' }],
    [{ data: { a: { b: 1 } } }],
    [{ data: { a: { c: [1, 2] }, d: 'x' } }],
  ])('%j matches', (filter) => {
    expect(new LiteralFilter(filter).matches(event)).toBe(true);
  });

  it.each<[JsonObject]>([
    [{ type: 'order' }],
    [{ type: 'order.paid' }],
    [{ type: 'orderXplaced' }],
    [{ type: 'order.p' }],
    [{ type: 'rder.*' }],
    [{ type: '(' }],
    [{ constructor: '.*' }],
    [{ missing: '.*' }],
    [{ priority: 4 }],
    [{ time: '2026-01-31T12:00:01Z' }],
    [{ data: { a: { b: 2 } } }],
    [{ data: { a: { c: [1] } } }],
    [{ data: {}, subject: 'orders' }],
    [{ data: { toString: {} } }],
    [{ type: 'order.placed', source: '/crm' }],
  ])('%j does not match', (filter) => {
    expect(new LiteralFilter(filter).matches(event)).toBe(false);
  });

  it('a type with dots is compared as it stands', () => {
    expect(new LiteralFilter({ type: 'order.placed' }).matches(eventWith({ type: 'orderXplaced' }))).toBe(false);
  });

  it('matches in time linear in the text', () => {
    expect(new LiteralFilter({ subject: '(a+)+b' }).matches(eventWith({ subject: 'a'.repeat(2_000) }))).toBe(false);
  });
});

describe('what anybody may send to the event bus', () => {
  it.each<[unknown, string]>([
    [7, 'got a number'],
    [{}, 'expected "id" and "flowId"'],
    [{ id: 'a', flowId: '' }, 'expected "id" and "flowId"'],
    [{ id: 'a', flowId: 'x'.repeat(1_001) }, 'expected "id" and "flowId"'],
    [{ id: 'a', flowId: 'b' }, 'filters: got undefined'],
    [{ id: 'a', flowId: 'b', filters: ['c'] }, 'filters: got ["c"]'],
    [{ id: 'a', flowId: 'b', filters: [{ data: 'x'.repeat(100_000) }] }, 'more than 100000 characters'],
  ])('subscribe refuses %j', (value, problem) => {
    expect(parseSubscription(value)).toEqual({ problem: expect.stringContaining(problem) });
  });

  const on = { one: { with: { type: 'a' } } };
  it.each<[Json, string]>([
    [7, 'trigger: got a number, expected an object'],
    [{ flow: 'a/b:1', on }, 'trigger needs "id"'],
    [{ id: 'a:b', flow: 'a/b:1', on }, '/id id: got "a:b", expected 1 to 200 letters'],
    [{ id: 'a', flow: 'b', on }, '/flow flow: got "b", expected "namespace/name:version"'],
    [{ id: 'a', flow: 5, on }, '/flow flow: got a number'],
    [{ id: 'a', flow: 'a/b:1', on: {} }, '/on on: got none of one, any and all'],
    [{ id: 'a', flow: 'a/b:1', on: { any: [], until: 'x' } }, '/on/until "until" is not known in on'],
    [{ id: 'a', flow: 'a/b:1', on, read: 'text' }, '/read read: got "text"'],
    [
      { id: 'a', flow: 'a/b:1', on, language: 'sql' },
      '/language language: got "sql", expected one of cel, jq, jsonata',
    ],
    [{ id: 'a', flow: 'a/b:1', language: 'cel', on: { one: { with: { type: '${ input }' } } } }, '/on/one/with/type'],
  ])('trigger refuses %j', (value, problem) => {
    expect(prepareTrigger(value)).toEqual({ problems: expect.arrayContaining([expect.stringContaining(problem)]) });
  });

  it("takes a trigger in its flow's language, jq where none is named", () => {
    expect(prepareTrigger({ id: 'a', flow: 'ns/b:1.0.0', on })).toEqual({
      trigger: {
        id: 'a',
        flow: 'ns/b:1.0.0',
        on: { kind: 'one', filters: [{ literal: { type: 'a' } }] },
        language: 'jq',
        read: 'data',
      },
    });
    const flow = { evaluate: { language: 'cel' } };
    expect(prepareTrigger({ id: 'a', flow, on, read: 'envelope', input: 1 })).toMatchObject({
      trigger: { language: 'cel', read: 'envelope', input: 1, flow },
    });
  });
});
