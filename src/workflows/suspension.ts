import type { DeadLetter, Resolution } from '../dsl/dead-letter';
import type { StepNotes } from '../dsl/dry-run/report';
import type { FlowErrorData } from '../dsl/errors';
import type { BatchValues } from '../dsl/expressions/batch';
import type { Json, JsonObject } from '../dsl/json';
import type { QuotaNeed } from '../dsl/quota';
import type { StepSecrets } from '../dsl/secrets';
import type { Deed } from './deeds';
import type { Routine } from './drive';
import type { ConsumerState } from './events/event-consumer';
import type { TrackedStep } from './progress-tracker';
import type { Deadline } from './timeouts';

/**
 * Thrown at a safe point, before a task of a list begins, to take a flow out of its history: on the way up, every list,
 * loop and branch notes where it stands, and the flow continues as new from there. No step is running in what it passes.
 * Whoever does not pass it on has to abandon it (`abandon.ts`).
 */
export class Suspension {
  constructor(
    readonly cursor: Cursor,
    /** What stands still, as the progress shows it. */
    readonly steps: TrackedStep[] = [],
  ) {}
}

/** Where a part of the interpreter stands, as JSON. Made and read by the same part; travels in history: add, never change. */
export type Cursor =
  | ListCursor
  | TaskCursor
  | LoopCursor
  | ItemsCursor
  | WindowsCursor
  | TryCursor
  | ForkCursor
  | BodyCursor
  | FunctionCursor
  | ListenCursor
  | CallCursor
  | ParkedCursor
  | WakeCursor
  | RestCursor;

/** A list of tasks, before its task `index` or within it. */
export interface ListCursor {
  readonly index: number;
  /** Output of the task before. */
  readonly output: Json;
  /** How often tasks were visited, by name, where a list goes back. */
  readonly visits: Readonly<Record<string, number>>;
  /** Outputs of this list's steps that expressions read. */
  readonly steps: JsonObject;
  readonly task?: TaskCursor;
}

/** A task that has begun: what was evaluated before it ran is not evaluated again. */
export interface TaskCursor {
  readonly rawInput: Json;
  readonly values: BatchValues;
  readonly startedAt: number;
  /** When its timeout ends it. */
  readonly deadline?: Deadline;
  /** Of a step that was retried as a dead letter: see `settle-step.ts`. */
  readonly generation?: number;
  readonly retries?: number;
  /** Where it is the same deed as before. */
  readonly execution?: string;
  /** What it was run with as a dead letter so far. */
  readonly deeds?: readonly Deed[];
  /** Of its kind. */
  readonly at: Cursor;
}

/** A task that only has a list: do. */
export interface BodyCursor {
  readonly list: ListCursor;
}

/** A call of a function, in the task that the function is. */
export interface FunctionCursor {
  readonly task: TaskCursor;
}

/** A loop over items, in iteration `index`. */
export interface LoopCursor {
  readonly index: number;
  /** What the iteration got from the one before. */
  readonly output: Json;
  readonly list: ListCursor;
}

/** An iteration that failed. */
export interface ItemFailure {
  /** In the whole loop. */
  readonly index: number;
  readonly error: FlowErrorData;
}

/** Independent iterations: those before `next` have ended, but for those that begun and stand somewhere. */
export interface ItemsCursor {
  readonly next: number;
  readonly outputs: readonly Json[];
  readonly failures: readonly ItemFailure[];
  readonly begun: readonly { readonly index: number; readonly list: ListCursor }[];
}

/** A loop in batches: those before `next` have ended. */
export interface WindowsCursor {
  readonly next: number;
  /** Of each batch. */
  readonly outputs: readonly (readonly Json[])[];
  readonly failures: readonly ItemFailure[];
  /** In a dry run, batches that have ended, and for which time passes still. */
  readonly resting?: readonly RestingBatch[];
}

/** What a batch came to, and when that counts on the clock of the dry run. */
export interface RestingBatch extends WakeCursor {
  readonly batch: number;
  readonly result: {
    readonly outputs: readonly Json[];
    readonly failures: readonly ItemFailure[];
    readonly ended?: { readonly output: Json };
    readonly broken?: { readonly error: FlowErrorData };
  };
}

/** A try, in its list or in its handler, or in the pause before its list. */
export interface TryCursor {
  readonly retries: number;
  readonly startedAt: number;
  /** When the limit of the attempt ends it. */
  readonly attemptDeadline?: Deadline;
  /** The error that the handler handles. */
  readonly caught?: JsonObject;
  /** In a dry run: when the pause ends, on its clock. */
  readonly wakeAt?: number;
  /** Absent in a pause. */
  readonly list?: ListCursor;
}

/** A fork: each branch has ended with an output, or stands somewhere. */
export interface ForkCursor {
  readonly branches: readonly BranchCursor[];
}

/** A branch has its output, its error (a fork that competes goes on), or its cursor, which is absent before it begins. */
export type BranchCursor =
  | { readonly output: Json }
  | { readonly error: FlowErrorData }
  | { readonly task?: TaskCursor };

/** A listen between two events, or in the list for one. Its subscription and its queue go along in the flow's inbox. */
export interface ListenCursor {
  /** Id of its listener. */
  readonly listener: string;
  readonly consumed: readonly Json[];
  readonly main: ConsumerState;
  readonly until?: ConsumerState;
  readonly current?: { readonly item: Json; readonly list: ListCursor };
}

/** A call that waits for a quota: nothing of it is running. */
export interface CallCursor {
  /** Of its place in the tenant's line; absent where it was not sent out yet. */
  readonly ticket?: string;
  readonly since?: number;
  /** When it asks by itself, in ms since 1970. */
  readonly askAt?: number;
  readonly waitsFor?: QuotaNeed;
  readonly attempts: number;
  /** Of the step's timeout, what attempts have used. */
  readonly spentMs: number;
  /** What the placeholders in its arguments stand for. */
  readonly secrets?: StepSecrets;
}

/** A step that failed for good and waits for somebody's word. */
export interface ParkedCursor {
  readonly parked: ParkedStep;
}

/** A dead letter, with what the step is run with again. */
export interface ParkedStep {
  readonly letter: DeadLetter;
  readonly rawInput: Json;
  readonly generation: number;
  /** Absent where it was not sent out, and in histories of before. */
  readonly execution?: string;
  /** What it was run with so far, this time too. */
  readonly deeds?: readonly Deed[];
  /** Absent where its definition could not be evaluated. */
  readonly values?: BatchValues;
  /** Where these are absent: the arguments that it was run with before. */
  readonly earlier?: Json;
  /** What the placeholders in the values stand for. */
  readonly secrets?: StepSecrets;
  /** Said after it stood still: what the next run begins with. */
  resolution?: Resolution;
}

/** What waits on the clock of a dry run. */
export interface WakeCursor {
  /** In ms since the flow began. */
  readonly wakeAt: number;
}

/** A step of a dry run that has its answer, and for which time passes still. */
export interface RestCursor extends WakeCursor {
  readonly end: { readonly output: Json } | { readonly error: FlowErrorData };
  /** What is told of it in the report. */
  readonly notes: StepNotes;
  readonly attempts?: number;
}

/** Runs a part, and puts its cursor into the cursor of the part around it where it is suspended. */
export function* suspendable<T>(routine: Routine<T>, around: (inner: Cursor) => Cursor): Routine<T> {
  try {
    return yield* routine;
  } catch (error) {
    if (error instanceof Suspension) throw new Suspension(around(error.cursor), error.steps);
    throw error;
  }
}
