import type { Environment } from '@marcbachmann/cel-js/evaluator';
import type { AstNode } from './syntax-tree';

/**
 * The library reads a time without a zone, and computes fields in a zone, in the time zone of the machine, so that the same
 * flow would take another course on another worker. These functions take the place of its own, as `matches` has it too.
 */
const TYPE = 'google.protobuf.Timestamp';

const PARSE = 'isoTimestamp';

/** What the names of the functions that compute in a time zone begin with. */
export const ZONED = 'zonedGet';

/** RFC 3339, as CEL has it: with `Z` or an offset. */
const RFC_3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:\d\d)$/;

const MIN_MS = -62_135_596_800_000;
const MAX_MS = 253_402_300_799_999;

/** Fields of a wall clock, read off a date whose UTC fields are that clock's. */
const FIELDS: Readonly<Record<string, (clock: Date) => number>> = {
  getDate: (clock) => clock.getUTCDate(),
  getDayOfMonth: (clock) => clock.getUTCDate() - 1,
  getDayOfWeek: (clock) => clock.getUTCDay(),
  getDayOfYear: (clock) => Math.floor((clock.getTime() - startOfYear(clock)) / 86_400_000),
  getFullYear: (clock) => clock.getUTCFullYear(),
  getHours: (clock) => clock.getUTCHours(),
  getMinutes: (clock) => clock.getUTCMinutes(),
  getMonth: (clock) => clock.getUTCMonth(),
  getSeconds: (clock) => clock.getUTCSeconds(),
};

/** Registers what {@link replaceTimestampCall} puts in. */
export function registerTimestamps(environment: Environment): void {
  environment.registerFunction(`${PARSE}(string): ${TYPE}`, parseTimestamp);
  environment.registerFunction(`${PARSE}(int): ${TYPE}`, (seconds: bigint) => inRange(Number(seconds) * 1_000));
  environment.registerFunction(`${TYPE}.${zoned('getDayOfYear')}(): int`, (time: Date) =>
    fieldOf('getDayOfYear', time),
  );
  for (const name of Object.keys(FIELDS)) {
    environment.registerFunction(`${TYPE}.${zoned(name)}(string): int`, (time: Date, zone: string) =>
      fieldOf(name, wallClock(time, zone)),
    );
  }
}

/** Puts our own function in the place of the library's, where a node calls one. */
export function replaceTimestampCall({ op, args }: AstNode): void {
  if (!Array.isArray(args)) return;
  const [name, , operands] = args as [unknown, unknown, unknown];
  if (op === 'call' && name === 'timestamp') args[0] = PARSE;
  if (op !== 'rcall' || typeof name !== 'string' || !Object.hasOwn(FIELDS, name)) return;
  // Durations have fields of the same names, without a zone.
  const hasZone = Array.isArray(operands) && operands.length === 1;
  if (hasZone || name === 'getDayOfYear') args[0] = zoned(name);
}

/** A message of the library's with the names that authors write. */
export function withAuthorsNames(message: string): string {
  return message.replaceAll(PARSE, 'timestamp').replace(/\bzonedGet(?=[A-Z])/g, 'get');
}

function zoned(name: string): string {
  return `${ZONED}${name.slice(3)}`;
}

function fieldOf(name: string, clock: Date): bigint {
  return BigInt(FIELDS[name]?.(clock) ?? 0);
}

function startOfYear(clock: Date): number {
  return new Date(0).setUTCFullYear(clock.getUTCFullYear());
}

function parseTimestamp(text: string): Date {
  return inRange(RFC_3339.test(text) ? Date.parse(text) : Number.NaN);
}

function inRange(ms: number): Date {
  if (ms >= MIN_MS && ms <= MAX_MS) return new Date(ms);
  throw new Error('timestamp() takes ISO 8601 text with a zone such as 2026-01-02T03:04:05Z, or seconds since 1970');
}

/** A date whose UTC fields are those of a clock on the wall there. Throws a RangeError for an unknown zone. */
function wallClock(time: Date, timeZone: string): Date {
  // With "UTC" behind it, the zone of the machine has no say when the text is read.
  return new Date(`${time.toLocaleString('en-US', { timeZone, hourCycle: 'h23' })} UTC`);
}
