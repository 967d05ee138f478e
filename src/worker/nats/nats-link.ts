import { setTimeout as delay } from 'node:timers/promises';
import { jetstream } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { messageOf } from '../../dsl/errors';
import type { Logger } from '../logger';
import { connectNats } from './connect-nats';
import type { EventIntake } from './event-intake';
import type { NatsConfig } from './nats-config';
import type { OutboxRow } from './outbox-rules';
import { type OutboxSender, publish, type Session } from './outbox-sender';
import { ensureConsumer, ensureStreams } from './streams';

/** Pauses between two tries to reach NATS, each up to half as long more. */
const MIN_RETRY_MS = 250;
const MAX_RETRY_MS = 10_000;

/** A connection that lasted so long was a good one. */
const GOOD_AFTER_MS = 30_000;

/** How long a worker that stops waits for messages that are under way. */
const CLOSE_MS = 2_000;

/**
 * A worker's connection to NATS, kept up for as long as the worker runs. Nothing waits for it: while NATS is away messages gather
 * in the outbox. The log has one line when it goes, and one when it is back.
 */
export class NatsLink {
  readonly #stopping = new AbortController();
  #session: Session | undefined;
  #state: 'new' | 'away' | 'connected' = 'new';
  #running: Promise<void> | undefined;

  constructor(
    private readonly parts: {
      readonly config: NatsConfig;
      readonly worker: string;
      readonly sender: OutboxSender;
      /** Absent on workers that run no flows. */
      readonly intake?: { readonly events: EventIntake; readonly consumer: string };
      readonly logger: Logger;
      /** Told why NATS is away; undefined: it is there. */
      readonly onNats: (problem: string | undefined) => void;
    },
  ) {}

  /** Returns at once. */
  start(): void {
    this.#running ??= this.#run();
  }

  /** Publishes a message past the outbox. Throws where NATS cannot be reached. */
  async publishNow(row: OutboxRow): Promise<void> {
    if (this.#session === undefined) throw new Error('neither the state store nor NATS can be reached');
    if (!(await publish(this.#session, row))) throw new Error('the message is too large for NATS');
  }

  /** Lets what is under way end. Never throws. */
  async close(): Promise<void> {
    this.#stopping.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { signal } = this.#stopping;
    for (let failures = 0; !signal.aborted; failures += 1) {
      const begunAt = performance.now();
      try {
        await this.#connectAndServe();
      } catch (error) {
        if (signal.aborted) return;
        this.#tellAway(error);
      }
      if (performance.now() - begunAt > GOOD_AFTER_MS) failures = 0;
      const pauseMs = Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(10, failures));
      await delay(pauseMs * (1 + Math.random() / 2), undefined, { signal }).catch(() => undefined);
    }
  }

  /** Serves until the worker stops; throws where NATS cannot be reached, or not any more. */
  async #connectAndServe(): Promise<void> {
    const { config, worker } = this.parts;
    const nats = await connectNats(config, worker);
    try {
      await this.#serve(nats);
    } finally {
      this.#session = undefined;
      await nats.close();
    }
  }

  async #serve(nats: NatsConnection): Promise<void> {
    const { sender, intake } = this.parts;
    const manager = await ensureStreams(nats);
    if (intake !== undefined) await ensureConsumer(manager, intake.consumer);
    const stream = jetstream(nats);
    const session = { nats, stream };
    this.#session = session;

    const ending = new AbortController();
    const signal = AbortSignal.any([this.#stopping.signal, ending.signal]);
    const closed = nats.closed().then((error) => {
      throw error instanceof Error ? error : new Error('the connection was closed');
    });
    closed.catch(() => undefined);
    const work = [
      sender.run(session, signal, () => this.#tellConnected()),
      ...(intake === undefined ? [] : [intake.events.run(stream, signal)]),
    ];
    try {
      // One that ends by itself is one that cannot go on.
      await Promise.race([closed, Promise.race(work).then(() => endedUnless(signal))]);
    } finally {
      ending.abort();
      const ended = Promise.allSettled(work);
      // With the acknowledgements of what has been taken.
      const flushed = ended.then(() => nats.flush()).catch(() => undefined);
      await Promise.race([flushed, delay(CLOSE_MS, undefined, { ref: false })]);
      // What still waits for an answer gets none.
      await nats.close();
      await ended;
    }
  }

  #tellConnected(): void {
    const message = this.#state === 'away' ? 'NATS is back' : 'NATS is connected';
    if (this.#state !== 'connected') this.parts.logger.log('info', message, { part: 'nats' });
    this.#state = 'connected';
    this.parts.onNats(undefined);
  }

  #tellAway(error: unknown): void {
    const reason = messageOf(error);
    const message = 'NATS is away: events and dead letters wait in the state store';
    if (this.#state !== 'away') this.parts.logger.log('warn', message, { part: 'nats', error: reason });
    this.#state = 'away';
    this.parts.onNats(reason);
  }
}

function endedUnless(signal: AbortSignal): void {
  if (!signal.aborted) throw new Error('the stream or its consumer is gone');
}
