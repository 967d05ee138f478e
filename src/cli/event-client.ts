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
import { EMIT_UPDATE, EVENT_BUS, EVENT_UPDATE, eventBusId } from '../dsl/names';
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

/** Sends an event to one flow. Throws BLW_USAGE (exit code 2) where it does not run, BLW_TEMPORAL_UNREACHABLE. */
export async function sendEvent(client: Client, event: CloudEvent, flowId: string): Promise<EventAnswer> {
  const handle = client.workflow.getHandle(flowId);
  let taskQueue = '';
  try {
    taskQueue = (await handle.describe()).taskQueue;
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

function translate(error: unknown, taskQueue: string): unknown {
  if (error instanceof WorkflowUpdateFailedError && error.cause instanceof ApplicationFailure) {
    const refusal = flowError('BLW_EVENT_INVALID', error.cause.message, { cause: error });
    return error.cause.type === refusal.data.code ? new CommandError(refusal, EXIT.invalid) : error;
  }
  if (error instanceof FlowError || !isSilence(error)) return error;
  return noAnswer(error, { taskQueue, timeoutMs: ANSWER_TIMEOUT_MS, help: LOOK_BEFORE });
}
