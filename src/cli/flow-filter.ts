import { type Command, InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../dsl/durations';
import { SEARCH_ATTRIBUTES } from '../dsl/names';
import { quote } from './approval-client';

const MAX_LIMIT = 10_000;

/** Values of the flags that say which flows a command is about. */
export interface FlowFilterFlags {
  readonly tenant?: string;
  readonly flow?: string;
  readonly since?: Date;
  readonly until?: Date;
  readonly limit: number;
}

/** Adds `--tenant`, `--flow`, `--since`, `--until` and `--limit`; `what` is what the times are of. */
export function addFlowFilterFlags(command: Command, what: string): Command {
  return command
    .option('--tenant <NAME>', 'only flows of this tenant')
    .option('--flow <NAME>', 'only runs of this flow: namespace/name, or namespace/name:version')
    .option(
      '--since <TIME>',
      `only those that ${what} then or later: a time (2026-11-28T12:00:00Z), or how long ago (PT2H)`,
      parseTime,
    )
    .option('--until <TIME>', `only those that ${what} before then`, parseTime)
    .addOption(new Option('--limit <N>', 'at most so many').default(100).argParser(parseLimit));
}

/** The conditions of the filter, for a visibility query; `timeAttribute` is what `--since` and `--until` compare. */
export function filterConditions({ tenant, flow, since, until }: FlowFilterFlags, timeAttribute: string): string[] {
  return [
    ...(tenant === undefined ? [] : [`${SEARCH_ATTRIBUTES.tenant} = ${quote(tenant)}`]),
    ...(flow === undefined ? [] : [flowCondition(flow)]),
    ...(since === undefined ? [] : [`${timeAttribute} >= ${quote(since.toISOString())}`]),
    ...(until === undefined ? [] : [`${timeAttribute} < ${quote(until.toISOString())}`]),
  ];
}

function flowCondition(flow: string): string {
  const { flow: attribute } = SEARCH_ATTRIBUTES;
  return flow.includes(':') ? `${attribute} = ${quote(flow)}` : `${attribute} STARTS_WITH ${quote(`${flow}:`)}`;
}

function parseTime(text: string): Date {
  const ago = parseDuration(text);
  if ('ms' in ago) return new Date(Date.now() - ago.ms);
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return new Date(time);
  throw new InvalidArgumentError('Expected a time, such as 2026-11-28T12:00:00Z, or how long ago, such as PT2H.');
}

function parseLimit(text: string): number {
  const limit = Number(text);
  if (/^\d+$/.test(text) && limit >= 1 && limit <= MAX_LIMIT) return limit;
  throw new InvalidArgumentError(`Expected a whole number from 1 to ${MAX_LIMIT}.`);
}
