import { toMermaid } from '../../dsl/graph/mermaid';
import type { AddCommand, Cli } from '../cli';
import { EXIT, type ExitCode } from '../exit-codes';
import { printProblems, readFlowFile } from '../flow-file';
import { writeOut } from '../write-out';

const EXAMPLES = `
Examples:
  $ beamline graph flow.yaml
  $ beamline graph flow.yaml --out flow.mmd

GitHub and many editors draw Mermaid in a code block of the language "mermaid".`;

/** `beamline graph FILE` */
export const addGraph: AddCommand = (command, cli, action) => {
  command
    .description('Draws a flow as a Mermaid flowchart: its steps, the ways between them, and what happens on errors.')
    .argument('<file>', 'flow document (YAML or JSON); - reads standard input')
    .option('--out <FILE>', 'write there instead of stdout')
    .addHelpText('after', EXAMPLES)
    .action(action((file: string, flags: { out?: string }) => graph(file, flags, cli)));
};

async function graph(source: string, { out }: { out?: string }, cli: Cli): Promise<ExitCode> {
  const file = await readFlowFile(source, cli);
  if (file.flow === undefined) {
    printProblems([file], cli.err);
    return EXIT.invalid;
  }
  await writeOut(toMermaid(file.plan), out, cli);
  return EXIT.done;
}
