import { runToMermaid, toMermaid } from '../../dsl/graph/mermaid';
import type { AddCommand, Cli } from '../cli';
import { usageError } from '../command-error';
import { addConnectionFlags, addDataFlags, type ConnectionFlags, dataTargetOf } from '../connection-flags';
import { EXIT, type ExitCode } from '../exit-codes';
import { printProblems, readFlowFile } from '../flow-file';
import { observeRun } from '../observed-run';
import { checkRunId } from '../run-id-flag';
import { withTemporal } from '../temporal-session';
import { writeOut } from '../write-out';

const EXAMPLES = `
Examples:
  $ beamline graph flow.yaml
  $ beamline graph flow.yaml --out flow.mmd
  $ beamline graph --run order-4711
  $ beamline graph --run order-4711 --run-id 0198c5a2-3b1e-7d20-9c41-5f7e8a6b1c2d --out order.mmd

A run's picture has the status of each step, attempts, durations and the codes of errors; a worker has to be there. GitHub and
many editors draw Mermaid in a code block of the language "mermaid". Exit codes: 0 drawn; 1 the flow ended before it had a
plan, or no worker answers; 2 bad usage, an invalid flow, or there is no such flow; 3 Temporal cannot be reached.`;

interface GraphFlags extends ConnectionFlags {
  readonly out?: string;
  readonly run?: string;
  readonly runId?: string;
}

/** `beamline graph FILE` or `beamline graph --run WORKFLOW_ID` */
export const addGraph: AddCommand = (command, cli, action) => {
  command
    .description(
      'Draws a flow as a Mermaid flowchart: its steps, the ways between them, what happens on errors; and how far a run is.',
    )
    .argument('[file]', 'flow document (YAML or JSON); - reads standard input')
    .option('--run <WORKFLOW_ID>', 'draw the flow that this run runs, with the status of its steps')
    .option('--run-id <ID>', 'which run of that workflow id (default: the newest)')
    .option('--out <FILE>', 'write there instead of stdout');
  addDataFlags(addConnectionFlags(command))
    .addHelpText('after', EXAMPLES)
    .action(action((file: string | undefined, flags: GraphFlags) => graph(file, flags, cli)));
};

async function graph(source: string | undefined, flags: GraphFlags, cli: Cli): Promise<ExitCode> {
  const { run, runId, out } = flags;
  if (source !== undefined && run !== undefined) {
    throw usageError('got a flow document and --run; a run brings its own flow', { help: 'Leave one of the two out.' });
  }
  if (run === undefined && runId !== undefined) throw usageError('--run-id: says which run of --run, which is missing');
  if (run?.trim() === '') throw usageError('--run: got an empty text, expected a workflow id');
  checkRunId(runId);
  const text = run === undefined ? await drawFile(source, cli) : await drawRunOf(run, flags, cli);
  if (text === undefined) return EXIT.invalid;
  await writeOut(text, out, cli);
  return EXIT.done;
}

/** Undefined where the document has problems, which are printed then. */
async function drawFile(source: string | undefined, cli: Cli): Promise<string | undefined> {
  if (source === undefined) throw usageError('expected a flow document, or --run with a workflow id');
  const file = await readFlowFile(source, cli);
  if (file.flow !== undefined) return toMermaid(file.plan);
  printProblems([file], cli.err);
  return undefined;
}

async function drawRunOf(workflowId: string, flags: GraphFlags, cli: Cli): Promise<string> {
  const { plan, run } = await withTemporal(dataTargetOf(flags, cli), ({ client }) =>
    observeRun(client, workflowId, flags.runId),
  );
  return runToMermaid(plan, run);
}
