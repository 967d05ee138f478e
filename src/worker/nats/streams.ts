import {
  AckPolicy,
  DeliverPolicy,
  DiscardPolicy,
  JetStreamApiError,
  type JetStreamManager,
  jetstreamManager,
  RetentionPolicy,
  StorageType,
  type StreamConfig,
} from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/transport-node';
import { nanos } from '@nats-io/transport-node';
import { DEAD_LETTERS_PREFIX, DEAD_LETTERS_STREAM, EVENTS_PREFIX, EVENTS_STREAM } from './subjects';

const DAY_MS = 86_400_000;

/** How long a stream knows a message again by its id. Ids are in the server's memory, some hundred bytes each. */
const DUPLICATE_WINDOW_MS = 600_000;

/** A durable consumer that nobody has used for so long is removed: that of an installation that is gone. */
const MAX_INACTIVE_MS = 30 * DAY_MS;

/** How long a worker may take with an event until another gets it: also what an event waits for whose worker was killed. */
const ACK_WAIT_MS = 15_000;

/** Both are made where they are missing, and left as they are where they are there: an operator may want other limits. */
const STREAMS = [
  {
    name: DEAD_LETTERS_STREAM,
    subjects: [`${DEAD_LETTERS_PREFIX}*`],
    max_age: nanos(30 * DAY_MS),
    max_bytes: 128 * 1024 * 1024,
  },
  {
    name: EVENTS_STREAM,
    subjects: [`${EVENTS_PREFIX}*.>`],
    max_age: nanos(7 * DAY_MS),
    max_bytes: 512 * 1024 * 1024,
  },
] satisfies Partial<StreamConfig>[];

/** Makes the streams that are missing. */
export async function ensureStreams(nats: NatsConnection): Promise<JetStreamManager> {
  const manager = await jetstreamManager(nats, { checkAPI: false });
  for (const stream of STREAMS) {
    if ((await manager.streams.info(stream.name).catch(undefinedIfMissing)) !== undefined) continue;
    await manager.streams.add({
      ...stream,
      retention: RetentionPolicy.Limits,
      storage: StorageType.File,
      discard: DiscardPolicy.Old,
      duplicate_window: nanos(DUPLICATE_WINDOW_MS),
    });
  }
  return manager;
}

/** Makes the consumer that all workers of an installation share, from now on. */
export async function ensureConsumer(manager: JetStreamManager, name: string): Promise<void> {
  if ((await manager.consumers.info(EVENTS_STREAM, name).catch(undefinedIfMissing)) !== undefined) return;
  await manager.consumers.add(EVENTS_STREAM, {
    durable_name: name,
    description: 'Events on their way to the flows of a Beamline installation',
    // Who does not listen when an event is published does not get it.
    deliver_policy: DeliverPolicy.New,
    ack_policy: AckPolicy.Explicit,
    ack_wait: nanos(ACK_WAIT_MS),
    max_deliver: -1,
    inactive_threshold: nanos(MAX_INACTIVE_MS),
  });
}

/** "stream not found", "consumer not found" (JetStream's errors 10059, 10014). */
function undefinedIfMissing(error: unknown): undefined {
  if (error instanceof JetStreamApiError && [10_059, 10_014].includes(error.code)) return undefined;
  throw error;
}
