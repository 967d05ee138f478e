import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether scripts get the operating system's isolation: where it works, always, never. */
export type IsolationMode = 'auto' | 'required' | 'off';

export const ISOLATION_MODES: readonly IsolationMode[] = ['auto', 'required', 'off'];

/** What there is of it on this machine. */
export type Isolation =
  | Bubblewrap
  /** Scripts run without it; `why` is for people. `mayChange`: it is there, and did not work when it was tried. */
  | { readonly kind: 'none'; readonly why: string; readonly mayChange?: true }
  /** It is required, and not there. */
  | { readonly kind: 'missing'; readonly why: string; readonly mayChange?: true };

/** `flags` are those of its arguments that not every version has. */
export interface Bubblewrap {
  readonly kind: 'bubblewrap';
  readonly program: string;
  readonly flags: readonly string[];
}

/** A folder or file of this machine, and where scripts' processes see it. Read-only. */
export interface Mount {
  readonly from: string;
  readonly to: string;
}

const PROBE_MS = 10_000;

/** No user namespace inside of its own: the usual way to more of the kernel. From 0.8 on (bwrap(1)). */
const NO_NESTING = ['--disable-userns'];

/** What the system says where it denies it: it will do so the next time. */
const IS_DENIED = /not permitted|denied|no permissions|setuid/i;

/** Where the system's libraries are that Node is linked with; those that are not there are left out. */
const LIBRARIES = ['/lib', '/lib64', '/usr/lib', '/usr/lib64'];

/** Where Node is inside. */
export const NODE_INSIDE = '/node';

/**
 * Arguments of bubblewrap (bwrap(1)) before the command: namespaces of its own for users, processes, network, IPC, names and control
 * groups, nobody's user id, no capability, no environment; a file system that has Node, its libraries and what is mounted, all of it
 * read-only; the end of the worker is its end.
 */
export function bubblewrapArguments(mounts: readonly Mount[], flags: readonly string[]): string[] {
  const bind = (flag: string, { from, to }: Mount) => [flag, from, to];
  return [
    ...flags,
    ...['--unshare-user', '--unshare-all', '--uid', '65534', '--gid', '65534', '--hostname', 'script'],
    ...['--die-with-parent', '--new-session', '--as-pid-1', '--cap-drop', 'ALL', '--clearenv'],
    ...LIBRARIES.flatMap((folder) => bind('--ro-bind-try', { from: folder, to: folder })),
    ...bind('--ro-bind', { from: process.execPath, to: NODE_INSIDE }),
    ...mounts.flatMap((mount) => bind('--ro-bind', mount)),
    ...['--dir', '/work', '--remount-ro', '/', '--chdir', '/work'],
  ];
}

/** Finds out what there is, by running Node in it once. Never rejects. */
export async function findIsolation(mode: IsolationMode, path = process.env.PATH ?? ''): Promise<Isolation> {
  if (mode === 'off') return { kind: 'none', why: '--script-isolation is off' };
  const found = await probe(path);
  return 'why' in found ? { kind: mode === 'required' ? 'missing' : 'none', ...found } : found;
}

async function probe(path: string): Promise<Bubblewrap | { why: string; mayChange?: true }> {
  if (process.platform !== 'linux') return { why: 'bubblewrap is for Linux only' };
  const program = findProgram('bwrap', path);
  if (program === undefined) return { why: 'bubblewrap is not installed: no program bwrap on PATH' };
  const problem = await tryOut(program, NO_NESTING);
  if (problem === undefined) return { kind: 'bubblewrap', program, flags: NO_NESTING };
  const left = /unknown option/i.test(problem) ? await tryOut(program, []) : problem;
  if (left === undefined) return { kind: 'bubblewrap', program, flags: [] };
  const why = `bubblewrap does not work here: ${left}`;
  return IS_DENIED.test(left) ? { why } : { why, mayChange: true };
}

/** What went wrong; undefined: it works. */
function tryOut(program: string, flags: readonly string[]): Promise<string | undefined> {
  return new Promise((resolve) => {
    const args = [...bubblewrapArguments([], flags), NODE_INSIDE, '--version'];
    execFile(program, args, { env: {}, timeout: PROBE_MS, killSignal: 'SIGKILL' }, (error, stdout, stderr) => {
      if (error === null && stdout.startsWith('v')) resolve(undefined);
      else if (error?.killed === true) resolve(`it did not answer within ${PROBE_MS / 1_000} s`);
      else resolve((stderr.trim() || error?.message) ?? 'no answer');
    });
  });
}

function findProgram(name: string, path: string): string | undefined {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, name))
    .find((file) => existsSync(file) && isExecutable(file));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
