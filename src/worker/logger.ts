import { type Logger as Pino, pino } from 'pino';
import type { WorkerConfig } from './config';
import { openLogSink } from './log-sink';

/** Fields of a log line, in the names that the design gives them. Never an argument or an output of a block. */
export type LogFields = Record<string, string | number | boolean | undefined>;

/** Writes log lines: one JSON object each, `{ timestamp, level, worker_id, message, fields }`. */
export interface Logger {
  log(level: LogLevel, message: string, fields?: LogFields): void;
  /** False where lines of that level are dropped: for who makes many of them. Absent: none are. */
  readonly isOn?: (level: LogLevel) => boolean;
}

/** From the least urgent on. */
export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** What a logger does beside writing. */
export interface LoggerOptions {
  /** Told whether lines are being lost, as on a full disk. */
  readonly onLoss?: (isLosing: boolean) => void;
  /** Applied to every text of a line. */
  readonly mask?: (text: string) => string;
}

/** A logger on standard output; `pretty` for people. */
export function createLogger(
  { logLevel, logFormat }: Pick<WorkerConfig, 'logLevel' | 'logFormat'>,
  workerId: string,
  { onLoss, mask }: LoggerOptions = {},
): Logger {
  const logger = logFormat === 'pretty' ? prettyLogger(logLevel, onLoss) : jsonLogger(logLevel, workerId, onLoss);
  return mask === undefined ? logger : maskedLogger(logger, mask);
}

/** A logger that masks every text of its lines before it writes them. */
export function maskedLogger(logger: Logger, mask: (text: string) => string): Logger {
  const { isOn } = logger;
  return {
    ...(isOn === undefined ? {} : { isOn }),
    log(level, message, fields = {}) {
      const masked = Object.entries(fields).map(([key, value]) => [
        key,
        typeof value === 'string' ? mask(value) : value,
      ]);
      logger.log(level, mask(message), Object.fromEntries(masked));
    },
  };
}

function jsonLogger(logLevel: string, workerId: string, onLoss: LoggerOptions['onLoss']): Logger {
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
  return {
    isOn: (level) => lines.isLevelEnabled(level),
    log(level, message, fields = {}) {
      lines[level]({ fields }, message);
      if (isUrgent(level)) sink.flush();
    },
  };
}

/** What needs somebody's attention must not wait for the lines after it: it may be the last that the worker says. */
function isUrgent(level: string): boolean {
  return level === 'warn' || level === 'error';
}

/** Said once the log can be written again. */
const LOST = 'log lines were lost: standard output could not be written';

const ORDER = ['trace', 'debug', 'info', 'warn', 'error'];

function prettyLogger(logLevel: string, onLoss: LoggerOptions['onLoss']): Logger {
  const sink = openLogSink((lines) => `WARN  ${LOST}  lines=${lines}\n`, undefined, onLoss);
  const isOn = (level: string): boolean => ORDER.indexOf(level) >= ORDER.indexOf(logLevel);
  return {
    isOn,
    log(level, message, fields = {}) {
      if (!isOn(level)) return;
      sink.write(prettyLine(new Date(), level, message, fields));
      if (isUrgent(level)) sink.flush();
    },
  };
}

/** Fields that are ours, and have lines of their own. */
const WITH_LINES = ['stack', 'error'];

/**
 * A line for people. Ids of flows are chosen by whoever starts them: what would move the cursor, begin another line or turn the direction
 * of writing, is written as an escape.
 */
export function prettyLine(at: Date, level: string, message: string, fields: LogFields): string {
  const details = Object.entries(fields)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${visible(String(value), WITH_LINES.includes(key))}`);
  const time = at.toISOString().slice(11, 23);
  return `${time} ${level.toUpperCase().padEnd(5)} ${[visible(message, false), ...details].join('  ')}\n`;
}

function visible(text: string, hasLines: boolean): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}\p{Bidi_Control}]/gu, (char) =>
    hasLines && char === '\n' ? char : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
