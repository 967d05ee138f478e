/** Quotas that a tenant can have. */
export const QUOTAS = ['concurrentSteps', 'stepsPerSecond', 'cpuTime', 'blobBytes', 'flows'] as const;

export type QuotaName = (typeof QUOTAS)[number];

/** What a step or a flow waits for: the quota of its tenant that is used up, or the store that knows. */
export type QuotaReason = QuotaName | 'store';

/**
 * Which quota holds a step or a flow up, as far as its tenant may know: its own limits, and what is its own. In histories: add
 * optional fields, never change one.
 */
export interface QuotaNeed {
  readonly reason: QuotaReason;
  /** What the policy gives: steps, steps a second, ms of CPU time, bytes or flows. */
  readonly limit?: number;
  /** How much of it is in use or set aside for those whose turn it is. */
  readonly used?: number;
  /** When the window of CPU time ends, in ms since 1970. */
  readonly until?: number;
}

/** Of a wait, what is of interest to people. */
export function needOf({ reason, limit, used, until }: QuotaNeed): QuotaNeed {
  return {
    reason,
    ...(limit === undefined ? {} : { limit }),
    ...(used === undefined ? {} : { used }),
    ...(until === undefined ? {} : { until }),
  };
}

/** Answer of an activity that did nothing, since its tenant is over a quota. In histories: add optional fields, never change one. */
export interface QuotaWait extends QuotaNeed {
  /** Names the place in the tenant's line. */
  readonly ticket: string;
  /** When it was asked first, in ms since 1970: what the line is ordered by. */
  readonly since: number;
  /** When this was said, by the clock of `since`; absent in histories of before. */
  readonly saidAt?: number;
  /** When to ask again, unless a signal says that it is time. */
  readonly afterMs: number;
}

/** What a flow brings when it asks for a step: empty where it asks for the first time. In histories, as above. */
export interface QuotaClaim {
  readonly ticket?: string;
  readonly since?: number;
  /** Attempts of the step that were made before it had to wait. */
  readonly attempts?: number;
  /** 1 goes first in the tenant's line; absent: 3. Temporal's own does not reach an activity that starts eagerly. */
  readonly priority?: number;
}

/**
 * Whose a flow says it is. The grant shows that it is so: anybody can let a workflow of his own go on as one of ours, with a state
 * that he made up.
 */
export interface FlowOwner {
  readonly tenant: string;
  /** Absent where the workers check nobody. */
  readonly grant?: string;
}

/**
 * What a flow tells its worker beside history: that it is open, where another run of it may have given its place back, as before
 * a reset of a flow that had ended.
 */
export type FlowPlaceSinks = {
  readonly flowPlaces: { hold(flow: FlowOwner): void };
};

/** What a flow need not ask for, as of now. */
export interface QuotaHint {
  /** Steps of the tenant that may run at once: a flow does not send out more. */
  readonly concurrentSteps: number;
}

/**
 * One line of the signal `quota`: it is this ticket's turn, after so many milliseconds; or so many steps of the tenant may run at
 * once now, null for any number.
 */
export type QuotaNews =
  | { readonly ticket: string; readonly afterMs: number }
  | { readonly concurrentSteps: number | null };
