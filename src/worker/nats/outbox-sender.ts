import { setTimeout as delay } from 'node:timers/promises';
import { JetStreamApiError, type JetStreamClient } from '@nats-io/jetstream';
import { headers, type NatsConnection, PermissionViolationError, RequestError } from '@nats-io/transport-node';
import type { Logger } from '../logger';
import { leaveDuty } from '../state/duties';
import { type StateStore, StateStoreUnavailable } from '../state/state-store';
import type { MessageBodies } from './message-body';
import { hasMessages, type OutboxRow, postponeMessage, removeMessage, takeMessages } from './outbox-rules';

/** CloudEvents' NATS binding, structured mode. */
export const CLOUD_EVENT_TYPE = 'application/cloudevents+json';

/** Header that says which installation published an event, so that it does not take its own in again. */
export const ORIGIN_HEADER = 'Beamline-Origin';

/** How often a worker looks for what others have kept. */
const POLL_MS = 1_000;

/** Messages of one turn: few, since the one with the duty has to be heard of in its time, and a body may have a megabyte. */
const BATCH = 20;

/** How long a message that cannot be read or published by itself lets others go first. */
const POSTPONE_MS = 60_000;

/** Room for subject and headers beside the body in NATS's `max_payload`. */
const HEADERS_BYTES = 4_096;

/** "message size exceeds maximum allowed" of a stream (JetStream's error 10054). */
const TOO_LARGE = 10_054;

/** A connection to NATS. */
export interface Session {
  readonly nats: NatsConnection;
  readonly stream: JetStreamClient;
}

/** Publishes what waits in the state store, in its order, one worker at a time for all. */
export class OutboxSender {
  #wake: (() => void) | undefined;
  #hasNews = false;

  constructor(
    private readonly parts: {
      readonly store: StateStore;
      readonly bodies: MessageBodies;
      readonly worker: string;
      readonly logger: Logger;
    },
  ) {}

  /** There is something new to publish. */
  wake(): void {
    this.#hasNews = true;
    this.#wake?.();
  }

  /**
   * Publishes until it is told to stop; throws where NATS does not take a message for a reason that is not the message's own. `onReady`
   * is called once NATS has taken what there was at first.
   */
  async run(session: Session, signal: AbortSignal, onReady: () => void): Promise<void> {
    let isReady = false;
    try {
      while (!signal.aborted) {
        const sent = await this.#sendBatch(session, signal).catch((error: unknown) => {
          // The store's own matter: the messages are safe in it.
          if (error instanceof StateStoreUnavailable) return 0;
          throw error;
        });
        if (!isReady) onReady();
        isReady = true;
        if (sent === 0) await this.#pause(signal);
      }
    } finally {
      // Whoever reaches NATS may go on at once.
      const { store, worker } = this.parts;
      await store.run(() => leaveDuty('publish', worker)).catch(() => undefined);
    }
  }

  async #sendBatch(session: Session, signal: AbortSignal): Promise<number> {
    const { store, worker } = this.parts;
    this.#hasNews = false;
    if (!(await store.run(hasMessages, { isReading: true }))) return 0;
    const rows = await store.run(() => takeMessages(worker, BATCH));
    for (const row of rows) {
      if (signal.aborted) break;
      await this.#send(session, row);
    }
    return rows.length;
  }

  async #send(session: Session, row: OutboxRow): Promise<void> {
    const { store, bodies, logger } = this.parts;
    const { id, tenant, subject } = row;
    const postpone = async (problem: string, error: unknown) => {
      logger.log('error', problem, { tenant_id: tenant, subject, error: String(error) });
      await store.run(() => postponeMessage(id, POSTPONE_MS));
    };
    let body: string;
    try {
      body = await bodies.open(tenant, row.body);
    } catch (error) {
      return await postpone('a message for NATS cannot be read', error);
    }
    try {
      if (!(await publish(session, { ...row, body }))) {
        const bytes = Buffer.byteLength(body);
        logger.log('error', 'a message was dropped: it is too large for NATS', { tenant_id: tenant, subject, bytes });
      }
    } catch (error) {
      const cause = error instanceof RequestError ? error.cause : error;
      if (!(cause instanceof PermissionViolationError)) throw error;
      return await postpone('a message was not published: NATS does not allow it', error);
    }
    await store.run(() => removeMessage(id));
  }

  async #pause(signal: AbortSignal): Promise<void> {
    // It came while the others were looked at.
    if (this.#hasNews) return;
    const woken = new AbortController();
    this.#wake = () => woken.abort();
    await delay(POLL_MS, undefined, { signal: AbortSignal.any([signal, woken.signal]) }).catch(() => undefined);
    this.#wake = undefined;
  }
}

/** Publishes a message and waits until the stream has it; false where it is larger than the server will ever take. */
export async function publish({ nats, stream }: Session, row: OutboxRow): Promise<boolean> {
  const { id, subject, origin, body } = row;
  const bytes = Buffer.from(body);
  const { max_payload: maxBytes = Number.POSITIVE_INFINITY } = nats.info ?? {};
  if (bytes.length + HEADERS_BYTES > maxBytes) return false;
  const head = headers();
  head.set('Content-Type', CLOUD_EVENT_TYPE);
  head.set(ORIGIN_HEADER, origin);
  try {
    await stream.publish(subject, bytes, { msgID: id, headers: head });
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === TOO_LARGE) return false;
    throw error;
  }
}
