import { parseDuration } from '../durations';
import { isJsonObject, type Json, type JsonObject } from '../json';
import type { ValidFlow } from '../validation/validate-flow';

/** What happens where a run is due and the one before still goes on: Temporal's own policies, in its words. */
export const OVERLAP_POLICIES = [
  'skip',
  'bufferOne',
  'bufferAll',
  'cancelOther',
  'terminateOther',
  'allowAll',
] as const;
export type OverlapPolicy = (typeof OVERLAP_POLICIES)[number];

/** How long after its time a run is still started, where Temporal itself was away. */
export const DEFAULT_CATCHUP_WINDOW_MS = 3_600_000;

/** Shortest interval, and shortest pause between two runs: Temporal's schedules have none below a second. */
export const MIN_INTERVAL_MS = 1_000;

/** When a flow runs (OWS dsl-reference, "Schedule"), with what `document.metadata.schedule` adds. */
export interface FlowSchedule {
  readonly everyMs?: number;
  readonly cron?: string;
  readonly afterMs?: number;
  /** Events that start the flow, as written. */
  readonly on?: JsonObject;
  /** How these events are read: `data`, `envelope` or `raw`. */
  readonly read?: string;
  /** Name of the IANA database. */
  readonly timezone: string;
  readonly overlap: OverlapPolicy;
  readonly catchupWindowMs: number;
}

/** The schedule of a valid flow; undefined where it has none. */
export function readSchedule(flow: ValidFlow): FlowSchedule | undefined {
  const { schedule } = flow;
  if (!isJsonObject(schedule)) return undefined;
  const { every, cron, after, on, read } = schedule;
  const settings = settingsOf(flow);
  return {
    ...(every === undefined ? {} : { everyMs: durationMs(every) }),
    ...(typeof cron === 'string' ? { cron: cron.trim() } : {}),
    ...(after === undefined ? {} : { afterMs: durationMs(after) }),
    ...(isJsonObject(on) ? { on } : {}),
    ...(typeof read === 'string' ? { read } : {}),
    timezone: (settings.timezone as string | undefined) ?? 'UTC',
    // OWS: `every` runs whether or not the run before has ended (dsl-reference, "Schedule").
    overlap: (settings.overlap as OverlapPolicy | undefined) ?? (every === undefined ? 'skip' : 'allowAll'),
    catchupWindowMs:
      settings.catchupWindow === undefined ? DEFAULT_CATCHUP_WINDOW_MS : durationMs(settings.catchupWindow),
  };
}

function settingsOf(flow: JsonObject): JsonObject {
  const metadata = isJsonObject(flow.document) ? flow.document.metadata : undefined;
  const settings = isJsonObject(metadata) ? metadata.schedule : undefined;
  return isJsonObject(settings) ? settings : {};
}

function durationMs(value: Json): number {
  const parsed = parseDuration(value);
  if ('problem' in parsed) throw new Error(`a duration of a document that was found valid: ${parsed.problem}`);
  return parsed.ms;
}
