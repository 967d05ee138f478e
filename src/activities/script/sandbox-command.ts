import { existsSync, lstatSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { type Bubblewrap, bubblewrapArguments, type Isolation, type Mount, NODE_INSIDE } from './isolation';

/** Packages that a script's process needs beside its own folder. */
const PACKAGES = ['quickjs-emscripten-core', '@jitl/quickjs-wasmfile-release-sync', '@jitl/quickjs-ffi-types'];

/** Most CPU seconds of any process: what the worker ends sooner, where it can look. */
const MAX_CPU_SECONDS = 330;

/**
 * What a process holds beside the engine's memory: Node, its threads' stacks, and the copies of input and result. Node alone
 * was measured at below 100 MB of what the limit counts.
 */
export const PROCESS_OVERHEAD_MB = 256;

/** Heap of V8, for a job, its answer and the engine's shell. */
const HEAP_MB = 96;

/**
 * The shell sets the limits that a process cannot have lifted again, and becomes the program: data (heap and anonymous memory, in
 * KiB), CPU seconds, no core file, no file that is written, few descriptors. A limit that the system does not know is left out.
 */
const LIMITED =
  'unset PWD; ulimit -c 0; ulimit -f 0; ulimit -n 64; ulimit -d "$1" 2>/dev/null; ulimit -t "$2" 2>/dev/null; shift 2; exec "$@"';

/** A command that runs one script in a process of its own. */
export interface SandboxCommand {
  readonly file: string;
  readonly args: readonly string[];
  /** It tells the id of the process in JSON on descriptor 3, since the program that is started is another one. */
  readonly tellsPid: boolean;
}

/** Makes the command. `entry` is the compiled child-main.js. */
export function sandboxCommand(options: {
  entry: string;
  memoryMb: number;
  isolation: Extract<Isolation, { kind: 'bubblewrap' | 'none' }>;
}): SandboxCommand {
  const { entry, memoryMb, isolation } = options;
  const command = isolation.kind === 'bubblewrap' ? isolated(isolation, entry) : plain(entry);
  const parts = [...command, String(memoryMb)];
  const tellsPid = isolation.kind === 'bubblewrap';
  const [file = '', ...args] = parts;
  if (process.platform === 'win32') return { file, args, tellsPid };
  const dataKiB = (memoryMb + PROCESS_OVERHEAD_MB) * 1_024;
  return {
    file: '/bin/sh',
    args: ['-c', LIMITED, 'sh', String(dataKiB), String(MAX_CPU_SECONDS), ...parts],
    tellsPid,
  };
}

function isolated({ program, flags }: Bubblewrap, entry: string): string[] {
  const mounts: Mount[] = [
    { from: realpathSync(dirname(entry)), to: '/app/script' },
    ...PACKAGES.map((name) => ({ from: folderOf(name), to: `/app/node_modules/${name}` })),
  ];
  return [
    ...[program, '--info-fd', '3', ...bubblewrapArguments(mounts, flags)],
    ...[NODE_INSIDE, ...nodeArguments(['/app/*']), `/app/script/${basename(entry)}`],
  ];
}

function plain(entry: string): string[] {
  const places = new Set([`${dirname(entry)}/*`, `${realpathSync(dirname(entry))}/*`]);
  for (const name of PACKAGES) {
    places.add(`${folderOf(name)}/*`);
    // As Node finds it, which may be by a link, that it reads too. Node 20 loses a place that another one begins with.
    for (const folder of require.resolve.paths(name) ?? []) {
      const place = join(folder, name);
      if (existsSync(place)) places.add(`${isLink(folder) ? folder : place}/*`);
    }
  }
  return [process.execPath, ...nodeArguments([...places]), entry];
}

/**
 * Node without what a script's process has no use for: the file system but for its own code, processes, threads, add-ons
 * (Node docs, "Permission Model"), code from text, and most of its heap.
 */
function nodeArguments(readable: readonly string[]): string[] {
  const isStable = process.allowedNodeEnvironmentFlags.has('--permission');
  return [
    isStable ? '--permission' : '--experimental-permission',
    ...readable.map((place) => `--allow-fs-read=${place}`),
    ...['--no-warnings', '--no-addons', '--disallow-code-generation-from-strings'],
    ...['--v8-pool-size=1', `--max-old-space-size=${HEAP_MB}`, '--stack-size=3000'],
  ];
}

function isLink(place: string): boolean {
  return lstatSync(place).isSymbolicLink();
}

function folderOf(name: string): string {
  const folder = (require.resolve.paths(name) ?? []).find((place) => existsSync(join(place, name)));
  if (folder === undefined) throw new Error(`the package ${name} is not installed`);
  return realpathSync(join(folder, name));
}
