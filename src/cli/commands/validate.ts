import type { FlowLibrary } from '../../dsl/catalog/library';
import { FLOW_TEST_FILE } from '../../dsl/flow-test/flow-test';
import type { JsonObject } from '../../dsl/json';
import { type Problem, toJsonPointer } from '../../dsl/problems';
import { checkCatalog, type FunctionFile, openCatalog } from '../catalog-check';
import type { AddCommand, Cli } from '../cli';
import { CommandError, reportError, usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { explainedToJson, explainSteps, printExplained } from '../explain-plan';
import { counted, countSteps, type FlowFile, printProblems, readFlowFile } from '../flow-file';
import { readSuite } from '../flow-test/read-suite';
import { STDIN, sourceName } from '../read-source';

const EXAMPLES = `
Examples:
  $ beamline validate flow.yaml
  $ beamline validate flows/*.yaml --json
  $ beamline validate flow.yaml --explain
  $ generate-flow | beamline validate -
  $ beamline validate --catalog flows/
  $ beamline validate flow.yaml --catalog flows/

Each problem is one line: file:line:column CODE message. The exit code is 2 where there is any. Files called NAME.flow-test.yaml
are checked as tests of their flows. With --catalog, all flows and functions in the folder are checked too, and what the documents
refer to; without, such references are listed as not checked.`;

/** A file that was checked, or could not be read. */
type Checked = FlowFile | FunctionFile | TestFile | { readonly name: string; readonly unreadable: CommandError };

/** A file of tests of a flow. */
interface TestFile {
  readonly name: string;
  /** What it is of, and how many cases it has; absent where it is not valid. */
  readonly tests?: { readonly flow: string; readonly cases: number };
  readonly problems: readonly Problem[];
}

interface ValidateFlags {
  readonly catalog?: string;
  readonly json?: boolean;
  readonly explain?: boolean;
}

/** `beamline validate FILE...` */
export const addValidate: AddCommand = (command, cli, action) => {
  command
    .description('Checks flow documents (YAML or JSON) and lists every problem with its line and column.')
    .argument('[file...]', 'flow documents; - reads standard input')
    .option('--catalog <DIR>', 'folder of flows and functions, as a worker has it')
    .option('--explain', 'list the steps of each flow: pool, and whether they run in their queue or in place, and why')
    .option('--json', 'print one JSON object instead of lines')
    .addHelpText('after', EXAMPLES)
    .action(action((files: string[], flags: ValidateFlags) => validate(files, flags, cli)));
};

async function validate(sources: readonly string[], flags: ValidateFlags, cli: Cli): Promise<ExitCode> {
  if (sources.filter((source) => source === STDIN).length > 1) throw usageError('- can be given only once');
  if (sources.length === 0 && flags.catalog === undefined) {
    throw usageError('expected a flow document, or --catalog DIR', { help: 'See `beamline validate --help`.' });
  }
  const files = await checkAll(sources, flags.catalog, cli);
  if (flags.json === true) cli.out.line(JSON.stringify({ files: files.map((file) => toJson(file, flags)) }));
  else print(files, flags, cli);
  return files.every(isValid) ? EXIT.done : EXIT.invalid;
}

async function checkAll(sources: readonly string[], folder: string | undefined, cli: Cli): Promise<Checked[]> {
  const index = folder === undefined ? undefined : await openCatalog(folder, cli);
  const files: Checked[] = [];
  for (const source of sources) files.push(await check(source, cli, index));
  if (folder === undefined || index === undefined) return files;
  const { flows, functions } = await checkCatalog(index, folder, cli);
  return [...files, ...flows, ...functions];
}

async function check(source: string, cli: Cli, library: FlowLibrary | undefined): Promise<Checked> {
  try {
    if (FLOW_TEST_FILE.test(source)) return await checkTests(source, cli, library);
    return await readFlowFile(source, cli, library);
  } catch (error) {
    // The other files are still worth a look.
    if (error instanceof CommandError) return { name: sourceName(source), unreadable: error };
    throw error;
  }
}

async function checkTests(source: string, cli: Cli, library: FlowLibrary | undefined): Promise<TestFile | FlowFile> {
  const suite = await readSuite(source, cli, library);
  // Of a flow that is not valid, its own problems; its tests are not looked at.
  if (suite.problems !== undefined) return suite.problems;
  return { name: source, tests: { flow: suite.flow.plan.flow, cases: suite.cases.length }, problems: [] };
}

function isValid(file: Checked): boolean {
  return 'problems' in file && file.problems.length === 0;
}

function print(files: readonly Checked[], flags: ValidateFlags, cli: Cli): void {
  const readable = files.filter((file) => 'problems' in file);
  for (const file of readable) {
    if ('plan' in file) printFlow(file, flags, cli);
    else if ('tests' in file)
      cli.out.line(`ok: ${file.name} ${counted(file.tests.cases, 'case')} of ${file.tests.flow}`);
    else if ('function' in file && isValid(file)) cli.out.line(`ok: ${file.name} function ${file.function}`);
  }
  if (readable.some((file) => !isValid(file))) printProblems(readable, cli.out);
  for (const file of files) if ('unreadable' in file) reportError(file.unreadable, cli.err);
}

function printFlow(
  { name, plan, unresolved }: Extract<FlowFile, { plan: unknown }>,
  { explain }: ValidateFlags,
  cli: Cli,
): void {
  cli.out.line(`ok: ${name} ${plan.flow}, ${counted(countSteps(plan.tasks), 'step')}`);
  for (const what of unresolved) cli.err.line(`note: ${name}: ${what} was not looked up; check it with --catalog DIR`);
  if (explain === true) printExplained(explainSteps(plan), cli.out);
}

function toJson(file: Checked, { explain }: ValidateFlags): JsonObject {
  if ('unreadable' in file) {
    const message = file.unreadable.message;
    return { file: file.name, valid: false, problems: [{ code: 'BLW_USAGE', line: 1, column: 1, path: '', message }] };
  }
  const problems = file.problems.map(problemToJson);
  const unresolved = 'unresolved' in file && file.unresolved.length > 0 ? { unresolved: [...file.unresolved] } : {};
  const steps = explain === true && 'plan' in file ? { steps: explainSteps(file.plan).map(explainedToJson) } : {};
  return { file: file.name, valid: problems.length === 0, ...subjectOf(file), problems, ...unresolved, ...steps };
}

/** What a file that is valid is, or is of. */
function subjectOf(file: FlowFile | FunctionFile | TestFile): JsonObject {
  if ('tests' in file) return { ...file.tests };
  if ('plan' in file) return { flow: file.plan.flow };
  return 'function' in file ? { function: file.function } : {};
}

function problemToJson({ code, position, path, message }: Problem): JsonObject {
  return { code, line: position?.line ?? 1, column: position?.column ?? 1, path: toJsonPointer(path), message };
}
