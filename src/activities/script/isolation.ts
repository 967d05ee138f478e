import { execFile } from 'node:child_process';
import { accessSync, constants, existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';

/** Whether scripts get the operating system's isolation: where it works, always, never. */
export type IsolationMode = 'auto' | 'required' | 'off';

export const ISOLATION_MODES: readonly IsolationMode[] = ['auto', 'required', 'off'];

/** What there is of it on this machine. */
export type Isolation =
  | { readonly kind: 'bubblewrap'; readonly program: string }
  /** Scripts run without it; `why` is for people. */
  | { readonly kind: 'none'; readonly why: string }
  /** It is required, and not there. */
  | { readonly kind: 'missing'; readonly why: string };

/** A folder or file of this machine, and where scripts' processes see it. Read-only. */
export interface Mount {
  readonly from: string;
  readonly to: string;
}

const PROBE_MS = 10_000;

/** Where the system's libraries are that Node is linked with; those that are not there are left out. */
const LIBRARIES = ['/lib', '/lib64', '/usr/lib', '/usr/lib64'];

/** Where Node is inside. */
export const NODE_INSIDE = '/node';

/**
 * Arguments of bubblewrap (bwrap(1)) before the command: namespaces of its own for users, processes, network, IPC, names and control
 * groups, nobody's user id, no capability, no environment; a file system that has Node, its libraries and what is mounted, all of it
 * read-only; the end of the worker is its end.
 */
export function bubblewrapArguments(mounts: readonly Mount[]): string[] {
  const bind = (flag: string, { from, to }: Mount) => [flag, from, to];
  return [
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
  if ('program' in found) return { kind: 'bubblewrap', program: found.program };
  return { kind: mode === 'required' ? 'missing' : 'none', why: found.why };
}

async function probe(path: string): Promise<{ program: string } | { why: string }> {
  if (process.platform !== 'linux') return { why: 'bubblewrap is for Linux only' };
  const program = findProgram('bwrap', path);
  if (program === undefined) return { why: 'bubblewrap is not installed: no program bwrap on PATH' };
  return new Promise((resolve) => {
    const args = [...bubblewrapArguments([]), NODE_INSIDE, '--version'];
    execFile(program, args, { env: {}, timeout: PROBE_MS }, (error, stdout, stderr) => {
      if (error === null && stdout.startsWith('v')) resolve({ program });
      else resolve({ why: `bubblewrap does not work here: ${(stderr.trim() || error?.message) ?? 'no answer'}` });
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
