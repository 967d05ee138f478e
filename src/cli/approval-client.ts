import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { ApprovalState, DecisionInput } from '../dsl/approval';
import { APPROVAL, APPROVAL_STATE_QUERY, DECIDE_UPDATE } from '../dsl/names';
import { usageError } from './command-error';
import { describeRun } from './describe-run';
import { ANSWER_TIMEOUT_MS } from './no-answer';
import { queryRun } from './query-run';
import { updateRefusal } from './update-refusal';

/** An approval, as it is called. */
export interface ApprovalAddress {
  /** Workflow id. */
  readonly id: string;
  readonly taskQueue: string;
}

/** An approval that exists. */
export interface FoundApproval extends ApprovalAddress {
  /** Where it asked again, under the same id, the latest time. */
  readonly runId: string;
}

/**
 * The workflow id of an approval, from that id or from the id of a flow of which exactly one approval waits. Throws BLW_USAGE
 * (exit code 2) where there is none, or more than one.
 */
export async function findApproval(client: Client, id: string): Promise<FoundApproval> {
  const found = await describeRun(client, { workflowId: id });
  if (found === undefined) {
    throw usageError(`there is no approval and no flow with the id "${id}"`, {
      help: 'See `beamline approvals list` for those that wait.',
    });
  }
  if (found.type === APPROVAL) return { id, runId: found.runId, taskQueue: found.taskQueue };
  const waiting = waitingApprovalsOf(found);
  const [only] = waiting;
  if (only !== undefined && waiting.length === 1) return { ...only, taskQueue: found.taskQueue };
  if (only === undefined)
    throw usageError(`no approval of the flow "${id}" waits`, { help: 'See `beamline approvals list`.' });
  throw usageError(`${waiting.length} approvals of the flow "${id}" wait: ${waiting.map((one) => one.id).join(', ')}`, {
    help: 'Name one of them.',
  });
}

/** As the flow itself knows them: Temporal's lists are behind by a moment, and would name one that has just been decided. */
function waitingApprovalsOf({ raw }: WorkflowExecutionDescription): Pick<FoundApproval, 'id' | 'runId'>[] {
  const waiting: Pick<FoundApproval, 'id' | 'runId'>[] = [];
  for (const { workflowId: id, runId, workflowTypeName } of raw.pendingChildren ?? []) {
    // Without a run id it has been asked for, and has not begun.
    if (workflowTypeName === APPROVAL && id && runId) waiting.push({ id, runId });
  }
  return waiting;
}

/** A text in a visibility query. */
export function quote(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}

/** What an approval waits for. Throws as {@link queryRun} does. */
export async function readState(
  client: Client,
  { id, taskQueue }: ApprovalAddress,
  timeoutMs: number = ANSWER_TIMEOUT_MS,
): Promise<ApprovalState> {
  return await queryRun(client, { workflowId: id, taskQueue }, APPROVAL_STATE_QUERY, { args: [], timeoutMs });
}

/**
 * Records a decision and returns the state after it. Throws, with exit code 1, the error that the approval refuses it with:
 * BLW_APPROVAL_INVALID, _DENIED, _CLOSED, BLW_TOKEN_REQUIRED, _INVALID, or BLW_DATA_INVALID for its form; and BLW_TEMPORAL_UNREACHABLE where no worker answers.
 */
export async function decide(
  client: Client,
  { id, taskQueue }: ApprovalAddress,
  decision: DecisionInput,
): Promise<ApprovalState> {
  try {
    return await client.withDeadline(Date.now() + ANSWER_TIMEOUT_MS, () =>
      client.workflow.getHandle(id).executeUpdate<ApprovalState, [DecisionInput]>(DECIDE_UPDATE, { args: [decision] }),
    );
  } catch (error) {
    throw updateRefusal(error, {
      taskQueue,
      ended: {
        code: 'BLW_APPROVAL_CLOSED',
        detail: `the approval "${id}" is closed already; what was decided shows in \`beamline approvals show\``,
      },
      helpIfSilent: 'Look with `beamline approvals show` whether it was recorded after all, before you decide again.',
    });
  }
}
