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
import { DRY_RUN_CONDITION, isDryRun, LIVE_CONDITION } from './dry-runs';

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
export type StatusFilter = OpenStatus | EndStatus | DryRunStatus | typeof OPEN;

const NAMES: readonly StatusFilter[] = [
  OPEN,
  ...OPEN_STATUSES,
  ...(Object.keys(ENDS) as EndStatus[]),
  ...DRY_RUN_STATUSES,
];

/** What a live flow's status is called of a dry run. */
const OF_DRY_RUNS: Readonly<Partial<Record<StatusFilter, DryRunStatus>>> = {
  [OPEN]: 'DryRun',
  Running: 'DryRun',
  Completed: 'DryRunCompleted',
  Failed: 'DryRunFailed',
  Cancelled: 'DryRunCancelled',
};

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

/** True for a status that only dry runs have. */
function isOfDryRuns(status: StatusFilter): status is DryRunStatus {
  return (DRY_RUN_STATUSES as readonly string[]).includes(status);
}

/** Whether dry runs are asked for, and live flows. */
export function wantedKinds(
  statuses: readonly StatusFilter[],
  onlyDryRuns: boolean,
): { dryRuns: boolean; live: boolean } {
  return {
    dryRuns: onlyDryRuns || statuses.some(isOfDryRuns),
    live: !onlyDryRuns && (statuses.length === 0 || !statuses.every(isOfDryRuns)),
  };
}

/**
 * Flows of these statuses, as a condition of a query; of an empty list, all but the earlier runs of flows that went on in another. Dry runs
 * are among them only where they are asked for: with `onlyDryRuns`, or by a status of theirs.
 */
export function statusCondition(statuses: readonly StatusFilter[], onlyDryRuns = false): string {
  const kind = onlyDryRuns ? DRY_RUN_CONDITION : LIVE_CONDITION;
  if (statuses.length === 0) return `ExecutionStatus != 'ContinuedAsNew' AND ${kind}`;
  const asked = onlyDryRuns ? statuses.map((status) => OF_DRY_RUNS[status] ?? status) : statuses;
  return `(${asked.map((status) => conditionOf(status, kind)).join(' OR ')})`;
}

function conditionOf(status: StatusFilter, kind: string): string {
  const open = "ExecutionStatus = 'Running'";
  if (status === OPEN) return `(${open} AND ${kind})`;
  if (Object.hasOwn(ENDS, status)) return `(ExecutionStatus = '${ENDS[status as EndStatus]}' AND ${kind})`;
  const attribute = SEARCH_ATTRIBUTES.status;
  if (status === 'DryRun') return `(${open} AND ${DRY_RUN_CONDITION})`;
  if (isOfDryRuns(status)) return `${attribute} = '${status}'`;
  // One that no worker has taken up yet has none.
  const isIt = `${attribute} = '${status}'`;
  return `(${open} AND ${status === 'Running' ? `(${isIt} OR ${attribute} IS NULL)` : isIt})`;
}

/** The status of a run: how it ended as Temporal knows it, what it waits for as the flow itself says. */
export function shownStatus(
  info: Pick<WorkflowExecutionInfo, 'status' | 'searchAttributes' | 'taskQueue'>,
): ShownStatus {
  const status = runStatusOf(info);
  const said = attributeOf(info, 'status');
  if (isDryRun(info)) {
    // One that comes to a failure completes with a report of it.
    const isFailed = status === 'Completed' && said === 'DryRunFailed';
    return isFailed ? said : (OF_DRY_RUNS[status as StatusFilter] ?? status);
  }
  if (status !== 'Running') return status;
  return OPEN_STATUSES.find((name) => name === said) ?? 'Running';
}

/** True where a run has not ended. */
export function isOpen(status: ShownStatus): status is OpenStatus | 'DryRun' {
  return status === 'DryRun' || (OPEN_STATUSES as readonly string[]).includes(status);
}
