import type { WorkflowExecutionInfo } from '@temporalio/client';
import { InvalidArgumentError } from 'commander';
import {
  DRY_RUN_STATUSES,
  type DryRunStatus,
  OPEN_STATUSES,
  type OpenStatus,
  SEARCH_ATTRIBUTES,
} from '../../dsl/names';
import { closestName, shortText } from '../../dsl/problems';
import { attributeOf } from '../flow-attributes';
import { runStatusOf } from '../observed-run';

/** How a flow has ended, and what Temporal calls that in queries. */
const ENDS = {
  Completed: 'Completed',
  Failed: 'Failed',
  Cancelled: 'Canceled',
  Terminated: 'Terminated',
  TimedOut: 'TimedOut',
} as const;

/** Every flow that has not ended, whatever it waits for. */
const OPEN = 'Open';

export type EndStatus = keyof typeof ENDS;

/** Status of a run as it is shown; of an earlier run of a flow, that it goes on in another. */
export type ShownStatus = OpenStatus | EndStatus | 'ContinuedAsNew' | DryRunStatus;

/** A value of `--status`. */
export type StatusFilter = OpenStatus | EndStatus | typeof OPEN;

const NAMES: readonly StatusFilter[] = [OPEN, ...OPEN_STATUSES, ...(Object.keys(ENDS) as EndStatus[])];

/** Adds a value of `--status` to those before it. Throws InvalidArgumentError where there is no such status. */
export function parseStatus(text: string, previous: readonly StatusFilter[] = []): readonly StatusFilter[] {
  // Temporal's own spelling, too.
  const wanted = text.toLowerCase() === 'canceled' ? 'cancelled' : text.toLowerCase();
  const found = NAMES.find((name) => name.toLowerCase() === wanted);
  if (found !== undefined) return [...previous, found];
  const meant = closestName(text, NAMES);
  throw new InvalidArgumentError(
    `Got "${shortText(text, 40)}", expected one of ${NAMES.join(', ')}${meant === undefined ? '' : `; did you mean ${meant}?`}.`,
  );
}

/** Flows of these statuses, as a condition of a query; of an empty list, all but the earlier runs of flows that went on in another. */
export function statusCondition(statuses: readonly StatusFilter[]): string {
  if (statuses.length === 0) return "ExecutionStatus != 'ContinuedAsNew'";
  return `(${statuses.map(conditionOf).join(' OR ')})`;
}

function conditionOf(status: StatusFilter): string {
  const open = "ExecutionStatus = 'Running'";
  if (status === OPEN) return open;
  if (Object.hasOwn(ENDS, status)) return `ExecutionStatus = '${ENDS[status as EndStatus]}'`;
  const attribute = SEARCH_ATTRIBUTES.status;
  // One that no worker has taken up yet has none.
  const isIt = `${attribute} = '${status}'`;
  return `(${open} AND ${status === 'Running' ? `(${isIt} OR ${attribute} IS NULL)` : isIt})`;
}

/** The status of a run: how it ended as Temporal knows it, what it waits for as the flow itself says. */
export function shownStatus(info: Pick<WorkflowExecutionInfo, 'status' | 'searchAttributes'>): ShownStatus {
  const status = runStatusOf(info);
  const said = attributeOf(info, 'status');
  // One that comes to a failure completes with a report of it.
  const dryRun = DRY_RUN_STATUSES.find((name) => name === said);
  if (dryRun !== undefined && (status === 'Running' || status === 'Completed')) return dryRun;
  if (status !== 'Running') return status;
  return OPEN_STATUSES.find((name) => name === said) ?? 'Running';
}

/** True where a run has not ended. */
export function isOpen(status: ShownStatus): status is OpenStatus | 'DryRun' {
  return status === 'DryRun' || (OPEN_STATUSES as readonly string[]).includes(status);
}
