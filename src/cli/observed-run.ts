import type {
  Client,
  WorkflowExecutionDescription,
  WorkflowExecutionInfo,
  WorkflowExecutionStatusName,
} from '@temporalio/client';
import { type ErrorCode, isErrorCode } from '../dsl/error-codes';
import { FlowError, type FlowErrorData } from '../dsl/errors';
import type { ObservedRun, RunStatus } from '../dsl/graph/run-graph';
import { errorCode } from '../dsl/graph/step-status';
import { APPROVAL, RUN_FLOW, RUN_WINDOW } from '../dsl/names';
import type { FlowPlan } from '../dsl/planning/plan';
import { CommandError, usageError } from './command-error';
import { beamlineCommand } from './command-name';
import { describeRun, unknownFlow } from './describe-run';
import { EXIT } from './exit-codes';
import { awaitOutcome, type FlowOutcome } from './flow-outcome';
import { readPlan } from './flow-plan';
import { queryProgress } from './flow-progress';
import { isSilence, noAnswer } from './no-answer';
import { shellWord } from './output';

/** Of a run that has just begun, the plan is recorded within milliseconds where a worker is there. */
const PLAN_TIMEOUT_MS = 10_000;

const STATUSES: Readonly<Partial<Record<WorkflowExecutionStatusName, RunStatus>>> = {
  COMPLETED: 'Completed',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
  TERMINATED: 'Terminated',
  TIMED_OUT: 'TimedOut',
  CONTINUED_AS_NEW: 'ContinuedAsNew',
};

/**
 * The plan of a run, and how far it is; without a run id, of the newest. Throws BLW_USAGE where there is no such flow, with
 * exit code 1 the flow's own error where it ended before it had a plan, and BLW_TEMPORAL_UNREACHABLE where no worker answers.
 */
export async function observeRun(
  client: Client,
  workflowId: string,
  givenRunId: string | undefined,
): Promise<{ readonly plan: FlowPlan; readonly run: ObservedRun }> {
  const description = await describeRun(client, { workflowId, runId: givenRunId });
  if (description === undefined) throw unknownFlow({ workflowId, runId: givenRunId });
  const { runId, taskQueue, closeTime } = description;
  refuseOtherTypes(description, 'graph --run');
  const status = runStatusOf(description);
  const plan = await waitForPlan(client, description);
  const handle = client.workflow.getHandle(workflowId, runId);
  if (plan === undefined) throw endedWithoutPlan(workflowId, await awaitOutcome(handle));
  const progress = await queryProgress(client, { workflowId, runId, taskQueue });
  const outcome = status === 'Failed' ? await awaitOutcome(handle) : undefined;
  const code = outcome === undefined || outcome.status === 'Completed' ? undefined : errorCode(outcome.error);
  return {
    plan,
    run: {
      workflowId,
      runId,
      status,
      progress,
      until: closeTime?.getTime() ?? Date.now(),
      ...(code === undefined ? {} : { code }),
    },
  };
}

/** How a run is, as Temporal knows it. */
export function runStatusOf({ status }: Pick<WorkflowExecutionInfo, 'status'>): RunStatus {
  return STATUSES[status.name] ?? 'Running';
}

/** Throws BLW_USAGE where a workflow is no flow; `command` shows the flow of an approval. */
export function refuseOtherTypes(
  { type, workflowId, parentExecution }: WorkflowExecutionDescription,
  command: string,
): void {
  if (type === RUN_FLOW || type === RUN_WINDOW) return;
  const parent = type === APPROVAL ? (parentExecution?.workflowId ?? undefined) : undefined;
  throw usageError(`"${workflowId}" is a workflow of the type "${type}", expected a flow ("${RUN_FLOW}")`, {
    ...(parent === undefined
      ? {}
      : { help: `The flow that waits for it: \`${beamlineCommand(process.cwd())} ${command} ${shellWord(parent)}\`` }),
  });
}

async function waitForPlan(client: Client, description: WorkflowExecutionDescription): Promise<FlowPlan | undefined> {
  const { workflowId, runId, type: workflowType, taskQueue } = description;
  try {
    return await client.withDeadline(Date.now() + PLAN_TIMEOUT_MS, () =>
      readPlan({ client, workflowId, runId, workflowType }),
    );
  } catch (error) {
    throw isSilence(error) ? noAnswer(error, { taskQueue, timeoutMs: PLAN_TIMEOUT_MS }) : error;
  }
}

/** The flow's own error, as `beamline run` gives it. */
function endedWithoutPlan(workflowId: string, outcome: FlowOutcome): CommandError {
  const { type, status, code, detail, title } = (outcome.status === 'Completed'
    ? { type: 'about:blank', status: 500 }
    : outcome.error) as unknown as FlowErrorData;
  const reason = `the flow "${workflowId}" ended before it had a plan, so that there is nothing to draw: ${detail ?? title ?? type}`;
  return new CommandError(new FlowError({ type, status, detail: reason, ...known(code) }), EXIT.failed);
}

/** A flow of a later version may have codes that this one does not know. */
function known(code: string | undefined): { code?: ErrorCode } {
  return code !== undefined && isErrorCode(code) ? { code } : {};
}
