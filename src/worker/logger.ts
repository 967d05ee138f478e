import { type Logger as Pino, pino } from 'pino';
import type { WorkerConfig } from './config';
import { openLogSink } from './log-sink';

/** Fields of a log line, in the names that the design gives them. Never an argument or an output of a block. */
export type LogFields = Record<string, string | number | boolean | undefined>;

/** Writes log lines: one JSON object each, `{ timestamp, level, worker_id, message, fields }`. */
export interface Logger {
  log(level: 'trace' | 'debug' | 'info' | 'warn' | 'error', message: string, fields?: LogFields): void;
}

/** A logger on standard output; `pretty` for people. `onLoss` is told whether lines are being lost, as on a full disk. */
export function createLogger(
  { logLevel, logFormat }: Pick<WorkerConfig, 'logLevel' | 'logFormat'>,
  workerId: string,
  onLoss?: (isLosing: boolean) => void,
): Logger {
  if (logFormat === 'pretty') return prettyLogger(logLevel, onLoss);
  const options = {
    level: logLevel,
    base: { worker_id: workerId },
    messageKey: 'message',
    timestamp: () => `,"timestamp":${Date.now()}`,
    formatters: { level: (label: string) => ({ level: label.toUpperCase() }) },
  };
  const ofLoss = { level: 'WARN', worker_id: workerId, message: LOST };
  const sink = openLogSink(
    (lines) => `${JSON.stringify({ ...ofLoss, timestamp: Date.now(), fields: { part: 'log', lines } })}\n`,
    undefined,
    onLoss,
  );
  const lines: Pino = pino(options, sink);
  return { log: (level, message, fields = {}) => lines[level]({ fields }, message) };
}

/** Said once the log can be written again. */
const LOST = 'log lines were lost: standard output could not be written';

const ORDER = ['trace', 'debug', 'info', 'warn', 'error'];

function prettyLogger(logLevel: string, onLoss: ((isLosing: boolean) => void) | undefined): Logger {
  const sink = openLogSink((lines) => `WARN  ${LOST}  lines=${lines}\n`, undefined, onLoss);
  return {
    log(level, message, fields = {}) {
      if (ORDER.indexOf(level) < ORDER.indexOf(logLevel)) return;
      const details = Object.entries(fields)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => `${key}=${String(value)}`);
      const time = new Date().toISOString().slice(11, 23);
      sink.write(`${time} ${level.toUpperCase().padEnd(5)} ${[message, ...details].join('  ')}\n`);
    },
  };
}
