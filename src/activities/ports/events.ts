import type { Subscription, TriggeredStart } from '../../dsl/events/bus-messages';
import type { CloudEvent } from '../../dsl/events/cloud-event';

/** Whose events: a tenant's, on the task queue where its flows run. */
export interface EventScope {
  readonly tenant: string;
  readonly taskQueue: string;
}

/**
 * How events travel. Every method may be called again with the same argument, and resolves once the other side has it for
 * good. In order: an event that is emitted after a subscription has been resolved reaches the subscriber.
 */
export interface EventPort {
  emit(scope: EventScope, event: CloudEvent): Promise<void>;
  subscribe(scope: EventScope, subscription: Subscription): Promise<void>;
  unsubscribe(scope: EventScope, subscription: Omit<Subscription, 'filters'>): Promise<void>;
  /** False where a flow with this id was started before, also where it has ended since. */
  startFlow(start: TriggeredStart): Promise<boolean>;
}
