import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { testTemporal } from './temporal';
import { eventually } from './test-worker';

const BEAMLINE = join(__dirname, '..', '..', 'bin', 'beamline.js');

/** Real worker processes of one test. */
export class WorkerProcesses {
  readonly #children: ChildProcess[] = [];

  /** Starts `beamline worker` with flags, and waits until it polls. Without `env`, in the environment of the test run. */
  async start(flags: readonly string[], env?: NodeJS.ProcessEnv): Promise<ChildProcess> {
    const { address, namespace } = testTemporal();
    const target = ['--address', address, '--namespace', namespace];
    const child = spawn(process.execPath, [BEAMLINE, 'worker', ...target, ...flags], {
      stdio: ['ignore', 'pipe', 'inherit'],
      ...(env === undefined ? {} : { env }),
    });
    this.#children.push(child);
    let output = '';
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
    });
    await eventually(async () => (output.includes('worker started') ? true : undefined), 30_000);
    return child;
  }

  async killAll(): Promise<void> {
    await Promise.all(this.#children.splice(0).map(kill));
  }
}

/** Ends a process as a crash would. */
export async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}
