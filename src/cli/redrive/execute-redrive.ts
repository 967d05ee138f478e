import type { Client } from '@temporalio/client';
import type { temporal } from '@temporalio/proto';
import { EVENT_SIGNAL, EVENT_UPDATE } from '../../dsl/names';
import { mapBounded } from '../bounded';
import { describeRun } from '../describe-run';
import type { HistoryEvent } from '../history-events';
import type { RedrivePlan } from './plan-redrive';
import type { Rewind } from './rewind';

const RESETS_AT_ONCE = 8;

/**
 * Whatever a reset may carry over, known to this version or to later servers: only where all is left out does the server leave out how
 * children ended as well (server, service/history/ndc/workflow_resetter.go: shouldExcludeAllReapplyEvents).
 */
const ALL: temporal.api.enums.v1.ResetReapplyExcludeType[] = Array.from({ length: 16 }, (_, index) => index + 1);

/**
 * Lets a flow go on as planned, and gives the run that it goes on as. The flow first, then what it waits for: these tell it how they
 * ended. May be called again for the same run where it broke off.
 */
export async function executeRedrive(
  client: Client,
  { rewind, resumedAs }: RedrivePlan,
  reason: string,
): Promise<string> {
  const runId = resumedAs ?? (await reset(client, rewind, reason));
  await settle(client, rewind, { runId, reason });
  return runId;
}

async function goOn(client: Client, rewind: Rewind, reason: string): Promise<void> {
  await settle(client, rewind, { runId: await reset(client, rewind, reason), reason });
}

async function settle(
  client: Client,
  rewind: Rewind,
  { runId, reason }: { runId: string; reason: string },
): Promise<void> {
  if (!rewind.hasChildren) return;
  for (const message of rewind.messages) await sendAgain(client, message, { rewind, runId });
  await mapBounded(rewind.children, RESETS_AT_ONCE, (child) => goOn(client, child, reason));
}

/**
 * The same request a second time gives the same run (server, service/history/api/resetworkflow: "dedup by requestID"), but only while
 * that is the newest: whoever comes later, once it was redriven too, has to look which run this one goes on as.
 */
async function reset(client: Client, rewind: Rewind, reason: string): Promise<string> {
  const { workflowId, runId, finishEventId, hasChildren } = rewind;
  const goesOnAs = (await describeRun(client, { workflowId, runId }))?.raw.workflowExtendedInfo?.resetRunId;
  if (goesOnAs) return goesOnAs;
  const answer: { readonly runId: string } = await client.workflowService.resetWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: { workflowId, runId },
    ...(finishEventId == null ? {} : { workflowTaskFinishEventId: finishEventId }),
    requestId: `beamline-redrive:${runId}`,
    reason,
    resetReapplyExcludeTypes: hasChildren ? ALL : [],
    identity: client.options.identity,
  });
  return answer.runId;
}

/** As it was sent, encrypted or not. An event that was sent by an update goes as a signal; resolutions are not for what is parked again. */
async function sendAgain(
  client: Client,
  event: HistoryEvent,
  { rewind, runId }: { rewind: Rewind; runId: string },
): Promise<void> {
  const signal = event.workflowExecutionSignaledEventAttributes;
  const update = event.workflowExecutionUpdateAcceptedEventAttributes?.acceptedRequest?.input;
  if (signal == null && update?.name !== EVENT_UPDATE) return;
  const signalName = signal?.signalName ?? EVENT_SIGNAL;
  const [input, header] = [signal?.input ?? update?.args, signal?.header ?? update?.header];
  await client.workflowService.signalWorkflowExecution({
    namespace: client.options.namespace,
    workflowExecution: { workflowId: rewind.workflowId, runId },
    signalName,
    ...(input == null ? {} : { input }),
    ...(header == null ? {} : { header }),
    identity: client.options.identity,
    requestId: `beamline-redrive:${rewind.runId}:${event.eventId}`,
  });
}
