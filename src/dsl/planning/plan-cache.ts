import { parseDuration } from '../durations';
import type { ExpressionLanguage } from '../expressions/language';
import { compileTemplate } from '../expressions/template';
import { isJsonObject, type Json } from '../json';
import type { CachePlan } from './plan';
import { optional } from './plan-context';

/** Age at which a result is no longer reused, unless the step says otherwise: an hour. */
const DEFAULT_MAX_AGE_MS = 3_600_000;

/** What a step's own `metadata.cache` says; a default for all steps would reuse what nobody looked at. */
export function planCache(metadata: Json | undefined, language: ExpressionLanguage): CachePlan | undefined {
  if (!isJsonObject(metadata) || !isJsonObject(metadata.cache)) return undefined;
  const { key, maxAge } = metadata.cache;
  const parsed = maxAge === undefined ? { ms: DEFAULT_MAX_AGE_MS } : parseDuration(maxAge);
  return {
    ...optional('key', key === undefined ? undefined : compileTemplate(key, language)),
    maxAgeMs: 'ms' in parsed ? parsed.ms : DEFAULT_MAX_AGE_MS,
  };
}
