import type { OutboundMessage, Outbox } from '../../activities/ports/outbox';
import { type StateStore, StateStoreUnavailable } from '../state/state-store';
import type { MessageBodies } from './message-body';
import { addMessage, type OutboxRow } from './outbox-rules';
import { deadLetterSubject, eventSubject, messageId } from './subjects';

/**
 * Messages wait in the state store, so that a flow never waits for NATS, and what it said goes out also after it has ended and its
 * worker is gone. Where that store is away, `publishNow` is the way that is left.
 */
export class StoreOutbox implements Outbox {
  constructor(
    private readonly parts: {
      readonly store: StateStore;
      readonly bodies: MessageBodies;
      readonly origin: string;
      /** Throws where it cannot. */
      readonly publishNow?: (row: OutboxRow) => Promise<void>;
      /** Told of each message that is kept. */
      readonly onKept?: () => void;
    },
  ) {}

  async put({ kind, tenant, event }: OutboundMessage): Promise<void> {
    const { store, bodies, origin, publishNow, onKept } = this.parts;
    const subject = kind === 'event' ? eventSubject(tenant, event.type) : deadLetterSubject(tenant);
    const id = messageId(tenant, event.source, event.id);
    const json = JSON.stringify(event);
    const row = { id, tenant, subject, origin, body: await bodies.seal(tenant, json) };
    try {
      await store.run(() => addMessage(row));
    } catch (error) {
      if (!(error instanceof StateStoreUnavailable) || publishNow === undefined) throw error;
      await publishNow({ ...row, body: json });
      return;
    }
    onKept?.();
  }
}
