import type { JsonObject } from './json';
import type { FlowStatus } from './names';
import type { QuotaNeed } from './quota';

export type StepStatus =
  | 'running'
  | 'completed'
  | 'failed'
  | 'skipped'
  | 'cancelled'
  | 'awaitingApproval'
  | 'awaitingQuota'
  | 'listening'
  | 'deadLettered';

/** One execution of one step. Times are milliseconds since 1970. */
export interface StepProgress {
  /** Number of the execution, from 1, in the order in which they began. */
  readonly seq: number;
  /** JSON Pointer of the step in its document. */
  readonly id: string;
  readonly name: string;
  /** Indexes of the loops around the step, e.g. `2` or `0.4`; absent outside of loops. */
  readonly iteration?: string;
  /** Block type (`http.request`) or kind of task (`switch`). */
  readonly block: string;
  /** Pool of an activity. */
  readonly pool?: string;
  readonly status: StepStatus;
  /** Attempts that were made; known once the step has ended. */
  readonly attempts?: number;
  /** The output is that of an earlier time (`metadata.cache`). */
  readonly cached?: true;
  readonly startedAt: number;
  readonly endedAt?: number;
  /** Why it failed. */
  readonly error?: JsonObject;
  /** Workflow id of the approval that is awaited. */
  readonly approval?: string;
  /** What it waits for, while its status is `awaitingQuota`. */
  readonly waitsFor?: QuotaNeed;
  /** Workflow id of the flow that the step runs. */
  readonly child?: string;
}

/** Answer of the query `progress` on `runFlow`. */
export interface FlowProgress {
  /** `namespace/name:version`; empty until the flow has been prepared. */
  readonly flow: string;
  readonly tenant: string;
  readonly status: FlowStatus;
  readonly startedAt: number;
  /** Steps begun and ended so far, of all that ran; `steps` may hold fewer. */
  readonly stepsStarted: number;
  readonly stepsEnded: number;
  /** The newest steps, oldest first. With `{ since }` in the query only those that changed after that version. */
  readonly steps: readonly StepProgress[];
  /** What the flow itself waits for, before its first step. */
  readonly waitsFor?: QuotaNeed;
  /** The newest things that went unheard: events that were refused, dropped, or that a filter could not be evaluated on. */
  readonly notes?: readonly string[];
  /** Pass it as `since` to get what changed from here on. */
  readonly version: number;
}

/** Argument of the query `progress`; may be left out. */
export interface ProgressQueryInput {
  readonly since?: number;
}
