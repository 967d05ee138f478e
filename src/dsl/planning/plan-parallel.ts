import { isJsonObject, type Json } from '../json';
import type { ParallelPlan } from './plan';

/** Iterations at once where only another key says that they are independent. */
const DEFAULT_CONCURRENCY = 10;

/** Some thousand events of history at a few steps an item; and few enough workflows for tens of thousands of items. */
const DEFAULT_BATCH_SIZE = 200;

/** `metadata` keys of a `for` that say its iterations are independent of each other. */
export const PARALLEL_KEYS = ['concurrency', 'batchSize', 'toleratedFailures'] as const;

/** True where a loop's `metadata` has one of {@link PARALLEL_KEYS}. */
export function isParallel(metadata: Json | undefined): boolean {
  return isJsonObject(metadata) && PARALLEL_KEYS.some((key) => metadata[key] !== undefined);
}

/** How the iterations of a loop run side by side; undefined where they run one after the other. */
export function planParallel(metadata: Json | undefined): ParallelPlan | undefined {
  if (!isJsonObject(metadata) || !isParallel(metadata)) return undefined;
  const { concurrency, batchSize, toleratedFailures = 0 } = metadata;
  return {
    concurrency: (concurrency as number | undefined) ?? DEFAULT_CONCURRENCY,
    batchSize: (batchSize as number | undefined) ?? DEFAULT_BATCH_SIZE,
    tolerated:
      typeof toleratedFailures === 'string'
        ? { percent: Number.parseFloat(toleratedFailures) }
        : { count: toleratedFailures as number },
  };
}
