import { resolve, sep } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { FLOW_TEST_FILE } from '../../dsl/flow-test/flow-test';
import type { Cli } from '../cli';
import { CommandError, reportError } from '../command-error';
import { printProblems } from '../flow-file';
import { readPolicyDocument } from '../policy-document';
import type { StopRequest } from '../stop-request';
import type { TestSuite } from './read-suite';
import { watchFiles } from './watch-files';

/** A worker takes a policy about a second and a half after it was written (policy-source.ts). */
const POLICY_TAKEN_MS = 2_000;

/** What is watched, and what is done about changes. */
export interface Watching {
  readonly places: readonly string[];
  readonly flags: { readonly catalog?: string; readonly policy?: string };
  readonly cli: Cli;
  readonly stop: StopRequest;
  /** All suites as they are now. Throws BLW_USAGE where there are none. */
  read(): Promise<readonly TestSuite[]>;
  run(suites: readonly TestSuite[]): Promise<void>;
  /** False where there are any. */
  tellProblems(suites: readonly TestSuite[]): boolean;
}

/** Runs suites, then again and again those that something changes; rejects with Stopped. */
export async function watchSuites(first: readonly TestSuite[], watching: Watching): Promise<never> {
  const { places, flags, cli, stop, read, run, tellProblems } = watching;
  const absolute = (path: string) => resolve(cli.cwd, path);
  const watch = await watchFiles([...places, flags.catalog ?? [], flags.policy ?? []].flat().map(absolute), stop);
  try {
    let suites = first;
    for (let wanted = first; ; ) {
      watch.add(suites.map(flowFileOf).map(absolute));
      tellProblems(suites);
      if (wanted.some(({ problems }) => problems === undefined)) await run(wanted);
      cli.err.line(cli.err.style.dim('watching; Ctrl-C ends'));
      const changed = await watch.changes();
      if (changed.has(absolute(flags.policy ?? '')) && !(await isPolicyTaken(flags.policy ?? '', watching)))
        wanted = [];
      else {
        const before = suites;
        suites = await orNone(read, cli);
        wanted = affected(suites, { before, changed, ...watching });
      }
    }
  } finally {
    await watch.close();
  }
}

/** Of a flow that is not valid, problems are all that is known. */
function flowFileOf({ flow, problems }: TestSuite): string {
  return flow === undefined ? problems.name : flow.name;
}

/** Files come and go: what is wrong with them now may be right with the next change. */
async function orNone(read: Watching['read'], cli: Cli): Promise<readonly TestSuite[]> {
  try {
    return await read();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    reportError(error, cli.err);
    return [];
  }
}

async function isPolicyTaken(policy: string, { cli, stop }: Watching): Promise<boolean> {
  try {
    const { problems, name } = await readPolicyDocument(policy, cli);
    if (problems.length > 0) printProblems([{ name, problems }], cli.err);
    else await stop.interrupting(delay(POLICY_TAKEN_MS));
    return problems.length === 0;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    reportError(error, cli.err);
    return false;
  }
}

/** Those that are new, or whose file or flow changed; all, where what they share did: the catalog, the policy. */
function affected(
  suites: readonly TestSuite[],
  { before, changed, cli, flags }: Watching & { before: readonly TestSuite[]; changed: ReadonlySet<string> },
): readonly TestSuite[] {
  const absolute = (path: string) => resolve(cli.cwd, path);
  const catalog = flags.catalog === undefined ? undefined : `${absolute(flags.catalog)}${sep}`;
  const isShared = (path: string) =>
    path === absolute(flags.policy ?? '') ||
    (catalog !== undefined && path.startsWith(catalog) && !FLOW_TEST_FILE.test(path));
  if ([...changed].some(isShared)) return suites;
  const known = new Set(before.filter(({ problems }) => problems === undefined).map(({ file }) => file));
  return suites.filter(
    (suite) => !known.has(suite.file) || [suite.file, flowFileOf(suite)].some((file) => changed.has(absolute(file))),
  );
}
