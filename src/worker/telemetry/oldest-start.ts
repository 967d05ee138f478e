import { tsToMs } from '@temporalio/common/lib/time';
import { countFlows, type Namespace, SURVEY_LIMIT_MS } from './visibility';

/** Executions of one list, the newest first. */
const PAGE = 100;

/** Questions until it is good enough: by then the moment is known to a fraction of a percent. */
const MAX_ROUNDS = 24;

/**
 * When the oldest workflow that a query finds began, in ms since 1970; now where there is none. Temporal's lists begin with the newest, so that
 * where there are many it is searched for by halves. Throws where Temporal does not answer.
 */
export async function oldestStart(where: Namespace, query: string): Promise<number> {
  const first = await startTimes(where, query);
  let known = first.at(-1) ?? Date.now();
  if (first.length < PAGE) return known;
  const before = (ms: number): string => `${query} AND StartTime < '${new Date(ms).toISOString()}'`;
  // Somebody began at `known`, nobody before `none`.
  let none = 0;
  let step = Math.max(1_000, Date.now() - known);
  for (let round = 0; round < MAX_ROUNDS && known - none > 1; round += 1) {
    const middle = none === 0 ? known - step : Math.floor((known + none) / 2);
    step *= 2;
    const count = await countFlows(where, before(middle));
    if (count === 0) none = middle;
    else if (count >= PAGE) known = middle;
    else return (await startTimes(where, before(middle))).at(-1) ?? known;
  }
  return known;
}

/** Of the newest that the query finds, the newest first. */
async function startTimes({ connection, namespace }: Namespace, query: string): Promise<readonly number[]> {
  const { executions } = await connection.withDeadline(Date.now() + SURVEY_LIMIT_MS, () =>
    connection.workflowService.listWorkflowExecutions({ namespace, query, pageSize: PAGE }),
  );
  return (executions ?? []).map(({ startTime }) => tsToMs(startTime)).sort((one, other) => other - one);
}
