import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { BusOverview, EmitAnswer, EventAnswer } from '../../src/dsl/events/bus-messages';
import type { Json, JsonObject } from '../../src/dsl/json';
import { EVENT_BUS } from '../../src/dsl/names';
import { errorOf, eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io' });
});
afterAll(() => worker.stop());

/** A tenant of its own for each test, so that no test hears another. */
class Tenant {
  readonly name = `t-${randomUUID().slice(0, 8)}`;

  start(flow: string, input: Json = null): Promise<WorkflowHandle> {
    return worker.start(flow, input, { tenant: this.name });
  }

  /** Starts a flow and waits until so many of its steps listen. */
  async listening(flow: string, input: Json = null, count = 1): Promise<WorkflowHandle> {
    const handle = await this.start(flow, input);
    await listens(handle, count);
    return handle;
  }

  get bus(): WorkflowHandle {
    return worker.client.workflow.getHandle(`${worker.queuePrefix}-events:${this.name}`);
  }

  emit(type: string, data?: Json, more: JsonObject = {}): Promise<EmitAnswer> {
    return this.bus.executeUpdate<EmitAnswer, [Json]>('emit', { args: [eventOf(type, data, more)] });
  }

  overview(): Promise<BusOverview> {
    return this.bus.query<BusOverview>('subscriptions');
  }

  /** Starts the bus alone, as anybody may. */
  async startBus(start: JsonObject = {}): Promise<void> {
    await worker.client.workflow.start(EVENT_BUS, {
      workflowId: this.bus.workflowId,
      taskQueue: `${worker.queuePrefix}-io`,
      args: [start],
    });
  }
}

function eventOf(type: string, data?: Json, more: JsonObject = {}): JsonObject {
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: '/test',
    type,
    ...(data === undefined ? {} : { data }),
    ...more,
  };
}

async function listens(flow: WorkflowHandle, count = 1): Promise<void> {
  await progressWhen(flow, ({ steps }) => steps.filter(({ status }) => status === 'listening').length === count);
}

/** A flow that only listens: `to`, maybe with other keys of `listen` after it, and `more` keys of the task. */
const listen = (to: string, more = '') => `do: [{hear: {listen: {to: ${to}}${more}}}]`;

describe('listen', () => {
  test('to one takes the first event that its filter wants, and gives a list', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{one: {with: {type: order.placed}}}'));
    expect(await tenant.emit('order.cancelled', 1)).toMatchObject({ receivers: 0 });
    expect(await tenant.emit('order.placed', { n: 2 })).toMatchObject({ receivers: 1 });
    expect(await flow.result()).toEqual([{ n: 2 }]);
    expect((await tenant.overview()).subscriptions).toEqual([]);
  });

  test('to any takes one event of any of its filters', async () => {
    const tenant = new Tenant();
    const filters = ['temperature', 'bpm'].map((type) => `{with: {type: ${type}, data: "\${ data.value > 100 }"}}`);
    const flow = await tenant.listening(listen(`{any: [${filters.join(', ')}]}`));
    await tenant.emit('temperature', { value: 37 });
    await tenant.emit('bpm', { value: 120 });
    expect(await flow.result()).toEqual([{ value: 120 }]);
  });

  test('to any without filters takes every event', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: []}'));
    await tenant.emit('whatever', 'x');
    expect(await flow.result()).toEqual(['x']);
  });

  test('to all waits for one event of each filter, in the order in which they come', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{all: [{with: {type: a}}, {with: {type: b}}]}'));
    for (const [type, n] of [
      ['b', 1],
      ['b', 2],
      ['a', 3],
    ] as const)
      await tenant.emit(type, n);
    expect(await flow.result()).toEqual([1, 3]);
  });

  test('goes on until a condition on what was consumed holds', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [], until: "data.size() == 3"}'));
    for (const n of [1, 2, 3]) await tenant.emit('tick', n);
    expect(await flow.result()).toEqual([1, 2, 3]);
  });

  test('goes on until other events are consumed, which are no part of the output', async () => {
    const tenant = new Tenant();
    const until = 'until: {all: [{with: {type: checked-out}}, {with: {type: paid}}]}';
    const flow = await tenant.listening(listen(`{any: [], ${until}}`));
    for (const [type, n] of [
      ['vitals', 1],
      ['paid', 2],
      ['vitals', 3],
      ['checked-out', 4],
    ] as const)
      await tenant.emit(type, n);
    expect(await flow.result()).toEqual([1, 3]);
  });

  test('reads data, the envelope or raw data', async () => {
    const tenant = new Tenant();
    const reads = ['data', 'envelope', 'raw'];
    const branches = reads.map((read) => `{${read}: {listen: {to: {any: []}, read: ${read}}}}`).join(', ');
    const flow = await tenant.listening(`do: [{f: {fork: {branches: [${branches}]}}}]`, null, 3);
    expect(await tenant.emit('x', { n: 1 }, { id: 'e1', subject: 's' })).toEqual({ id: 'e1', receivers: 3 });
    const envelope = { specversion: '1.0', id: 'e1', source: '/test', type: 'x', subject: 's', data: { n: 1 } };
    expect(await flow.result()).toEqual([[{ n: 1 }], [envelope], ['{"n":1}']]);
  });

  test('filters by regular expressions, extension attributes and expressions over the flow', async () => {
    const tenant = new Tenant();
    const filter = `with: {type: "order\\\\.(placed|paid)", priority: 3, subject: "\${ workflow.input.customer }"}`;
    const flow = await tenant.listening(listen(`{one: {${filter}}}`), { customer: 'c7' });
    await tenant.emit('order.paid', 1, { priority: 3, subject: 'c8' });
    await tenant.emit('order.paid', 2, { priority: 4, subject: 'c7' });
    await tenant.emit('order.shipped', 3, { priority: 3, subject: 'c7' });
    await tenant.emit('order.paid', 4, { subject: 'c7' });
    await tenant.emit('order.paid', 5, { priority: 3, subject: 'c7' });
    expect(await flow.result()).toEqual([5]);
  });

  test('is not failed by an event that a filter cannot be evaluated on, and says so in progress', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen(`{one: {with: {type: t, data: "\${ data.value > 1 }"}}}`));
    await tenant.emit('t', 'text', { id: 'odd' });
    const { notes } = await progressWhen(flow, (progress) => progress.notes !== undefined);
    expect(notes).toEqual([expect.stringContaining('event odd of type t is no match')]);
    await tenant.emit('t', { value: 2 });
    expect(await flow.result()).toEqual([{ value: 2 }]);
  });

  test('correlates events by the first value that comes', async () => {
    const tenant = new Tenant();
    const filter = (type: string) => `{with: {type: ${type}}, correlate: {room: {from: data.data.room}}}`;
    const flow = await tenant.listening(listen(`{all: [${filter('temperature')}, ${filter('humidity')}]}`));
    await tenant.emit('temperature', { room: 'a' });
    await tenant.emit('humidity', { room: 'b' });
    await tenant.emit('humidity', { room: 'a' });
    expect(await flow.result()).toEqual([{ room: 'a' }, { room: 'a' }]);
  });

  test('correlates replies with what each of two flows expects', async () => {
    const tenant = new Tenant();
    const reply = `{one: {with: {type: reply}, correlate: {order: {from: data.data.order, expect: "\${ workflow.input }"}}}}`;
    const [first, second] = await Promise.all([tenant.listening(listen(reply), 1), tenant.listening(listen(reply), 2)]);
    expect(await tenant.emit('reply', { order: 2 })).toMatchObject({ receivers: 2 });
    await tenant.emit('reply', { order: 1 });
    expect(await first.result()).toEqual([{ order: 1 }]);
    expect(await second.result()).toEqual([{ order: 2 }]);
  });

  test('runs a list for each event, one after the other, and transforms what it consumed', async () => {
    const tenant = new Tenant();
    const foreach =
      ', foreach: {item: e, at: i, do: [{pause: {wait: PT0.01S}}, {twice: {set: {n: "${ e * 2 }", i: "${ i }"}}}], ' +
      "output: {as: \"${ {'n': data.n, 'i': data.i, 'e': e} }\"}, export: {as: \"${ {'last': output.n} }\"}}";
    const flow = await tenant.listening(
      `do: [{hear: {listen: {to: {any: [], until: "context.last == 6"}}${foreach}}}, {end: {set: {all: "\${ data }", context: "\${ context }"}}}]`,
    );
    for (const n of [1, 2, 3]) await tenant.emit('tick', n);
    expect(await flow.result()).toEqual({
      all: [1, 2, 3].map((e, i) => ({ n: e * 2, i, e })),
      context: { last: 6 },
    });
  });

  test('works in a loop and in a try, and a timeout ends it without a trace', async () => {
    const tenant = new Tenant();
    const hear = '{hear: {listen: {to: {one: {with: {type: never}}}}, timeout: {after: PT0.1S}}}';
    const attempt = `{attempt: {try: [${hear}], catch: {errors: {with: {status: 408}}, do: [{give: {set: {up: true}}}]}}}`;
    const flow = await tenant.start(`do: [{loop: {for: {in: "[1, 2]"}, do: [${attempt}]}}]`);
    expect(await flow.result()).toEqual({ up: true });
    expect((await tenant.overview()).subscriptions).toEqual([]);
  });

  test('unsubscribes when the flow is cancelled, and is forgotten when it is terminated', async () => {
    const tenant = new Tenant();
    const [cancelled, terminated] = await Promise.all([
      tenant.listening(listen('{any: []}')),
      tenant.listening(listen('{any: []}')),
    ]);
    expect((await tenant.overview()).subscriptions).toHaveLength(2);
    await cancelled.cancel();
    await expect(cancelled.result()).rejects.toThrow();
    expect((await tenant.overview()).subscriptions).toMatchObject([{ flowId: terminated.workflowId }]);
    await terminated.terminate();
    expect(await tenant.emit('x')).toMatchObject({ receivers: 1 });
    await eventually(async () => ((await tenant.overview()).subscriptions.length === 0 ? true : undefined));
  });
});

describe('emit', () => {
  test('gives the event, completed, and reaches another flow', async () => {
    const tenant = new Tenant();
    const listener = await tenant.listening(listen('{one: {with: {type: order.placed}}}, read: envelope'));
    const emitter = await tenant.start(
      'do: [{tell: {emit: {event: {with: {type: order.placed, data: {n: "${ workflow.input }"}}}}}}]',
      5,
    );
    const event = await emitter.result();
    expect(event).toEqual({
      specversion: '1.0',
      id: `${tenant.name}:${emitter.workflowId}:/do/0/tell:0:0`,
      source: '/test/flow/1.0.0',
      type: 'order.placed',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
      datacontenttype: 'application/json',
      data: { n: 5 },
    });
    expect(await listener.result()).toEqual([event]);
  });

  test('takes what the author gives, and refuses what is no event', async () => {
    const tenant = new Tenant();
    const emit = (attributes: string) => `do: [{tell: {emit: {event: {with: {type: t, ${attributes}}}}}}]`;
    const flow = await tenant.start(
      emit(`id: a, source: https://x.org, subject: "\${ workflow.input }", time: '2026-01-31T12:00:00Z'`),
      'me',
    );
    expect(await flow.result()).toEqual({
      specversion: '1.0',
      id: 'a',
      source: 'https://x.org',
      type: 't',
      subject: 'me',
      time: '2026-01-31T12:00:00Z',
    });
    expect(await errorOf(await tenant.start(emit('subject: "${ [1] }"')))).toMatchObject({
      code: 'BLW_EVENT_INVALID',
      detail: expect.stringContaining('subject: got an array'),
      instance: '/do/0/tell',
    });
  });
});

describe('events that are sent to the flow itself', () => {
  const reply = '{one: {with: {type: reply}}}';

  test('by signal and by update, which answers', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [{with: {type: reply}}], until: "data.size() == 2"}'));
    await flow.signal('event', eventOf('reply', 1));
    const answer = await flow.executeUpdate<EventAnswer, [Json]>('event', {
      args: [eventOf('reply', 2, { id: 'r2' })],
    });
    expect(answer).toEqual({ id: 'r2', status: 'delivered' });
    expect(await flow.result()).toEqual([1, 2]);
  });

  test('before anybody listens are kept, and go to the step that wants them', async () => {
    const tenant = new Tenant();
    const flow = await tenant.start(
      `do: [{wait: {listen: {to: {one: {with: {type: go}}}}}}, {hear: {listen: {to: ${reply}}}}]`,
    );
    await listens(flow);
    const kept = await flow.executeUpdate<EventAnswer, [Json]>('event', { args: [eventOf('reply', 'early')] });
    expect(kept).toMatchObject({ status: 'kept' });
    await flow.signal('event', eventOf('go'));
    expect(await flow.result()).toEqual(['early']);
  });

  test('go to every step that listens to them, once', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(
      `do: [{f: {fork: {branches: [{a: {listen: {to: ${reply}}}}, {b: {listen: {to: {any: [], until: "data.size() == 2"}}}}]}}}]`,
      null,
      2,
    );
    const event = eventOf('reply', 1);
    await flow.signal('event', event);
    expect(await flow.executeUpdate<EventAnswer, [Json]>('event', { args: [event] })).toMatchObject({
      status: 'duplicate',
    });
    await flow.signal('event', eventOf('other', 2));
    expect(await flow.result()).toEqual([[1], [1, 2]]);
  });

  test('are refused in words where they are no events', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen(reply));
    const refusal: unknown = await flow
      .executeUpdate('event', { args: [{ type: 'reply' }] })
      .catch((error: unknown) => error);
    expect(refusal).toBeInstanceOf(WorkflowUpdateFailedError);
    expect((refusal as WorkflowUpdateFailedError).cause).toMatchObject({ type: 'BLW_EVENT_INVALID' });
    await signalRaw(flow, 'event', '{broken');
    await flow.signal('event', 'reply');
    const { notes } = await progressWhen(flow, (progress) => progress.notes?.length === 2);
    expect(notes).toEqual([expect.stringContaining('cannot be read'), expect.stringContaining('got a string')]);
    await flow.signal('event', eventOf('reply', 1));
    expect(await flow.result()).toEqual([1]);
  });
});

/** A payload that is no JSON, as any client of Temporal's may send it. */
async function signalRaw({ workflowId }: WorkflowHandle, signalName: string, data: string): Promise<void> {
  await worker.client.workflowService.signalWorkflowExecution({
    namespace: worker.client.options.namespace,
    workflowExecution: { workflowId },
    signalName,
    requestId: randomUUID(),
    input: { payloads: [{ metadata: { encoding: Buffer.from('json/plain') }, data: Buffer.from(data) }] },
  });
}

describe('the event bus', () => {
  test('takes an event with the same source and id once', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [], until: "data.size() == 2"}'));
    await tenant.emit('t', 1, { id: 'same' });
    expect(await tenant.emit('t', 1, { id: 'same' })).toEqual({ id: 'same', receivers: 0, duplicate: true });
    await tenant.emit('t', 2, { id: 'same', source: '/another' });
    expect(await flow.result()).toEqual([1, 2]);
  });

  test('carries large events, one after the other and several at once', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [], until: "data.size() == 5"}'));
    const texts = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(450_000));
    await tenant.emit('t', texts[0]);
    await Promise.all(texts.slice(1).map((text) => tenant.bus.signal('emit', eventOf('t', text))));
    const { notes, steps } = await progressWhen(flow, ({ status }) => status !== 'Running');
    expect({ notes, steps: steps.map(({ status }) => status) }).toEqual({ notes: undefined, steps: ['completed'] });
    expect(((await flow.result()) as string[]).map((text) => text[0]).sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
  });

  test('keeps tenants apart', async () => {
    const [acme, umbrella] = [new Tenant(), new Tenant()];
    const flow = await acme.listening(listen('{any: []}'));
    await umbrella.startBus();
    expect(await umbrella.emit('t', 'theirs')).toMatchObject({ receivers: 0 });
    await acme.emit('t', 'ours');
    expect(await flow.result()).toEqual(['ours']);
  });

  test('notes and refuses what is no event, no subscription and no trigger, and goes on', async () => {
    const tenant = new Tenant();
    await tenant.startBus({ carried: { subscriptions: 'x' } });
    for (const signal of ['emit', 'subscribe', 'unsubscribe', 'trigger', 'untrigger']) {
      await signalRaw(tenant.bus, signal, '{broken');
      await tenant.bus.signal(signal, 7);
    }
    await tenant.bus.signal('trigger', { id: 'a:b', flow: 'x', on: { one: {} } });
    const { refused } = await eventually(async () => {
      const overview = await tenant.overview();
      return overview.refused.length === 11 ? overview : undefined;
    });
    const reasons = refused.map(({ reason }) => reason);
    expect(reasons.filter((reason) => reason.includes('cannot be read')).length).toBeGreaterThanOrEqual(4);
    expect(reasons).toContainEqual(expect.stringContaining('id: got "a:b"'));
    const flow = await tenant.listening(listen('{any: []}'));
    await tenant.emit('t', 1);
    expect(await flow.result()).toEqual([1]);
  });

  test('takes what came before a worker was there in its order', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [{with: {type: t}}], until: "data.size() == 1"}'));
    const [subscription] = (await tenant.overview()).subscriptions;
    const prefix = `late-${randomUUID()}`;
    const bus = await worker.client.workflow.signalWithStart(EVENT_BUS, {
      workflowId: `${prefix}-events:${tenant.name}`,
      taskQueue: `${prefix}-io`,
      signal: 'emit',
      signalArgs: [eventOf('t', 'too early')],
    });
    await bus.signal('subscribe', subscription);
    await bus.signal('emit', eventOf('t', 'in time'));
    await bus.signal('unsubscribe', subscription);
    await bus.signal('emit', eventOf('t', 'too late'));
    const late = await startTestWorker({ pools: 'io', 'queue-prefix': prefix });
    try {
      expect(await flow.result()).toEqual(['in time']);
      expect(await bus.query<BusOverview>('subscriptions')).toMatchObject({
        emitted: 3,
        subscriptions: [],
        refused: [],
      });
    } finally {
      await late.stop();
    }
  });

  test('fails a start under an id that is no bus', async () => {
    const handle = await worker.client.workflow.start(EVENT_BUS, {
      workflowId: `nobody-${randomUUID()}`,
      taskQueue: `${worker.queuePrefix}-io`,
    });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'BLW_START_INVALID' } });
  });

  test('continues as new under load and loses nothing', async () => {
    const tenant = new Tenant();
    await tenant.startBus({ maxHistoryEvents: 40 });
    const count = 500;
    const flow = await tenant.listening(listen(`{any: [{with: {type: tick}}], until: "data.size() == ${count}"}`));
    const { runId: firstRun } = await tenant.bus.describe();
    const numbers = Array.from({ length: count }, (_, index) => index);
    for (let at = 0; at < count; at += 20) {
      await Promise.all(numbers.slice(at, at + 20).map((n) => tenant.bus.signal('emit', eventOf('tick', n))));
    }
    const output = (await flow.result()) as number[];
    expect([...output].sort((a, b) => a - b)).toEqual(numbers);
    // Temporal refuses to end a history while signals keep coming in, so that it may be the end of the load that lets it.
    await eventually(async () => ((await tenant.bus.describe()).runId === firstRun ? undefined : true));
    expect(await tenant.overview()).toMatchObject({ emitted: count, duplicates: 0, pending: 0, refused: [] });
  });
});

describe('a trigger', () => {
  const flowDocument = (text: string): JsonObject => ({
    document: { dsl: '1.0.3', namespace: 'test', name: 'triggered', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: [{ tell: { emit: { event: { with: { type: text, data: '${ workflow.input }' } } } } }],
  });

  test('starts a flow for an event, once, with the events as its input', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [{with: {type: done}}], until: "data.size() == 2"}'));
    await tenant.bus.signal('trigger', {
      id: 'orders',
      flow: flowDocument('done'),
      on: { one: { with: { type: 'order' } } },
    });
    await eventually(async () => ((await tenant.overview()).triggers.length === 1 ? true : undefined));
    expect(await tenant.emit('order', { n: 1 }, { id: 'o1' })).toMatchObject({ receivers: 1 });
    await tenant.emit('order', { n: 1 }, { id: 'o1' });
    await tenant.emit('order', { n: 2 }, { id: 'o2' });
    expect(await flow.result()).toEqual([[{ n: 1 }], [{ n: 2 }]]);
    await tenant.bus.signal('untrigger', { id: 'orders' });
    await eventually(async () => ((await tenant.overview()).triggers.length === 0 ? true : undefined));
    expect(await tenant.emit('order', 3)).toMatchObject({ receivers: 0 });
  });

  test('with all and a correlation collects a set for each value', async () => {
    const tenant = new Tenant();
    const flow = await tenant.listening(listen('{any: [{with: {type: done}}], until: "data.size() == 2"}'));
    const filter = (type: string) => ({ with: { type }, correlate: { room: { from: 'data.data.room' } } });
    const on = { all: [filter('a'), filter('b')] };
    await tenant.bus.signal('trigger', { id: 'rooms', flow: flowDocument('done'), on });
    await eventually(async () => ((await tenant.overview()).triggers.length === 1 ? true : undefined));
    for (const [type, room] of [
      ['a', 1],
      ['a', 2],
      ['b', 2],
      ['b', 1],
    ] as const)
      await tenant.emit(type, { room });
    const output = (await flow.result()) as { room: number }[][];
    expect(output.map(([first, second]) => [first?.room, second?.room]).sort()).toEqual([
      [1, 1],
      [2, 2],
    ]);
  });
});
