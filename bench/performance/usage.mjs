/** What processes use, as Linux tells; undefined elsewhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';

/** Linux counts CPU time in hundredths of a second (`getconf CLK_TCK`). */
const TICK_MS = 10;

/** CPU time so far of a process, of all below it and of those of them that have ended, ms. */
export function cpuMsOf(pid) {
  const times = [pid, ...descendantsOf(pid)].map((each) => timesIn(`/proc/${each}/stat`));
  if (times[0] === undefined) return undefined;
  return times.reduce((total, time) => total + (time === undefined ? 0 : time.own + time.ended), 0);
}

/** CPU time so far of each thread of a process, ms, by thread. */
export function threadCpuMsOf(pid) {
  const folder = `/proc/${pid}/task`;
  if (!existsSync(folder)) return new Map();
  const threads = readdirSync(folder).map((thread) => [thread, timesIn(`${folder}/${thread}/stat`)?.own]);
  return new Map(threads.filter(([, time]) => time !== undefined));
}

/** CPU time so far of the whole machine, ms: in use, and all there is. */
export function machineCpuMs() {
  const line = read('/proc/stat')?.split('\n', 1)[0];
  if (line === undefined) return undefined;
  const [user, nice, system, idle, waiting, ...others] = line.trim().split(/\s+/).slice(1).map(Number);
  const used = user + nice + system + others.slice(0, 3).reduce((sum, time) => sum + time, 0);
  return { used: used * TICK_MS, all: (used + idle + waiting) * TICK_MS };
}

/** Memory of a process, MiB: now, and the most it had. */
export function memoryOf(pid) {
  return sumOf([memoryIn(pid)]);
}

/** The same of all processes below it that run now, together. */
export function memoryOfChildren(pid) {
  return sumOf(descendantsOf(pid).map(memoryIn));
}

function sumOf(memories) {
  const all = memories.filter((memory) => memory !== undefined);
  if (all.length === 0) return undefined;
  const sum = (key) => Math.round(all.reduce((total, memory) => total + (memory[key] ?? 0), 0) / 1_024);
  return { nowMiB: sum('VmRSS'), peakMiB: sum('VmHWM') };
}

function timesIn(file) {
  const fields = read(file)?.split(') ').at(-1).split(' ');
  if (fields === undefined) return undefined;
  const [user, system, endedUser, endedSystem] = fields.slice(11, 15).map(Number);
  return { own: (user + system) * TICK_MS, ended: (endedUser + endedSystem) * TICK_MS };
}

function descendantsOf(pid) {
  const children = read(`/proc/${pid}/task/${pid}/children`)?.trim().split(/\s+/).filter(Boolean).map(Number) ?? [];
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function memoryIn(pid) {
  const lines = read(`/proc/${pid}/status`)?.matchAll(/^(VmRSS|VmHWM):\s+(\d+) kB$/gm);
  return lines === undefined ? undefined : Object.fromEntries([...lines].map(([, key, size]) => [key, Number(size)]));
}

/** The text of a file; undefined where it is not there, or no longer. */
function read(file) {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}
