import { type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { EventPort, EventScope } from '../activities/ports/events';
import type { Json } from '../dsl/json';
import {
  EMIT_SIGNAL,
  EVENT_BUS,
  eventBusId,
  RUN_FLOW,
  SUBSCRIBE_SIGNAL,
  siblingTaskQueue,
  UNSUBSCRIBE_SIGNAL,
} from '../dsl/names';

/** Events inside of one Temporal namespace: the tenant's event bus is a workflow, which the first signal starts. */
export function createTemporalEvents(clientOf: (tenant: string) => Client): EventPort {
  const tell = async ({ tenant, taskQueue }: EventScope, signal: string, value: unknown): Promise<void> => {
    await clientOf(tenant).workflow.signalWithStart(EVENT_BUS, {
      workflowId: eventBusId(taskQueue, tenant),
      taskQueue: siblingTaskQueue(taskQueue, 'io'),
      signal,
      signalArgs: [value as Json],
      staticSummary: `Events of tenant ${tenant}`,
    });
  };
  return {
    emit: (scope, event) => tell(scope, EMIT_SIGNAL, event),
    subscribe: (scope, subscription) => tell(scope, SUBSCRIBE_SIGNAL, subscription),
    unsubscribe: (scope, subscription) => tell(scope, UNSUBSCRIBE_SIGNAL, subscription),
    startFlow: async ({ workflowId, taskQueue, tenant, flow, input, grant }) => {
      try {
        await clientOf(tenant).workflow.start(RUN_FLOW, {
          workflowId,
          taskQueue,
          args: [{ flow, input, tenant, ...(grant === undefined ? {} : { grant }) }],
          workflowIdReusePolicy: 'REJECT_DUPLICATE',
          priority: { fairnessKey: tenant },
        });
        return true;
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
        throw error;
      }
    },
  };
}
