import { ERROR_CODES, isErrorCode } from '../dsl/error-codes';
import { errorText } from '../dsl/errors';
import { isJsonObject, type Json, type JsonObject } from '../dsl/json';
import { shortText } from '../dsl/problems';
import { printableLines } from './command-error';
import { EXIT, type ExitCode } from './exit-codes';
import type { FlowOutcome } from './flow-outcome';
import { printable, type TextOutput } from './output';
import { scriptOutputLines } from './script-output';

/** Fields of an error, below its detail, in the order of OWS. */
const FIELDS = ['type', 'status', 'title', 'instance'];

/** Steps that could not be undone are listed one by one up to this number. */
const MAX_LISTED = 20;

/** Characters of an error's data that are shown. */
const MAX_DATA_LENGTH = 300;

/** The exit code that the outcome of a flow means. */
export function exitCodeOf({ status }: FlowOutcome): ExitCode {
  return status === 'Completed' ? EXIT.done : EXIT.failed;
}

/** Prints the error that a flow ended with. */
export function printFlowFailure(outcome: FlowOutcome, err: TextOutput): void {
  if (outcome.status === 'Completed') return;
  const { error } = outcome;
  const code = typeof error.code === 'string' ? error.code : undefined;
  err.line(`${err.style.red('error:')} ${printableLines(errorText(error))}`);
  for (const field of FIELDS) {
    const value = error[field];
    if (value === undefined) continue;
    err.line(`  ${`${field}:`.padEnd(10)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`);
  }
  const output = scriptOutputLines(error);
  for (const line of output.length > 0 ? output : dataLines(error)) err.line(`  ${line}`);
  for (const line of compensationLines(error.compensation)) err.line(`  ${line}`);
  if (code !== undefined && isErrorCode(code)) err.line(`  ${ERROR_CODES[code].help}`);
}

/** What a program finds under the error's `data`, such as an outcome that is not known, or what the first of several failed with. */
function dataLines({ data }: JsonObject): string[] {
  if (data === undefined || data === null) return [];
  const text = JSON.stringify(data);
  const isCut = text.length > MAX_DATA_LENGTH;
  return [
    `${'data:'.padEnd(10)} ${printable(shortText(text, MAX_DATA_LENGTH))}${isCut ? ' (--json has all of it)' : ''}`,
  ];
}

/** What was undone (dsl/errors.ts, CompensationReport): somebody has to look at the steps that could not be. */
function compensationLines(report: Json | undefined): string[] {
  if (!isJsonObject(report)) return [];
  const { completed, failed } = report;
  const entries = Array.isArray(failed) ? failed.filter(isJsonObject) : [];
  const lines = entries.slice(0, MAX_LISTED).map(({ step, error }) => {
    const reason = isJsonObject(error) ? `: ${errorText(error)}` : '';
    return printable(`not undone: ${String(step)}${reason}`);
  });
  const more = entries.length - lines.length;
  return [
    `undone:    ${completed === 1 ? '1 step' : `${String(completed)} steps`}`,
    ...lines,
    ...(more > 0 ? [`… and ${more} more; --json has them all`] : []),
  ];
}
