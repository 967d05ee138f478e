import type { JetStreamClient, JsMsg } from '@nats-io/jetstream';
import { isGrpcServiceError, ServiceError } from '@temporalio/client';
import type { EventPort } from '../../activities/ports/events';
import { type CloudEvent, MAX_EVENT_LENGTH, parseCloudEvent } from '../../dsl/events/cloud-event';
import { shortText } from '../../dsl/problems';
import type { Logger } from '../logger';
import type { PolicySource } from '../policy/policy';
import { ORIGIN_HEADER } from './outbox-sender';
import { EVENTS_STREAM, tenantOfSubject } from './subjects';

/** Messages that a worker fetches ahead, and that it works on at once. */
const PREFETCH = 50;
const AT_ONCE = 16;

/** A character of JSON has at most three bytes of UTF-8. */
const MAX_BYTES = MAX_EVENT_LENGTH * 3;

/** When an event comes again that Temporal did not take. */
const MIN_RETRY_MS = 500;
const MAX_RETRY_MS = 30_000;

/** gRPC's INVALID_ARGUMENT: what Temporal does not take now it will not take later. */
const INVALID_ARGUMENT = 3;

/**
 * Takes events that others published, and gives them to the event bus of the tenant that the subject names: what an event says of
 * tenants counts nothing. A message is acknowledged once the bus has it; one that is no event is taken out of the way, with a line in
 * the log.
 */
export class EventIntake {
  /** Temporal did not take an event, and the log has said so. */
  #isRefused = false;

  constructor(
    private readonly parts: {
      readonly events: Pick<EventPort, 'emit'>;
      /** Where the tenants' buses run. */
      readonly taskQueue: string;
      /** The installation, which is also the name of its consumer. */
      readonly origin: string;
      readonly policy: PolicySource;
      readonly logger: Logger;
    },
  ) {}

  /** Takes events until it is told to stop or the connection ends; then what is under way has ended too. */
  async run(stream: JetStreamClient, signal: AbortSignal): Promise<void> {
    const consumer = await stream.consumers.get(EVENTS_STREAM, this.parts.origin);
    const messages = await consumer.consume({ max_messages: PREFETCH, abort_on_missing_resource: true });
    const stop = () => messages.stop();
    signal.addEventListener('abort', stop);
    if (signal.aborted) stop();
    const running = new Set<Promise<void>>();
    /** The last of each tenant: its events go on in their order, and hold up nobody else's. */
    const lanes = new Map<string, Promise<void>>();
    try {
      for await (const message of messages) {
        if (signal.aborted) {
          // Fetched ahead: others may have it at once.
          message.nak();
          continue;
        }
        const { subject } = message;
        const lane = tenantOfSubject(subject) ?? '';
        const work = (lanes.get(lane) ?? Promise.resolve()).then(() => this.#take(message));
        // Where the connection is gone nothing can be acknowledged: the message comes again.
        const tracked = work
          .catch(() => undefined)
          .finally(() => {
            running.delete(tracked);
            if (lanes.get(lane) === tracked) lanes.delete(lane);
          });
        lanes.set(lane, tracked);
        running.add(tracked);
        if (running.size >= AT_ONCE) await Promise.race(running);
      }
    } finally {
      signal.removeEventListener('abort', stop);
      await Promise.allSettled(running);
    }
  }

  async #take(message: JsMsg): Promise<void> {
    const { events, taskQueue, origin, logger } = this.parts;
    if (message.headers?.get(ORIGIN_HEADER) === origin) {
      // The bus had it before NATS.
      message.ack();
      return;
    }
    const read = this.#read(message);
    if ('problem' in read) {
      this.#refuse(message, read.problem);
      return;
    }
    const { tenant, event } = read;
    try {
      await events.emit({ tenant, taskQueue }, event);
    } catch (error) {
      const cause = error instanceof ServiceError ? error.cause : error;
      if (isGrpcServiceError(cause) && cause.code === INVALID_ARGUMENT) {
        this.#refuse(message, cause.details);
        return;
      }
      if (!this.#isRefused)
        logger.log('warn', 'events from NATS wait: Temporal does not take them', { error: String(error) });
      this.#isRefused = true;
      message.nak(Math.min(MAX_RETRY_MS, MIN_RETRY_MS * 2 ** Math.min(10, message.info.deliveryCount)));
      return;
    }
    if (this.#isRefused) logger.log('info', 'Temporal takes events from NATS again');
    this.#isRefused = false;
    message.ack();
  }

  #read({ subject, data }: JsMsg): { tenant: string; event: CloudEvent } | { problem: string } {
    const tenant = tenantOfSubject(subject);
    if (tenant === undefined) return { problem: 'its subject names no tenant' };
    const policy = this.parts.policy.current();
    if (policy !== undefined && !policy.tenants.has(tenant)) return { problem: 'the policy knows no such tenant' };
    if (data.length > MAX_BYTES) return { problem: `it has ${data.length} bytes, more than any event` };
    let value: unknown;
    try {
      value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(data));
    } catch {
      return { problem: 'it is no JSON; expected a CloudEvent in structured mode' };
    }
    const parsed = parseCloudEvent(value);
    return 'event' in parsed ? { tenant, event: parsed.event } : { problem: parsed.problem };
  }

  /** Neither this worker nor another will ever take it. */
  #refuse(message: JsMsg, problem: string): void {
    const { subject, info } = message;
    this.parts.logger.log('warn', 'a message from NATS was refused', {
      subject: shortText(subject, 200),
      sequence: info.streamSequence,
      error: shortText(problem, 300),
    });
    message.term();
  }
}
