import type { OnlyInput } from '../dsl/dry-run/only-input';
import type { DryRunReport, ReportedStep } from '../dsl/dry-run/report';
import { isSameJson, type Json } from '../dsl/json';
import { answerText, attemptText, caseText, headOf, printFailure, printSkipped, stepLines } from './dry-run-report';
import { printable, printableIndented, type TextOutput } from './output';
import { scriptOutputLines } from './script-output';

/** Prints for people what one step would do: its input, what comes of it, and where the flow would go on. */
export function printStep(report: DryRunReport, given: OnlyInput, output: TextOutput): void {
  const { style } = output;
  const print = (text: string) => output.line(printableIndented(text));
  output.line(style.bold(printable(`one step of ${report.flow} for ${report.tenant}: nothing was done`)));
  const [step, ...inner] = report.steps;
  if (step !== undefined) {
    print(headOf(step, style));
    for (const line of deedLines(step)) print(`    ${line}`);
    for (const line of stepLines({ ...report, steps: inner }, style, '    ')) print(line);
    if (step.input !== undefined) printValue('resolved input', step.input, output);
  }
  printEnd(report, given, output);
}

function deedLines({ would, answer, case: taken, failedAttempts = [], cut = [] }: ReportedStep): string[] {
  return [
    ...(would === undefined ? [] : [would]),
    ...failedAttempts.map(attemptText),
    ...(answer === undefined ? [] : [answerText(answer)]),
    ...(taken === undefined ? [] : [caseText(taken)]),
    ...(cut.length === 0 ? [] : [`too large for the report: ${cut.join(', ')}`]),
  ];
}

function printEnd(report: DryRunReport, { context: before = null }: OnlyInput, output: TextOutput): void {
  const { error, context = null, notGiven = [] } = report;
  if (error === undefined) {
    printValue('it would complete with', report.output ?? null, output);
    if (!isSameJson(context, before)) printValue('context after it', context, output);
  }
  output.line();
  if (error !== undefined) {
    printFailure(report, output);
    for (const line of scriptOutputLines(error)) output.line(`  ${line}`);
  } else output.line(printable(`then: ${nextText(report.next ?? null)}`));
  printSkipped(report, output);
  // An expression that failed says so itself.
  if (notGiven.length > 0 && error?.code !== 'BLW_EXPR_FAILED')
    output.line(printable(`read, and not given with --data: ${notGiven.join(', ')}`));
}

function printValue(title: string, value: Json, output: TextOutput): void {
  output.line();
  output.line(title);
  output.line(JSON.stringify(value, undefined, 2));
}

function nextText(next: string | null): string {
  if (next === null) return 'nothing, its list is through';
  if (next === 'end') return 'the flow ends';
  return next === 'exit' ? 'out of its list' : next;
}
