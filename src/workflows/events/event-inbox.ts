import { type CloudEvent, eventKey } from '../../dsl/events/cloud-event';
import { LiteralFilter } from '../../dsl/events/literal-filter';
import type { JsonObject } from '../../dsl/json';
import { shortText } from '../../dsl/problems';

/** Events that are kept for listeners to come, and their length in characters of JSON. */
const MAX_KEPT = 1_000;
const MAX_KEPT_LENGTH = 1_000_000;

/** Events that are remembered to find duplicates among those sent to the flow itself. */
const MAX_REMEMBERED = 1_000;

/** An event that was sent to the flow itself: it waits for somebody to take it. */
interface DirectEvent {
  readonly seq: number;
  readonly event: CloudEvent;
  /** In characters of JSON. */
  readonly length: number;
  /** Listeners that have not decided yet. */
  undecided: number;
  isTaken: boolean;
}

/** An event in front of a listener. */
export interface QueuedEvent {
  readonly event: CloudEvent;
  /** Where it came by the flow's own address, not by a subscription. */
  readonly direct?: DirectEvent;
}

/** A step that listens; see {@link EventInbox.open}. */
export class Listener {
  readonly queue: QueuedEvent[] = [];
  /** Why the event bus does not deliver. */
  refusal: string | undefined;
  readonly #matchers: readonly LiteralFilter[];

  constructor(
    /** The subscription's, unique within the flow. */
    readonly id: string,
    readonly filters: readonly JsonObject[],
  ) {
    this.#matchers = filters.map((attributes) => new LiteralFilter(attributes));
  }

  /** Coarse: what of the filters is literal. */
  accepts(event: CloudEvent): boolean {
    return this.#matchers.some((matcher) => matcher.matches(event));
  }
}

/** What of an inbox goes on when a flow continues as new. In histories: add optional fields, never change one. */
export interface InboxState {
  readonly lastSeq: number;
  readonly lastListener: number;
  readonly seen: readonly string[];
  readonly direct: readonly { readonly seq: number; readonly event: CloudEvent; readonly isTaken?: true }[];
  readonly listeners: readonly {
    readonly id: string;
    readonly filters: readonly JsonObject[];
    readonly queue: readonly ({ readonly seq: number } | { readonly event: CloudEvent })[];
  }[];
  readonly early?: readonly EarlyEvent[];
}

/** An event for a listener that is not there yet: the flow was reset to before it began, and its signals were kept. */
interface EarlyEvent {
  readonly subscription: string;
  readonly event: CloudEvent;
}

/**
 * The events of one flow: what came by subscriptions goes to their listener; what was sent to the flow itself goes to every
 * listener whose filters it passes, and is kept where none takes it, so that a reply may come before somebody listens.
 */
export class EventInbox {
  readonly #listeners = new Map<string, Listener>();
  /** In the order in which they came. */
  #kept: DirectEvent[] = [];
  #keptLength = 0;
  #early: readonly EarlyEvent[];
  readonly #seen: Set<string>;
  #lastSeq: number;
  #lastListener: number;

  constructor(
    private readonly note: (text: string) => void,
    state?: InboxState,
  ) {
    this.#seen = new Set(state?.seen);
    this.#lastSeq = state?.lastSeq ?? 0;
    this.#lastListener = state?.lastListener ?? 0;
    this.#early = state?.early ?? [];
    if (state !== undefined) this.#restore(state);
  }

  /** Registers a listener, and puts before it what was kept and passes its filters. `place` makes its id readable. */
  open(place: string, filters: readonly JsonObject[]): Listener {
    this.#lastListener += 1;
    const listener = new Listener(`${this.#lastListener}:${place}`, filters);
    this.#listeners.set(listener.id, listener);
    this.#kept = this.#kept.filter((direct) => {
      if (!listener.accepts(direct.event)) return true;
      this.#keptLength -= direct.length;
      queue(listener, direct);
      return false;
    });
    this.#takeEarly(listener, place);
    return listener;
  }

  /** Those for it, or where the steps before it now open their listeners in another order, for the first at its place. */
  #takeEarly(listener: Listener, place: string): void {
    const atPlace = this.#early.filter(({ subscription }) => placeOf(subscription) === place);
    const own = atPlace.some(({ subscription }) => subscription === listener.id)
      ? listener.id
      : atPlace[0]?.subscription;
    if (own === undefined) return;
    for (const { event } of atPlace.filter(({ subscription }) => subscription === own)) listener.queue.push({ event });
    this.#early = this.#early.filter(({ subscription }) => subscription !== own);
  }

  /** A listener that was open when the flow continued as new. */
  reopen(id: string): Listener {
    const listener = this.#listeners.get(id);
    if (listener === undefined) throw new Error(`there is no listener "${id}" in this flow`);
    return listener;
  }

  /** What the listener has not looked at is as if it had never been before it. */
  close(listener: Listener): void {
    this.#listeners.delete(listener.id);
    for (const queued of listener.queue.splice(0)) this.settle(queued, false);
  }

  /** To be called once a listener has decided on an event from its queue. */
  settle({ direct }: QueuedEvent, isTaken: boolean): void {
    if (direct === undefined) return;
    direct.undecided -= 1;
    direct.isTaken ||= isTaken;
    if (direct.undecided === 0 && !direct.isTaken) this.#keep(direct);
  }

  /** Takes an event that was sent to the flow itself. */
  receive(event: CloudEvent): 'delivered' | 'kept' | 'duplicate' {
    const key = eventKey(event);
    if (this.#seen.has(key)) return 'duplicate';
    remember(this.#seen, key, MAX_REMEMBERED);
    this.#lastSeq += 1;
    const direct = directEvent({ seq: this.#lastSeq, event });
    for (const listener of this.#listeners.values()) if (listener.accepts(event)) queue(listener, direct);
    if (direct.undecided > 0) return 'delivered';
    this.#keep(direct);
    return 'kept';
  }

  /** Takes an event from the event bus; of a listener that has ended, it is not wanted any more. */
  deliver(subscription: string, event: CloudEvent): void {
    const listener = this.#listeners.get(subscription);
    if (listener !== undefined) listener.queue.push({ event });
    else if (numberOf(subscription) > this.#lastListener && this.#early.length < MAX_KEPT)
      this.#early = [...this.#early, { subscription, event }];
  }

  /** The event bus does not deliver to a subscription. */
  refuse(subscription: string, reason: string): void {
    const listener = this.#listeners.get(subscription);
    if (listener !== undefined) listener.refusal = reason;
  }

  state(): InboxState {
    const direct = new Map(this.#kept.map((entry) => [entry.seq, entry]));
    const listeners = [...this.#listeners.values()].map(({ id, filters, queue: queued }) => {
      for (const { direct: entry } of queued) if (entry !== undefined) direct.set(entry.seq, entry);
      return {
        id,
        filters,
        queue: queued.map(({ event, direct: entry }) => (entry === undefined ? { event } : { seq: entry.seq })),
      };
    });
    return {
      lastSeq: this.#lastSeq,
      lastListener: this.#lastListener,
      seen: [...this.#seen],
      direct: [...direct.values()].map(({ seq, event, isTaken }) => ({
        seq,
        event,
        ...(isTaken ? { isTaken: true as const } : {}),
      })),
      listeners,
      ...(this.#early.length === 0 ? {} : { early: this.#early }),
    };
  }

  #restore({ direct, listeners }: InboxState): void {
    const entries = new Map<number, DirectEvent>(direct.map((carried) => [carried.seq, directEvent(carried)]));
    for (const { id, filters, queue: queued } of listeners) {
      const listener = new Listener(id, filters);
      this.#listeners.set(id, listener);
      for (const item of queued) {
        const entry = 'seq' in item ? entries.get(item.seq) : undefined;
        if (entry !== undefined) queue(listener, entry);
        else if ('event' in item) listener.queue.push({ event: item.event });
      }
    }
    this.#kept = [...entries.values()].filter(({ undecided, isTaken }) => undecided === 0 && !isTaken);
    this.#keptLength = this.#kept.reduce((sum, { length }) => sum + length, 0);
  }

  /** Costs what the event does, however many there are: thousands may come together. */
  #keep(direct: DirectEvent): void {
    this.#kept.splice(this.#kept.findLastIndex(({ seq }) => seq < direct.seq) + 1, 0, direct);
    this.#keptLength += direct.length;
    while (this.#kept.length > MAX_KEPT || (this.#keptLength > MAX_KEPT_LENGTH && this.#kept.length > 1)) {
      const oldest = this.#kept.shift();
      if (oldest === undefined) return;
      this.#keptLength -= oldest.length;
      this.note(`event ${shortText(oldest.event.id)} was dropped: too many came that no step listens to`);
    }
  }
}

function directEvent({
  seq,
  event,
  isTaken = false,
}: Pick<DirectEvent, 'seq' | 'event'> & { isTaken?: boolean }): DirectEvent {
  return { seq, event, length: JSON.stringify(event).length, undecided: 0, isTaken };
}

function queue(listener: Listener, direct: DirectEvent): void {
  direct.undecided += 1;
  listener.queue.push({ event: direct.event, direct });
}

/** The parts of a listener's id. */
function numberOf(id: string): number {
  return Number.parseInt(id, 10);
}

function placeOf(id: string): string {
  return id.slice(id.indexOf(':') + 1);
}

/** Adds to a window of the newest keys. */
export function remember(window: Set<string>, key: string, max: number): void {
  window.add(key);
  if (window.size <= max) return;
  const [oldest] = window;
  if (oldest !== undefined) window.delete(oldest);
}
