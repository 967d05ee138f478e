import type { Client } from '@temporalio/client';
import { PROGRESS_QUERY } from '../dsl/names';
import type { FlowProgress } from '../dsl/progress';
import { type QueriedRun, queryRun } from './query-run';

/** A run that has ended may have to be replayed in full before it answers. */
const REPLAY_TIMEOUT_MS = 20_000;

/** Asks a run once how far it is. Throws as {@link queryRun} does. */
export async function queryProgress(
  client: Client,
  { workflowId, runId, taskQueue }: QueriedRun,
  timeoutMs = REPLAY_TIMEOUT_MS,
): Promise<FlowProgress> {
  const run = { workflowId, taskQueue, ...(runId === undefined ? {} : { runId }) };
  return await queryRun(client, run, PROGRESS_QUERY, { args: [], timeoutMs });
}
