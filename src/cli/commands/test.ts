import { open } from 'node:fs/promises';
import { resolve } from 'node:path';
import { InvalidArgumentError, Option } from 'commander';
import { parseDuration } from '../../dsl/durations';
import { openCatalog } from '../catalog-check';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { EXIT, type ExitCode } from '../exit-codes';
import { counted, printProblems } from '../flow-file';
import { findTestFiles } from '../flow-test/find-tests';
import { toJUnit } from '../flow-test/junit';
import { countCases, percentOf, printCoverage, printSuite, printSummary } from '../flow-test/print-results';
import { readSuite, type TestSuite } from '../flow-test/read-suite';
import { resultsToJson } from '../flow-test/results-json';
import { coverageOf, type FlowCoverage, type RunnableSuite, runSuites } from '../flow-test/run-suites';
import { STDIN } from '../read-source';
import { type Sandbox, withSandbox } from '../sandbox-engine';
import { Stopped, StopRequest } from '../stop-request';
import { writeOut } from '../write-out';

const EXAMPLES = `
Examples:
  $ beamline test
  $ beamline test flows/order.flow-test.yaml --verbose
  $ beamline test flows --catalog flows --policy policy.yaml
  $ beamline test --name refund --watch
  $ beamline test --min-coverage 80 --junit report.xml

Runs the cases in files called NAME.flow-test.yaml, each as a dry run: nothing is done, waits take no time, and no server is needed,
since the command starts one of its own and removes it afterwards. docs/testing.md says what a case can have. Exit codes: 0 all passed;
1 a case failed, or coverage is below what is asked for; 2 a file of tests, a flow or the command line is wrong, and nothing was
run; 3 there is no Temporal server to be had; 130 Ctrl-C.`;

interface TestFlags {
  readonly catalog?: string;
  readonly policy?: string;
  readonly name?: string;
  readonly timeout: number;
  readonly minCoverage?: number;
  readonly junit?: string;
  readonly verbose?: boolean;
  readonly watch?: boolean;
  readonly json?: boolean;
}

/** `beamline test [PLACE...]` */
export const addTest: AddCommand = (command, cli, action) => {
  command
    .description('Tries flows as their tests say, and compares what they do with what is expected; nothing is done.')
    .argument('[place...]', 'files of tests, or folders that have some (default: the current folder)')
    .option('--catalog <DIR>', 'folder of the flows and functions that flows refer to')
    .option('--policy <FILE>', 'tenants, what they may do and how much: scopes and quotas count')
    .option('--name <TEXT>', 'only cases with this text in their names')
    .addOption(
      new Option('--timeout <DURATION>', 'time that a case may take').default(30_000, 'PT30S').argParser(parseTimeout),
    )
    .addOption(
      new Option(
        '--min-coverage <PERCENT>',
        'fail where fewer of the steps or branches of a flow are come to',
      ).argParser(parsePercent),
    )
    .option('--junit <FILE>', "write the results there, in JUnit's XML")
    .option('--verbose', 'of each case that fails, print what the flow did')
    .option('--watch', 'run again what changes, until Ctrl-C')
    .option('--json', 'print one JSON object instead of lines')
    .addHelpText('after', EXAMPLES)
    .action(action((places: string[], flags: TestFlags) => test(places, flags, cli)));
};

function parseTimeout(text: string): number {
  const parsed = parseDuration(text);
  if ('ms' in parsed && parsed.ms > 0) return parsed.ms;
  throw new InvalidArgumentError('Expected a duration such as PT30S.');
}

function parsePercent(text: string): number {
  const percent = Number(text);
  if (/^\d+$/.test(text) && percent <= 100) return percent;
  throw new InvalidArgumentError('Expected a whole number from 0 to 100.');
}

/** What all runs of one command share. */
interface Session {
  readonly places: readonly string[];
  readonly flags: TestFlags;
  readonly cli: Cli;
}

async function test(given: readonly string[], flags: TestFlags, cli: Cli): Promise<ExitCode> {
  const session = { places: given.length === 0 ? ['.'] : given, flags, cli };
  if (flags.minCoverage !== undefined && flags.name !== undefined)
    throw usageError('--min-coverage: counts for all cases of a flow, so that it cannot stand beside --name');
  await checkWritable(flags.junit, cli);
  const suites = await readSuites(session);
  if (flags.watch !== true && !tellProblems(suites, session)) return EXIT.invalid;
  const stop = new StopRequest(() => undefined);
  try {
    return await withSandbox(flags, { cli, stop }, async (sandbox) => {
      if (flags.watch !== true) return await runOnce(suites.filter(isRunnable), { ...session, sandbox });
      // The watcher of files is loaded only where it is needed.
      const { watchSuites } = require('../flow-test/watch-suites') as typeof import('../flow-test/watch-suites');
      return await watchSuites(suites, {
        ...session,
        stop,
        read: () => readSuites(session),
        run: async (wanted) => {
          await runOnce(wanted.filter(isRunnable), { ...session, sandbox });
        },
        tellProblems: (all) => tellProblems(all, session),
      });
    });
  } catch (error) {
    if (error instanceof Stopped) return EXIT.interrupted;
    throw error;
  } finally {
    stop.release();
  }
}

/** Better before the cases ran than after. Throws BLW_USAGE. */
async function checkWritable(file: string | undefined, cli: Cli): Promise<void> {
  if (file === undefined) return;
  if (file === STDIN) throw usageError('--junit -: expected a file; --json has the results on standard output');
  try {
    await (await open(resolve(cli.cwd, file), 'a')).close();
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw usageError(`--junit ${file}: cannot be written (${code ?? String(cause)})`, { cause });
  }
}

async function readSuites({ places, flags, cli }: Session): Promise<readonly TestSuite[]> {
  const files = await findTestFiles(places, cli);
  const library = flags.catalog === undefined ? undefined : await openCatalog(flags.catalog, cli);
  const suites: TestSuite[] = [];
  for (const file of files) suites.push(await readSuite(file, cli, library));
  const { name } = flags;
  if (name !== undefined && suites.every(isRunnable) && !suites.some(({ cases }) => cases.some(named(name))))
    throw usageError(`--name: no case has "${name}" in its name`);
  return suites;
}

/** False where there are any, of which a flow that several files test has its own once. */
function tellProblems(suites: readonly TestSuite[], { flags, cli }: Session): boolean {
  const found = new Map(suites.flatMap(({ problems }) => (problems === undefined ? [] : [[problems.name, problems]])));
  if (found.size === 0) return true;
  printProblems([...found.values()], cli.err);
  if (flags.json === true) {
    const problems = [...found.values()].flatMap(({ name, problems }) =>
      problems.map(({ code, message, position }) => ({ file: name, ...position, code, message })),
    );
    cli.out.line(JSON.stringify({ problems }));
  }
  return false;
}

function isRunnable(suite: TestSuite): suite is RunnableSuite {
  return suite.problems === undefined;
}

function named(text: string): (one: { readonly name: string }) => boolean {
  return ({ name }) => name.toLowerCase().includes(text.toLowerCase());
}

async function runOnce(
  suites: readonly RunnableSuite[],
  { flags, cli, sandbox }: Session & { sandbox: Sandbox },
): Promise<ExitCode> {
  const { json = false, verbose = false, name, timeout: timeoutMs } = flags;
  const isWanted = name === undefined ? () => true : named(name);
  const wanted = suites.map(({ cases }) => cases.filter(isWanted).length).filter((count) => count > 0);
  const count = wanted.reduce((sum, one) => sum + one, 0);
  cli.err.line(cli.err.style.dim(`running ${counted(count, 'case')} in ${counted(wanted.length, 'file')}`));
  const startedAt = performance.now();
  const results = await runSuites(suites, {
    sandbox,
    timeoutMs,
    isWanted,
    onSuite: (result) => {
      if (!json && result.cases.length > 0) printSuite(result, cli.out, verbose);
    },
  });
  const durationMs = performance.now() - startedAt;
  const ran = results.filter(({ cases }) => cases.length > 0);
  // Of some cases only, it would say little.
  const coverage = name === undefined ? coverageOf(ran) : [];
  if (json) cli.out.line(JSON.stringify(resultsToJson(ran, coverage, durationMs)));
  else {
    printSummary(ran, durationMs, cli.out);
    if (coverage.length > 0) printCoverage(coverage, cli.out);
  }
  if (flags.junit !== undefined) await writeOut(toJUnit(ran, durationMs), flags.junit, cli, '--junit');
  const isCovered = tellTooLittle(coverage, flags, cli);
  return countCases(ran).failed === 0 && isCovered ? EXIT.done : EXIT.failed;
}

/** False where a flow has less coverage than is asked for. */
function tellTooLittle(coverage: readonly FlowCoverage[], { minCoverage = 0 }: TestFlags, { err }: Cli): boolean {
  let isEnough = true;
  for (const { flow, ...shares } of coverage) {
    for (const part of ['steps', 'branches'] as const) {
      const percent = percentOf(shares[part]);
      if (percent >= minCoverage) continue;
      isEnough = false;
      err.line(err.style.red(`${flow.name}: ${percent} % of its ${part} are covered, expected ${minCoverage} %`));
    }
  }
  return isEnough;
}
