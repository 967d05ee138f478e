import type { JsonObject } from '../../dsl/json';
import { type Problem, toJsonPointer } from '../../dsl/problems';
import type { AddCommand, Cli } from '../cli';
import { CommandError, reportError, usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { counted, countSteps, type FlowFile, printProblems, readFlowFile } from '../flow-file';
import { STDIN, sourceName } from '../read-source';

const EXAMPLES = `
Examples:
  $ beamline validate flow.yaml
  $ beamline validate flows/*.yaml --json
  $ generate-flow | beamline validate -

Each problem is one line: file:line:column CODE message. The exit code is 2 where there is any.`;

/** A file that was checked, or could not be read. */
type Checked = FlowFile | { readonly name: string; readonly unreadable: CommandError };

/** `beamline validate FILE...` */
export const addValidate: AddCommand = (command, cli, action) => {
  command
    .description('Checks flow documents (YAML or JSON) and lists every problem with its line and column.')
    .argument('<file...>', 'flow documents; - reads standard input')
    .option('--json', 'print one JSON object instead of lines')
    .addHelpText('after', EXAMPLES)
    .action(action((files: string[], flags: { json?: boolean }) => validate(files, flags, cli)));
};

async function validate(sources: readonly string[], flags: { json?: boolean }, cli: Cli): Promise<ExitCode> {
  if (sources.filter((source) => source === STDIN).length > 1) throw usageError('- can be given only once');
  const files: Checked[] = [];
  for (const source of sources) files.push(await check(source, cli));
  if (flags.json === true) cli.out.line(JSON.stringify({ files: files.map(toJson) }));
  else print(files, cli);
  return files.every(isValid) ? EXIT.done : EXIT.invalid;
}

async function check(source: string, cli: Cli): Promise<Checked> {
  try {
    return await readFlowFile(source, cli);
  } catch (error) {
    // The other files are still worth a look.
    if (error instanceof CommandError) return { name: sourceName(source), unreadable: error };
    throw error;
  }
}

function isValid(file: Checked): boolean {
  return 'problems' in file && file.problems.length === 0;
}

function print(files: readonly Checked[], cli: Cli): void {
  const readable = files.filter((file): file is FlowFile => 'problems' in file);
  for (const { name, ...file } of readable) {
    if ('plan' in file) cli.out.line(`ok: ${name} ${file.plan.flow}, ${counted(countSteps(file.plan.tasks), 'step')}`);
  }
  if (readable.some((file) => !isValid(file))) printProblems(readable, cli.out);
  for (const file of files) if ('unreadable' in file) reportError(file.unreadable, cli.err);
}

function toJson(file: Checked): JsonObject {
  if ('unreadable' in file) {
    const message = file.unreadable.message;
    return { file: file.name, valid: false, problems: [{ code: 'BLW_USAGE', line: 1, column: 1, path: '', message }] };
  }
  const problems = file.problems.map(problemToJson);
  const flow = 'plan' in file ? { flow: file.plan.flow } : {};
  return { file: file.name, valid: problems.length === 0, ...flow, problems };
}

function problemToJson({ code, position, path, message }: Problem): JsonObject {
  return { code, line: position?.line ?? 1, column: position?.column ?? 1, path: toJsonPointer(path), message };
}
