import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { type DryRunReport, type DryRunSoFar, isDryRunReport } from '../../dsl/dry-run/report';
import type { FlowError } from '../../dsl/errors';
import type { FlowProgress } from '../../dsl/progress';
import { quote } from '../approval-client';
import { listApprovals, type WaitingApproval } from '../approval-list';
import { CommandError } from '../command-error';
import type { FoundLetter } from '../dead-letter-list';
import { lettersOf, lettersOfBatches } from '../dead-letter-lookup';
import { describeRun, unknownFlow } from '../describe-run';
import { outcomeOfReport, querySteps } from '../dry-run-outcome';
import { type FailingTask, findFailingTask } from '../failing-task';
import { attributeOf } from '../flow-attributes';
import { awaitOutcome, type FlowOutcome } from '../flow-outcome';
import { queryProgress } from '../flow-progress';
import { refuseOtherTypes } from '../observed-run';
import { unreadableError } from '../unreadable-flow';
import { hasWorker, startWorkerHint } from '../worker-presence';
import { isDryRun } from './dry-runs';
import { type PendingActivity, readPending } from './pending-activities';
import { isOpen, type ShownStatus, shownStatus } from './run-status';

/** Longest wait for the steps; the rest is of use without them. A run that has ended is replayed before it answers. */
const PROGRESS_TIMEOUT_MS = { open: 5_000, ended: 10_000 };

const MAX_APPROVALS = 20;

/** All that is known of a run. */
export interface RunReport {
  readonly workflowId: string;
  readonly runId: string;
  readonly status: ShownStatus;
  /** Nothing was done. Absent: it is a live flow. */
  readonly isDryRun?: true;
  readonly taskQueue: string;
  readonly startedAt: Date;
  readonly closedAt?: Date;
  readonly flow?: string;
  readonly tenant?: string;
  readonly parentId?: string;
  readonly historyEvents: number;
  readonly historyBytes?: number;
  /** The newest run of the flow, where this is an earlier one. */
  readonly newestRunId?: string;
  /** The steps; absent where no worker answers, or they cannot be read here. */
  readonly progress?: FlowProgress;
  readonly pending: readonly PendingActivity[];
  /** In the flow, the batches of its loops and the flows that it runs. */
  readonly approvals: readonly WaitingApproval[];
  /** In the flow and the batches of its loops. */
  readonly letters: readonly FoundLetter[];
  /** Of a dry run, what the flow would have ended with. */
  readonly outcome?: FlowOutcome;
  /** Of a dry run: its report, or the steps until now where it has none. */
  readonly report?: DryRunReport | DryRunSoFar;
  /** Why something of this is not known. */
  readonly notes: readonly string[];
  /** Why something cannot be read here. */
  readonly unreadable?: FlowError;
}

/** What of a report has to be asked for; each part may fail by itself. */
type Asked = Pick<RunReport, 'progress' | 'approvals' | 'letters' | 'outcome' | 'report'>;

/**
 * Looks into a run; without a run id, into the newest. What no worker answers is left out, and noted. Throws BLW_USAGE where there is no
 * such flow.
 */
export async function readRun(client: Client, workflowId: string, runId: string | undefined): Promise<RunReport> {
  const description = await describeRun(client, { workflowId, runId });
  if (description === undefined) throw unknownFlow({ workflowId, runId });
  refuseOtherTypes(description, 'runs show');
  const notes = new Notes();
  const pending = await readPending(client, description);
  // Of an earlier run, it would be that of the newest.
  const failing = isOpen(shownStatus(description)) ? await findFailingTask(client, workflowId) : undefined;
  if (failing !== undefined) notes.add(failingNote(failing));
  const asked = await ask(client, description, notes);
  const tried = isDryRun(description) ? await rehearsedBy(client, description, { asked, notes }) : {};
  const { reason } = notes;
  return {
    ...knownOf(description),
    ...(await newestOf(client, description)),
    pending,
    ...asked,
    ...tried,
    notes: notes.lines,
    ...(reason === undefined ? {} : { unreadable: reason }),
  };
}

function knownOf(description: WorkflowExecutionDescription) {
  const { workflowId, runId, taskQueue, startTime, closeTime, parentExecution } = description;
  const { historyLength: historyEvents, historySize: historyBytes } = description;
  const [flow, tenant] = [attributeOf(description, 'flow'), attributeOf(description, 'tenant')];
  return {
    workflowId,
    runId,
    status: shownStatus(description),
    ...(isDryRun(description) ? { isDryRun: true as const } : {}),
    taskQueue,
    startedAt: startTime,
    historyEvents,
    ...(closeTime === undefined ? {} : { closedAt: closeTime }),
    ...(flow === undefined ? {} : { flow }),
    ...(tenant === undefined ? {} : { tenant }),
    ...(parentExecution?.workflowId == null ? {} : { parentId: parentExecution.workflowId }),
    ...(historyBytes === undefined ? {} : { historyBytes }),
  };
}

async function newestOf(client: Client, description: WorkflowExecutionDescription) {
  const { workflowId, runId } = description;
  if (isOpen(shownStatus(description))) return {};
  const newest = await describeRun(client, { workflowId });
  return newest === undefined || newest.runId === runId ? {} : { newestRunId: newest.runId };
}

function failingNote({ attempt, reason = 'see the log of the workers' }: FailingTask): string {
  return `the workers cannot go on with the flow: its workflow task fails (attempt ${attempt}), and Temporal tries it again; ${reason}`;
}

async function ask(client: Client, description: WorkflowExecutionDescription, notes: Notes): Promise<Asked> {
  const { workflowId, runId } = description;
  const status = shownStatus(description);
  if (!isOpen(status)) {
    const [outcome, progress] = await Promise.all([
      status === 'ContinuedAsNew'
        ? undefined
        : notes.attempt(() => awaitOutcome(client.workflow.getHandle(workflowId, runId))),
      progressOf(client, description, notes),
    ]);
    return { approvals: [], letters: [], ...(progress && { progress }), ...(outcome && { outcome }) };
  }
  const [approvals, progress] = await Promise.all([
    waitingIn(client, description),
    progressOf(client, description, notes),
  ]);
  if (progress === undefined) return { approvals, letters: [] };
  const letters = await notes.attempt(() => allLetters(client, description));
  return { progress, approvals, letters: letters ?? [] };
}

/** What a dry run came to, in place of what its workflow ended with. */
async function rehearsedBy(
  client: Client,
  description: WorkflowExecutionDescription,
  { asked: { outcome, progress }, notes }: { asked: Asked; notes: Notes },
): Promise<Pick<RunReport, 'outcome' | 'report'>> {
  if (outcome?.status === 'Completed') {
    const { output } = outcome;
    return isDryRunReport(output) ? { outcome: outcomeOfReport(output), report: output } : {};
  }
  // One that failed was refused at its start; where nobody told of the progress, nobody will of this.
  if (progress === undefined || outcome?.status === 'Failed') return {};
  const steps = await notes.attempt(() => querySteps(client, description, PROGRESS_TIMEOUT_MS.ended));
  return steps === undefined ? {} : { report: steps };
}

async function progressOf(
  client: Client,
  description: WorkflowExecutionDescription,
  notes: Notes,
): Promise<FlowProgress | undefined> {
  const { taskQueue } = description;
  if (!(await hasWorker(client, taskQueue))) {
    notes.add(`no worker polls ${taskQueue}, so that the steps are not known; ${startWorkerHint(taskQueue)}`);
    return undefined;
  }
  const timeoutMs = PROGRESS_TIMEOUT_MS[isOpen(shownStatus(description)) ? 'open' : 'ended'];
  return await notes.attempt(() => queryProgress(client, description, timeoutMs));
}

/** Also in what is part of the flow, or run by it; these workflows have the flow's id before theirs. */
async function waitingIn(
  client: Client,
  { workflowId, rootExecution }: WorkflowExecutionDescription,
): Promise<readonly WaitingApproval[]> {
  const root = quote(rootExecution?.workflowId ?? workflowId);
  const within = `RootWorkflowId = ${root} AND WorkflowId STARTS_WITH ${quote(`${workflowId}/`)}`;
  const { approvals } = await listApprovals(client, { within, limit: MAX_APPROVALS });
  return approvals;
}

async function allLetters(
  client: Client,
  { workflowId: id, runId, taskQueue }: WorkflowExecutionDescription,
): Promise<readonly FoundLetter[]> {
  return [...(await lettersOf(client, { id, runId, taskQueue })), ...(await lettersOfBatches(client, id))];
}

/** Collects what could not be asked. */
class Notes {
  readonly lines: string[] = [];
  reason: FlowError | undefined;

  add(line: string): void {
    if (!this.lines.includes(line)) this.lines.push(line);
  }

  /** The answer, or undefined where nobody gave one, or it cannot be read here. */
  async attempt<T>(work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await work();
    } catch (error) {
      const unreadable = unreadableError(error);
      if (unreadable === undefined && !(error instanceof CommandError)) throw error;
      if (unreadable !== undefined) this.reason ??= unreadable;
      const { message } = unreadable ?? (error as CommandError);
      this.add(unreadable === undefined ? message : `not everything can be read here: ${message}`);
      return undefined;
    }
  }
}
