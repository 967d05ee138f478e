import type { PreparedTrigger, Subscription, TriggeredStart } from '../../dsl/events/bus-messages';
import type { CloudEvent } from '../../dsl/events/cloud-event';
import type { Json } from '../../dsl/json';
import type { RecordedOnly, Unrecorded } from '../../dsl/local-step';
import { proxyBoundedActivities } from '../local-activities';

/** Which event bus is meant. */
export interface BusAddress {
  readonly tenant: string;
  /** Of the flows; the bus runs on the same. */
  readonly taskQueue: string;
  /** The flow's; absent from the bus itself. */
  readonly grant?: string;
}

/**
 * The transport of events, as workflows see it. Local activities: each is one short, repeatable call of Temporal's server,
 * so that a slot of the pool, a task queue and nine more writes of history would buy nothing.
 */
export interface EventActivities {
  /** At least once; the bus drops what has the same source and id. */
  emitEvent(request: BusAddress & RecordedOnly & { readonly event: CloudEvent }): Promise<undefined | Unrecorded>;
  /** Resolves once the server has the subscription: an event that is emitted from then on comes after it. */
  subscribeEvents(
    request: BusAddress & RecordedOnly & { readonly subscription: Subscription },
  ): Promise<undefined | Unrecorded>;
  unsubscribeEvents(
    request: BusAddress & RecordedOnly & Omit<Subscription, 'filters'>,
  ): Promise<undefined | Unrecorded>;
  /** Resolves once it is kept for NATS, which has it at least once sooner or later. */
  publishDeadLetter(
    request: BusAddress & RecordedOnly & { readonly event: CloudEvent },
  ): Promise<undefined | Unrecorded>;
  /** Fails with BLW_TRIGGER_INVALID, not retried. */
  prepareTrigger(value: Json, tenant: string): Promise<PreparedTrigger>;
  /** False where the flow has been started before. */
  startTriggeredFlow(start: TriggeredStart): Promise<boolean>;
}

/** Temporal itself is what they call, so a failure passes soon or the flow could not go on either. */
export const eventActivities = proxyBoundedActivities<EventActivities>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumInterval: '10 s', maximumAttempts: 20 },
});
