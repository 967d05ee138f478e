import type { CloudEvent } from '../../src/dsl/events/cloud-event';
import type { Variables } from '../../src/dsl/expressions/batch';
import { Evaluator } from '../../src/dsl/expressions/evaluator';
import type { Json, JsonObject } from '../../src/dsl/json';
import { planStrategy } from '../../src/dsl/planning/plan-events';
import { type ConsumerState, EventConsumer } from '../../src/workflows/events/event-consumer';

const event = (type: string, data: Json = null, more: JsonObject = {}): CloudEvent =>
  ({ specversion: '1.0', id: `${type}-1`, source: '/s', type, data, ...more }) as CloudEvent;

/** A consumer whose expressions are CEL on the given input. */
class Tested {
  readonly notes: string[] = [];
  readonly consumer: EventConsumer;

  constructor(strategy: JsonObject, input: Json = null, state?: ConsumerState) {
    const evaluator = new Evaluator();
    const host = {
      // biome-ignore lint/correctness/useYield: CEL is evaluated at once.
      *evaluate(items: Parameters<Evaluator['evaluateBatch']>[0]['items'], variables: Variables) {
        return evaluator.evaluateBatch({ items, variables });
      },
      variables: () => ({ input, data: input }),
      note: (text: string) => void this.notes.push(text),
    };
    this.consumer = new EventConsumer(planStrategy(strategy), host, state);
  }

  offer(offered: CloudEvent): boolean {
    const step = this.consumer.offer(offered).next();
    if (step.done !== true) throw new Error('it waits');
    return step.value;
  }
}

const filter = (type: string, more: JsonObject = {}): JsonObject => ({ with: { type, ...more } });

it('one and any take one event that some filter wants', () => {
  const tested = new Tested({ any: [filter('a'), filter('b')] });
  expect([tested.offer(event('c')), tested.consumer.isComplete]).toEqual([false, false]);
  expect([tested.offer(event('b')), tested.consumer.isComplete]).toEqual([true, true]);
});

it('any without filters takes every event', () => {
  const tested = new Tested({ any: [] });
  expect([tested.offer(event('x')), tested.consumer.isComplete]).toEqual([true, true]);
});

it('of all, each filter takes one event, and an event goes to one filter', () => {
  const tested = new Tested({ all: [filter('a'), filter('a|b'), filter('c')] });
  const offers = ['a', 'a', 'a', 'b', 'c'].map((type) => tested.offer(event(type)));
  expect(offers).toEqual([true, true, false, false, true]);
  expect(tested.consumer.isComplete).toBe(true);
});

it.each<[string, JsonObject, CloudEvent, boolean]>([
  ['true', { data: '${ data.n > 1 }' }, event('a', { n: 2 }), true],
  ['false', { data: '${ data.n > 1 }' }, event('a', { n: 1 }), false],
  ['the value of the attribute', { subject: '${ input.who }' }, event('a', null, { subject: 'me' }), true],
  ['another value', { subject: '${ input.who }' }, event('a', null, { subject: 'you' }), false],
  ['a verdict on the attribute', { subject: '${ data.startsWith("m") }' }, event('a', null, { subject: 'me' }), true],
  ['part of the data', { data: { who: '${ input.who }' } }, event('a', { who: 'me', more: 1 }), true],
  ['other data', { data: { who: '${ input.who }' } }, event('a', { who: 'you' }), false],
  ['text with an expression in it', { subject: 'to ${ input.who }' }, event('a', null, { subject: 'to me' }), true],
  ['something about an attribute that is missing', { subject: '${ true }' }, event('a'), false],
])('an expression that gives %s decides', (_, attributes, offered, expected) => {
  const tested = new Tested({ one: filter('a', attributes) }, { who: 'me' });
  expect(tested.offer(offered)).toBe(expected);
  expect(tested.notes).toEqual([]);
});

it('an expression that fails on an event is no match, and noted', () => {
  const tested = new Tested({ any: [filter('a', { data: '${ data.n.m > 1 }' }), filter('a')] });
  expect(tested.offer(event('a', { n: 1 }))).toBe(true);
  expect(tested.notes).toEqual([expect.stringContaining('event a-1 of type a is no match')]);
});

describe('correlations', () => {
  const room = (type: string, more: JsonObject = {}) => ({
    ...filter(type),
    correlate: { room: { from: 'data.?data.?room.orValue(null)', ...more } },
  });

  it('without expect, the first value is what all filters expect', () => {
    const tested = new Tested({ all: [room('a'), room('b')] });
    const offers = [
      ['a', 1],
      ['b', 2],
      ['b', null],
      ['b', 1],
    ].map(([type, value]) => tested.offer(event(String(type), { room: value ?? null })));
    expect(offers).toEqual([true, false, false, true]);
  });

  it('an event that is not consumed sets no expectation', () => {
    const both = { ...filter('a', { data: '${ data.ok }' }), correlate: { room: { from: 'data.data.room' } } };
    const tested = new Tested({ one: both });
    expect(tested.offer(event('a', { room: 1, ok: false }))).toBe(false);
    expect(tested.offer(event('a', { room: 2, ok: true }))).toBe(true);
    expect(tested.consumer.state().keys).toEqual({ room: 2 });
  });

  it.each<[JsonObject, Json, boolean]>([
    [{ expect: '${ input.room }' }, 7, true],
    [{ expect: '${ input.room }' }, 8, false],
    [{ expect: '7' }, 7, true],
    [{ expect: '7' }, '7', true],
    [{ expect: '${ input }' }, { room: 7 }, true],
    [{ expect: '${ input }' }, { room: 7, more: 1 }, false],
  ])('%j with %j gives %j', (more, value, expected) => {
    expect(new Tested({ one: room('a', more) }, { room: 7 }).offer(event('a', { room: value }))).toBe(expected);
  });

  it('go on where the consumer was left', () => {
    const strategy = { all: [room('a'), room('b')] };
    const first = new Tested(strategy);
    first.offer(event('a', { room: 1 }));
    const second = new Tested(strategy, null, JSON.parse(JSON.stringify(first.consumer.state())));
    expect(second.offer(event('a', { room: 1 }))).toBe(false);
    expect(second.offer(event('b', { room: 2 }))).toBe(false);
    expect(second.offer(event('b', { room: 1 }))).toBe(true);
    expect(second.consumer.isComplete).toBe(true);
  });
});
