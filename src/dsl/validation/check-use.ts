import { parseDuration } from '../durations';
import { hasExpression } from '../expressions/template';
import type { Json, JsonObject } from '../json';
import { checkReusableAuthentication } from './check-authentication';
import type { ExpressionChecker, ExpressionSite } from './check-expressions';
import { checkSecretNames } from './check-secrets';
import { checkUriVariables } from './check-uri';
import type { Checker, Path } from './checker';
import { ROOT_SCOPE, withVariables } from './scope';

const UNSUPPORTED_USE = {
  extensions: 'extensions',
} as const;

/** Checks the reusable components (OWS dsl-reference, "Use"). */
export function checkUse(use: JsonObject, checker: Checker, expressions: ExpressionChecker): void {
  checker.keys(use, ['use'], 'use', {
    optional: [
      'authentications',
      'catalogs',
      'errors',
      'functions',
      'retries',
      'secrets',
      'timeouts',
      ...Object.keys(UNSUPPORTED_USE),
    ],
  });
  for (const [key, what] of Object.entries(UNSUPPORTED_USE)) {
    if (use[key] !== undefined)
      checker.report('BLW_UNSUPPORTED', ['use', key], `use.${what} is not supported yet`, 'key');
  }
  const site = (path: Path): ExpressionSite => ({ path, scope: ROOT_SCOPE, place: 'definition' });
  if (use.secrets !== undefined) checkSecretNames(use.secrets, ['use', 'secrets'], checker);
  eachOf(use, 'authentications', checker, (policy, path) => {
    checkReusableAuthentication(policy, path, use, checker);
    expressions.template(policy, { ...site(path), takesSecrets: true });
  });
  eachOf(use, 'errors', checker, (error, path) =>
    checkError(error, path, checker, () => expressions.template(error, site(path))),
  );
  eachOf(use, 'timeouts', checker, (timeout, path) => {
    checkTimeoutDefinition(timeout, path, checker);
    expressions.template(timeout, site(path));
  });
  // Whatever `catch.as` calls it where the policy is used.
  const scope = withVariables(ROOT_SCOPE, 'error');
  eachOf(use, 'retries', checker, (policy, path) =>
    checkRetryPolicy(policy, path, checker, expressions, { ...site(path), scope }),
  );
}

function eachOf(use: JsonObject, kind: string, checker: Checker, check: (value: Json, path: Path) => void): void {
  const components = use[kind];
  if (components === undefined) return;
  const object = checker.object(components, ['use', kind], `use.${kind}`);
  for (const [name, value] of Object.entries(object ?? {})) check(value, ['use', kind, name]);
}

/** An error definition (OWS dsl-reference, "Error"). */
export function checkError(value: Json, path: Path, checker: Checker, checkExpressions: () => void): void {
  const error = checker.shaped(value, path, 'error', {
    required: ['type', 'status'],
    optional: ['title', 'detail', 'instance'],
  });
  if (error === undefined) return;
  for (const key of ['type', 'title', 'detail', 'instance']) checker.text(error[key], [...path, key], `error: ${key}`);
  checkUriVariables(error.type, [...path, 'type'], checker);
  const { status } = error;
  if (!(typeof status === 'string' && hasExpression(status)))
    checker.integer(status, [...path, 'status'], 'error: status', { min: 100, max: 599 });
  checkExpressions();
}

/** `{ after: <duration> }` (OWS dsl-reference, "Timeout"). */
export function checkTimeoutDefinition(value: Json, path: Path, checker: Checker): void {
  const timeout = checker.shaped(value, path, 'timeout', { required: ['after'] });
  checker.duration(timeout?.after, [...path, 'after'], 'timeout: after');
}

/** OWS's retry policy (dsl-reference, "Retry"). */
export function checkRetryPolicy(
  value: Json,
  path: Path,
  checker: Checker,
  expressions: ExpressionChecker,
  site: ExpressionSite,
): void {
  const policy = checker.shaped(value, path, 'retry', {
    optional: ['when', 'exceptWhen', 'delay', 'backoff', 'limit', 'jitter'],
  });
  if (policy === undefined) return;
  for (const key of ['when', 'exceptWhen']) {
    expressions.expression(policy[key], `retry: ${key}`, { ...site, path: [...path, key] });
  }
  for (const key of ['delay', 'limit', 'jitter']) expressions.template(policy[key], { ...site, path: [...path, key] });
  checker.duration(policy.delay, [...path, 'delay'], 'retry: delay');
  if (policy.backoff !== undefined) checkBackoff(policy.backoff, [...path, 'backoff'], checker);
  if (policy.limit !== undefined) checkLimit(policy.limit, [...path, 'limit'], checker);
  if (policy.jitter !== undefined) {
    const jitter = checker.shaped(policy.jitter, [...path, 'jitter'], 'retry: jitter', { required: ['from', 'to'] });
    for (const key of ['from', 'to']) checker.duration(jitter?.[key], [...path, 'jitter', key], `retry: jitter.${key}`);
    if (jitter !== undefined) checkJitterRange(jitter, [...path, 'jitter'], checker);
  }
}

function checkJitterRange({ from, to }: JsonObject, path: Path, checker: Checker): void {
  const [least, most] = [parseDuration(from ?? null), parseDuration(to ?? null)];
  if (!('ms' in least && 'ms' in most) || least.ms <= most.ms) return;
  checker.report('BLW_VALUE_INVALID', path, 'retry: jitter: from is longer than to');
}

function checkBackoff(value: Json, path: Path, checker: Checker): void {
  const backoff = checker.shaped(value, path, 'retry: backoff', { optional: ['constant', 'linear', 'exponential'] });
  if (backoff === undefined) return;
  const kinds = Object.keys(backoff);
  if (kinds.length !== 1)
    checker.report('BLW_VALUE_INVALID', path, 'retry: backoff: expected exactly one of constant, linear, exponential');
  for (const kind of kinds) checker.shaped(backoff[kind], [...path, kind], `retry: backoff.${kind}`, {});
}

function checkLimit(value: Json, path: Path, checker: Checker): void {
  const limit = checker.shaped(value, path, 'retry: limit', { optional: ['attempt', 'duration'] });
  if (limit === undefined) return;
  checker.duration(limit.duration, [...path, 'duration'], 'retry: limit.duration');
  if (limit.attempt === undefined) return;
  const attempt = checker.shaped(limit.attempt, [...path, 'attempt'], 'retry: limit.attempt', {
    optional: ['count', 'duration'],
  });
  checker.integer(attempt?.count, [...path, 'attempt', 'count'], 'retry: limit.attempt.count', { min: 1, max: 10_000 });
  checker.duration(attempt?.duration, [...path, 'attempt', 'duration'], 'retry: limit.attempt.duration');
}
