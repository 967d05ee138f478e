import { readFileSync } from 'node:fs';
import type { ChildUsage } from './protocol';

/** Linux counts CPU time in hundredths of a second (proc(5), USER_HZ). */
const MS_PER_TICK = 10;

/** Places in /proc/PID/stat behind the name of the program, which may have spaces. */
const UTIME = 11;
const STIME = 12;

/** What a process uses now, whatever it is doing; undefined where the system does not say: it is not Linux, or the process is gone. */
export function readProcessUsage(pid: number): ChildUsage | undefined {
  const stat = readText(`/proc/${pid}/stat`);
  const rssKiB = /^VmRSS:\s*(\d+) kB$/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1];
  if (stat === undefined || rssKiB === undefined) return undefined;
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const ticks = Number(fields[UTIME]) + Number(fields[STIME]);
  return { cpuMs: ticks * MS_PER_TICK, rssBytes: Number(rssKiB) * 1_024 };
}

/** The most memory that a process has held so far, in bytes; undefined as above. */
export function readPeakBytes(pid: number): number | undefined {
  const peakKiB = /^VmHWM:\s*(\d+) kB$/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1];
  return peakKiB === undefined ? undefined : Number(peakKiB) * 1_024;
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}
