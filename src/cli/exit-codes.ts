/** Exit codes of `beamline`; scripts rely on them. */
export const EXIT = {
  done: 0,
  /** The flow failed, a decision was refused, or something unexpected happened. */
  failed: 1,
  /** Bad usage, bad configuration, or an invalid flow. */
  invalid: 2,
  /** Temporal cannot be reached. */
  unreachable: 3,
  /** Ended by Ctrl-C before it was done. */
  interrupted: 130,
} as const;

export type ExitCode = (typeof EXIT)[keyof typeof EXIT];
