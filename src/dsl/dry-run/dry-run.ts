import type { ResourceClass } from '../block-spec';
import type { Json, JsonObject } from '../json';
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
  /**
   * Time that is skipped passes on a clock: side by side, timers ring in their order, and timeouts see it. Absent where time is waited, and in
   * histories of before, which add up what is skipped.
   */
  readonly keepsTime?: true;
  /** Only this step is run; absent: the flow. */
  readonly only?: OnlyPlan;
}

/** A step that is run alone, and what it is run with. In histories, as above. */
export interface OnlyPlan {
  readonly path: string;
  /** Its raw input. */
  readonly input: Json;
  readonly context?: Json;
  readonly variables?: JsonObject;
  /** Outputs by the names of the steps. */
  readonly steps?: JsonObject;
  readonly workflowInput?: Json;
  /** Name of the step after it in its list; null: there is none. */
  readonly following: string | null;
  /** By the paths of the steps that are run: what their expressions read and is not given, e.g. `variables.item`. */
  readonly notGiven: Readonly<Record<string, readonly string[]>>;
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
