import { workflowInfo } from '@temporalio/workflow';
import { jsonBytes } from '../../dsl/encoded-json';
import { messageOf } from '../../dsl/errors';
import type { PreparedTrigger, TriggeredStart } from '../../dsl/events/bus-messages';
import { type CloudEvent, eventKey, readEvent } from '../../dsl/events/cloud-event';
import { LiteralFilter } from '../../dsl/events/literal-filter';
import { isJsonObject, type Json } from '../../dsl/json';
import { shortText } from '../../dsl/problems';
import { drive, type Routine, waitFor } from '../drive';
import { BusExpressions } from './bus-expressions';
import { eventActivities } from './event-activities';
import { type ConsumerHost, type ConsumerState, EventConsumer } from './event-consumer';
import { fingerprint } from './fingerprint';

/** Sets of events that one trigger with `all` collects side by side, e.g. one for each value of a correlation. */
const MAX_COLLECTIONS = 100;

/** Triggers of one tenant, their size, and that of what they collect: all of it goes on when the bus continues as new. */
const MAX_TRIGGERS = 500;
const MAX_TRIGGERS_BYTES = 400_000;
const MAX_COLLECTED_BYTES = 300_000;

/** Longest workflow id of a flow that a trigger starts. */
const MAX_EVENT_ID_LENGTH = 200;

/** Events that one flow of a trigger waits for. */
interface Collection {
  readonly consumer: ConsumerState;
  readonly events: readonly CloudEvent[];
}

interface ActiveTrigger {
  readonly trigger: PreparedTrigger;
  readonly literals: readonly LiteralFilter[];
  collections: readonly Collection[];
}

/** What happens one after the other: an event must find the triggers that were set before it. */
export type TriggerWork =
  | { readonly event: CloudEvent }
  | { readonly set: Json }
  /** `isMaybe`: nobody knows whether it is there. */
  | { readonly unset: string; readonly isMaybe?: true };

/** What of the triggers goes on when the bus continues as new. */
export interface TriggersState {
  readonly active: readonly { readonly trigger: PreparedTrigger; readonly collections: readonly Collection[] }[];
  readonly work: readonly TriggerWork[];
}

/** Starts flows for events (OWS dsl, "Event-driven scheduling"). */
export class BusTriggers {
  readonly #active = new Map<string, ActiveTrigger>();
  readonly #work: TriggerWork[] = [];
  readonly #expressions = new BusExpressions();
  #isWorking = false;
  #isPaused = false;

  constructor(
    private readonly tenant: string,
    private readonly refuse: (reason: string) => void,
    state?: TriggersState,
  ) {
    for (const { trigger, collections } of state?.active ?? []) this.#activate(trigger, collections);
    this.#work.push(...(state?.work ?? []));
  }

  get isWorking(): boolean {
    return this.#isWorking;
  }

  get pending(): number {
    return this.#work.length + (this.#isWorking ? 1 : 0);
  }

  get waitingBytes(): number {
    return this.#work.length === 0 ? 0 : jsonBytes(this.#work);
  }

  overview(): { id: string; flow: string; collecting: number }[] {
    return [...this.#active.values()].map(({ trigger, collections }) => ({
      id: trigger.id,
      flow: nameOf(trigger.flow),
      collecting: collections.length,
    }));
  }

  /** Triggers whose literal filters the event passes. */
  countMatches(event: CloudEvent): number {
    return [...this.#active.values()].filter((active) => accepts(active, event)).length;
  }

  add(work: TriggerWork): void {
    // Nobody waits for an event: most tenants have no triggers.
    if ('event' in work && this.#active.size === 0 && this.#work.length === 0 && !this.#isWorking) return;
    this.#work.push(work);
    this.pump();
  }

  /** Finishes what it is at, and begins nothing more. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.pump();
  }

  pump(): void {
    if (this.#isWorking || this.#isPaused) return;
    const next = this.#work.shift();
    if (next === undefined) return;
    this.#isWorking = true;
    const settle = () => {
      this.#isWorking = false;
      this.pump();
    };
    drive(this.#handle(next)).then(settle, (error: unknown) => {
      this.refuse(messageOf(error));
      settle();
    });
  }

  state(): TriggersState {
    const active = [...this.#active.values()].map(({ trigger, collections }) => ({ trigger, collections }));
    return { active, work: [...this.#work] };
  }

  *#handle(work: TriggerWork): Routine<void> {
    if ('set' in work) {
      const trigger = yield* waitFor(eventActivities.prepareTrigger(work.set, this.tenant));
      this.#set(trigger);
    } else if ('unset' in work) {
      const wasThere = this.#active.delete(work.unset);
      if (!wasThere && work.isMaybe !== true) this.refuse(`there is no trigger "${shortText(work.unset)}"`);
    } else {
      for (const active of [...this.#active.values()]) {
        if (accepts(active, work.event)) yield* this.#offer(active, work.event);
      }
    }
  }

  /** A trigger that is set again under its id takes the place of the old one, and forgets what that had collected. */
  #set(trigger: PreparedTrigger): void {
    const others = [...this.#active.values()].filter((active) => active.trigger.id !== trigger.id);
    const bytes = jsonBytes([...others.map((active) => active.trigger), trigger]);
    if (others.length >= MAX_TRIGGERS || bytes > MAX_TRIGGERS_BYTES) {
      const advice = `at most ${MAX_TRIGGERS} with ${MAX_TRIGGERS_BYTES} bytes of JSON fit; name flows instead of sending them`;
      this.refuse(`trigger "${trigger.id}": there are too many; ${advice}`);
      return;
    }
    this.#activate(trigger, []);
  }

  #activate(trigger: PreparedTrigger, collections: readonly Collection[]): void {
    const literals = trigger.on.filters.map(({ literal }) => new LiteralFilter(literal));
    this.#active.set(trigger.id, { trigger, literals, collections });
  }

  /** The event goes to the first collection that it fits, else begins one of its own. */
  *#offer(active: ActiveTrigger, event: CloudEvent): Routine<void> {
    const { trigger } = active;
    const begun: Collection = { consumer: { matched: [], keys: {} }, events: [] };
    for (const [index, collection] of [...active.collections, begun].entries()) {
      const consumer = new EventConsumer(trigger.on, this.#host(trigger), collection.consumer);
      if (!(yield* consumer.offer(event))) continue;
      const events = [...collection.events, event];
      const others = active.collections.filter((_, other) => other !== index);
      if (consumer.isComplete) {
        active.collections = others;
        yield* this.#start(trigger, events);
      } else {
        active.collections = [...others, { consumer: consumer.state(), events }];
        this.#dropOldest(active);
      }
      return;
    }
  }

  #dropOldest(active: ActiveTrigger): void {
    const all = [...this.#active.values()].map(({ collections }) => collections);
    if (active.collections.length <= MAX_COLLECTIONS && jsonBytes(all) <= MAX_COLLECTED_BYTES) return;
    active.collections = active.collections.slice(1);
    this.refuse(`trigger "${active.trigger.id}": the oldest incomplete set of events was dropped, there are too many`);
  }

  *#start(trigger: PreparedTrigger, events: readonly CloudEvent[]): Routine<void> {
    const start: TriggeredStart = {
      workflowId: triggeredFlowId(this.tenant, trigger.id, events),
      taskQueue: workflowInfo().taskQueue,
      tenant: this.tenant,
      flow: trigger.flow,
      input: trigger.input ?? events.map((event) => readEvent(event, trigger.read)),
      ...(trigger.grant === undefined ? {} : { grant: trigger.grant }),
    };
    yield* waitFor(eventActivities.startTriggeredFlow(start));
  }

  #host(trigger: PreparedTrigger): ConsumerHost {
    return {
      evaluate: (items, variables) => this.#expressions.evaluate(trigger.language, items, variables),
      variables: () => ({ data: null }),
      note: (text) => this.refuse(`trigger "${trigger.id}": ${text}`),
    };
  }
}

function accepts({ trigger, literals }: ActiveTrigger, event: CloudEvent): boolean {
  return trigger.on.filters.length === 0 || literals.some((literal) => literal.matches(event));
}

function nameOf(flow: Json): string {
  if (typeof flow === 'string') return flow;
  const header = isJsonObject(flow) && isJsonObject(flow.document) ? flow.document : {};
  return `${String(header.namespace)}/${String(header.name)}:${String(header.version)}`;
}

/** The same for the same events, so that they start one flow; with the tenant in it, so that no two tenants share one. */
function triggeredFlowId(tenant: string, triggerId: string, events: readonly CloudEvent[]): string {
  const id = shortText(events.at(-1)?.id ?? '', MAX_EVENT_ID_LENGTH);
  return `${tenant}:${triggerId}:${id}:${fingerprint(events.map(eventKey).join('\n'))}`;
}
