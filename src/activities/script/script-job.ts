import type { ResourceClass } from '../../dsl/block-spec';
import { parseDuration } from '../../dsl/durations';
import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { MAX_SCRIPT_CPU_MS, SCRIPT_POOL } from '../../dsl/script';
import { notRetryable } from '../block-failure';
import type { ScriptJob, ScriptLimits } from './child/protocol';

/** Which of what a process gives is the step's output (OWS dsl-reference, "Run"). */
export type ReturnKind = 'stdout' | 'stderr' | 'code' | 'all' | 'none';

/** Bytes of JSON of what a function takes, and of what it gives. */
export const MAX_VALUE_BYTES = 4 * 1_048_576;

/** Bytes of standard input, and of each stream that is written. */
export const MAX_STREAM_BYTES = 1_048_576;

const DEFAULT_CPU_MS = 5_000;

/** A script's job, and what its step puts out; `return` is of processes. */
export interface ScriptRequest {
  readonly job: ScriptJob;
  readonly return?: ReturnKind;
}

/** Makes a job of the arguments of `script.run`, which have been checked against its schema. Throws BLW_ARG_INVALID, BLW_SCRIPT_OUTPUT. */
export function scriptRequest(args: JsonObject, memoryMb: number): ScriptRequest {
  const limits: ScriptLimits = {
    cpuMs: cpuMsOf(args.timeout),
    memoryMb,
    maxResultBytes: MAX_VALUE_BYTES,
    maxStreamBytes: MAX_STREAM_BYTES,
  };
  const code = String(args.code);
  const { process, input } = args;
  if (!isJsonObject(process)) {
    return {
      job: { kind: 'function', code, limits, input: sized(JSON.stringify(input ?? null), 'input', MAX_VALUE_BYTES) },
    };
  }
  if (input !== undefined) throw invalid('input: a process has none, give it `stdin`; leave input or process out');
  const { arguments: given = [], stdin = '', environment = {} } = process;
  return {
    job: {
      kind: 'process',
      code,
      limits,
      arguments: (given as Json[]).map(String),
      environment: Object.fromEntries(
        Object.entries(environment as JsonObject).map(([name, value]) => [name, String(value)]),
      ),
      stdin: sized(typeof stdin === 'string' ? stdin : JSON.stringify(stdin), 'stdin', MAX_STREAM_BYTES),
    },
    return: (process.return ?? 'stdout') as ReturnKind,
  };
}

/** Throws BLW_UNSUPPORTED, not retryable, in a pool that scripts do not run in: validation lets none of these through. */
export function requireScriptPool(resources: ResourceClass | undefined): void {
  if (resources === SCRIPT_POOL) return;
  throw notRetryable(
    'BLW_UNSUPPORTED',
    `script.run: scripts run in the pool ${SCRIPT_POOL} only, and this step is for ${resources ?? 'another'}; remove metadata.resources`,
  );
}

function cpuMsOf(timeout: Json | undefined): number {
  if (timeout === undefined) return DEFAULT_CPU_MS;
  const parsed = parseDuration(timeout);
  if (!('ms' in parsed)) throw invalid(`timeout: ${parsed.problem}`);
  if (parsed.ms > 0 && parsed.ms <= MAX_SCRIPT_CPU_MS) return parsed.ms;
  throw invalid(`timeout: got ${JSON.stringify(timeout)}, expected more than nothing and at most 5 minutes (PT5M)`);
}

function sized(text: string, what: string, maxBytes: number): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= maxBytes) return text;
  throw notRetryable(
    'BLW_SCRIPT_OUTPUT',
    `script.run: ${what}: got ${bytes} bytes, at most ${maxBytes} fit into a script; pass less, or a part at a time`,
  );
}

function invalid(message: string): Error {
  return notRetryable('BLW_ARG_INVALID', `script.run: ${message}`);
}
