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

/** RFC 6901. */
export function toJsonPointer(path: readonly (string | number)[]): string {
  return path.map((segment) => `/${String(segment).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('');
}

/** `file:line:column CODE message (at /do/0/step)`, the line that editors and people can follow. */
export function formatProblem(problem: Problem, file: string): string {
  const where = problem.position === undefined ? '' : `:${problem.position.line}:${problem.position.column}`;
  const pointer = problem.path.length === 0 ? '' : ` (at ${toJsonPointer(problem.path)})`;
  return `${file}${where} ${problem.code} ${problem.message}${pointer}`;
}

/** The one of `known` that was probably meant: at most 2 edits away, or equal but for case. */
export function closestName(name: string, known: Iterable<string>): string | undefined {
  let best: { name: string; distance: number } | undefined;
  for (const candidate of known) {
    const distance = candidate.toLowerCase() === name.toLowerCase() ? 0 : editDistance(name, candidate);
    const limit = Math.min(2, Math.floor(Math.max(name.length, 3) / 3));
    if (distance <= limit && (best === undefined || distance < best.distance)) best = { name: candidate, distance };
  }
  return best?.name;
}

/** Levenshtein distance; names are short. */
function editDistance(left: string, right: string): number {
  if (Math.abs(left.length - right.length) > 2) return Number.POSITIVE_INFINITY;
  let row = Array.from({ length: right.length + 1 }, (_, index) => index);
  for (let i = 1; i <= left.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= right.length; j += 1) {
      const substitution = (row[j - 1] ?? 0) + (left[i - 1] === right[j - 1] ? 0 : 1);
      next.push(Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, substitution));
    }
    row = next;
  }
  return row[right.length] ?? 0;
}
