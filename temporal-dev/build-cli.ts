import { join } from 'node:path';
import { CLI_NAME } from './cli-cache';
import { runCommand } from './run-command';
import { isAtLeast, PINNED_CLI_VERSION } from './temporal-version';

const GO_MODULE = 'github.com/temporalio/cli';
const MINIMUM_GO_VERSION = '1.23';
const PROGRESS_MS = 30_000;
/** Measured: 2.5 minutes cold on two cores; four times that for slower machines and lines. */
const BUILD_DEADLINE_MS = 10 * 60 * 1000;

/** Settings of {@link buildCli}. */
export interface BuildOptions {
  /** GOBIN: where the executable goes. */
  readonly folder: string;
  readonly env: NodeJS.ProcessEnv;
  readonly log: (line: string) => void;
}

/** The version of `go` on PATH (`1.26.8`); undefined where there is none or it is older than 1.23. */
export async function findGo(env: NodeJS.ProcessEnv): Promise<string | undefined> {
  const { exitCode, output } = await runCommand('go', ['version'], { env, timeoutMs: 15_000 });
  const version = /\bgo(\d+\.\d+(?:\.\d+)?)/.exec(output)?.[1];
  return exitCode === 0 && version !== undefined && isAtLeast(version, MINIMUM_GO_VERSION) ? version : undefined;
}

/** Builds the CLI with `go install`; returns the executable's path. Throws an Error with the end of Go's output. */
export async function buildCli({ folder, env, log }: BuildOptions): Promise<string> {
  const startedAt = Date.now();
  const progress = setInterval(() => {
    log(`still building the Temporal CLI (${Math.round((Date.now() - startedAt) / 1000)} s; about 150 s in all)`);
  }, PROGRESS_MS);
  try {
    // A binary built this way calls itself 0.0.0-DEV unless told otherwise; without symbol tables it is a third smaller.
    const linkerFlags = `-s -w -X ${GO_MODULE}/temporalcli.Version=${PINNED_CLI_VERSION}`;
    const args = ['install', `-ldflags=${linkerFlags}`, `${GO_MODULE}/cmd/temporal@v${PINNED_CLI_VERSION}`];
    // GOOS and GOARCH of somebody who compiles for another machine would make Go refuse GOBIN.
    const buildEnv = { ...env, GOBIN: folder, GOOS: '', GOARCH: '' };
    const { exitCode, output } = await runCommand('go', args, {
      env: buildEnv,
      cwd: folder,
      timeoutMs: BUILD_DEADLINE_MS,
    });
    if (exitCode !== 0) throw new Error(`go install failed: ${output.trim().slice(-600)}`);
    return join(folder, CLI_NAME);
  } finally {
    clearInterval(progress);
  }
}
