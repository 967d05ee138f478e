import { findDepthExcess, findJsonExcess } from '../json-excess';
import {
  MOST_TOLD,
  type ScriptAnswer,
  type ScriptEnd,
  type ScriptError,
  type ScriptStreams,
  tailOf,
} from './child/protocol';

/**
 * Reads what a script's process answered. The process had an author's code in it: whatever is not as it has to be is no answer, and
 * what is, is copied piece by piece. Undefined where it is not.
 */
export function readAnswer(bytes: Buffer): ScriptAnswer | undefined {
  const answer = parseBounded(bytes);
  if (!isRecord(answer)) return undefined;
  const end = readEnd(answer.end);
  const { cpuMs, peakMemoryBytes } = answer;
  if (end === undefined || !isAmount(cpuMs) || !isAmount(peakMemoryBytes)) return undefined;
  return { end, cpuMs, peakMemoryBytes };
}

function readEnd(end: unknown): ScriptEnd | undefined {
  if (!isRecord(end)) return undefined;
  const { kind, value, code, stdout, stderr, of } = end;
  switch (kind) {
    case 'returned':
      return typeof value === 'string' ? { kind, value } : undefined;
    case 'exited': {
      const error = readError(end.error);
      return isAmount(code) && areTexts(stdout, stderr)
        ? ({ kind, code, stdout, stderr, ...(error === undefined ? {} : { error }) } as ScriptEnd)
        : undefined;
    }
    case 'threw': {
      const error = readError(end.error);
      return error !== undefined && areTexts(stdout, stderr)
        ? ({ kind, error, stdout: tailOf(stdout as string), stderr: tailOf(stderr as string) } as ScriptEnd)
        : undefined;
    }
    case 'syntax': {
      const error = readError(end.error);
      return error === undefined ? undefined : { kind, error };
    }
    case 'unsettled':
    case 'memory':
    case 'cpu':
      return { kind, ...tailsOf(stdout, stderr) };
    case 'output':
      return of === 'result' || of === 'stdout' || of === 'stderr'
        ? { kind, of, ...tailsOf(stdout, stderr) }
        : undefined;
    default:
      return undefined;
  }
}

function tailsOf(stdout: unknown, stderr: unknown): Partial<ScriptStreams> {
  if (typeof stdout !== 'string' || typeof stderr !== 'string') return {};
  return { stdout: tailOf(stdout), stderr: tailOf(stderr) };
}

function readError(error: unknown): ScriptError | undefined {
  if (!isRecord(error)) return undefined;
  const { name, message, line } = error;
  if (typeof name !== 'string' || typeof message !== 'string') return undefined;
  return {
    name: name.slice(0, MOST_TOLD.nameCharacters),
    message: message.slice(0, MOST_TOLD.messageCharacters),
    ...(isAmount(line) ? { line } : {}),
  };
}

/** The value of JSON text that somebody else made; undefined where it is none, or too much for the worker's thread. */
export function parseBounded(bytes: Buffer): unknown {
  if (findJsonExcess(bytes) !== undefined) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return findDepthExcess(value) === undefined ? value : undefined;
  } catch (error) {
    // No JSON; or deeper than this thread's stack, in what is too short to be counted before.
    if (error instanceof SyntaxError || error instanceof RangeError) return undefined;
    throw error;
  }
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isAmount(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0;
}

function areTexts(...values: unknown[]): boolean {
  return values.every((value) => typeof value === 'string');
}
