import { ERROR_CODES } from '../dsl/error-codes';
import { FlowError, flowError, flowErrorData, flowErrorToJson, messageOf } from '../dsl/errors';
import type { JsonObject } from '../dsl/json';
import { EXIT, type ExitCode } from './exit-codes';
import { printable, printableIndented, type TextOutput } from './output';

/** Ends a command with an error, an exit code and, where the help of the code is too general, better help. */
export class CommandError extends Error {
  override readonly name = 'CommandError';

  constructor(
    readonly error: FlowError,
    readonly exitCode: ExitCode,
    readonly help?: string,
  ) {
    super(error.message, { cause: error });
  }
}

/** BLW_USAGE: the command line asks for something that cannot be. */
export function usageError(detail: string, options: { help?: string; cause?: unknown } = {}): CommandError {
  const { help, cause } = options;
  return new CommandError(flowError('BLW_USAGE', detail, cause === undefined ? {} : { cause }), EXIT.invalid, help);
}

/** What a command threw, as data for programs. */
export function errorDataOf(thrown: unknown): JsonObject {
  const error = thrown instanceof CommandError ? thrown.error : thrown;
  if (error instanceof FlowError) return flowErrorToJson(error.data);
  return flowErrorToJson(flowErrorData('BLW_BLOCK_FAILED', messageOf(error)));
}

/** Prints whatever a command threw, as `error: <detail> [CODE]` and a line of help, and returns its exit code. */
export function reportError(thrown: unknown, err: TextOutput): ExitCode {
  if (thrown instanceof CommandError) return printFlowError(thrown.error, err, thrown);
  if (thrown instanceof FlowError) return printFlowError(thrown, err, {});
  err.line(`${err.style.red('error:')} ${describeDefect(thrown)}`);
  return EXIT.failed;
}

/** What is said of an error that nobody expected, with where it was thrown. */
export function describeDefect(thrown: unknown): string {
  const text = thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown);
  return `unexpected, please report it: ${text.split('\n').map(printableIndented).join('\n')}`;
}

function printFlowError(
  { data }: FlowError,
  err: TextOutput,
  options: { exitCode?: ExitCode; help?: string | undefined },
): ExitCode {
  const { code } = data;
  const suffix = code === undefined ? '' : ` [${code}]`;
  err.line(`${err.style.red('error:')} ${printableLines(data.detail ?? data.title ?? data.type)}${suffix}`);
  const help = options.help ?? (code === undefined ? undefined : ERROR_CODES[code].help);
  if (help !== undefined) err.line(`  ${help}`);
  return options.exitCode ?? exitCodeOf(data.code);
}

/** Some details are lists, one thing a line. */
export function printableLines(text: string): string {
  return text.split('\n').map(printable).join('\n  ');
}

function exitCodeOf(code: keyof typeof ERROR_CODES | undefined): ExitCode {
  if (code === undefined) return EXIT.failed;
  if (code === 'BLW_TEMPORAL_UNREACHABLE') return EXIT.unreachable;
  const { type } = ERROR_CODES[code];
  return type === 'validation' || type === 'configuration' ? EXIT.invalid : EXIT.failed;
}
