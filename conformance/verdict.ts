/** Why an assertion does not hold. */
export interface Mismatch {
  /** What was compared, in words. */
  readonly what: string;
  readonly got: unknown;
  readonly expected: unknown;
}

/** An assertion that does not hold; its message is for people, on several lines. */
export class AssertionFailure extends Error {
  constructor({ what, got, expected }: Mismatch) {
    super([what, `got:      ${show(got)}`, `expected: ${show(expected)}`].join('\n'));
    this.name = 'AssertionFailure';
  }
}

const MAX_SHOWN = 2_000;

/** Words as they stand, all else as JSON. */
function show(value: unknown): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? 'nothing');
  return text.length > MAX_SHOWN ? `${text.slice(0, MAX_SHOWN)}…` : text;
}
