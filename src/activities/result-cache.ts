import { jsonBytes } from '../dsl/encoded-json';
import { messageOf } from '../dsl/errors';
import type { Json } from '../dsl/json';
import type { StepRequest } from '../dsl/step-request';
import type { BlockContext } from './block';
import { cacheDigest } from './cache-digest';
import type { ResultId, StepCache } from './ports/step-cache';
import { within } from './within';

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

/** What is known of a step while it runs. */
type StepLife = Pick<BlockContext, 'step' | 'signal' | 'deadline'>;

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
  async reuse(request: StepRequest, context: StepLife, run: () => Promise<Json>): Promise<StepOutcome> {
    const { cache, tenant } = request;
    if (cache === undefined) return { output: await run() };
    const { blockType, access } = context.step;
    const id = await this.#try('named for', context, async () => ({
      tenant,
      digest: cacheDigest(blockType, request, access),
    }));
    if (id === undefined) return { output: await run() };
    const found = await this.#try('read from', context, () => this.store.get(id, cache.maxAgeMs));
    if (found !== undefined) return { output: found.output, cached: true };
    const output = await run();
    if (!context.signal.aborted) await this.#keep(id, output, { context, maxAgeMs: cache.maxAgeMs });
    return { output };
  }

  async #keep(id: ResultId, output: Json, options: { context: StepLife; maxAgeMs: number }): Promise<void> {
    const { context, maxAgeMs } = options;
    const bytes = jsonBytes(output);
    if (bytes > MAX_CACHED_BYTES) {
      this.log('debug', 'result of a step is too large for the cache', { ...fieldsOf(context), bytes });
      return;
    }
    await this.#try('written to', context, () => this.store.put(id, output, maxAgeMs));
  }

  /** What the cache gives; undefined where it fails or takes too long. */
  async #try<T>(what: string, context: StepLife, work: () => Promise<T>): Promise<T | undefined> {
    try {
      return await within(Math.min(PATIENCE_MS, context.deadline - Date.now()), work());
    } catch (error) {
      const message = messageOf(error);
      this.log('warn', `result of a step could not be ${what} the cache`, { ...fieldsOf(context), error: message });
      return undefined;
    }
  }
}

function fieldsOf({ step }: StepLife): Record<string, string> {
  return { tenant_id: step.tenant, flow_id: step.flowId, step_id: step.stepId, block_type: step.blockType };
}
