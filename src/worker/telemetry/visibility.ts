import type { NativeConnection } from '@temporalio/worker';

/** Where flows are listed. */
export interface Namespace {
  readonly connection: Pick<NativeConnection, 'workflowService' | 'withDeadline'>;
  readonly namespace: string;
}

/** How flows end, as Temporal's lists spell it. */
export const ENDS = ['Completed', 'Failed', 'Canceled', 'Terminated', 'TimedOut'] as const;

/** The most that one call may take. */
export const SURVEY_LIMIT_MS = 5_000;

/** How many workflows a query finds. Throws where Temporal does not answer. */
export async function countFlows({ connection, namespace }: Namespace, query: string): Promise<number> {
  const { count } = await connection.withDeadline(Date.now() + SURVEY_LIMIT_MS, () =>
    connection.workflowService.countWorkflowExecutions({ namespace, query }),
  );
  return Number(count ?? 0);
}
