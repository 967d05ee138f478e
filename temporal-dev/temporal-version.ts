import { runCommand } from './run-command';

/** Oldest Temporal CLI that will do: earlier ones embed a server without fairness between keys. */
export const MINIMUM_CLI_VERSION = '1.5.0';

/** The Temporal CLI that is fetched or built where none is found. */
export const PINNED_CLI_VERSION = '1.5.1';

/** The server inside CLI 1.5.0: a CLI that was built from source calls itself 0.0.0-DEV and is judged by it. */
const MINIMUM_SERVER_VERSION = '1.29.0';

const VERSION_DEADLINE_MS = 15_000;

/** What `temporal --version` said. */
export interface TemporalVersion {
  readonly cli: string;
  readonly server?: string;
}

/** Reads the output of `temporal --version`, e.g. `temporal version 1.5.1 (Server 1.29.1, UI 2.42.1)`. */
export function parseTemporalVersion(output: string): TemporalVersion | undefined {
  const match = /^temporal version v?(\d+\.\d+\.\d+\S*)(?:.*\bServer v?(\d+\.\d+\.\d+))?/m.exec(output);
  if (match?.[1] === undefined) return undefined;
  return { cli: match[1], ...(match[2] === undefined ? {} : { server: match[2] }) };
}

/** True where the CLI is new enough; one built from source, without a version of its own, is judged by its server. */
export function isNewEnough(version: TemporalVersion): boolean {
  if (version.cli.startsWith('0.0.0')) {
    return version.server !== undefined && isAtLeast(version.server, MINIMUM_SERVER_VERSION);
  }
  return isAtLeast(version.cli, MINIMUM_CLI_VERSION);
}

/** Compares `major.minor.patch`; a pre-release (`1.5.0-rc.1`) comes before the release it leads to. */
export function isAtLeast(version: string, minimum: string): boolean {
  const [left, right] = [numbersOf(version), numbersOf(minimum)];
  for (const [index, wanted] of right.entries()) {
    const difference = (left[index] ?? 0) - wanted;
    if (difference !== 0) return difference > 0;
  }
  return !version.includes('-');
}

function numbersOf(version: string): number[] {
  return (version.split(/[-+]/, 1)[0] ?? '').split('.').map(Number);
}

/** Whether a file is a usable Temporal CLI, and if not, why. */
export type CliCheck =
  | { readonly usable: true; readonly version: string }
  | { readonly usable: false; readonly why: string };

/** Runs `FILE --version` and judges the answer. */
export async function checkCli(file: string): Promise<CliCheck> {
  const { exitCode, output } = await runCommand(file, ['--version'], { timeoutMs: VERSION_DEADLINE_MS });
  if (exitCode !== 0) {
    return { usable: false, why: `\`--version\` failed: ${firstLine(output) || `exit code ${exitCode ?? 'unknown'}`}` };
  }
  const version = parseTemporalVersion(output);
  if (version === undefined) {
    return {
      usable: false,
      why: `\`--version\` answered ${JSON.stringify(firstLine(output))}, which is no Temporal CLI`,
    };
  }
  if (!isNewEnough(version)) {
    const server = version.server === undefined ? '' : ` (server ${version.server})`;
    return { usable: false, why: `version ${version.cli}${server} is older than ${MINIMUM_CLI_VERSION}` };
  }
  return { usable: true, version: version.cli };
}

function firstLine(text: string): string {
  return (text.trim().split('\n', 1)[0] ?? '').slice(0, 200);
}
