import type { ErrorCode } from './error-codes';

/** A position in a text, both from 1. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** One thing that is wrong with a document. */
export interface Problem {
  readonly code: ErrorCode;
  /** Keys and indexes from the root of the document. */
  readonly path: readonly (string | number)[];
  /** What at the path is meant: the key, or its value (the default). */
  readonly part?: 'key' | 'value';
  /** Got, expected, what to do. */
  readonly message: string;
  /** Where it stands, when the document came as text. */
  readonly position?: Position;
}

/** A problem of a document that came as text. */
export type LocatedProblem = Problem & { readonly position: Position };

/** Most problems that one report lists; a hostile document could otherwise make hundreds of thousands. */
export const MAX_PROBLEMS = 200;

type Located = Pick<LocatedProblem, 'position'>;

/** In the order of the text. */
export function byPosition(left: Located, right: Located): number {
  return left.position.line - right.position.line || left.position.column - right.position.column;
}

/** RFC 6901. */
export function toJsonPointer(path: readonly (string | number)[]): string {
  return path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** Keys and indexes of a JSON Pointer (RFC 6901). */
export function fromJsonPointer(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((segment) => segment.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** `file:line:column CODE message (at /do/0/step)`, the line that editors and people can follow. */
export function formatProblem(problem: Problem, file: string): string {
  const where = problem.position === undefined ? '' : `:${problem.position.line}:${problem.position.column}`;
  const pointer = problem.path.length === 0 ? '' : ` (at ${toJsonPointer(problem.path)})`;
  return `${file}${where} ${problem.code} ${problem.message}${pointer}`;
}

/** Text for a message, cut where it is long. */
export function shortText(text: string, maxLength = 80): string {
  return text.length > maxLength ? `${text.slice(0, maxLength - 1)}…` : text;
}

/** A value for a message: as JSON, cut where it is long. */
export function shortJson(value: unknown): string {
  return shortText(JSON.stringify(value) ?? String(value), 60);
}

/** Names for a message: the first of them, and how many more there are. */
export function listNames(names: readonly string[], empty = 'none'): string {
  const shown = names.slice(0, MAX_NAMES_SHOWN).map((name) => shortText(name));
  if (names.length > shown.length) shown.push(`and ${names.length - shown.length} more`);
  return shown.join(', ') || empty;
}

const MAX_NAMES_SHOWN = 20;

/** What to do about a name that is not known: what was probably meant, or what there is. */
export function adviseName(name: string, known: readonly string[]): string {
  const meant = closestName(name, known);
  return meant === undefined ? `there are: ${listNames(known)}` : `did you mean ${shortJson(meant)}?`;
}

/** Names that are compared for a proposal, and their length: the work for one message is some ms at most. */
const MAX_CANDIDATES = 1_000;
const MAX_COMPARED_LENGTH = 128;

/** The one of `known` that was probably meant: at most 2 edits away (fewer for a short name), or equal but for case. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  if (name.length > MAX_COMPARED_LENGTH) return undefined;
  const limit = Math.min(2, name.length - 1, Math.floor(Math.max(name.length, 3) / 3));
  const lowered = name.toLowerCase();
  let best: { name: string; distance: number } | undefined;
  let compared = 0;
  for (const candidate of known) {
    compared += 1;
    if (compared > MAX_CANDIDATES) break;
    const distance = candidate.toLowerCase() === lowered ? 0 : editDistance(name, candidate, limit);
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name: candidate, distance };
  }
  return best?.name;
}

/**
 * Optimal string alignment: letters put in, left out, replaced, or swapped with the next one; Infinity where it is more than `limit`. Only what
 * lies within the limit of the diagonal is looked at, and only as long as some of it does: names may be made to be compared for long.
 */
function editDistance(left: string, right: string, limit: number): number {
  if (Math.abs(left.length - right.length) > limit) return Number.POSITIVE_INFINITY;
  let beforeLast: number[] = [];
  let last = Array.from({ length: Math.min(right.length, limit) + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const row: number[] = [];
    if (i <= limit) row[0] = i;
    let least = i <= limit ? i : Number.POSITIVE_INFINITY;
    for (let j = Math.max(1, i - limit); j <= Math.min(right.length, i + limit); j += 1) {
      const isSame = left[i - 1] === right[j - 1];
      const isSwapped = i > 1 && j > 1 && left[i - 1] === right[j - 2] && left[i - 2] === right[j - 1];
      const distance = Math.min(
        at(last, j) + 1,
        at(row, j - 1) + 1,
        at(last, j - 1) + (isSame ? 0 : 1),
        isSwapped ? at(beforeLast, j - 2) + 1 : Number.POSITIVE_INFINITY,
      );
      row[j] = distance;
      least = Math.min(least, distance);
    }
    if (least > limit) return Number.POSITIVE_INFINITY;
    beforeLast = last;
    last = row;
  }
  return at(last, right.length);
}

function at(row: readonly number[], index: number): number {
  return row[index] ?? Number.POSITIVE_INFINITY;
}
