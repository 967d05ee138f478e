import type { ResourceClass, RetryPolicySpec } from '../block-spec';
import type { OnFailure } from '../dead-letter';
import type { ReadMode } from '../events/cloud-event';
import type { ExpressionLanguage } from '../expressions/language';
import type { Template } from '../expressions/template';
import type { Json, JsonObject } from '../json';
import type { Dispatching } from '../local-step';
import type { SecretsPlan } from '../secrets';

/**
 * What `runFlow` interprets: the document with its references resolved, defaults filled in and expressions found.
 * A plan is recorded in history and replayed by later versions: add optional fields, never change or remove one.
 */
export interface FlowPlan {
  readonly planVersion: 1;
  /** `namespace/name:version` of the document. */
  readonly flow: string;
  readonly title?: string;
  readonly summary?: string;
  /** Language of the expressions; absent: cel. */
  readonly language?: ExpressionLanguage;
  readonly inputFrom?: Template;
  readonly output?: OutputPlan;
  readonly timeout?: Template;
  readonly tasks: readonly TaskPlan[];
  /** Names whose outputs some expression reads through `steps`; `true` where it cannot be told which. */
  readonly stepOutputs: readonly string[] | true;
  /** The document itself, only where an expression reads `workflow.definition` or `task.definition`. */
  readonly definition?: JsonObject;
  /** Likewise the tasks that functions are defined as, by the path that each has in the plan. */
  readonly functionDefinitions?: Readonly<Record<string, JsonObject>>;
}

export interface InputPlan {
  readonly schema?: Json;
  readonly from?: Template;
}

export interface OutputPlan {
  readonly as?: Template;
  readonly schema?: Json;
}

/** What every kind of task has. Expressions are bare text in the flow's language. */
export interface TaskPlanBase {
  readonly name: string;
  /** JSON Pointer of the task in its document, e.g. `/do/0/getOrder`. */
  readonly path: string;
  readonly if?: string;
  readonly input?: InputPlan;
  readonly output?: OutputPlan;
  readonly export?: OutputPlan;
  /** Gives a duration. */
  readonly timeout?: Template;
  /** The task's `then`: `continue`, `exit`, `end` or the name of a task of the same list; absent: continue. */
  readonly next?: string;
  /** What undoes the task, should the flow fail later. */
  readonly compensate?: CompensatePlan;
  /** The author's `metadata.mock`, as it stands; only in plans of dry runs. */
  readonly mock?: Json;
}

export interface CompensatePlan {
  readonly tasks: readonly TaskPlan[];
}

export interface DoPlan extends TaskPlanBase {
  readonly kind: 'do';
  readonly tasks: readonly TaskPlan[];
}

export interface SetPlan extends TaskPlanBase {
  readonly kind: 'set';
  readonly value: Template;
}

export interface CallPlan extends TaskPlanBase {
  readonly kind: 'call';
  readonly block: string;
  /** `human`: a child workflow; else an activity. */
  readonly human?: true;
  readonly with: Template;
  /** Secrets that the step uses, by name. */
  readonly secrets?: SecretsPlan;
  readonly resources: ResourceClass;
  readonly startToCloseMs: number;
  readonly heartbeatMs: number;
  readonly retry: RetryPolicySpec;
  readonly idempotent: boolean;
  readonly priorityKey?: number;
  readonly fairnessWeight?: number;
  /** What becomes of the flow where it fails for good; absent: it fails too. */
  readonly onFailure?: Exclude<OnFailure, 'fail'>;
  /** Where it runs, as its author says; absent: its worker chooses (`--dispatch`). */
  readonly dispatch?: Dispatching;
  /** Its result may be that of an earlier time. */
  readonly cache?: CachePlan;
  /** The author's one-line summary for Temporal's UI. */
  readonly summary?: Template;
  /** Without one: arguments to make it from. */
  readonly summaryArguments: readonly string[];
}

/** When a step's result may be reused (`metadata.cache`). */
export interface CachePlan {
  /** What results are told apart by; absent: the arguments. */
  readonly key?: Template;
  readonly maxAgeMs: number;
}

export interface SwitchPlan extends TaskPlanBase {
  readonly kind: 'switch';
  readonly cases: readonly { readonly name: string; readonly when?: string; readonly next: string }[];
}

export interface ForPlan extends TaskPlanBase {
  readonly kind: 'for';
  readonly each: string;
  readonly at: string;
  readonly in: Template;
  readonly while?: string;
  readonly tasks: readonly TaskPlan[];
  /** Present where the iterations do not depend on each other. */
  readonly parallel?: ParallelPlan;
}

/** Iterations that run side by side (`metadata.concurrency`, `batchSize`, `toleratedFailures`). */
export interface ParallelPlan {
  /** Iterations at once, over all batches. */
  readonly concurrency: number;
  /** Iterations of one batch; a loop of more items runs each batch as a workflow of its own. */
  readonly batchSize: number;
  /** Iterations that may fail: so many, or so many of a hundred. */
  readonly tolerated: { readonly count: number } | { readonly percent: number };
}

export interface ForkPlan extends TaskPlanBase {
  readonly kind: 'fork';
  readonly branches: readonly TaskPlan[];
  readonly compete: boolean;
  /** With `compete`: a branch that its `if` skips does not win. */
  readonly skippedLose?: true;
}

export interface TryPlan extends TaskPlanBase {
  readonly kind: 'try';
  readonly tasks: readonly TaskPlan[];
  readonly catch: {
    readonly errorsWith?: JsonObject;
    readonly as: string;
    readonly when?: string;
    readonly exceptWhen?: string;
    readonly retry?: RetryPlan;
    readonly do?: readonly TaskPlan[];
    readonly next?: string;
  };
}

/** OWS's own retry policy (dsl-reference, "Retry"). Templates give durations. */
export interface RetryPlan {
  readonly when?: string;
  readonly exceptWhen?: string;
  readonly delay?: Template;
  readonly backoff: 'constant' | 'linear' | 'exponential';
  readonly maxAttempts?: number;
  readonly attemptDuration?: Template;
  readonly maxDuration?: Template;
  readonly jitter?: { readonly from: Template; readonly to: Template };
  /** What a policy of `use.retries` calls the caught error, where the clause calls it something else. */
  readonly as?: string;
}

export interface RaisePlan extends TaskPlanBase {
  readonly kind: 'raise';
  readonly error: Template;
}

export interface WaitPlan extends TaskPlanBase {
  readonly kind: 'wait';
  readonly duration: Template;
}

/** A call of a function: its arguments are the input of the task that it is defined as. */
export interface FunctionPlan extends TaskPlanBase {
  readonly kind: 'function';
  /** As called: `getPetById`, `log:1.0.0@default`. */
  readonly function: string;
  readonly with: Template;
  /** Absent only in a plan made without the catalog at hand, which is looked at but never run. */
  readonly task?: TaskPlan;
}

/** A flow that runs as a child workflow (OWS dsl-reference, "Workflow Process"). */
export interface SubflowPlan extends TaskPlanBase {
  readonly kind: 'subflow';
  /** `namespace/name:version`, or `:latest`, which is looked up when the step runs. */
  readonly flow: string;
  /** The flow's input; absent: null. */
  readonly with?: Template;
  /** False: the step ends when the flow has started. */
  readonly await: boolean;
}

export interface EmitPlan extends TaskPlanBase {
  readonly kind: 'emit';
  /** Attributes of the event, and its data. */
  readonly event: Template;
}

export interface ListenPlan extends TaskPlanBase {
  readonly kind: 'listen';
  readonly to: EventStrategyPlan;
  readonly read: ReadMode;
  readonly foreach?: {
    readonly item: string;
    readonly at: string;
    readonly tasks?: readonly TaskPlan[];
    readonly output?: OutputPlan;
    readonly export?: OutputPlan;
  };
}

/** OWS dsl-reference, "Event Consumption Strategy". `any` without filters takes every event. */
export interface EventStrategyPlan {
  readonly kind: 'one' | 'any' | 'all';
  readonly filters: readonly EventFilterPlan[];
  /** Of `any`: a condition on what was consumed so far, or the events that end it. */
  readonly until?: { readonly expr: string } | { readonly consumed: EventStrategyPlan };
}

export interface EventFilterPlan {
  /** Attributes that are compared as they stand. */
  readonly literal: JsonObject;
  /** Attributes with expressions, each evaluated on the attribute's value: true or false, or what to compare with. */
  readonly computed?: readonly { readonly attribute: string; readonly value: Template }[];
  /** `from` is evaluated on the event; without `expect`, the first value is what the next ones must be. */
  readonly correlate?: readonly { readonly key: string; readonly from: Template; readonly expect?: Template }[];
}

export type TaskPlan =
  | DoPlan
  | SetPlan
  | CallPlan
  | SwitchPlan
  | ForPlan
  | ForkPlan
  | TryPlan
  | RaisePlan
  | WaitPlan
  | FunctionPlan
  | SubflowPlan
  | EmitPlan
  | ListenPlan;
