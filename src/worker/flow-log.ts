import type { InjectedSinks } from '@temporalio/worker';
import type { FlowNews, FlowNewsSinks } from '../dsl/flow-news';
import { APPROVAL, isSandboxQueue, RUN_FLOW } from '../dsl/names';
import { shortText } from '../dsl/problems';
import type { Logger } from './logger';
import { ToldOnce } from './told-once';

type WorkflowInfo = Parameters<InjectedSinks<FlowNewsSinks>['flowNews']['tell']['fn']>[0];

/** What the log calls it. A batch of a large loop is of interest only to who looks for a fault. */
const FLOW = 'flow';
const BATCH = 'batch of a flow';
const MESSAGES: Readonly<Record<FlowNews['status'], string>> = {
  started: 'started',
  completed: 'completed',
  failed: 'failed',
  cancelled: 'cancelled',
  continued: 'goes on with a new history',
  approved: 'approved',
  rejected: 'rejected',
  timedOut: 'timed out',
  deadLettered: 'dead-lettered',
};

/** Somebody's own workflow can go on as one of ours, with names that he made up. */
const MAX_CHARACTERS = 300;

/** Writes a line for each flow that starts or ends, for approvals and for dead letters; never what they were given or gave. */
export function createFlowLogSinks(logger: Logger): InjectedSinks<FlowNewsSinks> {
  const told = new ToldOnce();
  return {
    flowNews: {
      tell: {
        fn: (info, news) => (told.isNew(keyOf(info, news)) ? logNews(logger, info, news) : undefined),
        callDuringReplay: false,
      },
    },
  };
}

/** A step can become a dead letter again. */
function keyOf({ runId }: WorkflowInfo, { status, letter }: FlowNews): string {
  return letter === undefined ? `${runId} ${status}` : `${runId} ${status} ${nameOf(letter.id)} ${letter.failedAt}`;
}

function logNews(logger: Logger, info: WorkflowInfo, news: FlowNews): void {
  const { status, tenant, flow, durationMs, code, letter } = news;
  const isApproval = info.workflowType === APPROVAL;
  const kind = isApproval ? 'approval' : info.workflowType === RUN_FLOW ? FLOW : BATCH;
  const owner = isApproval || kind === BATCH ? info.parent?.workflowId : undefined;
  logger.log(
    levelOf(kind, status),
    isApproval && status === 'started'
      ? 'approval waits'
      : `${letter === undefined ? kind : 'step'} ${MESSAGES[status]}`,
    {
      status,
      latency_ms: durationMs === undefined ? undefined : Math.round(durationMs),
      tenant_id: nameOf(tenant),
      flow: nameOf(flow),
      flow_id: owner ?? info.workflowId,
      // Of an approval or a batch, which is a workflow of its own.
      workflow_id: owner === undefined ? undefined : info.workflowId,
      parent_flow_id: owner === undefined ? info.parent?.workflowId : undefined,
      run_id: info.runId,
      ...(letter === undefined
        ? {}
        : { step_id: nameOf(letter.step), letter_id: nameOf(letter.id), block_type: nameOf(letter.block) }),
      error_code: code,
      dry_run: isSandboxQueue(info.taskQueue) ? true : undefined,
    },
  );
}

function levelOf(kind: string, status: FlowNews['status']): 'debug' | 'info' | 'warn' {
  if (status === 'deadLettered') return 'warn';
  if (kind === BATCH || status === 'continued') return 'debug';
  return status === 'failed' ? 'warn' : 'info';
}

function nameOf(name: unknown): string | undefined {
  return typeof name === 'string' && name !== '' ? shortText(name, MAX_CHARACTERS) : undefined;
}
