import type { WorkflowExecutionInfo } from '@temporalio/client';
import { DRY_RUN_STATUSES, isSandboxQueue, SEARCH_ATTRIBUTES } from '../../dsl/names';
import { attributeOf } from '../flow-attributes';

const STATUSES = `(${DRY_RUN_STATUSES.map((status) => `'${status}'`).join(', ')})`;
/** No worker has taken it up yet: only its queue says what it is, and the prefix of that may be any. */
const UNSAID = `${SEARCH_ATTRIBUTES.status} IS NULL`;

/** Flows that do not say of themselves that they are dry runs, as a condition of a query. */
export const LIVE_CONDITION = `(${UNSAID} OR ${SEARCH_ATTRIBUTES.status} NOT IN ${STATUSES})`;

/** Likewise flows that may be dry runs; {@link isDryRun} says of those that no worker has taken up whether they are. */
export const DRY_RUN_CONDITION = `(${UNSAID} OR ${SEARCH_ATTRIBUTES.status} IN ${STATUSES})`;

/** True for a run of the sandbox, also where it was refused at its start: its queue has nothing else. */
export function isDryRun(info: Pick<WorkflowExecutionInfo, 'taskQueue' | 'searchAttributes'>): boolean {
  const said = attributeOf(info, 'status');
  return isSandboxQueue(info.taskQueue) || DRY_RUN_STATUSES.some((status) => status === said);
}
