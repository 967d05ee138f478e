import { findBlockByCall } from '../block-registry';
import { parseDuration } from '../durations';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { READING_BLOCKS } from '../reading-blocks';
import { SCRIPT_BLOCK } from '../script';
import type { TaskSite } from './check-context';
import type { Checker, Path } from './checker';

/** Longest age of a result that is reused: 30 days. */
const MAX_AGE_MS = 30 * 86_400_000;

/** Blocks that only read, or do nothing but compute. Every other one changes something that may have been changed back since. */
const WITHOUT_EFFECT: ReadonlySet<string> = new Set([...READING_BLOCKS, SCRIPT_BLOCK]);

/** Methods of HTTP that only read (RFC 9110, section 9.2.1). */
const SAFE_METHODS: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS']);

/** Checks a call's `metadata.cache`: its parts, and that a result of this block may be reused. */
export function checkCache({ task, path, scope, context }: TaskSite): void {
  const { checker, expressions } = context;
  if (!isJsonObject(task.metadata) || task.metadata.cache === undefined) return;
  const at = [...path, 'metadata', 'cache'];
  if (task.call === 'human.approval') {
    const message = 'metadata.cache has no effect on human.approval: people decide each time';
    checker.report('BLW_UNSUPPORTED', at, message, 'key');
    return;
  }
  if (task.metadata.compensate !== undefined) {
    const message =
      'cache: a result that is reused is the doing of another flow, and compensate would undo it there; leave one of the two out';
    checker.report('BLW_VALUE_INVALID', at, message, 'key');
  }
  const cache = checker.shaped(task.metadata.cache, at, 'metadata: cache', { optional: ['key', 'maxAge'] });
  if (cache === undefined) return;
  checkMaxAge(cache.maxAge, [...at, 'maxAge'], checker);
  if (cache.key === undefined) requireKey(task, at, checker);
  else if (checker.text(cache.key, [...at, 'key'], 'cache: key') !== undefined) {
    expressions.template(cache.key, { path: [...at, 'key'], scope, place: 'definition' });
  }
}

function checkMaxAge(value: Json | undefined, path: Path, checker: Checker): void {
  checker.literalDuration(value, path, 'cache: maxAge', 1);
  const parsed = value === undefined ? undefined : parseDuration(value);
  if (parsed !== undefined && 'ms' in parsed && parsed.ms > MAX_AGE_MS)
    checker.report('BLW_DURATION_INVALID', path, 'cache: maxAge: expected at most P30D');
}

/** Equal arguments say that a reading step means the same; of one that changes something only its author knows. */
function requireKey(task: JsonObject, path: Path, checker: Checker): void {
  const reason = whyKeyIsNeeded(task);
  if (reason === undefined) return;
  const message = `cache: ${reason}, and with equal arguments it may be meant to happen again; give the cache a key that says when it is not, such as key: \${ data.orderId }`;
  checker.report('BLW_VALUE_INVALID', path, message, 'key');
}

function whyKeyIsNeeded({ call, with: args, metadata }: JsonObject): string | undefined {
  const name = String(call);
  if (findBlockByCall(name) === undefined || WITHOUT_EFFECT.has(name)) return undefined;
  if (isJsonObject(metadata) && metadata.idempotent === true) return undefined;
  if (name === 'openapi') return 'what openapi changes is known only when it runs';
  if (name !== 'http') return `${name} changes something`;
  const method = isJsonObject(args) ? args.method : undefined;
  if (typeof method !== 'string' || SAFE_METHODS.has(method.toUpperCase())) return undefined;
  return method.includes('${') ? 'the method is known only when it runs' : `http with ${method} changes something`;
}
