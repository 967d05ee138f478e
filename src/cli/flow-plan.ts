import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import type { temporal } from '@temporalio/proto';
import { isJsonObject, type JsonObject } from '../dsl/json';
import { RUN_WINDOW } from '../dsl/names';
import type { FlowPlan } from '../dsl/planning/plan';
import { decodePayload, type HistoryEvent } from './history-events';

/** Events a page: a plan is among the first ones, unless signals came before it. */
const PAGE_SIZE = 20;

/** What Temporal's SDK calls the event that records a local activity. */
export const LOCAL_ACTIVITY_MARKER = 'core_local_activity';

/** A run of a flow, or of a batch of a loop. */
export interface PlannedRun {
  readonly client: Client;
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
}

/**
 * The plan that a run runs, from its history (docs/decisions/006-plan-of-a-run.md): the recorded result of `prepareFlow`, or
 * what it was continued with. Waits for it where the run has just begun; undefined where the run ended without one.
 */
export async function readPlan(run: PlannedRun): Promise<FlowPlan | undefined> {
  for await (const event of eventsOf(run)) {
    const started = event.workflowExecutionStartedEventAttributes;
    if (started != null) {
      const carried = await decode(run, carriedPayload(run.workflowType, started));
      if (carried !== undefined) return planOf(carried);
    }
    // The first local activity is the preparation; where that failed, the run ends.
    const { markerName, details } = event.markerRecordedEventAttributes ?? {};
    if (markerName !== LOCAL_ACTIVITY_MARKER) continue;
    const prepared = await decode(run, details?.result?.payloads?.[0]);
    if (prepared !== undefined) return planOf(prepared);
  }
  return undefined;
}

/** Waits for further events while the run is open; the caller sets the deadline. */
async function* eventsOf({ client, workflowId, runId }: PlannedRun): AsyncGenerator<HistoryEvent> {
  let nextPageToken: Uint8Array | undefined;
  do {
    const page = await client.workflowService.getWorkflowExecutionHistory({
      namespace: client.options.namespace,
      execution: { workflowId, runId },
      maximumPageSize: PAGE_SIZE,
      waitNewEvent: true,
      ...(nextPageToken === undefined ? {} : { nextPageToken }),
    });
    yield* page.history?.events ?? [];
    nextPageToken = page.nextPageToken ?? undefined;
  } while (nextPageToken !== undefined && nextPageToken.length > 0);
}

/** The argument that has a plan: what a flow goes on with (`CarriedFlow`), or what a window is to do (`WindowRequest`). */
function carriedPayload(
  workflowType: string,
  started: temporal.api.history.v1.IWorkflowExecutionStartedEventAttributes,
): Payload | undefined {
  const [first, second] = started.input?.payloads ?? [];
  if (workflowType === RUN_WINDOW) return first;
  // Whoever brings a second argument with a start is refused by the flow.
  return started.continuedExecutionRunId ? second : undefined;
}

/** Of a flow's `{prepared: {plan}}`, of what `prepareFlow` gives, or of a window, whose flow is without tasks: its loop is. */
function planOf(value: JsonObject): FlowPlan | undefined {
  const { plan } = isJsonObject(value.prepared) ? value.prepared : value;
  if (!isJsonObject(plan) || !Array.isArray(plan.tasks)) return undefined;
  const tasks = isJsonObject(value.task) ? [value.task] : plan.tasks;
  // Written by a worker, which has checked it.
  return { ...plan, tasks } as unknown as FlowPlan;
}

/** A large one is a claim on the payload store: throws the store's errors, with a BLW_PAYLOAD_ code. */
async function decode(run: PlannedRun, payload: Payload | null | undefined): Promise<JsonObject | undefined> {
  const value = await decodePayload(run.client, run.workflowId, payload);
  return isJsonObject(value) ? value : undefined;
}
