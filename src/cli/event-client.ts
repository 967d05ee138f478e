import {
  ApplicationFailure,
  type Client,
  WithStartWorkflowOperation,
  type Workflow,
  WorkflowUpdateFailedError,
} from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { FlowError, flowError } from '../dsl/errors';
import type { EmitAnswer, EventAnswer } from '../dsl/events/bus-messages';
import type { CloudEvent } from '../dsl/events/cloud-event';
import { EMIT_UPDATE, EVENT_BUS, EVENT_UPDATE, eventBusId, SEARCH_ATTRIBUTES } from '../dsl/names';
import { CommandError, usageError } from './command-error';
import { EXIT } from './exit-codes';
import { ANSWER_TIMEOUT_MS, isSilence, noAnswer } from './no-answer';

/** Whose event bus is meant. */
export interface BusTarget {
  readonly tenant: string;
  /** Of the worker's pool io, on which the bus runs. */
  readonly taskQueue: string;
}

const LOOK_BEFORE = 'It may have arrived all the same; send it again with the same --id, which has no effect twice.';

/** Sends an event to a tenant's event bus, which is started where there is none. Throws BLW_TEMPORAL_UNREACHABLE. */
export async function emitEvent(client: Client, event: CloudEvent, target: BusTarget): Promise<EmitAnswer> {
  const { tenant, taskQueue } = target;
  const startWorkflowOperation = new WithStartWorkflowOperation(EVENT_BUS, {
    workflowId: eventBusId(taskQueue, tenant),
    taskQueue,
    staticSummary: `Events of tenant ${tenant}`,
    workflowIdConflictPolicy: 'USE_EXISTING',
  });
  // Rejects as the update does, which is what is waited for.
  startWorkflowOperation.workflowHandle().catch(() => undefined);
  try {
    return await client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      client.workflow.executeUpdateWithStart<Workflow, EmitAnswer, [CloudEvent]>(EMIT_UPDATE, {
        args: [event],
        startWorkflowOperation,
      }),
    );
  } catch (error) {
    throw translate(error, taskQueue);
  }
}

/** The one flow that an event is for. */
export interface FlowTarget {
  readonly flowId: string;
  /** Whose it has to be; absent: anybody's. */
  readonly tenant?: string | undefined;
  /** Hears whose it is, before the event is sent. */
  readonly onTenant: (tenant: string) => void;
}

/**
 * Sends an event to one flow. Throws BLW_USAGE (exit code 2) where it does not run or is another tenant's,
 * BLW_TEMPORAL_UNREACHABLE.
 */
export async function sendEvent(client: Client, event: CloudEvent, target: FlowTarget): Promise<EventAnswer> {
  const { flowId, tenant, onTenant } = target;
  const handle = client.workflow.getHandle(flowId);
  let taskQueue = '';
  try {
    const description = await handle.describe();
    taskQueue = description.taskQueue;
    const owner = description.searchAttributes[SEARCH_ATTRIBUTES.tenant]?.[0];
    if (typeof owner === 'string') {
      if (tenant !== undefined && owner !== tenant) throw foreignFlow(flowId, tenant);
      onTenant(owner);
    }
    return await client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      handle.executeUpdate<EventAnswer, [CloudEvent]>(EVENT_UPDATE, { args: [event] }),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      throw usageError(`no flow with the id "${flowId}" runs`, {
        help: 'Leave --flow out to send the event to every flow of the tenant that listens.',
        cause: error,
      });
    }
    throw translate(error, taskQueue);
  }
}

/** Whose it is instead, is not said. */
function foreignFlow(flowId: string, tenant: string): CommandError {
  return usageError(`the flow "${flowId}" is not one of the tenant "${tenant}"; nothing was sent`, {
    help: "Give the id of a flow of that tenant, or the flow's tenant with --tenant.",
  });
}

function translate(error: unknown, taskQueue: string): unknown {
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
    const refusal = flowError('BLW_EVENT_INVALID', error.cause.message, { cause: error });
    return error.cause.type === refusal.data.code ? new CommandError(refusal, EXIT.invalid) : error;
  }
  if (error instanceof FlowError || error instanceof CommandError || !isSilence(error)) return error;
  return noAnswer(error, { taskQueue, timeoutMs: ANSWER_TIMEOUT_MS, help: LOOK_BEFORE });
}
