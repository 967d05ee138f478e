import type { InjectedSinks } from '@temporalio/worker';
import type { FlowNews, FlowNewsSinks } from '../dsl/flow-news';
import { APPROVAL, RUN_FLOW } from '../dsl/names';
import { shortText } from '../dsl/problems';
import type { Logger } from './logger';

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
};

/** A workflow task whose end the server did not take is done again, and not as a replay: so many news are remembered. */
const REMEMBERED = 10_000;

/** Somebody's own workflow can go on as one of ours, with names that he made up. */
const MAX_CHARACTERS = 300;

/** Writes a line for each flow that starts or ends, and for approvals; never what they were given or gave. */
export function createFlowLogSinks(logger: Logger): InjectedSinks<FlowNewsSinks> {
  const told = new Set<string>();
  const isNew = ({ runId }: WorkflowInfo, { status }: FlowNews): boolean => {
    const key = `${runId} ${status}`;
    if (told.has(key)) return false;
    told.add(key);
    const [oldest] = told;
    if (told.size > REMEMBERED && oldest !== undefined) told.delete(oldest);
    return true;
  };
  return {
    flowNews: {
      tell: {
        fn: (info, news) => (isNew(info, news) ? logNews(logger, info, news) : undefined),
        callDuringReplay: false,
      },
    },
  };
}

function logNews(logger: Logger, info: WorkflowInfo, { status, tenant, flow, durationMs, code }: FlowNews): void {
  const isApproval = info.workflowType === APPROVAL;
  const kind = isApproval ? 'approval' : info.workflowType === RUN_FLOW ? FLOW : BATCH;
  const owner = isApproval || kind === BATCH ? info.parent?.workflowId : undefined;
  logger.log(
    levelOf(kind, status),
    isApproval && status === 'started' ? 'approval waits' : `${kind} ${MESSAGES[status]}`,
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
      error_code: code,
    },
  );
}

function levelOf(kind: string, status: FlowNews['status']): 'debug' | 'info' | 'warn' {
  if (kind === BATCH || status === 'continued') return 'debug';
  return status === 'failed' ? 'warn' : 'info';
}

function nameOf(name: unknown): string | undefined {
  return typeof name === 'string' && name !== '' ? shortText(name, MAX_CHARACTERS) : undefined;
}
