import { Command, CommanderError } from 'commander';
import { closestName, shortText } from '../dsl/problems';
import { PACKAGE_VERSION } from '../worker/package-files';
import type { ActionWrapper, AddCommand, Cli } from './cli';
import { CommandError, usageError } from './command-error';
import { EXIT, type ExitCode } from './exit-codes';

/** The commands, in the order of the help. */
const COMMANDS: readonly { readonly name: string; readonly summary: string; load(): AddCommand }[] = [
  {
    name: 'validate',
    summary: 'check flow documents and list every problem',
    load: () => (require('./commands/validate') as typeof import('./commands/validate')).addValidate,
  },
  {
    name: 'run',
    summary: 'run a flow and follow its steps',
    load: () => (require('./commands/run') as typeof import('./commands/run')).addRun,
  },
  {
    name: 'test',
    summary: 'try flows as their tests say, without consequences',
    load: () => (require('./commands/test') as typeof import('./commands/test')).addTest,
  },
  {
    name: 'step',
    summary: 'try one step of a flow alone, without consequences',
    load: () => (require('./commands/step') as typeof import('./commands/step')).addStep,
  },
  {
    name: 'runs',
    summary: 'list flows, and look into them',
    load: () => (require('./commands/runs') as typeof import('./commands/runs')).addRuns,
  },
  {
    name: 'top',
    summary: 'watch pools, steps, tenants and flows, live',
    load: () => (require('./commands/top') as typeof import('./commands/top')).addTop,
  },
  {
    name: 'deploy',
    summary: 'let flows run by their schedules',
    load: () => (require('./commands/deploy') as typeof import('./commands/deploy')).addDeploy,
  },
  {
    name: 'approvals',
    summary: 'list approvals that wait, approve or reject them',
    load: () => (require('./commands/approvals') as typeof import('./commands/approvals')).addApprovals,
  },
  {
    name: 'dlq',
    summary: 'list steps that failed for good, retry, skip or discard them',
    load: () => (require('./commands/dlq') as typeof import('./commands/dlq')).addDlq,
  },
  {
    name: 'redrive',
    summary: 'let flows that failed go on from the failed step',
    load: () => (require('./commands/redrive') as typeof import('./commands/redrive')).addRedrive,
  },
  {
    name: 'token',
    summary: 'make the keys for tokens, seal a token, look into one',
    load: () => (require('./commands/token') as typeof import('./commands/token')).addToken,
  },
  {
    name: 'emit',
    summary: 'send an event to the flows that listen',
    load: () => (require('./commands/emit') as typeof import('./commands/emit')).addEmit,
  },
  {
    name: 'graph',
    summary: 'draw a flow, or how far a run is, as a Mermaid flowchart',
    load: () => (require('./commands/graph') as typeof import('./commands/graph')).addGraph,
  },
  {
    name: 'fmt',
    summary: 'format flow documents',
    load: () => (require('./commands/fmt') as typeof import('./commands/fmt')).addFmt,
  },
  {
    name: 'schema',
    summary: 'print the JSON Schema of flows for editors',
    load: () => (require('./commands/schema') as typeof import('./commands/schema')).addSchema,
  },
  {
    name: 'policy',
    summary: 'check policy files, show what tenants may do',
    load: () => (require('./commands/policy') as typeof import('./commands/policy')).addPolicy,
  },
  {
    name: 'usage',
    summary: 'show what tenants have used',
    load: () => (require('./commands/usage') as typeof import('./commands/usage')).addUsage,
  },
  {
    name: 'worker',
    summary: 'run the steps of flows',
    load: () => (require('./commands/worker') as typeof import('./commands/worker')).addWorker,
  },
  {
    name: 'dev',
    summary: 'start a Temporal server and a worker on this machine',
    load: () => (require('./commands/dev') as typeof import('./commands/dev')).addDev,
  },
  {
    name: 'codec',
    summary: 'make keys that payloads are encrypted with',
    load: () => (require('./commands/codec') as typeof import('./commands/codec')).addCodec,
  },
  {
    name: 'codec-server',
    summary: "let Temporal's UI and command line tool read what is encrypted",
    load: () => (require('./commands/codec-server') as typeof import('./commands/codec-server')).addCodecServer,
  },
  {
    name: 'demo',
    summary: 'run the example end to end, with everything it needs',
    load: () => (require('./commands/demo') as typeof import('./commands/demo')).addDemo,
  },
];

const EXAMPLES = `
Examples:
  $ beamline dev                               a Temporal server and a worker on this machine
  $ beamline validate flows/*.yaml             every problem with its line and column
  $ beamline fmt flows/*.yaml                  order, indentation and quotes alike; comments stay
  $ beamline run flow.yaml --input '{"n": 1}'  start a flow and follow it
  $ beamline runs                              flows, and what they wait for
  $ beamline approvals list                    what waits for a person
  $ beamline dlq list                          what failed for good and waits

Exit codes: 0 done, 1 the flow failed, 2 bad usage or an invalid flow, 3 Temporal cannot be reached.
Connection to Temporal: --address and --namespace, else TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE and a profile in temporal.toml.`;

/** Runs a command line (without `node` and the script) and returns its exit code. Throws what the command throws. */
export async function runProgram(argv: readonly string[], cli: Cli): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const action: ActionWrapper =
    (run) =>
    async (...args) => {
      exitCode = await run(...args);
    };
  const program = createProgram(argv, cli, action);
  try {
    await program.parseAsync([...argv], { from: 'user' });
    return exitCode;
  } catch (error) {
    const help = seeHelp(program, argv);
    if (!(error instanceof CommanderError)) throw withHelpOf(error, help);
    return usageExit(error, help, { program, argv });
  }
}

function createProgram(argv: readonly string[], cli: Cli, action: ActionWrapper): Command {
  const write = (print: (line: string) => void) => (text: string) => print(text.replace(/\n$/, ''));
  const program = new Command('beamline')
    .description('Runs declarative flows (Open Workflow Specification) on Temporal.')
    .version(PACKAGE_VERSION, '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print this help')
    .helpCommand('help [command]', 'print the help of a command')
    // `deploy list --json`: the flag is that of `list`, though `deploy` has one of the same name.
    .enablePositionalOptions()
    .addHelpText('after', EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: write((line) => cli.out.line(line)),
      writeErr: write((line) => cli.err.line(line)),
      // Printed once, in the form that all errors have.
      outputError: () => undefined,
    });
  for (const { name, summary, load } of COMMANDS) {
    // Only what is asked for is loaded: Temporal's SDK takes half a second.
    const command = program.command(name).summary(summary);
    if (argv.includes(name)) load()(command, cli, action);
  }
  return program;
}

/** Help and version end the parsing as well; whatever else does is a mistake of the user's. */
function usageExit(
  error: CommanderError,
  help: string,
  { program, argv }: { program: Command; argv: readonly string[] },
): ExitCode {
  if (error.exitCode === 0) return EXIT.done;
  // A group without its command: its help has been printed.
  if (error.code === 'commander.help') return EXIT.invalid;
  const message = unknownSubcommand(program, argv, error) ?? error.message;
  throw usageError(message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' '), {
    help,
    cause: error,
  });
}

/** A word that is taken for an argument of a group's default command, which takes none: it was meant as a command. */
function unknownSubcommand(program: Command, argv: readonly string[], error: CommanderError): string | undefined {
  if (error.code !== 'commander.excessArguments') return undefined;
  const [name, word = '-'] = argv;
  const names =
    program.commands.find((group) => group.name() === name)?.commands.map((command) => command.name()) ?? [];
  if (names.length === 0 || names.includes(word) || word.startsWith('-')) return undefined;
  const meant = closestName(word, names);
  const proposal = meant === undefined ? `expected one of ${names.join(', ')}` : `did you mean ${meant}?`;
  return `unknown command '${shortText(word, 40)}'; ${proposal}`;
}

/** A mistake for which the command has no better help than its own. */
function withHelpOf(error: unknown, help: string): unknown {
  const isBare = error instanceof CommandError && error.help === undefined && error.error.data.code === 'BLW_USAGE';
  return isBare ? new CommandError(error.error, error.exitCode, help) : error;
}

/** Of the command that was meant, or of that within its group. */
function seeHelp(program: Command, argv: readonly string[]): string {
  const names: string[] = [];
  let command: Command | undefined = program;
  for (const word of argv) {
    command = command.commands.find((candidate) => candidate.name() === word);
    if (command === undefined) break;
    names.push(`${word} `);
  }
  return `See \`beamline ${names.join('')}--help\`.`;
}
