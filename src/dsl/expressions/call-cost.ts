import { ZONED } from './timestamps';
import { keysWork, spend, workOf } from './work-limit';

/** Characters that a unit of work copies or makes; their memory counts too. */
export const COPIED_CHARACTERS_PER_UNIT = 4;

/** Characters that a unit of work counts (measured: 5 ns each). */
const COUNTED_CHARACTERS_PER_UNIT = 16;

/** Characters that a unit of work looks through. */
const READ_CHARACTERS_PER_UNIT = 8;

/** Pairs of a character of the text and one of what is searched in it. V8's search compares so many in the worst case (measured). */
const COMPARED_PAIRS_PER_UNIT = 256;

/** Functions that look for their first argument in the receiver. */
const SEARCHES: ReadonlySet<string> = new Set(['contains', 'indexOf', 'lastIndexOf', 'split']);

/** Functions that only look at a few characters of their text, or pass it on. */
const GLANCES: ReadonlySet<string> = new Set([
  'startsWith',
  'endsWith',
  'string',
  'dyn',
  'type',
  'bool',
  'int',
  'uint',
  'of',
]);

/** What else a call takes, in units: times and durations are parsed, and a time zone is looked up in some 0.1 ms (measured). */
const COST_OF_CALL: Readonly<Record<string, number>> = { isoTimestamp: 20, string: 40, duration: 70, round: 5 };
const COST_OF_TIME_ZONE = 1_000;

/** Go's, as CEL has it: numbers with units. */
const DURATION = /^[+-]?(?:(?:\d{1,20}(?:\.\d{0,20})?|\.\d{1,20})(?:ns|us|µs|ms|s|m|h))+$/;

/**
 * Spends what a function's work is worth, before it is done: the library's own functions take any time and memory on large
 * arguments, on the thread that all flows of a worker share. `args` begins with the receiver of a method.
 */
export function spendCall(name: string, args: readonly unknown[]): void {
  spend(name.startsWith(ZONED) ? COST_OF_TIME_ZONE : Object.hasOwn(COST_OF_CALL, name) ? (COST_OF_CALL[name] ?? 1) : 1);
  for (const arg of args) spend(costOfArgument(name, arg));
  const [first, second] = args;
  if (typeof first === 'string' && typeof second === 'string' && SEARCHES.has(name)) {
    spend(Math.floor((first.length * second.length) / COMPARED_PAIRS_PER_UNIT));
    if (name === 'split') spend(countPieces(first, second));
  }
  if (name === 'join' && Array.isArray(first)) spend(costOfJoin(first, second));
  if (name === 'duration' && typeof first === 'string') spendDuration(first);
  if (name === 'fromJson' && typeof first === 'string') spend(first.length);
}

/** What is no duration takes the library time that grows with the cube of its length (measured: 9 s for 3,000 digits). */
function spendDuration(text: string): void {
  if (!DURATION.test(text)) throw new Error('duration() takes text such as 1h30m, 1.5s or 300ms');
  spend(Math.floor(text.length ** 2 / READ_CHARACTERS_PER_UNIT));
}

function costOfArgument(name: string, arg: unknown): number {
  if (arg instanceof Uint8Array) return arg.length;
  if (typeof arg !== 'string') return Array.isArray(arg) ? arg.length : keysWork(arg);
  if (GLANCES.has(name)) return workOf(arg);
  if (name === 'size') return Math.floor(arg.length / COUNTED_CHARACTERS_PER_UNIT);
  const perUnit = SEARCHES.has(name) ? READ_CHARACTERS_PER_UNIT : COPIED_CHARACTERS_PER_UNIT;
  return Math.floor(arg.length / perUnit);
}

/** Each piece is a text of its own. */
function countPieces(text: string, separator: string): number {
  if (separator === '') return text.length;
  let count = 1;
  for (let at = text.indexOf(separator); at !== -1; at = text.indexOf(separator, at + separator.length)) count += 1;
  return count;
}

function costOfJoin(items: readonly unknown[], separator: unknown): number {
  let characters = typeof separator === 'string' ? separator.length * items.length : 0;
  for (const item of items) if (typeof item === 'string') characters += item.length;
  return Math.floor(characters / COPIED_CHARACTERS_PER_UNIT);
}
