import { FlowError, type FlowErrorData } from '../../dsl/errors';
import type { Json, JsonObject } from '../../dsl/json';
import type { SpanRecord } from '../../dsl/trace';
import type { StepIdentity } from '../block';
import { BlockFailure, notRetryable } from '../block-failure';
import type { FreshUntil } from '../fence';
import type { PortCall } from '../port-observer';
import type { SPACE_METHODS, SpaceChange } from '../ports/blob-space';
import type { DatabaseConfig } from '../ports/configured-databases';
import type { LedgerRules } from '../ports/sql-ledger';
import type { StepUsage } from '../step-meter';

/** What a child process needs to build its ports; JSON. It travels as a message, so no secret shows in a process list. */
export interface ChildInit {
  readonly databases: readonly DatabaseConfig[];
  /** How long databases remember writes; absent: as long as by default. */
  readonly ledger?: LedgerRules;
  readonly blobRoot: string;
  /** `HOST[:PORT]` that HTTP blocks may reach although it is refused by default. */
  readonly allowHosts: readonly string[];
}

/** One block to run. */
export interface JobRequest {
  readonly id: number;
  readonly blockType: string;
  readonly args: JsonObject;
  readonly step: StepIdentity;
  /** Milliseconds since 1970. */
  readonly deadline: number;
  readonly freshUntil: FreshUntil;
  readonly lastHeartbeat?: Json;
}

/** From the pool to a child. A child runs one job at a time. */
export type ParentMessage =
  /** Where it is observed, a child tells what its blocks do with their ports. */
  | { readonly type: 'init'; readonly init: ChildInit; readonly maxRssBytes: number; readonly isObserved: boolean }
  | { readonly type: 'run'; readonly job: JobRequest }
  | { readonly type: 'cancel'; readonly id: number }
  | { readonly type: 'close' }
  /** Whether the running attempt is current: until when, or why not. */
  | {
      readonly type: 'confirmed';
      readonly id: number;
      readonly freshUntil?: FreshUntil;
      readonly failure?: FailureData;
    }
  /** Answers what a child asked of its parent's account of blobs; a failure is only a text. */
  | { readonly type: 'space'; readonly call: number; readonly answer?: unknown; readonly failure?: string };

/** What a child uses, reported with every job's end. */
export interface ChildUsage {
  readonly rssBytes: number;
  /** User and system time since the child began. */
  readonly cpuMs: number;
}

/** What comes with the end of every job. */
interface JobEnd {
  readonly usage: ChildUsage;
  /** Of the job alone. */
  readonly used: StepUsage;
  /** What the job did, where its step is traced. */
  readonly spans?: readonly SpanRecord[];
}

/** From a child to the pool. */
export type ChildMessage =
  /** The block begins; a child that ends before has done nothing. */
  | { readonly type: 'started'; readonly id: number }
  /** Asks the parent's account of blobs (blob-space.ts). */
  | {
      readonly type: 'space';
      readonly id: number;
      readonly call: number;
      readonly method: (typeof SPACE_METHODS)[number];
      readonly change: SpaceChange;
    }
  /** Asks whether the running attempt is still current. */
  | { readonly type: 'confirm'; readonly id: number }
  /** What the block has done with its ports since the last time. */
  | { readonly type: 'calls'; readonly id: number; readonly calls: readonly PortCall[] }
  | { readonly type: 'heartbeat'; readonly id: number; readonly details: Json }
  /** The block has been told to stop, so it is not stuck in a native call. */
  | { readonly type: 'cancelling'; readonly id: number }
  | ({ readonly type: 'result'; readonly id: number; readonly output: Json } & JobEnd)
  | ({ readonly type: 'failure'; readonly id: number; readonly failure: FailureData } & JobEnd);

/** What a child's watchdog compares with. */
export interface WatchdogData {
  readonly parentPid: number;
  readonly maxRssBytes: number;
}

/** What the watchdog writes to the standard error before it ends a process for its memory. */
export const MEMORY_LIMIT_MARK = 'memory limit exceeded';

/** A failure as it crosses between processes. */
export interface FailureData {
  readonly error: FlowErrorData;
  /** Absent where the block did not say. */
  readonly retryable?: boolean;
  readonly retryAfterMs?: number;
}

/** Makes data of what a block threw. What is not a FlowError is a defect of the block: BLW_BLOCK_FAILED, not retryable. */
export function encodeFailure(error: unknown): FailureData {
  if (error instanceof BlockFailure) {
    const { retryable, retryAfterMs } = error.options;
    return { error: error.data, retryable, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
  }
  if (error instanceof FlowError) return { error: error.data };
  const reason = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
  return encodeFailure(notRetryable('BLW_BLOCK_FAILED', `the block failed unexpectedly: ${reason}`));
}

/** The failure that a block threw, as its own process would have seen it. */
export function decodeFailure({ error, retryable, retryAfterMs }: FailureData): FlowError {
  if (retryable === undefined || error.code === undefined) return new FlowError(error);
  return new BlockFailure(error.code, error.detail ?? error.title ?? error.code, {
    retryable,
    status: error.status,
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
    ...(error.data === undefined ? {} : { data: error.data }),
  });
}
