import { taskQueueOf } from '../../dsl/names';
import { EventIntake } from './event-intake';
import { installationOf } from './installation';
import { MessageBodies } from './message-body';
import type { NatsConfig } from './nats-config';
import { NatsLink } from './nats-link';
import type { Messaging, MessagingParts } from './open-messaging';
import { OutboxSender } from './outbox-sender';
import { publishEvents } from './published-events';
import { StoreOutbox } from './store-outbox';

/** Events and messages of a worker that is connected to NATS. */
export async function openNats(
  nats: NatsConfig,
  { config, connection, namespace, worker, store, keys, policy, events, logger, onNats }: MessagingParts,
): Promise<Messaging> {
  const { queuePrefix } = config;
  const bodies = new MessageBodies(keys);
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
