import { writeSync } from 'node:fs';
import { workerData } from 'node:worker_threads';
import { MEMORY_LIMIT_MARK, type WatchdogData } from './protocol';

const INTERVAL_MS = 250;

/**
 * Ends this process where its parent is gone, which the main thread cannot notice inside of a native call; and where it holds
 * more memory than it may, which V8's own limit does not see: it counts neither buffers nor what SQLite allocates.
 */
function watch({ parentPid, maxRssBytes }: WatchdogData): void {
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
  const rss = process.memoryUsage.rss();
  if (rss <= maxRssBytes) return;
  writeSync(2, `${MEMORY_LIMIT_MARK}: ${toMiB(rss)} MiB held, ${toMiB(maxRssBytes)} MiB allowed\n`);
  process.kill(process.pid, 'SIGKILL');
}

const toMiB = (bytes: number): number => Math.round(bytes / 1024 / 1024);

// This file is only ever the entry of the child's second thread (child-server.ts).
setInterval(() => watch(workerData as WatchdogData), INTERVAL_MS);
