/** Why an assertion does not hold, in words or as JSON ({@link asJson}). */
export interface Mismatch {
  /** What was compared. */
  readonly what: string;
  readonly got: string;
  readonly expected: string;
}

/** An assertion that does not hold; its message is for people, on three lines. */
export class AssertionFailure extends Error {
  constructor({ what, got, expected }: Mismatch) {
    super([what, `got:      ${got}`, `expected: ${expected}`].join('\n'));
    this.name = 'AssertionFailure';
  }
}

const MAX_SHOWN = 2_000;

/** A value for a message, cut where it is long; `nothing` for undefined. */
export function asJson(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
