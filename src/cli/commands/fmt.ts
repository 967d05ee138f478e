import { resolve } from 'node:path';
import { FormatError, formatFlowText } from '../../dsl/format/format-flow';
import { decodeUtf8 } from '../../dsl/utf8';
import type { AddCommand, Cli } from '../cli';
import { CommandError, reportError, usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { NOT_UTF8, printProblems } from '../flow-file';
import { readSource, STDIN, sourceName } from '../read-source';
import { replaceFile } from '../replace-file';

const EXAMPLES = `
Examples:
  $ beamline fmt flows/*.yaml
  $ beamline fmt --check flows/*.yaml
  $ beamline fmt - < flow.yaml

Puts keys in their order, and indentation, quotes and blank lines alike; comments, and what the flow does, stay. Prints the names
of the files that changed. With --check nothing is written, the names are those that would change, and the exit code is 2 where
there is any. A file that is not well-formed is reported and left as it is; whether a flow is valid does not matter.`;

interface FmtFlags {
  readonly check?: boolean;
}

/** `beamline fmt FILE...` */
export const addFmt: AddCommand = (command, cli, action) => {
  command
    .description('Formats flow documents (YAML or JSON) in place.')
    .argument('<file...>', 'flow documents; - formats standard input to stdout')
    .option('--check', 'write nothing, list the files that would change')
    .addHelpText('after', EXAMPLES)
    .action(action((files: string[], flags: FmtFlags) => fmt(files, flags, cli)));
};

async function fmt(sources: readonly string[], { check = false }: FmtFlags, cli: Cli): Promise<ExitCode> {
  if (sources.includes(STDIN) && sources.length > 1) throw usageError('- formats to stdout; name it alone');
  const codes: ExitCode[] = [];
  for (const source of sources) codes.push(await fmtOne(source, check, cli));
  // A defect of this program is worse than one of a document.
  return codes.find((code) => code === EXIT.failed) ?? codes.find((code) => code !== EXIT.done) ?? EXIT.done;
}

/** The other files are still formatted where one cannot be. */
async function fmtOne(source: string, isCheck: boolean, cli: Cli): Promise<ExitCode> {
  try {
    return await formatSource(source, isCheck, cli);
  } catch (error) {
    if (error instanceof CommandError) return reportError(error, cli.err);
    if (!(error instanceof FormatError)) throw error;
    cli.err.line(`${sourceName(source)}: ${error.message}; it was left as it is`);
    return reportError(error, cli.err);
  }
}

async function formatSource(source: string, isCheck: boolean, cli: Cli): Promise<ExitCode> {
  const name = sourceName(source);
  const text = decodeUtf8(await readSource(source, cli));
  const result = text === undefined ? { problems: [NOT_UTF8] } : formatFlowText(text);
  if ('problems' in result) {
    printProblems([{ name, problems: result.problems }], cli.err);
    return EXIT.invalid;
  }
  const isChanged = result.text !== text;
  if (source === STDIN && !isCheck) cli.out.line(result.text.replace(/\n$/, ''));
  if (!isChanged || (source === STDIN && !isCheck)) return EXIT.done;
  if (!isCheck) await write(source, result.text, cli);
  cli.out.line(name);
  return isCheck ? EXIT.invalid : EXIT.done;
}

async function write(source: string, text: string, { cwd }: Cli): Promise<void> {
  try {
    await replaceFile(resolve(cwd, source), text);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    throw usageError(`${source}: cannot be written (${code})`, { cause });
  }
}
