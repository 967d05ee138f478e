import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { RUN_FLOW } from '../../dsl/names';
import { describeRun, unknownFlow } from '../describe-run';
import { isDryRun } from '../runs/dry-runs';
import { Refusal, type RefusalReason, stillRunning } from './refusal';
import { leftBehind, type RedriveOptions, type Rewind, readError, refuseUndone, rewindFailed } from './rewind';
import { RunHistory } from './run-history';

/** What is to be done so that a flow goes on. */
export interface RedrivePlan {
  readonly workflowId: string;
  /** The run that failed. */
  readonly runId: string;
  readonly rewind: Rewind;
  /** The run that it goes on as already: whoever redrove it was stopped halfway. */
  readonly resumedAs?: string;
}

/**
 * Finds out where a flow that failed can go on; changes nothing. Without a run id, its newest run. Throws {@link Refusal}, and BLW_USAGE
 * where there is no such flow.
 */
export async function planRedrive(
  client: Client,
  workflowId: string,
  { runId: givenRunId, ...options }: RedriveOptions & { readonly runId?: string | undefined } = {},
): Promise<RedrivePlan> {
  const newest = await describeRun(client, { workflowId });
  if (newest === undefined) throw unknownFlow({ workflowId, runId: givenRunId });
  refuseDryRun(newest);
  if (givenRunId !== undefined && givenRunId !== newest.runId) await refuseOlder(client, newest, givenRunId);
  refuseOtherTypes(newest);
  const { runId } = newest;
  const history = await RunHistory.read(client, { workflowId, runId });
  if (newest.status.name === 'RUNNING') return await planRest(client, history, options);
  refuseOtherEnds(newest);
  await refusePart(client, history);
  refuseUndone(history);
  return { workflowId, runId, rewind: await rewindFailed({ client, ...options }, history, await readError(history)) };
}

async function refuseOlder(client: Client, newest: WorkflowExecutionDescription, runId: string): Promise<never> {
  const { workflowId } = newest;
  const older = await describeRun(client, { workflowId, runId });
  if (older === undefined) throw unknownFlow({ workflowId, runId });
  const { resetRunId } = older.raw.workflowExtendedInfo ?? {};
  const what = resetRunId ? `it was redriven already, as run ${resetRunId}` : `run ${newest.runId} came after it`;
  throw new Refusal(
    'redriven',
    `run ${runId} of "${workflowId}": ${what}`,
    'Only the newest run of a flow can be redriven.',
  );
}

function refuseDryRun(description: WorkflowExecutionDescription): void {
  if (!isDryRun(description)) return;
  const detail = `"${description.workflowId}" is a dry run: it did nothing that could go on`;
  throw new Refusal('dryRun', detail, 'Start it again; `beamline runs show` says what it came to.');
}

function refuseOtherTypes({ workflowId, type, raw }: WorkflowExecutionDescription): void {
  if (type === RUN_FLOW) return;
  const root = raw.workflowExecutionInfo?.rootExecution?.workflowId;
  if (root && root !== workflowId) throw part(workflowId, root);
  throw new Refusal(
    'notAFlow',
    `"${workflowId}" is a workflow of the type "${type}", expected a flow ("${RUN_FLOW}")`,
    'What fails beside flows is started again.',
  );
}

function part(workflowId: string, owner: string): Refusal {
  return new Refusal('part', `"${workflowId}" belongs to "${owner}", which waits for it or did`, `Redrive "${owner}".`);
}

const ENDS: Readonly<Record<string, readonly [RefusalReason, string, string]>> = {
  COMPLETED: ['completed', 'has completed', 'There is nothing to redrive.'],
  CANCELLED: ['cancelled', 'was cancelled', 'Somebody wanted it to end: start it again.'],
  TERMINATED: ['terminated', 'was terminated', 'Somebody wanted it to end: start it again.'],
  TIMED_OUT: ['timedOut', 'took longer than the timeout that it was started with', 'Start it again.'],
};

function refuseOtherEnds({ workflowId, status }: WorkflowExecutionDescription): void {
  const end = ENDS[status.name];
  if (end !== undefined) throw new Refusal(end[0], `"${workflowId}" ${end[1]}`, end[2]);
}

/** A flow that another one waits for cannot tell it anything any more; that one has to be redriven. */
async function refusePart(client: Client, history: RunHistory): Promise<void> {
  const { parentWorkflowExecution: parent, parentInitiatedEventId } =
    history.event(1)?.workflowExecutionStartedEventAttributes ?? {};
  const { workflowId, runId } = parent ?? {};
  if (!workflowId || !runId) return;
  if (await awaits(client, { workflowId, runId }, Number(parentInitiatedEventId)))
    throw part(history.address.workflowId, workflowId);
}

async function awaits(
  client: Client,
  parent: { workflowId: string; runId: string },
  initiatedAt: number,
): Promise<boolean> {
  if ((await describeRun(client, parent)) === undefined) return true;
  const history = await RunHistory.read(client, parent);
  return history.children().some((child) => child.initiatedAt === initiatedAt);
}

/** A flow that runs because it was redriven, and has parts that have not gone on yet. */
async function planRest(client: Client, history: RunHistory, options: RedriveOptions): Promise<RedrivePlan> {
  const { workflowId, runId } = history.address;
  const RESET = temporal.api.enums.v1.WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW;
  const mark = history.events.findLast((event) => event.workflowTaskFailedEventAttributes?.cause === RESET);
  const base = mark?.workflowTaskFailedEventAttributes?.baseRunId;
  if (mark === undefined || !base) throw stillRunning(workflowId);
  const children = await leftBehind({ client, ...options }, history);
  if (children.length === 0)
    throw new Refusal(
      'running',
      `"${workflowId}" was redriven already, as run ${runId}, and runs`,
      'Wait until it has ended.',
    );
  const point = Number(mark.eventId);
  const before = await RunHistory.read(client, { workflowId, runId: base });
  const rewind: Rewind = {
    workflowId,
    runId: base,
    point,
    finishEventId: mark.eventId,
    children,
    hasChildren: true,
    messages: before.messagesFrom(point),
  };
  return { workflowId, runId: base, rewind, resumedAs: runId };
}
