import { workflowInfo } from '@temporalio/workflow';
import { flowError } from '../dsl/errors';
import type { PreparedFlow } from '../dsl/start';

/** Temporal ends a workflow at 51,200 events; a flow that cannot continue as new stops in good order before. */
const MAX_EVENTS = 48_000;

/** Likewise 50 MiB. What runs when the limit is met adds its results still, so the rest is ample. */
const MAX_BYTES = 40_000_000;

/** From here on a flow continues as new even beside a long wait. */
const CROWDED_EVENTS = 40_000;
const CROWDED_BYTES = 30_000_000;

/** True where the server suggests to go on with a new history, and the flow can. */
export function isHistoryFull({ continuesAsNew }: PreparedFlow): boolean {
  const { continueAsNewSuggested, cronSchedule } = workflowInfo();
  return continueAsNewSuggested && continuesAsNew === true && cronSchedule === undefined;
}

/** True where there is little room left for what cannot be taken along to another run, and the flow can go on in one. */
export function isHistoryCrowded(prepared: PreparedFlow): boolean {
  const { historyLength, historySize } = workflowInfo();
  return isHistoryFull(prepared) && (historyLength > CROWDED_EVENTS || historySize > CROWDED_BYTES);
}

/** Throws BLW_STEP_LIMIT where there is no room for another step. */
export function refuseFullHistory(): void {
  const { historyLength, historySize } = workflowInfo();
  if (historyLength > MAX_EVENTS) throw flowError('BLW_STEP_LIMIT', `the history has more than ${MAX_EVENTS} events`);
  if (historySize > MAX_BYTES) {
    throw flowError(
      'BLW_STEP_LIMIT',
      `the history has more than ${MAX_BYTES} bytes; pass large data between steps as blobs`,
    );
  }
}
