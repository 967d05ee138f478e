import { RESOURCE_CLASSES } from '../block-spec';
import { ON_FAILURE } from '../dead-letter';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { DISPATCHES } from '../local-step';
import { PARALLEL_KEYS } from '../planning/plan-parallel';
import { closestName, shortJson } from '../problems';
import { SCRIPT_POOL } from '../script';
import type { ExpressionChecker, ExpressionSite } from './check-expressions';
import type { Checker, Path } from './checker';
import type { KeyHabits } from './key-habits';

/** Keys of a step's `metadata` that mean something here; the document's `metadata` gives the defaults for its steps. */
export const METADATA_KEYS = [
  'resources',
  'retry',
  'priorityKey',
  'fairnessWeight',
  'heartbeat',
  'timeout',
  'idempotent',
  'dispatch',
  'summary',
  'compensate',
  'cache',
  'onFailure',
  'mock',
  ...PARALLEL_KEYS,
] as const;
export type MetadataKey = (typeof METADATA_KEYS)[number];

/** The worker reports every half second: with less than this, a busy one would count as lost. */
const MIN_HEARTBEAT_MS = 2_000;

/** Checks `metadata`. Other keys are the author's own, as OWS allows, unless they look like a slip of the pen. */
export function checkMetadata(
  value: Json | undefined,
  path: Path,
  checker: Checker,
  expressions: ExpressionChecker,
  site: ExpressionSite,
): void {
  if (value === undefined) return;
  const metadata = checker.object(value, path, 'metadata');
  if (metadata === undefined) return;
  checkKeys(metadata, path, checker);
  checker.oneOf(metadata.resources, [...path, 'resources'], 'metadata: resources', RESOURCE_CLASSES.slice());
  checker.integer(metadata.priorityKey, [...path, 'priorityKey'], 'metadata: priorityKey', { min: 1, max: 5 });
  checker.oneOf(metadata.dispatch, [...path, 'dispatch'], 'metadata: dispatch', DISPATCHES.slice());
  checker.oneOf(metadata.onFailure, [...path, 'onFailure'], 'metadata: onFailure', ON_FAILURE.slice());
  checkWeight(metadata.fairnessWeight, [...path, 'fairnessWeight'], checker);
  checker.literalDuration(metadata.heartbeat, [...path, 'heartbeat'], 'metadata: heartbeat', MIN_HEARTBEAT_MS);
  checker.literalDuration(metadata.timeout, [...path, 'timeout'], 'metadata: timeout', 1);
  checker.boolean(metadata.idempotent, [...path, 'idempotent'], 'metadata: idempotent');
  if (checker.text(metadata.summary, [...path, 'summary'], 'metadata: summary') !== undefined) {
    expressions.template(metadata.summary, { ...site, path: [...path, 'summary'] });
  }
  if (metadata.retry !== undefined) checkRetry(metadata.retry, [...path, 'retry'], checker);
  checkParallel(metadata, path, checker);
}

/** Iterations of a `for` that run side by side. */
function checkParallel({ concurrency, batchSize, toleratedFailures }: JsonObject, path: Path, checker: Checker): void {
  checker.integer(concurrency, [...path, 'concurrency'], 'metadata: concurrency', { min: 1, max: 1_000 });
  checker.integer(batchSize, [...path, 'batchSize'], 'metadata: batchSize', { min: 1, max: 1_000 });
  if (toleratedFailures === undefined || isTolerance(toleratedFailures)) return;
  checker.report(
    'BLW_VALUE_INVALID',
    [...path, 'toleratedFailures'],
    `metadata: toleratedFailures: got ${shortJson(toleratedFailures)}, expected a whole number from 0, or a share such as 5%`,
  );
}

function isTolerance(value: Json): boolean {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0;
  return typeof value === 'string' && /^(?:100|\d{1,2})(?:\.\d+)?%$/.test(value) && Number.parseFloat(value) <= 100;
}

/** Keys that mean nothing as a default for all steps. */
export const STEP_ONLY_KEYS: readonly string[] = ['compensate', 'cache', 'mock', ...PARALLEL_KEYS];

/** Keys that are no settings of a call. What can be mocked, check-mock.ts says. */
const ANYWHERE: readonly MetadataKey[] = ['summary', 'compensate', 'mock'];

/** Keys that act on one kind of task only; ignoring them on another would promise what does not happen. */
export const KINDS_OF_METADATA_KEYS: readonly (readonly [key: MetadataKey, kind: 'call' | 'for'])[] = [
  ...METADATA_KEYS.filter((key) => !ANYWHERE.includes(key) && !isParallelKey(key)).map((key) => [key, 'call'] as const),
  ...PARALLEL_KEYS.map((key) => [key, 'for'] as const),
];

/** Settings of an activity, which a step that people do has not. */
const ACTIVITY_KEYS = ['resources', 'retry', 'heartbeat', 'timeout', 'idempotent', 'dispatch'];

/** Reports settings of a `human.approval` that have no effect on it. */
export function refuseActivityMetadata({ call, metadata }: JsonObject, path: Path, checker: Checker): void {
  if (call !== 'human.approval' || !isJsonObject(metadata)) return;
  for (const key of ACTIVITY_KEYS) {
    if (metadata[key] === undefined) continue;
    const advice = key === 'timeout' ? 'write it under with' : 'remove it';
    const message = `metadata.${key} has no effect on human.approval, which no worker's slot is taken for; ${advice}`;
    checker.report('BLW_UNSUPPORTED', [...path, 'metadata', key], message, 'key');
  }
}

/** Reports a pool that scripts do not run in. */
export function refuseOtherPools({ metadata }: JsonObject, path: Path, checker: Checker): void {
  const resources = isJsonObject(metadata) ? metadata.resources : undefined;
  if (resources === SCRIPT_POOL || !RESOURCE_CLASSES.some((name) => name === resources)) return;
  const message = `metadata.resources: got ${String(resources)}, expected ${SCRIPT_POOL}: scripts run in that pool only; remove it`;
  checker.report('BLW_UNSUPPORTED', [...path, 'metadata', 'resources'], message);
}

function isParallelKey(key: string): boolean {
  return (PARALLEL_KEYS as readonly string[]).includes(key);
}

/** Reports settings that have no effect on a task of this kind. */
export function refuseForeignMetadata(value: Json | undefined, path: Path, kind: string, checker: Checker): void {
  if (!isJsonObject(value)) return;
  for (const [key, owner] of KINDS_OF_METADATA_KEYS) {
    if (owner === kind || value[key] === undefined) continue;
    const places = STEP_ONLY_KEYS.includes(key) ? 'its calls' : 'its calls or in document.metadata';
    const advice = owner === 'call' ? `write it on ${places}` : `it belongs to ${owner}`;
    checker.report(
      'BLW_UNSUPPORTED',
      [...path, key],
      `metadata.${key} has no effect on a ${kind} task; ${advice}`,
      'key',
    );
  }
}

function checkKeys(metadata: JsonObject, path: Path, checker: Checker): void {
  for (const key of Object.keys(metadata)) {
    if ((METADATA_KEYS as readonly string[]).includes(key)) continue;
    const meant = closestName(key, METADATA_KEYS);
    if (meant !== undefined) {
      checker.report(
        'BLW_KEY_UNKNOWN',
        [...path, key],
        `metadata: did you mean "${meant}" instead of "${key}"?`,
        'key',
      );
    }
  }
}

function checkWeight(value: Json | undefined, path: Path, checker: Checker): void {
  if (value === undefined || (typeof value === 'number' && value >= 0.001 && value <= 1000)) return;
  checker.report(
    'BLW_VALUE_INVALID',
    path,
    `metadata: fairnessWeight: got ${shortJson(value)}, expected a number from 0.001 to 1000`,
  );
}

const RETRY_HABITS: KeyHabits = {
  aliases: {
    ...Object.fromEntries(
      ['attempts', 'count', 'limit', 'max', 'maxattempts', 'maxretries', 'retries'].map((key) => [
        key,
        'maximumAttempts',
      ]),
    ),
    ...Object.fromEntries(['delay', 'interval', 'intervalseconds', 'wait'].map((key) => [key, 'initialInterval'])),
    ...Object.fromEntries(['maxdelay', 'maxinterval'].map((key) => [key, 'maximumInterval'])),
    ...Object.fromEntries(['backoff', 'backoffrate', 'multiplier', 'factor'].map((key) => [key, 'backoffCoefficient'])),
  },
};

/** Temporal's retry policy, in Temporal's words. */
function checkRetry(value: Json, path: Path, checker: Checker): void {
  const retry = checker.shaped(value, path, 'metadata: retry', {
    optional: ['initialInterval', 'backoffCoefficient', 'maximumInterval', 'maximumAttempts', 'nonRetryableErrorTypes'],
    example: '{ maximumAttempts: 3 }',
    habits: RETRY_HABITS,
  });
  if (retry === undefined) return;
  for (const key of ['initialInterval', 'maximumInterval'])
    checker.literalDuration(retry[key], [...path, key], `retry: ${key}`, 1);
  const { backoffCoefficient: coefficient, nonRetryableErrorTypes: types } = retry;
  if (coefficient !== undefined && !(typeof coefficient === 'number' && coefficient >= 1 && coefficient <= 100)) {
    checker.report(
      'BLW_VALUE_INVALID',
      [...path, 'backoffCoefficient'],
      'retry: backoffCoefficient: expected a number from 1 to 100',
    );
  }
  checker.integer(retry.maximumAttempts, [...path, 'maximumAttempts'], 'retry: maximumAttempts', {
    min: 1,
    max: 100_000,
  });
  if (types !== undefined && !(Array.isArray(types) && types.every((type) => typeof type === 'string'))) {
    checker.report(
      'BLW_VALUE_INVALID',
      [...path, 'nonRetryableErrorTypes'],
      'retry: nonRetryableErrorTypes: expected a list of error codes',
    );
  }
}
