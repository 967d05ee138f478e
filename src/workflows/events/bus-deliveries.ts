import { getExternalWorkflowHandle } from '@temporalio/workflow';
import { jsonBytes } from '../../dsl/encoded-json';
import { messageOf } from '../../dsl/errors';
import type { Delivery } from '../../dsl/events/bus-messages';
import { inline } from '../../dsl/inline-values';
import { EVENT_SIGNAL } from '../../dsl/names';

/** Signals under way at once; Temporal holds 2,000 a workflow. */
const MAX_SENDING = 200;

/** Bytes under way at once, since they may all be commands of one workflow task, whose message holds 4 MiB. */
const MAX_SENDING_BYTES = 1_500_000;

/** Bytes and events of one signal. A flow takes 10,000 signals a run, so that events which wait travel together. */
const MAX_BATCH_BYTES = 1_000_000;
const MAX_BATCH = 500;

/** What waits for one flow, in its order. */
interface Outbox {
  readonly queue: { readonly delivery: Delivery; readonly bytes: number }[];
  isSending: boolean;
}

/** What of the deliveries goes on when the bus continues as new. */
export type DeliveriesState = readonly { readonly flowId: string; readonly queue: readonly Delivery[] }[];

/** Sends events to flows: each flow gets its own one signal at a time, so in their order, and slow ones hold up nobody. */
export class BusDeliveries {
  readonly #outboxes = new Map<string, Outbox>();
  #sending = 0;
  #sendingBytes = 0;
  #waiting = 0;
  #waitingBytes = 0;
  #isPaused = false;

  constructor(
    private readonly onGone: (flowId: string, reason: string) => void,
    state: DeliveriesState = [],
  ) {
    for (const { flowId, queue } of state) for (const delivery of queue) this.#put(flowId, delivery);
  }

  /** Events that have not arrived yet. */
  get pending(): number {
    return this.#waiting + this.#sending;
  }

  get waitingBytes(): number {
    return this.#waitingBytes;
  }

  get isSending(): boolean {
    return this.#sending > 0;
  }

  add(flowId: string, delivery: Delivery): void {
    this.#put(flowId, delivery);
    this.pump();
  }

  /** Lets what is under way arrive, and starts nothing more. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    this.pump();
  }

  /** Sends as much as may be under way. */
  pump(): void {
    if (this.#isPaused) return;
    for (const [flowId, outbox] of this.#outboxes) {
      if (outbox.isSending || outbox.queue.length === 0) continue;
      const next = outbox.queue[0]?.bytes ?? 0;
      const hasRoom = this.#sending < MAX_SENDING && this.#sendingBytes + next <= MAX_SENDING_BYTES;
      if (this.#sending > 0 && !hasRoom) return;
      this.#send(flowId, outbox);
    }
  }

  state(): DeliveriesState {
    return [...this.#outboxes].map(([flowId, { queue }]) => ({ flowId, queue: queue.map(({ delivery }) => delivery) }));
  }

  #put(flowId: string, delivery: Delivery): void {
    const outbox = this.#outboxes.get(flowId) ?? { queue: [], isSending: false };
    this.#outboxes.set(flowId, outbox);
    const bytes = jsonBytes(delivery);
    outbox.queue.push({ delivery, bytes });
    this.#waiting += 1;
    this.#waitingBytes += bytes;
  }

  #send(flowId: string, outbox: Outbox): void {
    const room = Math.min(MAX_BATCH_BYTES, MAX_SENDING_BYTES - this.#sendingBytes);
    let bytes = 0;
    const batch: Delivery[] = [];
    for (let next = outbox.queue[0]; next !== undefined; next = outbox.queue[0]) {
      if (batch.length > 0 && (bytes + next.bytes > room || batch.length >= MAX_BATCH)) break;
      bytes += next.bytes;
      batch.push(next.delivery);
      outbox.queue.shift();
    }
    this.#waiting -= batch.length;
    this.#waitingBytes -= bytes;
    this.#sending += 1;
    this.#sendingBytes += bytes;
    outbox.isSending = true;
    const settle = () => {
      outbox.isSending = false;
      this.#sending -= 1;
      this.#sendingBytes -= bytes;
      if (outbox.queue.length === 0) this.#outboxes.delete(flowId);
      this.pump();
    };
    getExternalWorkflowHandle(flowId)
      .signal(EVENT_SIGNAL, inline(batch))
      .then(settle, (error: unknown) => {
        this.#drop(outbox);
        this.onGone(flowId, messageOf(error));
        settle();
      });
  }

  #drop({ queue }: Outbox): void {
    for (const { bytes } of queue.splice(0)) {
      this.#waiting -= 1;
      this.#waitingBytes -= bytes;
    }
  }
}
