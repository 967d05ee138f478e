import { flowError } from '../dsl/errors';
import type { PreparedTrigger, Subscription, TriggeredStart } from '../dsl/events/bus-messages';
import type { CloudEvent } from '../dsl/events/cloud-event';
import type { Json } from '../dsl/json';
import { EMIT_EVENT, PREPARE_TRIGGER, START_TRIGGERED_FLOW, SUBSCRIBE_EVENTS, UNSUBSCRIBE_EVENTS } from '../dsl/names';
import { prepareTrigger } from '../dsl/validation/check-trigger';
import { recordedOnly } from './in-place/recorded-only';
import { localOnly } from './local-only';
import type { EventPort, EventScope } from './ports/events';
import type { Gate } from './ports/gate';

/** An event bus, as a flow names it: by its tenant, for which it shows its grant. */
type FlowScope = EventScope & { readonly grant?: string };

/** Local activities of flows and of the event bus. */
export function createEventActivities(events: EventPort, gate: Gate) {
  return {
    [EMIT_EVENT]: recordedOnly(
      localOnly(async (at, { event, grant, ...scope }: FlowScope & { event: CloudEvent }) => {
        await gate.recognize({ ...scope, ...shown(grant) }, at);
        await events.emit(scope, event);
      }),
    ),
    [SUBSCRIBE_EVENTS]: recordedOnly(
      localOnly(async (at, { subscription, grant, ...scope }: FlowScope & { subscription: Subscription }) => {
        await gate.recognize({ ...scope, ...shown(grant) }, at);
        await events.subscribe(scope, subscription);
      }),
    ),
    [UNSUBSCRIBE_EVENTS]: recordedOnly(
      localOnly(async (at, { id, flowId, grant, ...scope }: FlowScope & Omit<Subscription, 'filters'>) => {
        await gate.recognize({ ...scope, ...shown(grant) }, at);
        await events.unsubscribe(scope, { id, flowId });
      }),
    ),
    [START_TRIGGERED_FLOW]: localOnly((_, start: TriggeredStart) => events.startFlow(start)),
    [PREPARE_TRIGGER]: localOnly(async (_, value: Json, tenant: string): Promise<PreparedTrigger> => {
      const prepared = prepareTrigger(value);
      if ('problems' in prepared) throw flowError('BLW_TRIGGER_INVALID', `trigger: ${prepared.problems.join('; ')}`);
      const { id, flow, grant } = prepared.trigger;
      await gate.admitTrigger({ id, flow, tenant, ...shown(grant) });
      return prepared.trigger;
    }),
  };
}

function shown(grant: string | undefined): { grant?: string } {
  return grant === undefined ? {} : { grant };
}
