import type { EventPort } from '../../activities/ports/events';
import type { Outbox } from '../../activities/ports/outbox';

/** Events that travel as before, and those that flows emit also go out. */
export function publishEvents(events: EventPort, outbox: Outbox): EventPort {
  return {
    ...events,
    emit: async (scope, event) => {
      await events.emit(scope, event);
      await outbox.put({ kind: 'event', tenant: scope.tenant, event });
    },
  };
}
