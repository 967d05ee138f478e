import { formatDuration } from '../../dsl/durations';
import { flowErrorToJson } from '../../dsl/errors';
import type { Json, JsonObject } from '../../dsl/json';
import { waitingToJson } from '../approval-view';
import { type CommandParts, letterToJson } from '../dead-letter-view';
import { printRehearsed } from '../dry-run-outcome';
import { printFlowFailure } from '../flow-report';
import { printable, printableIndented, type TextOutput } from '../output';
import { placeOf } from '../progress-printer';
import { describeNeed } from '../quota-notices';
import { roundedBytes } from '../usage-view';
import { unservedStep } from '../worker-presence';
import { nextSteps } from './next-steps';
import type { PendingActivity } from './pending-activities';
import { momentOf } from './run-list-view';
import type { RunReport } from './run-report';
import { isOpen } from './run-status';
import { stepTable } from './step-table';

/** Attempts that are told one by one. */
const MAX_PENDING = 20;

/** Longest output that is printed whole. */
const MAX_OUTPUT_LENGTH = 4_000;

/** What a report is printed with. */
export interface RunView {
  readonly output: TextOutput;
  /** Ms since 1970. */
  readonly now: number;
  readonly parts: CommandParts;
  /** Where Temporal's UI shows it, as far as that is known. */
  readonly ui: string | undefined;
}

/** Prints who, what and when of a run. */
export function printHead(report: RunReport, { output, now, ui }: Omit<RunView, 'parts'>): void {
  const { workflowId, runId, status, startedAt, closedAt, newestRunId, historyBytes, notes } = report;
  const size = historyBytes === undefined ? '' : `, ${roundedBytes(historyBytes)}`;
  const ago = formatDuration(Math.max(0, now - startedAt.getTime()));
  const rows: [string, string | undefined][] = [
    ['status', status],
    ['dry run', report.isDryRun && 'its steps are answered, and nothing is done'],
    ['flow', report.flow ?? unknownFlowOf(report)],
    ['tenant', report.tenant],
    ['started', `${momentOf(startedAt)}, ${ago} ago`],
    ['ended', closedAt && `${momentOf(closedAt)}, after ${formatDuration(closedAt.getTime() - startedAt.getTime())}`],
    ['run id', runId],
    ['goes on', newestRunId && `as run ${newestRunId}`],
    ['part of', report.parentId],
    ['history', `${report.historyEvents} events${size}`],
    ['waits for', waitOf(report)],
    ['UI', ui],
  ];
  const { style } = output;
  output.line(style.bold(printable(workflowId)));
  for (const [name, value] of rows) if (value !== undefined) output.line(`  ${name.padEnd(10)} ${printable(value)}`);
  for (const note of notes) output.line(`  ${style.yellow(`${'note'.padEnd(10)} ${printable(note)}`)}`);
  for (const note of report.progress?.notes ?? []) output.line(`  ${'unheard'.padEnd(10)} ${printable(note)}`);
}

/** Why it is not known which flow it is: a worker says so once it has read it. */
function unknownFlowOf({ status, outcome }: RunReport): string {
  if (isOpen(status)) return '(no worker has taken it up yet)';
  return outcome?.status === 'Failed' ? '(refused at its start)' : '(it ended before a worker had taken it up)';
}

/** What the flow itself waits for, before its first step. */
function waitOf({ progress, tenant = '' }: RunReport): string | undefined {
  return progress?.waitsFor === undefined ? undefined : describeNeed(progress.waitsFor, tenant);
}

/** Prints all of a report. */
export function printRun(report: RunReport, view: RunView): void {
  const { output, now, parts } = view;
  printHead(report, view);
  if (report.report === undefined) printSteps(report, view);
  else printTried(report.report, output);
  printPending(report, view);
  if (report.report === undefined || !('status' in report.report)) printOutcome(report, output);
  const next = nextSteps(report, parts, now);
  if (next.length === 0) return;
  output.line();
  output.line('What to do next:');
  for (const line of next) output.line(`  ${line}`);
}

/** A dry run's own report says more of its steps, and what the flow would end with. */
function printTried(report: NonNullable<RunReport['report']>, output: TextOutput): void {
  output.line();
  printRehearsed(report, output);
}

function printSteps({ progress, closedAt, pending }: RunReport, { output, now }: RunView): void {
  if (progress === undefined) return;
  output.line();
  const { stepsStarted, stepsEnded } = progress;
  output.line(`Steps: ${stepsEnded} of ${stepsStarted} that began have ended`);
  if (progress.steps.length === 0) return;
  const table = stepTable(progress, { until: closedAt?.getTime() ?? now, pending }, output.style);
  for (const line of table) output.line(`  ${line}`);
}

/** What is under way at Temporal: the failing ones first. */
function printPending({ pending }: RunReport, { output, now }: RunView): void {
  if (pending.length === 0) return;
  const ordered = [...pending].sort((a, b) => Number(b.failure !== undefined) - Number(a.failure !== undefined));
  output.line();
  output.line('Under way:');
  for (const one of ordered.slice(0, MAX_PENDING)) {
    const { step, iteration, block } = one;
    const place = step === undefined ? '' : `${placeOf({ id: step, iteration })}: `;
    output.line(`  ${printable(`${place}${block}, ${stateOf(one, now)}`)}`);
    if (one.failure === undefined) continue;
    const { message, code } = one.failure;
    output.line(`    ${output.style.red(printable(`${message}${code === undefined ? '' : ` [${code}]`}`))}`);
  }
  const left = ordered.length - MAX_PENDING;
  if (left > 0) output.line(output.style.dim(`  … and ${left} more; --json has them`));
}

function stateOf(pending: PendingActivity, now: number): string {
  const { state, attempt, maximumAttempts, startedAt, scheduledAt, nextAttemptAt, worker } = pending;
  const count = `attempt ${attempt}${maximumAttempts === undefined ? '' : ` of ${maximumAttempts}`}`;
  const since = (from: number | undefined) =>
    from === undefined ? '' : ` for ${formatDuration(Math.max(0, now - from))}`;
  if (state === 'running') return `${count} runs${since(startedAt)}${worker === undefined ? '' : ` on ${worker}`}`;
  if (state === 'queued' && pending.isUnserved === true && pending.taskQueue !== undefined)
    return `${count} ${unservedStep(pending.taskQueue)}`;
  if (state === 'queued') return `${count} waits in the queue${attempt > 1 ? '' : since(scheduledAt)}`;
  if (state === 'cancelling') return `${count} is being cancelled`;
  if (state === 'paused') return `${count} is paused in Temporal`;
  const left = (nextAttemptAt ?? now) - now;
  return `${count} begins ${left <= 0 ? 'now' : `in ${formatDuration(left)}, at ${momentOf(new Date(now + left))}`}`;
}

function printOutcome({ outcome }: RunReport, output: TextOutput): void {
  if (outcome === undefined) return;
  output.line();
  if (outcome.status !== 'Completed') {
    printFlowFailure(outcome, output);
    return;
  }
  const text = JSON.stringify(outcome.output, undefined, 2);
  output.line(text.length > MAX_OUTPUT_LENGTH ? 'Output (cut; --json has all of it):' : 'Output:');
  for (const line of text.slice(0, MAX_OUTPUT_LENGTH).split('\n')) output.line(`  ${printableIndented(line)}`);
}

/** What scripts read of a run. */
export function reportToJson(report: RunReport, ui: string | undefined): JsonObject {
  const {
    startedAt,
    closedAt,
    progress,
    pending,
    approvals,
    letters,
    outcome,
    unreadable,
    report: tried,
    ...rest
  } = report;
  const moment = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms).toISOString());
  const known = {
    ...rest,
    isOpen: isOpen(rest.status),
    startedAt: startedAt.toISOString(),
    closedAt: closedAt?.toISOString(),
    ui,
    // It has come as JSON; its type only says what is in it.
    progress: progress as unknown as JsonObject | undefined,
    pending: pending.map(({ scheduledAt, startedAt: begunAt, nextAttemptAt, ...one }) =>
      present({
        ...one,
        scheduledAt: moment(scheduledAt),
        startedAt: moment(begunAt),
        nextAttemptAt: moment(nextAttemptAt),
      }),
    ),
    approvals: approvals.map(waitingToJson),
    deadLetters: letters.map(letterToJson),
    ...(outcome?.status === 'Completed' ? { output: outcome.output } : { error: outcome?.error }),
    report: tried as unknown as JsonObject | undefined,
    unreadable: unreadable && flowErrorToJson(unreadable.data),
  };
  return present(known);
}

function present(values: Readonly<Record<string, unknown>>): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as Record<string, Json>;
}
