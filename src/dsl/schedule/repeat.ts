import { isJsonObject, type JsonObject } from '../json';
import { MIN_INTERVAL_MS } from './schedule';

/** What `repeatFlow` is told: which flow to run, and how long after the run before. It is in histories: add, never change. */
export interface RepeatRequest {
  /** Start input of each run. */
  readonly start: JsonObject;
  /** The flow for people: `namespace/name:version`. */
  readonly flow: string;
  readonly tenant: string;
  /** Workflow ids of the runs are this and the time of their start. */
  readonly workflowId: string;
  readonly afterMs: number;
  /** True: no further run begins. Absent: as it was before. */
  readonly paused?: boolean;
  /** What was deployed, for whoever deploys the next time. */
  readonly deployed: JsonObject;
}

/** What goes on to the next run of `repeatFlow`. */
export interface RepeatState {
  readonly request: RepeatRequest;
  readonly isPaused: boolean;
  /** Ms since 1970, when the last run ended; absent before the first. */
  readonly endedAt?: number;
}

/** The request as anybody may have sent it; undefined where it is none. */
export function readRepeatRequest(value: unknown): RepeatRequest | undefined {
  if (!isJsonObject(value)) return undefined;
  const { start, flow, tenant, workflowId, afterMs, paused, deployed } = value;
  if (!isJsonObject(start) || !isJsonObject(deployed)) return undefined;
  if (typeof flow !== 'string' || typeof tenant !== 'string' || typeof workflowId !== 'string') return undefined;
  if (typeof afterMs !== 'number' || !(afterMs >= MIN_INTERVAL_MS) || workflowId === '') return undefined;
  if (paused !== undefined && typeof paused !== 'boolean') return undefined;
  return { start, flow, tenant, workflowId, afterMs, deployed, ...(paused === undefined ? {} : { paused }) };
}
