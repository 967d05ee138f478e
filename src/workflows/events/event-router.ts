import { jsonBytes } from '../../dsl/encoded-json';
import {
  type BusOverview,
  type EmitAnswer,
  parseSubscription,
  parseUnsubscription,
  type Subscription,
} from '../../dsl/events/bus-messages';
import { type CloudEvent, eventKey, parseCloudEvent } from '../../dsl/events/cloud-event';
import { LiteralFilter } from '../../dsl/events/literal-filter';
import { isJsonObject, type Json } from '../../dsl/json';
import { shortText } from '../../dsl/problems';
import { undecodableReason } from '../../dsl/undecodable';
import { BusDeliveries, type DeliveriesState } from './bus-deliveries';
import { BusTriggers, type TriggersState } from './bus-triggers';
import { remember } from './event-inbox';
import { fingerprint } from './fingerprint';

/** Steps of one tenant that listen at once, and the size of their filters: they go on when the bus continues as new. */
const MAX_SUBSCRIPTIONS = 5_000;
const MAX_SUBSCRIPTIONS_BYTES = 600_000;

/** Events that are remembered to find duplicates. */
const MAX_REMEMBERED = 1_000;
const MAX_REMEMBERED_KEY = 100;

const KEPT_REFUSALS = 20;
const MAX_REFUSAL_LENGTH = 300;

/** What may be on its way, in bytes, when the bus continues as new; more is sent first. */
const MAX_CARRIED_BYTES = 200_000;

/** All that a bus brings along when it continues as new. In histories: add optional fields, never change one. */
export interface BusState {
  readonly subscriptions: readonly Subscription[];
  readonly seen: readonly string[];
  readonly deliveries: DeliveriesState;
  readonly triggers: TriggersState;
  readonly emitted: number;
  readonly duplicates: number;
  readonly refused: BusOverview['refused'];
}

interface Subscriber {
  readonly subscription: Subscription;
  readonly matchers: readonly LiteralFilter[];
  readonly bytes: number;
}

/** Knows who listens, and passes events on. Everything it is told happens at once; only sending takes time. */
export class EventRouter {
  readonly #subscribers = new Map<string, Subscriber>();
  #bytes = 0;
  readonly #seen: Set<string>;
  readonly #deliveries: BusDeliveries;
  readonly #triggers: BusTriggers;
  readonly #refused: { at: string; reason: string }[];
  #emitted: number;
  #duplicates: number;

  constructor(
    private readonly tenant: string,
    state?: BusState,
  ) {
    this.#seen = new Set(state?.seen);
    this.#emitted = state?.emitted ?? 0;
    this.#duplicates = state?.duplicates ?? 0;
    this.#refused = [...(state?.refused ?? [])];
    this.#deliveries = new BusDeliveries((flowId) => this.#forget(flowId), state?.deliveries);
    this.#triggers = new BusTriggers(tenant, (reason) => this.refuse(reason), state?.triggers);
    for (const subscription of state?.subscriptions ?? []) this.#add(subscription);
  }

  emit(event: CloudEvent): EmitAnswer {
    const { id } = event;
    const key = shortKey(eventKey(event));
    if (this.#seen.has(key)) {
      this.#duplicates += 1;
      return { id, receivers: 0, duplicate: true };
    }
    remember(this.#seen, key, MAX_REMEMBERED);
    this.#emitted += 1;
    let receivers = this.#triggers.countMatches(event);
    for (const { subscription, matchers } of this.#subscribers.values()) {
      if (!matchers.some((matcher) => matcher.matches(event))) continue;
      receivers += 1;
      this.#deliveries.add(subscription.flowId, { subscription: subscription.id, event });
    }
    this.#triggers.add({ event });
    return { id, receivers };
  }

  /** By signal: what is wrong can only be noted. */
  emitUnheard(value: Json): void {
    const parsed = parseCloudEvent(value);
    if ('event' in parsed) this.emit(parsed.event);
    else this.refuse(`emit: ${parsed.problem}`);
  }

  subscribe(value: Json): void {
    const parsed = parseSubscription(value);
    if ('problem' in parsed) {
      this.refuse(`subscribe: ${parsed.problem}`);
      return;
    }
    const { subscription } = parsed;
    const bytes = this.#bytes + jsonBytes(subscription);
    if (this.#subscribers.size < MAX_SUBSCRIPTIONS && bytes <= MAX_SUBSCRIPTIONS_BYTES) {
      this.#add(subscription);
      return;
    }
    const refused = `${this.#subscribers.size} steps of the tenant ${this.tenant} listen already; no more fit`;
    this.refuse(`subscribe: ${refused}`);
    this.#deliveries.add(subscription.flowId, { subscription: subscription.id, refused });
  }

  unsubscribe(value: Json): void {
    const parsed = parseUnsubscription(value);
    if ('problem' in parsed) this.refuse(`unsubscribe: ${parsed.problem}`);
    else this.#remove(keyOf(parsed));
  }

  trigger(value: Json): void {
    this.#triggers.add({ set: value });
  }

  untrigger(value: Json): void {
    const unreadable = undecodableReason(value);
    const { id, ifMissing } = isJsonObject(value) ? value : {};
    if (typeof id === 'string') this.#triggers.add({ unset: id, ...(ifMissing === 'ignore' ? { isMaybe: true } : {}) });
    else this.refuse(`untrigger: ${unreadable ?? 'expected {"id": "…", "ifMissing"?: "ignore"}'}`);
  }

  pump(): void {
    this.#deliveries.pump();
    this.#triggers.pump();
  }

  pause(): void {
    this.#deliveries.pause();
    this.#triggers.pause();
  }

  resume(): void {
    this.#deliveries.resume();
    this.#triggers.resume();
  }

  /** True where what waits is little enough to be carried to the next history. */
  get isPortable(): boolean {
    return this.#deliveries.waitingBytes + this.#triggers.waitingBytes <= MAX_CARRIED_BYTES;
  }

  /** True where, once paused, nothing is under way any more. */
  get isIdle(): boolean {
    return !this.#deliveries.isSending && !this.#triggers.isWorking;
  }

  overview(): BusOverview {
    return {
      tenant: this.tenant,
      subscriptions: [...this.#subscribers.values()].map(({ subscription }) => subscription),
      triggers: this.#triggers.overview(),
      pending: this.#deliveries.pending + this.#triggers.pending,
      emitted: this.#emitted,
      duplicates: this.#duplicates,
      refused: [...this.#refused],
    };
  }

  state(): BusState {
    return {
      subscriptions: [...this.#subscribers.values()].map(({ subscription }) => subscription),
      seen: [...this.#seen],
      deliveries: this.#deliveries.state(),
      triggers: this.#triggers.state(),
      emitted: this.#emitted,
      duplicates: this.#duplicates,
      refused: [...this.#refused],
    };
  }

  #add(subscription: Subscription): void {
    const key = keyOf(subscription);
    this.#remove(key);
    const bytes = jsonBytes(subscription);
    const matchers = subscription.filters.map((attributes) => new LiteralFilter(attributes));
    this.#subscribers.set(key, { subscription, matchers, bytes });
    this.#bytes += bytes;
  }

  #remove(key: string): void {
    const subscriber = this.#subscribers.get(key);
    if (subscriber === undefined) return;
    this.#subscribers.delete(key);
    this.#bytes -= subscriber.bytes;
  }

  /** A flow that has ended without a word, for instance because somebody terminated it. */
  #forget(flowId: string): void {
    for (const [key, { subscription }] of this.#subscribers) if (subscription.flowId === flowId) this.#remove(key);
  }

  /** Notes what was not done: a signal cannot answer. */
  refuse(reason: string): void {
    this.#refused.push({ at: new Date(Date.now()).toISOString(), reason: shortText(reason, MAX_REFUSAL_LENGTH) });
    if (this.#refused.length > KEPT_REFUSALS) this.#refused.shift();
  }
}

function keyOf({ id, flowId }: { readonly id: string; readonly flowId: string }): string {
  return `${flowId}\n${id}`;
}

/** Keys are kept by the thousand, and anybody chooses how long they are. */
function shortKey(key: string): string {
  return key.length <= MAX_REMEMBERED_KEY ? key : `${key.slice(0, MAX_REMEMBERED_KEY / 2)}…${fingerprint(key)}`;
}
