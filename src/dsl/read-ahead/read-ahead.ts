import type { ExpressionLanguage } from '../expressions/language';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { LOCAL_ATTEMPT_MS } from '../local-step';
import type { TaskPlan } from '../planning/plan';
import type { RecordedFailure } from '../recorded-failure';
import type { StepResult } from '../step-request';

/** A step in place begins no further read so long after it has begun itself, ms: meanwhile its flow hears of nothing. */
export const READ_AHEAD_MS = 600;

/** The same where other tasks of the flow run beside it: theirs waits, too. */
export const READ_AHEAD_BESIDE_MS = 250;

/** How long reads begin after the step, ms. */
export function readAheadMs({ isBeside }: Pick<ReadAhead, 'isBeside'>): number {
  return isBeside === true ? READ_AHEAD_BESIDE_MS : READ_AHEAD_MS;
}

/** Longest time of a step in place and the reads after it, ms: the last of them may take as long as any step in place. */
export function withAheadMs(ahead: Pick<ReadAhead, 'isBeside'>): number {
  return LOCAL_ATTEMPT_MS + readAheadMs(ahead);
}

/**
 * What a flow that tries a step in place tells its worker of what comes after it. Only the worker sees it: what is asked of a local activity is in no
 * history.
 */
export interface ReadAhead {
  /** The lists that the step is in, its own first, as far out as what follows in them can be foreseen. */
  readonly lists: readonly ListAhead[];
  /** What the expressions in them may read: `workflow`, `runtime`. */
  readonly constants: JsonObject;
  readonly context: Json;
  /** As keys of steps have it: of a batch of a loop, the flow's. */
  readonly flowId: string;
  /** Longest time of the step itself, ms. */
  readonly attemptMs: number;
  /** As in the plan. */
  readonly stepOutputs: readonly string[] | true;
  /** As in the plan: of expressions in other languages than CEL nothing is foreseen. */
  readonly language?: ExpressionLanguage;
  /** Other tasks of the flow run beside it. */
  readonly isBeside?: true;
}

/** A list of tasks that runs. */
export interface ListAhead {
  /** From the one that runs on: the step, or the task that it is in. */
  readonly tasks: readonly TaskPlan[];
  /** There are more of them. */
  readonly isCut?: true;
  /** Transformed input of the first of them. */
  readonly input: Json;
  readonly variables: JsonObject;
  readonly steps: JsonObject;
  readonly iteration: string;
  /** The first of them is a loop: what follows the iteration that runs. */
  readonly loop?: {
    readonly items: readonly Json[];
    /** Index of the first of these items. */
    readonly from: number;
    /** There are more of them. */
    readonly isCut?: true;
  };
}

/** A read that was made ahead, as its step would have made it. In histories: add optional fields, never change one. */
export type StepAhead = {
  /** JSON Pointer of the step. */
  readonly step: string;
  readonly iteration: string;
  /** Its arguments, with placeholders for secrets: the answer counts only where the flow comes to the same. */
  readonly with: JsonObject;
  /** In ms since 1970. */
  readonly startedAt: number;
  readonly endedAt: number;
} & ({ readonly result: StepResult } | { readonly failure: RecordedFailure });

/** The reads ahead in a step's result, whatever that is. */
export function readsIn(result: unknown): readonly StepAhead[] {
  return isJsonObject(result) && Array.isArray(result.ahead) ? (result.ahead as unknown as StepAhead[]) : [];
}
