import type { DryRunReport, DryRunSoFar, FailedAttempt, ReportedStep } from '../dsl/dry-run/report';
import { formatDuration } from '../dsl/durations';
import { errorText } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import { listNames, shortText } from '../dsl/problems';
import type { StepStatus } from '../dsl/progress';
import { madeUpHint } from './dry-run-hint';
import { printable, printableIndented, type Style, type StyleName, type TextOutput } from './output';
import { scriptOutputLines } from './script-output';

/** Longest value on a line; `--json` has them all. */
const MAX_VALUE_LENGTH = 200;

const MARKS: Readonly<Partial<Record<StepStatus, { readonly mark: string; readonly style: StyleName }>>> = {
  completed: { mark: '✓', style: 'green' },
  failed: { mark: '✗', style: 'red' },
  skipped: { mark: '-', style: 'dim' },
};

const SOURCES: Readonly<Record<NonNullable<ReportedStep['answer']>, string>> = {
  request: 'mocks of this run',
  document: "the flow's metadata.mock",
  generated: 'made up, since nothing is mocked',
  computed: 'the script itself',
};

/** Prints a report for people: each step with what it would have done and what it was answered. */
export function printDryRun(report: DryRunReport, output: TextOutput): void {
  printDryRunSteps(report, output);
  output.line();
  if (report.error === undefined) {
    output.line('it would complete with');
    output.line(JSON.stringify(report.output ?? null, undefined, 2));
  } else printFailure(report, output);
  printSkipped(report, output);
}

/** Prints how much time a live flow would have stood still, where that is any. */
export function printSkipped({ skippedMs }: DryRunReport, output: TextOutput): void {
  if (skippedMs !== undefined) output.line(`time skipped: ${formatDuration(skippedMs)}`);
}

/** Why the flow would fail, and what may be behind it. */
export function printFailure(report: DryRunReport, output: TextOutput): void {
  if (report.error !== undefined) output.line(printable(`it would fail: ${reasonOf(report.error)}`));
  const hint = madeUpHint(report);
  if (hint !== undefined) output.line(printable(`hint: ${hint}`));
}

/** The steps alone: of a dry run that has no report, or none yet, they are all there is. */
export function printDryRunSteps(report: DryRunSoFar, output: TextOutput): void {
  output.line(output.style.bold(printable(`dry run of ${report.flow} for ${report.tenant}: nothing was done`)));
  for (const line of stepLines(report, output.style)) output.line(printableIndented(line));
}

/** A line or more for each step, and what the report has no room for. */
export function stepLines(
  { steps, omittedSteps, unusedMocks }: Pick<DryRunReport, 'steps' | 'omittedSteps' | 'unusedMocks'>,
  style: Style,
  indent = '',
): string[] {
  const lines = steps.flatMap((step) => linesOf(step, style, indent));
  if (omittedSteps !== undefined)
    lines.push(`${indent}… and ${omittedSteps} more steps, which the report has no room for`);
  if (unusedMocks !== undefined) lines.push(`${indent}${unusedText(unusedMocks)}`);
  return lines;
}

/** Mocks that did not count, in words. */
export function unusedText(paths: readonly string[]): string {
  return `mocks that no step used: ${listNames(paths)}`;
}

function linesOf(step: ReportedStep, style: Style, indent: string): string[] {
  const { block, would, answer, case: taken, output, error, flow, failedAttempts = [], cut = [] } = step;
  const details = [
    ...(would === undefined ? [] : [would]),
    ...(step.input === undefined || block === 'emit' ? [] : [`input: ${short(step.input)}`]),
    ...(taken === undefined ? [] : [caseText(taken)]),
    ...failedAttempts.map(attemptText),
    ...(error === undefined ? [] : [`error: ${reasonOf(error)}`, ...scriptOutputLines(error)]),
    ...(output === undefined || error !== undefined ? [] : [`output: ${short(output)}`]),
    ...(answer === undefined ? [] : [answerText(answer)]),
    ...(cut.length === 0 ? [] : [`too large for the report: ${cut.join(', ')}`]),
  ];
  return [
    `${indent}${headOf(step, style)}`,
    ...details.map((line) => `${indent}    ${line}`),
    ...(flow === undefined ? [] : stepLines(flow, style, `${indent}    `)),
  ];
}

/** `✓ /do/1/charge http.request, 3 attempts` */
export function headOf({ path, iteration, block, status, attempts = 1 }: ReportedStep, style: Style): string {
  const { mark, style: name } = MARKS[status] ?? { mark: '~', style: 'yellow' };
  const tries = attempts > 1 ? `, ${attempts} attempts` : '';
  return `${style[name](mark)} ${path}${iteration === undefined ? '' : ` [${iteration}]`} ${style.dim(`${block}${tries}`)}`;
}

/** `attempt 1: BLW_HTTP_STATUS, status 503: closed` */
export function attemptText({ attempt, code, type, status, detail }: FailedAttempt): string {
  const what = `${code ?? type}${status === undefined ? '' : `, status ${status}`}`;
  return `attempt ${attempt}: ${what}${detail === undefined ? '' : `: ${detail}`}`;
}

/** Which case of a `switch` was taken, in words. */
export function caseText(taken: string | null): string {
  return taken === null ? 'no case matches' : `case: ${taken}`;
}

/** Where an answer comes from, in words. */
export function answerText(answer: NonNullable<ReportedStep['answer']>): string {
  return `from: ${SOURCES[answer]}`;
}

function short(value: Json): string {
  return shortText(JSON.stringify(value), MAX_VALUE_LENGTH);
}

/** `/do/0/get: the answer has status 503 [BLW_HTTP_STATUS]` */
export function reasonOf(error: JsonObject): string {
  const { instance } = error;
  return `${typeof instance === 'string' ? `${instance}: ` : ''}${errorText(error)}`;
}
