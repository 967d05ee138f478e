import type { ResourceClass } from '../block-spec';
import type { Json } from '../json';
import type { MockAnswer } from './mock';
import type { MockTable } from './mock-table';

/** How a flow is tried (`PreparedFlow.dryRun`). In histories: add optional fields, never change one. */
export interface DryRunPlan {
  readonly mocks: MockTable;
  /** Time is waited where the flow waits; absent: it is skipped. */
  readonly waits?: true;
  /** Visits of steps are counted for the report. */
  readonly coverage?: true;
  /**
   * Counted as time that has passed is also that of mocked timeouts, of pauses between a step's attempts, of batches of loops and of flows
   * that a step waits for; absent in histories of before, which count waits and pauses of a `try`.
   */
  readonly countsTime?: true;
}

/** What a dry run tells the worker of a step (`StepRequest.dryRun`). In histories, as above. */
export interface DryStep {
  /** Pool that the step would run in: what its tenant's scopes are compared with. */
  readonly resources: ResourceClass;
  /** From this activity's first attempt on; absent: one is made. */
  readonly answers?: readonly MockAnswer[];
  /** Schema of the step's output, where its author says one. */
  readonly schema?: Json;
}

/** Whether time is waited in a dry run: the start's `waits`. */
export const WAIT_MODES = ['skip', 'real'] as const;
export type WaitMode = (typeof WAIT_MODES)[number];

/** How a flow is started: to do what it says, or to try it. */
export const RUN_MODES = ['live', 'dry-run'] as const;
export type RunMode = (typeof RUN_MODES)[number];
