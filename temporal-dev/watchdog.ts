/**
 * The server's parent: a process of its own that outlives ours by a moment. It holds the reading end of a pipe whose
 * writing end only our process has, so it learns of our end however we end, SIGKILL included, and ends the server.
 * In a session of its own, so that a Ctrl-C in the terminal reaches our process alone, which can then drain first.
 */
import { spawn } from 'node:child_process';
import { rmSync, writeSync } from 'node:fs';
import { STOP_COMMAND, type WatchdogOrder, type WatchdogReport } from './watchdog-order';

const order = JSON.parse(process.argv[2] ?? '') as WatchdogOrder;
let isStopRequested = false;
let hasParentLetGo = false;
let hasServerEnded = false;

// The server's output goes where our errors go, the log file; it has no part in the pipes.
const server = spawn(order.command, order.args, { stdio: ['ignore', 2, 2], windowsHide: true });
server.once('spawn', () => report({ event: 'started', pid: server.pid ?? -1 }));
server.once('error', (error) => {
  report({ event: 'failed', why: error.message });
  onServerEnded();
});
server.once('exit', (code, signal) => {
  report({ event: 'exited', how: signal === null ? `exit code ${code}` : `signal ${signal}` });
  onServerEnded();
});

// Whoever ends many processes at once may well end it before our own, and the server would be nobody's: it goes when our process has let go.
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => undefined);

process.stdin.setEncoding('utf8');
process.stdin.on('data', (text: string) => {
  isStopRequested ||= text.includes(STOP_COMMAND);
});
for (const sign of ['end', 'close', 'error']) process.stdin.once(sign, onParentLetGo);

function onParentLetGo(): void {
  if (hasParentLetGo) return;
  hasParentLetGo = true;
  if (hasServerEnded) {
    cleanUp();
    return;
  }
  server.kill('SIGTERM');
  setTimeout(() => server.kill('SIGKILL'), isStopRequested ? order.stopGraceMs : order.orphanGraceMs).unref();
}

/** Stays until the parent lets go: the folder holds the log, which the parent may still want to read. */
function onServerEnded(): void {
  hasServerEnded = true;
  if (hasParentLetGo) cleanUp();
}

function cleanUp(): void {
  rmSync(order.removeAtEnd, { recursive: true, force: true, maxRetries: 3 });
  process.exit(0);
}

function report(message: WatchdogReport): void {
  try {
    writeSync(1, `${JSON.stringify(message)}\n`);
  } catch {
    // Nobody reads any more: the parent is gone, which the other pipe tells too.
  }
}
