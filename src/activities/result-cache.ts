import type { Json } from '../dsl/json';
import type { StepRequest } from '../dsl/step-request';
import type { BlockContext } from './block';
import { cacheDigest } from './cache-digest';
import type { ResultId, StepCache } from './ports/step-cache';

/** Largest output that is kept, in bytes of JSON; a larger one belongs into a blob. */
export const MAX_CACHED_BYTES = 1_048_576;

/** Longest time that the cache may hold up a step: a disk that hangs must cost no attempt. */
const PATIENCE_MS = 3_000;

/** What a step has put out, now or at an earlier time. */
export interface StepOutcome {
  readonly output: Json;
  readonly cached?: true;
}

/** Where the cache tells what it could not do. Never an argument, a key or an output. */
export type CacheLog = (level: 'debug' | 'warn', message: string, fields: Record<string, string | number>) => void;

/**
 * Reuses results of steps (`metadata.cache`). Only the output of a block that has succeeded, and was not cancelled
 * meanwhile, is kept. The cache never fails a step: without it the block runs. Two that miss at the same time both run.
 */
export class ResultCache {
  constructor(
    private readonly store: StepCache,
    private readonly log: CacheLog,
  ) {}

  /** The result of the request's step, of an earlier time where it may be, else of `run`, whose errors pass through. */
  async reuse(
    request: StepRequest,
    { step, signal, deadline }: Pick<BlockContext, 'step' | 'signal' | 'deadline'>,
    run: () => Promise<Json>,
  ): Promise<StepOutcome> {
    const { cache, tenant } = request;
    if (cache === undefined) return { output: await run() };
    const fields = { tenant_id: tenant, flow_id: step.flowId, step_id: step.stepId, block_type: step.blockType };
    const attempt = async <T>(what: string, work: () => Promise<T>): Promise<T | undefined> => {
      try {
        return await within(Math.min(PATIENCE_MS, deadline - Date.now()), work());
      } catch (error) {
        this.log('warn', `result of a step could not be ${what} the cache`, { ...fields, error: messageOf(error) });
        return undefined;
      }
    };
    const id: ResultId = { tenant, digest: cacheDigest(step.blockType, request) };
    const found = await attempt('read from', () => this.store.get(id, cache.maxAgeMs));
    if (found !== undefined) return { output: found.output, cached: true };
    const output = await run();
    if (signal.aborted) return { output };
    const bytes = Buffer.byteLength(JSON.stringify(output));
    if (bytes > MAX_CACHED_BYTES)
      this.log('debug', 'result of a step is too large for the cache', { ...fields, bytes });
    else await attempt('written to', () => this.store.put(id, output, cache.maxAgeMs));
    return { output };
  }
}

/** Rejects where the work takes longer; it goes on then, unheard. */
async function within<T>(limitMs: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${limitMs} ms`)), limitMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
