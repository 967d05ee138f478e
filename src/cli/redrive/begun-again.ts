import type { Client } from '@temporalio/client';
import { mapBounded } from '../bounded';
import { describeRun } from '../describe-run';
import { stillRunning } from './refusal';
import { type ChildRun, RunHistory } from './run-history';

const CALLS_AT_ONCE = 8;

/** Runs of workflows that a run started, and that would begin again. */
export interface BegunAgain {
  readonly histories: readonly RunHistory[];
  /** Workflows of which Temporal has forgotten a run. */
  readonly forgotten: readonly string[];
}

/**
 * Everything that began below a run from a point on, also where the run did not wait for it: gone back to there, it begins again. Throws
 * {@link Refusal} where something of it still runs, since its id cannot be given to another one then.
 */
export async function begunAgain(client: Client, history: RunHistory, point: number): Promise<BegunAgain> {
  const children = history
    .allChildren()
    .filter(({ startedAt, closedAt }) => (startedAt ?? closedAt ?? Number.POSITIVE_INFINITY) >= point);
  const found = await mapBounded(children, CALLS_AT_ONCE, (child) => runsBelow(client, history, child));
  return merge(found);
}

function merge(found: readonly BegunAgain[]): BegunAgain {
  return {
    histories: found.flatMap(({ histories }) => histories),
    forgotten: found.flatMap(({ forgotten }) => forgotten),
  };
}

/** All runs of a child, those that it continued as and those that it was redriven as too, and everything below them. */
async function runsBelow(client: Client, parent: RunHistory, child: ChildRun): Promise<BegunAgain> {
  const { workflowId } = child;
  const first = await firstRun(client, parent, child);
  const runs = new Set(first === undefined ? [] : [first]);
  const found: BegunAgain[] = [];
  // Those that are added meanwhile are visited as well.
  for (const runId of runs) {
    const description = await describeRun(client, { workflowId, runId });
    if (description === undefined) {
      found.push({ histories: [], forgotten: [workflowId] });
      continue;
    }
    if (description.status.name === 'RUNNING') throw stillRunning(workflowId);
    const history = await RunHistory.read(client, { workflowId, runId });
    found.push({ histories: [history], forgotten: [] }, await begunAgain(client, history, 0));
    for (const next of [history.nextRunId(), description.raw.workflowExtendedInfo?.resetRunId]) {
      if (next) runs.add(next);
    }
  }
  return merge(found);
}

/** The run that a child began with; undefined where it never began. A run that ends may not learn that a child has begun. */
async function firstRun(
  client: Client,
  { address }: RunHistory,
  { workflowId, startedRunId, closedAt }: ChildRun,
): Promise<string | undefined> {
  if (startedRunId !== undefined || closedAt !== undefined) return startedRunId;
  const newest = await describeRun(client, { workflowId });
  if (newest?.parentExecution?.runId !== address.runId) return undefined;
  return newest.raw.workflowExecutionInfo?.firstRunId ?? newest.runId;
}
