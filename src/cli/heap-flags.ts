import { setFlagsFromString } from 'node:v8';

/**
 * What V8 is told in a process that is a worker. By default, on a machine with memory, a heap may grow to four times what is alive in it before its old part
 * is collected: of a worker's two heaps, the main thread's and that of the flows, most was garbage. Measured: docs/performance.md.
 */
const FLAGS = [
  // The old part grows by half of what is alive.
  '--heap-growing-percent=50',
  // MiB of half of the young part, of threads that start from now on: that of the flows.
  '--max-semi-space-size=8',
  // Young objects are collected by the thread that made them, without helpers: with them it was hardly sooner done, for 5 % more CPU time of the process.
  '--no-parallel-scavenge',
];

/** Sets the flags of this process, but for what its command line or NODE_OPTIONS says. To be called before threads are started. */
export function setHeapFlags({ execArgv, env }: Pick<NodeJS.Process, 'execArgv' | 'env'> = process): void {
  for (const flag of flagsBeside([...execArgv, env.NODE_OPTIONS ?? ''])) setFlagsFromString(flag);
}

/** Those of which nothing was said. */
export function flagsBeside(options: readonly string[]): readonly string[] {
  const said = options.join(' ').replaceAll('_', '-');
  return FLAGS.filter((flag) => !said.includes(nameOf(flag)));
}

function nameOf(flag: string): string {
  return flag.replace(/^--(no-)?/, '').replace(/=.*$/, '');
}
