import { ERROR_CODES, isErrorCode } from '../dsl/error-codes';
import { printableLines } from './command-error';
import { EXIT, type ExitCode } from './exit-codes';
import type { FlowOutcome } from './flow-outcome';
import { printable, type TextOutput } from './output';

/** Fields of an error, below its detail, in the order of OWS. */
const FIELDS = ['type', 'status', 'title', 'instance'];

/** The exit code that the outcome of a flow means. */
export function exitCodeOf({ status }: FlowOutcome): ExitCode {
  return status === 'Completed' ? EXIT.done : EXIT.failed;
}

/** Prints the error that a flow ended with. */
export function printFlowFailure(outcome: FlowOutcome, err: TextOutput): void {
  if (outcome.status === 'Completed') return;
  const { error } = outcome;
  const code = typeof error.code === 'string' ? error.code : undefined;
  err.line(
    `${err.style.red('error:')} ${printableLines(String(error.detail ?? error.title ?? error.type))}${code === undefined ? '' : ` [${printable(code)}]`}`,
  );
  for (const field of FIELDS) {
    const value = error[field];
    if (value === undefined) continue;
    err.line(`  ${`${field}:`.padEnd(10)} ${printable(typeof value === 'string' ? value : JSON.stringify(value))}`);
  }
  if (code !== undefined && isErrorCode(code)) err.line(`  ${ERROR_CODES[code].help}`);
}
