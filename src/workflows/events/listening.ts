import { condition } from '@temporalio/workflow';
import { flowError } from '../../dsl/errors';
import { readEvent } from '../../dsl/events/cloud-event';
import type { Variables } from '../../dsl/expressions/batch';
import type { Json } from '../../dsl/json';
import type { ListenPlan } from '../../dsl/planning/plan';
import { type Routine, waitFor } from '../drive';
import { innerScope } from '../scope';
import { type ListCursor, type ListenCursor, Suspension, suspendable } from '../suspension';
import type { TaskFrame, TaskResult } from '../task-frame';
import { transformOutput } from '../transform-output';
import { type ConsumerHost, EventConsumer } from './event-consumer';
import type { Listener, QueuedEvent } from './event-inbox';

/** Characters of JSON of what a listen has consumed and of its queue that it takes along when a flow continues as new. */
const MAX_CARRIED_LENGTH = 500_000;

/** A listen while it listens: takes the events before its listener, one after the other. */
export class Listening {
  readonly #consumed: Json[];
  readonly #main: EventConsumer;
  /** Consumes the events that end it; they are no part of the output. */
  readonly #until: EventConsumer | undefined;
  readonly #current: ListenCursor['current'];

  constructor(
    private readonly task: ListenPlan,
    private readonly frame: TaskFrame,
    private readonly listener: Listener,
    /** What is consumed in a dry run, in place of events that come. */
    private readonly mocked?: readonly Json[],
  ) {
    const from = frame.from as ListenCursor | undefined;
    const { to } = task;
    const host: ConsumerHost = {
      evaluate: (items, variables) => frame.run.evaluate(items, variables),
      variables: () => this.#variables(frame.input),
      note: (text) => frame.run.progress.note(`${task.path}: ${text}`),
    };
    this.#consumed = [...(from?.consumed ?? [])];
    this.#main = new EventConsumer(to, host, from?.main);
    this.#until =
      to.until !== undefined && 'consumed' in to.until
        ? new EventConsumer(to.until.consumed, host, from?.until)
        : undefined;
    this.#current = from?.current;
  }

  *run(): Routine<TaskResult> {
    let item = this.#current === undefined ? yield* this.#nextItem() : this.#current.item;
    let listFrom = this.#current?.list;
    while (item !== undefined) {
      const ended = yield* this.#process(item, listFrom);
      if (ended !== undefined) return ended;
      if (yield* this.#isComplete()) break;
      item = yield* this.#nextItem();
      listFrom = undefined;
    }
    return { output: this.#consumed };
  }

  /** The next event that is consumed, as it is read; undefined where the events that end the listen have come. */
  *#nextItem(): Routine<Json | undefined> {
    if (this.mocked !== undefined) return this.mocked[this.#consumed.length];
    for (;;) {
      const queued = yield* this.#nextEvent();
      const taken = yield* this.#decide(queued);
      if (taken === 'main') return readEvent(queued.event, this.task.read);
      if (this.#until?.isComplete === true) return undefined;
    }
  }

  *#nextEvent(): Routine<QueuedEvent> {
    const { run } = this.frame;
    const { queue } = this.listener;
    yield* run.beginStep();
    for (;;) {
      if (this.listener.refusal !== undefined) throw flowError('BLW_SUBSCRIPTION_REFUSED', this.listener.refusal);
      if (this.#shouldContinueAsNew()) throw new Suspension(this.#cursor());
      const queued = queue.shift();
      if (queued !== undefined) return queued;
      run.waits();
      yield* waitFor(
        condition(() => queue.length > 0 || this.listener.refusal !== undefined || this.#shouldContinueAsNew()),
      );
    }
  }

  /** Which consumer takes the event; what ends the listen comes first. */
  *#decide(queued: QueuedEvent): Routine<'until' | 'main' | undefined> {
    let taken: 'until' | 'main' | undefined;
    try {
      if (this.#until !== undefined && (yield* this.#until.offer(queued.event))) taken = 'until';
      else if (yield* this.#main.offer(queued.event)) taken = 'main';
      return taken;
    } finally {
      this.frame.run.inbox.settle(queued, taken !== undefined);
    }
  }

  /** `foreach` for one event (OWS dsl-reference, "Subscription Iterator"); a result where its list ends the flow. */
  *#process(item: Json, listFrom: ListCursor | undefined): Routine<TaskResult | undefined> {
    const { foreach } = this.task;
    if (foreach === undefined) {
      this.#consumed.push(item);
      return undefined;
    }
    const { run, scope, input } = this.frame;
    const index = this.#consumed.length;
    const loop = { [foreach.item]: item, [foreach.at]: index };
    let output = item;
    if (foreach.tasks !== undefined) {
      const inner = innerScope(scope, { variables: loop, index });
      const list = this.frame.runList(foreach.tasks, input, inner, listFrom);
      const outcome = yield* suspendable(list, (at) => this.#cursor({ item, list: at as ListCursor }));
      if (outcome.endsFlow) return { output: outcome.output, endsFlow: true };
      output = outcome.output;
    }
    const { output: transformed, export: exported } = foreach;
    const result = yield* transformOutput(
      run,
      { output: transformed, export: exported, fallback: item, of: ' of foreach' },
      { ...this.#variables(output), ...loop, output },
    );
    this.#consumed.push(result);
    return undefined;
  }

  *#isComplete(): Routine<boolean> {
    if (this.mocked !== undefined) return this.#consumed.length >= this.mocked.length;
    const { kind, until } = this.task.to;
    if (kind !== 'any' || until === undefined) return this.#main.isComplete;
    if ('consumed' in until) return false;
    const items = [{ name: 'until', condition: until.expr, field: 'until' }];
    const values = yield* this.frame.run.evaluate(items, this.#variables([...this.#consumed]));
    return values.until === true;
  }

  #variables(data: Json): Variables {
    return { ...this.frame.variables, context: this.frame.run.context, data };
  }

  #shouldContinueAsNew(): boolean {
    if (!this.frame.run.shouldContinueAsNew()) return false;
    const events = this.listener.queue.map(({ event }) => event);
    return JSON.stringify([this.#consumed, events]).length <= MAX_CARRIED_LENGTH;
  }

  #cursor(current?: NonNullable<ListenCursor['current']>): ListenCursor {
    return {
      listener: this.listener.id,
      consumed: this.#consumed,
      main: this.#main.state(),
      ...(this.#until === undefined ? {} : { until: this.#until.state() }),
      ...(current === undefined ? {} : { current }),
    };
  }
}
