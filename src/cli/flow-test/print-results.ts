import type { Difference } from '../../dsl/flow-test/expected-value';
import { printDryRun, unusedText } from '../dry-run-report';
import { counted } from '../flow-file';
import { printable, printableIndented, type TextOutput } from '../output';
import { formatTable } from '../table';
import type { CaseResult, FlowCoverage, SuiteResult } from './run-suites';

/** Longest line on which both values of a difference stand. */
const MAX_LINE_LENGTH = 110;

/** Most lines of what no test came to, of one flow; `--json` has them all. */
const MAX_MISSING = 20;

/** Prints what became of a file's cases; of those that failed what differs, and with `showsReports` what the flow did. */
export function printSuite({ suite, cases }: SuiteResult, output: TextOutput, showsReports: boolean): void {
  const { style } = output;
  output.line(style.bold(printable(`${suite.file} (${suite.flow.plan.flow})`)));
  for (const result of cases) {
    output.line(
      `  ${printable(headOf(result))}`.replace(/^( {2})([✓✗-])/, (_, indent, mark) => indent + painted(mark, style)),
    );
    for (const difference of result.differences)
      for (const line of differenceLines(difference)) output.line(printableIndented(`      ${line}`));
    if (result.status !== 'failed' || result.report === undefined) continue;
    const { report } = result;
    if (showsReports) printDryRun(report, indented(output, '      '));
    else if (report.unusedMocks !== undefined)
      output.line(printableIndented(`      ${unusedText(report.unusedMocks)}`));
  }
}

function indented(output: TextOutput, blanks: string): TextOutput {
  return {
    style: output.style,
    line: (text = '') => {
      for (const line of text.split('\n')) output.line(line === '' ? '' : `${blanks}${line}`);
    },
  };
}

function headOf({ case: { name, skip }, status, durationMs }: CaseResult): string {
  if (status === 'skipped') return `- ${name}: skipped, ${skip ?? ''}`;
  return `${status === 'passed' ? '✓' : '✗'} ${name}  ${Math.round(durationMs)} ms`;
}

function painted(mark: string, style: TextOutput['style']): string {
  if (mark === '✓') return style.green(mark);
  return mark === '✗' ? style.red(mark) : style.dim(mark);
}

function differenceLines({ at, expected, got }: Difference): string[] {
  const line = lineOf({ at, expected, got });
  return line.length <= MAX_LINE_LENGTH ? [line] : [at, `  expected ${expected}`, `  got      ${got}`];
}

/** `output.total: expected 12, got 13` */
export function lineOf({ at, expected, got }: Difference): string {
  return `${at}: expected ${expected}, got ${got}`;
}

/** `1 failed, 2 passed, 1 skipped in 1 file, 3.2 s` */
export function printSummary(results: readonly SuiteResult[], durationMs: number, output: TextOutput): void {
  const { failed, passed, skipped } = countCases(results);
  const { style } = output;
  const parts = [
    ...(failed === 0 ? [] : [style.red(`${failed} failed`)]),
    style.green(`${passed} passed`),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
  ];
  output.line();
  output.line(`${parts.join(', ')} in ${counted(results.length, 'file')}, ${(durationMs / 1_000).toFixed(1)} s`);
}

export function countCases(results: readonly Pick<SuiteResult, 'cases'>[]): {
  passed: number;
  failed: number;
  skipped: number;
} {
  const counts = { passed: 0, failed: 0, skipped: 0 };
  for (const { cases } of results) for (const { status } of cases) counts[status] += 1;
  return counts;
}

/** Prints a line for each flow, and below it what no test came to, with its place in the document. */
export function printCoverage(flows: readonly FlowCoverage[], output: TextOutput): void {
  const rows = flows.map(({ flow, steps, branches }) => [printable(flow.name), shareText(steps), shareText(branches)]);
  output.line();
  for (const line of formatTable(['coverage', 'steps', 'branches'], rows, output.style)) output.line(line);
  for (const { flow, missing, uncounted } of flows) {
    if (uncounted > 0) output.line(`  ${flow.name}: the reports had no room for ${counted(uncounted, 'visit')} more`);
    for (const { path, what } of missing.slice(0, MAX_MISSING)) {
      const { line, column } = flow.locateStep(path);
      output.line(printableIndented(`  ${flow.name}:${line}:${column} ${path}: ${what}`));
    }
    if (missing.length > MAX_MISSING) output.line(`  … and ${missing.length - MAX_MISSING} more; --json has them all`);
  }
}

function shareText({ covered, total }: FlowCoverage['steps']): string {
  return `${covered} of ${total} (${percentOf({ covered, total })} %)`;
}

/** Rounded down, so that 100 is all; of nothing, all is covered. */
export function percentOf({ covered, total }: FlowCoverage['steps']): number {
  return total === 0 ? 100 : Math.floor((100 * covered) / total);
}
