/** Processes that a measurement starts, what they use, and how they are ended. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';

const START_LIMIT_MS = 60_000;

/** Linux counts CPU time in hundredths of a second (`getconf CLK_TCK`). */
const TICK_MS = 10;

/** Ends what was started, the last first. */
export class Releases {
  #list = [];

  add(release) {
    this.#list.push(release);
  }

  async releaseAll() {
    for (const release of this.#list.splice(0).reverse()) await release();
  }
}

/** Starts a program and waits for a line of its output that matches; resolves with its process id and the match. */
export async function startProcess(command, args, { releases, ready, env = {}, cwd }) {
  const child = spawn(command, args, { cwd, env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'inherit'] });
  const exited = once(child, 'exit');
  releases.add(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const lines = createInterface({ input: child.stdout });
  const match = await new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error(`${args[0]} is not ready`)), START_LIMIT_MS);
    lines.on('line', (line) => {
      const found = ready.exec(line);
      if (found === null) return;
      clearTimeout(timer);
      resolve(found);
    });
    exited.then(([code]) => reject(new Error(`${args.join(' ')} ended (${code})`)));
  });
  return { pid: child.pid, match };
}

/** CPU time of a process and its threads so far, ms; undefined where the system does not say. */
export function cpuMsOf(pid) {
  const file = `/proc/${pid}/stat`;
  if (!existsSync(file)) return undefined;
  const fields = readFileSync(file, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

/** Memory of a process and of all below it, MiB: now, and the sum of what each had most; undefined where the system does not say. */
export function memoryOf(pid) {
  if (!existsSync(`/proc/${pid}/status`)) return undefined;
  const all = [pid, ...descendantsOf(pid)].map(statusOf).filter((status) => status !== undefined);
  const sum = (key) => Math.round(all.reduce((total, status) => total + (status[key] ?? 0), 0) / 1_024);
  return { nowMiB: sum('VmRSS'), peakMiB: sum('VmHWM') };
}

function descendantsOf(pid) {
  const tasks = `/proc/${pid}/task/${pid}/children`;
  if (!existsSync(tasks)) return [];
  const children = readFileSync(tasks, 'utf8').trim().split(/\s+/).filter(Boolean).map(Number);
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function statusOf(pid) {
  const file = `/proc/${pid}/status`;
  if (!existsSync(file)) return undefined;
  const lines = readFileSync(file, 'utf8').matchAll(/^(VmRSS|VmHWM):\s+(\d+) kB$/gm);
  return Object.fromEntries([...lines].map(([, key, size]) => [key, Number(size)]));
}
