import { flowError } from '../dsl/errors';
import type { PreparedTrigger, Subscription, TriggeredStart } from '../dsl/events/bus-messages';
import type { CloudEvent } from '../dsl/events/cloud-event';
import type { Json } from '../dsl/json';
import { EMIT_EVENT, PREPARE_TRIGGER, START_TRIGGERED_FLOW, SUBSCRIBE_EVENTS, UNSUBSCRIBE_EVENTS } from '../dsl/names';
import { prepareTrigger } from '../dsl/validation/check-trigger';
import type { EventPort, EventScope } from './ports/events';
import { toApplicationFailure } from './step-failure';

/** Local activities of flows and of the event bus. */
export function createEventActivities(events: EventPort) {
  return {
    [EMIT_EVENT]: ({ event, ...scope }: EventScope & { event: CloudEvent }) => events.emit(scope, event),
    [SUBSCRIBE_EVENTS]: ({ subscription, ...scope }: EventScope & { subscription: Subscription }) =>
      events.subscribe(scope, subscription),
    [UNSUBSCRIBE_EVENTS]: ({ id, flowId, ...scope }: EventScope & Omit<Subscription, 'filters'>) =>
      events.unsubscribe(scope, { id, flowId }),
    [START_TRIGGERED_FLOW]: (start: TriggeredStart) => events.startFlow(start),
    [PREPARE_TRIGGER]: async (value: Json): Promise<PreparedTrigger> => {
      const prepared = prepareTrigger(value);
      if ('trigger' in prepared) return prepared.trigger;
      throw toApplicationFailure(flowError('BLW_TRIGGER_INVALID', `trigger: ${prepared.problems.join('; ')}`), {
        attempt: 1,
      });
    },
  };
}
