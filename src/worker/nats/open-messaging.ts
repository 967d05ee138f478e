import type { NativeConnection } from '@temporalio/worker';
import type { KeyRing } from '../../activities/payloads/key-ring';
import type { EventPort } from '../../activities/ports/events';
import type { Outbox } from '../../activities/ports/outbox';
import { taskQueueOf } from '../../dsl/names';
import type { WorkerConfig } from '../config';
import type { Logger } from '../logger';
import type { PolicySource } from '../policy/policy';
import type { StateStore } from '../state/state-store';
import { EventIntake } from './event-intake';
import { installationOf } from './installation';
import { MessageBodies } from './message-body';
import { NatsLink } from './nats-link';
import { OutboxSender } from './outbox-sender';
import { publishEvents } from './published-events';
import { StoreOutbox } from './store-outbox';

/** What a worker has for events and messages. */
export interface Messaging {
  readonly events: EventPort;
  readonly outbox: Outbox;
  /** Begins to publish what waits, and to take what others publish; both once the pools are there. */
  start(): void;
  close(): Promise<void>;
}

/**
 * Events inside of Temporal, and with `--nats-url` to and from NATS as well. A worker without it has an outbox too: flows that were
 * prepared on another worker tell of their dead letters, and that one publishes.
 */
export async function openMessaging(parts: {
  readonly config: WorkerConfig;
  readonly connection: NativeConnection;
  readonly namespace: string;
  readonly worker: string;
  readonly store: StateStore;
  readonly keys: KeyRing;
  readonly policy: PolicySource;
  /** As they travel inside of Temporal. */
  readonly events: EventPort;
  readonly logger: Logger;
  /** Told why NATS is away; undefined: it is there. */
  readonly onNats: (problem: string | undefined) => void;
}): Promise<Messaging> {
  const { config, connection, namespace, worker, store, keys, policy, events, logger, onNats } = parts;
  const { nats, queuePrefix } = config;
  const bodies = new MessageBodies(keys);
  if (nats === undefined) {
    // Nobody takes dead letters in again, so that it does not matter whose they are.
    const outbox = new StoreOutbox({ store, bodies, origin: '' });
    return { events, outbox, start: () => undefined, close: async () => undefined };
  }
  const origin = await installationOf(connection, { namespace, queuePrefix });
  const sender = new OutboxSender({ store, bodies, worker, logger });
  const taskQueue = taskQueueOf(queuePrefix, 'io');
  const intake = new EventIntake({ events, taskQueue, origin, policy, logger });
  const link = new NatsLink({
    config: nats,
    worker,
    sender,
    ...(config.pools.includes('io') ? { intake: { events: intake, consumer: origin } } : {}),
    logger,
    onNats,
  });
  const outbox = new StoreOutbox({
    store,
    bodies,
    origin,
    publishNow: (row) => link.publishNow(row),
    onKept: () => sender.wake(),
  });
  return {
    events: publishEvents(events, outbox),
    outbox,
    start: () => link.start(),
    close: () => link.close(),
  };
}
