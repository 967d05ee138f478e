import type { BatchItem, ExpressionRequest } from '../../dsl/expressions/batch';
import type { ExpressionLanguage } from '../../dsl/expressions/language';
import { templateExpressions } from '../../dsl/expressions/template';
import type { Json } from '../../dsl/json';
import type { Experience } from './job-queue';

/** Languages of the engine: those that no workflow can evaluate, and CEL where it takes long. */
export type EngineLanguage = ExpressionLanguage;

/** An expression whose syntax is asked for, with the names that it may use as `$name`. */
export interface SyntaxQuestion {
  readonly expression: string;
  readonly variables: readonly string[];
}

/** What a thread is asked to do. It travels as JSON text, so that the process in between need not read it. */
export type Job =
  | { readonly kind: 'evaluate'; readonly request: ExpressionRequest }
  | { readonly kind: 'checkJq'; readonly questions: readonly SyntaxQuestion[] };

/** What a thread answers; as JSON text, too. */
export type Answer =
  | { readonly kind: 'values'; readonly values: Readonly<Record<string, Json>> }
  /** One entry a question: what is wrong, or null. */
  | { readonly kind: 'verdicts'; readonly verdicts: readonly (string | null)[] }
  | { readonly kind: 'failed'; readonly detail: string };

/** How a job ended. `stopped` is the number of the expression at which its thread was, in the order of the batch. */
export type Outcome =
  | { readonly kind: 'answered'; readonly answer: string }
  | { readonly kind: 'stopped'; readonly reason: StopReason; readonly expression: number };

/** Why a thread was ended under its job: it took too long, held too much memory, or broke. */
export type StopReason = 'deadline' | 'memory' | 'crashed';

/** From the worker to the host process. */
export type HostRequest =
  | { readonly type: 'job'; readonly id: number; readonly job: HostJob }
  | { readonly type: 'close' };

/** A job as it goes to the host process. */
export interface HostJob {
  /** A {@link Job} as JSON text. */
  readonly text: string;
  readonly language: EngineLanguage;
  readonly experience: Experience;
}

/** From the host process to the worker. */
export type HostReply =
  /** The job has a thread; those that never began cannot have ended the process. */
  | { readonly type: 'began'; readonly id: number }
  | { readonly type: 'ended'; readonly id: number; readonly outcome: Outcome };

/** Bounds of the evaluation; changed only by tests. */
export interface EngineLimits {
  /** Longest time of a batch with little data, from when a thread takes it; twice that where the machine is overloaded. */
  readonly deadlineMs: number;
  /** A batch that computes longer goes on at the lowest priority, and another thread takes its place. */
  readonly demoteAfterMs: number;
  /** The same where other batches wait for a thread. */
  readonly demoteUnderLoadMs: number;
  /** Most threads at the lowest priority. */
  readonly maxDemoted: number;
  /** Threads that evaluate at full priority. */
  readonly fastThreads: number;
  /** V8's heap of one thread. */
  readonly heapMb: number;
  /** Memory of the process with all its threads. */
  readonly maxRssMb: number;
}

/** Data that is read and written in a ms, in bytes; jq takes longest, with some 20 MB a second each way. */
const BYTES_A_MS = 10_000;

/** Most of the time that large data adds. */
const MAX_DATA_MS = 4_000;

/** Longest time of a job: the limit, and what its data takes to be read. */
export function deadlineOf(jobText: string, { deadlineMs }: EngineLimits): number {
  return deadlineMs + Math.min(MAX_DATA_MS, Math.floor(jobText.length / BYTES_A_MS));
}

/** What a thread is started with. */
export interface ThreadData {
  /** jq, compiled once a process, and the text of its runtime without the binary in it. */
  readonly jq: { readonly module: WebAssembly.Module; readonly glue: string };
  /** Shared number: which expression of the batch is evaluated. */
  readonly position: Int32Array;
  /** What to make ready at once. */
  readonly warm: readonly EngineLanguage[];
}

/** From a thread to its process. */
export type ThreadMessage =
  /** The thread's number in the operating system, where it can be told. */
  { readonly type: 'ready'; readonly tid?: number } | { readonly type: 'answer'; readonly answer: string };

/** An expression of a batch. */
export interface BatchExpression {
  readonly expression: string;
  /** Values with which the batch goes on, where it is a condition; it ends with any other. */
  readonly goesOn?: readonly boolean[];
}

/** The expressions of an item, in the order in which they are evaluated. */
export function itemExpressions(item: BatchItem): BatchExpression[] {
  if (!('condition' in item)) return [...templateExpressions(item.template)].map((expression) => ({ expression }));
  return [{ expression: item.condition, goesOn: [true, false].filter((value) => value !== item.stopIf) }];
}
