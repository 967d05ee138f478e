import type { NativeConnection } from '@temporalio/worker';
import type { KeyRing } from '../../activities/payloads/key-ring';
import type { EventPort } from '../../activities/ports/events';
import type { Outbox } from '../../activities/ports/outbox';
import type { WorkerConfig } from '../config';
import type { Logger } from '../logger';
import type { PolicySource } from '../policy/policy';
import type { StateStore } from '../state/state-store';
import { MessageBodies } from './message-body';
import { StoreOutbox } from './store-outbox';

/** What a worker has for events and messages. */
export interface Messaging {
  readonly events: EventPort;
  readonly outbox: Outbox;
  /** Begins to publish what waits, and to take what others publish; both once the pools are there. */
  start(): void;
  close(): Promise<void>;
}

/** What messages need. */
export interface MessagingParts {
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
}

/**
 * Events inside of Temporal, and with `--nats-url` to and from NATS as well. A worker without it has an outbox too: flows that were
 * prepared on another worker tell of their dead letters, and that one publishes.
 */
export async function openMessaging(parts: MessagingParts): Promise<Messaging> {
  const { config, store, keys, events } = parts;
  if (config.nats !== undefined) {
    // Only then its client is loaded.
    const { openNats } = require('./open-nats') as typeof import('./open-nats');
    return await openNats(config.nats, parts);
  }
  // Nobody takes dead letters in again, so that it does not matter whose they are.
  const outbox = new StoreOutbox({ store, bodies: new MessageBodies(keys), origin: '' });
  return { events, outbox, start: () => undefined, close: async () => undefined };
}
