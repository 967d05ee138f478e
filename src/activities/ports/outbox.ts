import type { CloudEvent } from '../../dsl/events/cloud-event';

/** Something that others outside of Temporal are to hear. */
export interface OutboundMessage {
  readonly kind: 'event' | 'deadLetter';
  readonly tenant: string;
  readonly event: CloudEvent;
}

/** Where messages wait until the message broker has them. */
export interface Outbox {
  /** Resolves once the message is kept for good; the same tenant, source and id again is the same message. */
  put(message: OutboundMessage): Promise<void>;
}
