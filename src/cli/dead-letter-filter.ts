import type { Command } from 'commander';
import type { ListedLetter } from '../dsl/dead-letter';
import { type FlowStatus, RUN_FLOW, RUN_WINDOW, SEARCH_ATTRIBUTES } from '../dsl/names';
import { quote } from './approval-client';
import { addFailureFlags, type FailureFilter, flowConditions } from './flow-filter';
import { checkTenantFlag } from './tenant-flag';

const PARKED: FlowStatus = 'DeadLettered';

/** Values of the flags that say which dead letters are meant. */
export interface LetterFilter extends FailureFilter {
  readonly block?: string;
}

/** Adds the flags of {@link LetterFilter}. */
export function addFilterFlags(command: Command): Command {
  return addFailureFlags(command).option('--block <TYPE>', 'only those of this block, e.g. http.request');
}

/** The filter alone, of a command's flags. Throws BLW_USAGE where no tenant can have the name. */
export function filterOf({ tenant, flow, block, code, since, until }: LetterFilter): LetterFilter {
  checkTenantFlag(tenant);
  const all = { tenant, flow, block, code, since, until };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** True where nothing is left out. */
export function isUnfiltered(filter: LetterFilter): boolean {
  return Object.keys(filterOf(filter)).length === 0;
}

/** The workflows that may have such dead letters, as Temporal's lists are asked for them. */
export function visibilityQuery(filter: LetterFilter): string {
  return [
    `WorkflowType IN (${quote(RUN_FLOW)}, ${quote(RUN_WINDOW)})`,
    "ExecutionStatus = 'Running'",
    `${SEARCH_ATTRIBUTES.status} = ${quote(PARKED)}`,
    ...flowConditions(filter),
  ].join(' AND ');
}

/** What only the flows themselves know of their dead letters. */
export function matchesFilter(
  { block, code, since = 0, until = Number.POSITIVE_INFINITY }: LetterFilter,
  letter: ListedLetter,
): boolean {
  return (
    (block === undefined || letter.block === block) &&
    (code === undefined || letter.error.code === code) &&
    letter.failedAt >= since &&
    letter.failedAt <= until
  );
}
