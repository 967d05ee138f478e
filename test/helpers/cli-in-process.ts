import { Readable } from 'node:stream';
import type { Cli } from '../../src/cli/cli';
import { reportError } from '../../src/cli/command-error';
import type { Style, TextOutput } from '../../src/cli/output';
import { runProgram } from '../../src/cli/program';
import type { CliOptions, CliResult } from './cli';

const plain = (text: string) => text;
const STYLE: Style = { bold: plain, dim: plain, red: plain, green: plain, yellow: plain };

/** Runs a command in this process, which saves the second that a process takes to start: for tests of many commands. */
export async function runInProcess(args: readonly string[], { env = {}, cwd }: CliOptions = {}): Promise<CliResult> {
  const written = { stdout: '', stderr: '' };
  const output = (name: keyof typeof written): TextOutput => ({
    line: (text = '') => {
      written[name] += `${text}\n`;
    },
    style: STYLE,
  });
  const cli: Cli = {
    out: output('stdout'),
    err: output('stderr'),
    stdin: Readable.from([]),
    env,
    cwd: cwd ?? process.cwd(),
    onReaderGone: () => undefined,
  };
  const code = await runProgram(args, cli).catch((error: unknown) => reportError(error, cli.err));
  return { code, ...written };
}
