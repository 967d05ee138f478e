import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseFlowReference } from '../dsl/catalog/references';
import type { ListedLetter } from '../dsl/dead-letter';
import { parseDuration } from '../dsl/durations';
import { type FlowStatus, RUN_FLOW, RUN_WINDOW, SEARCH_ATTRIBUTES } from '../dsl/names';
import { shortText } from '../dsl/problems';
import { quote } from './approval-client';

const PARKED: FlowStatus = 'DeadLettered';

/** `2h`, as people write durations; hours, minutes and so on, one unit. */
const SHORT_DURATION = /^(\d+(?:\.\d+)?)(s|m|h|d|w)$/i;
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1_000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
  w: 604_800_000,
};

/** A date, with a time or without, as ISO 8601 has them. */
const DATE_TIME = /^\d{4}-\d{2}-\d{2}(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:Z|[+-]\d{2}:\d{2})?)?$/;

/** Values of the flags that say which dead letters are meant. */
export interface LetterFilter {
  readonly tenant?: string;
  /** `namespace/name`, or with `:version`. */
  readonly flow?: string;
  readonly block?: string;
  /** Stable code of the error. */
  readonly code?: string;
  /** When they failed, in ms since 1970. */
  readonly since?: number;
  readonly until?: number;
}

/** Adds the flags of {@link LetterFilter}. */
export function addFilterFlags(command: Command): Command {
  return command
    .option('--tenant <NAME>', 'only those of this tenant')
    .addOption(
      new Option('--flow <NAME>', 'only those of this flow: namespace/name, or with :version').argParser(parseFlow),
    )
    .option('--block <TYPE>', 'only those of this block, e.g. http.request')
    .option('--code <CODE>', 'only those that failed with this code, e.g. BLW_HTTP_STATUS')
    .addOption(new Option('--since <TIME>', 'only those that failed after: 2h (ago), or a date').argParser(parseTime))
    .addOption(new Option('--until <TIME>', 'only those that failed before: 2h (ago), or a date').argParser(parseTime));
}

/** The filter alone, of a command's flags. */
export function filterOf({ tenant, flow, block, code, since, until }: LetterFilter): LetterFilter {
  const all = { tenant, flow, block, code, since, until };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

/** True where nothing is left out. */
export function isUnfiltered(filter: LetterFilter): boolean {
  return Object.keys(filterOf(filter)).length === 0;
}

/** The workflows that may have such dead letters, as Temporal's lists are asked for them. */
export function visibilityQuery({ tenant, flow }: LetterFilter): string {
  return [
    `WorkflowType IN (${quote(RUN_FLOW)}, ${quote(RUN_WINDOW)})`,
    "ExecutionStatus = 'Running'",
    `${SEARCH_ATTRIBUTES.status} = ${quote(PARKED)}`,
    ...(tenant === undefined ? [] : [`${SEARCH_ATTRIBUTES.tenant} = ${quote(tenant)}`]),
    ...(flow === undefined ? [] : [ofFlow(flow)]),
  ].join(' AND ');
}

/** The condition of `--flow` in a query of Temporal's lists. */
export function ofFlow(flow: string): string {
  return flow.includes(':')
    ? `${SEARCH_ATTRIBUTES.flow} = ${quote(flow)}`
    : `${SEARCH_ATTRIBUTES.flow} STARTS_WITH ${quote(`${flow}:`)}`;
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

/** `namespace/name`, or with `:version`. */
export function parseFlow(text: string): string {
  const reference = parseFlowReference(text);
  if ('problem' in reference || text.endsWith(':latest'))
    throw new InvalidArgumentError('Expected namespace/name, or namespace/name:version.');
  return text;
}

/** A moment: a date, or how long ago. */
export function parseTime(text: string): number {
  const [, amount, unit = ''] = SHORT_DURATION.exec(text) ?? [];
  if (amount !== undefined) return Date.now() - Number(amount) * (UNITS_MS[unit.toLowerCase()] ?? 0);
  const time = DATE_TIME.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  const parsed = /^P/i.test(text) ? parseDuration(text.toUpperCase()) : { problem: '' };
  if ('ms' in parsed) return Date.now() - parsed.ms;
  throw new InvalidArgumentError(
    `Got "${shortText(text, 40)}"; expected how long ago, such as 30m, 2h, 7d or PT2H, or a date such as 2026-11-28T13:00:00Z.`,
  );
}
