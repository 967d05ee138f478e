import type { Json } from './json';

/** The failure that a step ends with, within the result of another or of several. In histories: add optional fields, never change one. */
export interface RecordedFailure {
  readonly message: string;
  /** A code of `docs/errors.md`, or the name of an error that is none of ours. */
  readonly type: string;
  readonly nonRetryable: boolean;
  /** The error's data, and the number of the attempt. */
  readonly details: readonly Json[];
}
