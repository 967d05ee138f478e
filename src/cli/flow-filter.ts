import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseFlowReference } from '../dsl/catalog/references';
import { parseDuration } from '../dsl/durations';
import { SEARCH_ATTRIBUTES } from '../dsl/names';
import { shortText } from '../dsl/problems';
import { quote } from './approval-client';

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

/** Values of the flags that say which of the flows, or steps, that failed are meant. */
export interface FailureFilter {
  readonly tenant?: string;
  /** `namespace/name`, or with `:version`. */
  readonly flow?: string;
  /** Stable code of the error, or the type of one that the flow raised. */
  readonly code?: string;
  /** When they failed, in ms since 1970. */
  readonly since?: number;
  readonly until?: number;
}

/** Adds `--tenant` and `--flow`. */
export function addFlowFlags(command: Command): Command {
  return command
    .option('--tenant <NAME>', 'only those of this tenant')
    .addOption(
      new Option('--flow <NAME>', 'only those of this flow: namespace/name, or with :version').argParser(parseFlow),
    );
}

/** Adds the flags of {@link FailureFilter}. */
export function addFailureFlags(command: Command): Command {
  return addFlowFlags(command)
    .option('--code <CODE>', 'only those that failed with this code, e.g. BLW_HTTP_STATUS')
    .addOption(new Option('--since <TIME>', 'only those that failed after: 2h (ago), or a date').argParser(parseTime))
    .addOption(new Option('--until <TIME>', 'only those that failed before: 2h (ago), or a date').argParser(parseTime));
}

/** What Temporal's lists know of the filter, as conditions of a query. */
export function flowConditions({ tenant, flow }: Pick<FailureFilter, 'tenant' | 'flow'>): string[] {
  return [
    ...(tenant === undefined ? [] : [`${SEARCH_ATTRIBUTES.tenant} = ${quote(tenant)}`]),
    ...(flow === undefined ? [] : [ofFlow(flow)]),
  ];
}

function ofFlow(flow: string): string {
  return flow.includes(':')
    ? `${SEARCH_ATTRIBUTES.flow} = ${quote(flow)}`
    : `${SEARCH_ATTRIBUTES.flow} STARTS_WITH ${quote(`${flow}:`)}`;
}

/** `namespace/name`, or with `:version`. */
function parseFlow(text: string): string {
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
