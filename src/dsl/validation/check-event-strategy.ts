import { isTimestamp } from '../events/cloud-event';
import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { shortJson } from '../problems';
import type { ExpressionChecker, ExpressionSite } from './check-expressions';
import type { Checker, Path, Shape } from './checker';
import type { Place, Scope } from './scope';

/** What the checks of events share. */
export interface EventChecks {
  readonly checker: Checker;
  readonly expressions: ExpressionChecker;
  readonly scope: Scope;
  /** Which arguments the expressions have; absent: those of a task's definition. */
  readonly place?: Place;
}

const STRATEGIES = ['one', 'any', 'all'];

/** OWS dsl-reference, "Event Consumption Strategy". A strategy that ends another one has no `until` of its own. */
export function checkStrategy(
  value: Json | undefined,
  path: Path,
  checks: EventChecks,
  { isInner = false }: { isInner?: boolean } = {},
): void {
  const { checker } = checks;
  const what = String(path.at(-1));
  const strategy = checker.shaped(value, path, what, { optional: isInner ? STRATEGIES : [...STRATEGIES, 'until'] });
  if (strategy === undefined) return;
  const kinds = STRATEGIES.filter((kind) => strategy[kind] !== undefined);
  const [kind, ...others] = kinds;
  if (kind === undefined || others.length > 0) {
    const got = kind === undefined ? 'none' : kinds.join(' and ');
    checker.report('BLW_VALUE_INVALID', path, `${what}: got ${got} of one, any and all, expected exactly one of them`);
    return;
  }
  if (kind === 'one') checkFilter(strategy.one as Json, [...path, 'one'], checks);
  else checkFilters(strategy[kind] as Json, kind, [...path, kind], checks);
  if (strategy.until !== undefined) checkUntil(strategy.until, kind, [...path, 'until'], checks);
}

function checkFilters(value: Json, kind: string, path: Path, checks: EventChecks): void {
  const { checker } = checks;
  if (!Array.isArray(value)) {
    checker.report(
      'BLW_VALUE_INVALID',
      path,
      `${kind}: got ${describeJsonType(value)}, expected a list of filters, each "- with: …"`,
    );
    return;
  }
  if (value.length === 0 && kind === 'all')
    checker.report('BLW_VALUE_INVALID', path, 'all: the list is empty, expected at least one filter');
  for (const [index, filter] of value.entries()) checkFilter(filter, [...path, index], checks);
}

function checkUntil(value: Json, kind: string, path: Path, checks: EventChecks): void {
  if (kind !== 'any') {
    const message = `until: it only goes with any, and would be ignored beside ${kind}; remove it`;
    checks.checker.report('BLW_VALUE_INVALID', path, message, 'key');
  } else if (isJsonObject(value)) {
    checkStrategy(value, path, checks, { isInner: true });
  } else {
    checks.expressions.expression(value, 'until (or a strategy)', siteOf(path, checks));
  }
}

const FILTER: Shape = {
  required: ['with'],
  optional: ['correlate'],
  example: '{ with: { type: … } }',
  habits: {
    advice: Object.fromEntries(
      ['type', 'source', 'subject', 'id', 'data', 'time'].map((key) => [key, `write with: { ${key}: … }`]),
    ),
    standsFor: 'with',
  },
};

/** OWS dsl-reference, "Event Filter". */
function checkFilter(value: Json, path: Path, checks: EventChecks): void {
  const { checker } = checks;
  const filter = checker.shaped(value, path, 'event filter', FILTER);
  if (filter?.with !== undefined) {
    const withPath = [...path, 'with'];
    const attributes = checker.object(filter.with, withPath, 'with');
    if (attributes !== undefined && Object.keys(attributes).length === 0) {
      const message = 'with: it is empty, expected at least one attribute; "any: []" takes every event';
      checker.report('BLW_VALUE_INVALID', withPath, message);
    }
    if (attributes !== undefined) checkAttributes(attributes, withPath, checks);
  }
  if (filter?.correlate !== undefined) checkCorrelations(filter.correlate, [...path, 'correlate'], checks);
}

/** Attributes of an event, or of a filter, and the data (OWS dsl-reference, "Event Properties"). */
export function checkAttributes(attributes: JsonObject, path: Path, checks: EventChecks): void {
  const { checker, expressions } = checks;
  for (const [name, value] of Object.entries(attributes)) {
    const at = [...path, name];
    if (name !== 'data' && !isAttributeValue(value)) {
      const message = `${name}: got ${describeJsonType(value)}, expected text, a number, true or false`;
      checker.report('BLW_VALUE_INVALID', at, message);
    } else if (name === 'specversion' && value !== '1.0') {
      checker.report('BLW_VALUE_INVALID', at, `specversion: got ${shortJson(value)}, expected '1.0'`);
    } else if (name === 'time' && !(typeof value === 'string' && (hasExpression(value) || isTimestamp(value)))) {
      const message = `time: got ${shortJson(value)}, expected RFC 3339 such as '2026-01-31T12:00:00Z'`;
      checker.report('BLW_VALUE_INVALID', at, message);
    } else {
      expressions.template(value, siteOf(at, checks));
    }
  }
}

function isAttributeValue(value: Json): boolean {
  return typeof value === 'string' ? value !== '' : typeof value === 'number' || typeof value === 'boolean';
}

/** OWS dsl-reference, "Correlation". */
function checkCorrelations(value: Json, path: Path, checks: EventChecks): void {
  const { checker, expressions } = checks;
  const correlations = checker.object(value, path, 'correlate') ?? {};
  for (const [key, item] of Object.entries(correlations)) {
    const at = [...path, key];
    const correlation = checker.shaped(item, at, `correlate: ${key}`, { required: ['from'], optional: ['expect'] });
    if (correlation === undefined) continue;
    expressions.expression(correlation.from, `correlate: ${key}: from`, siteOf([...at, 'from'], checks));
    const { expect } = correlation;
    if (checker.text(expect, [...at, 'expect'], `correlate: ${key}: expect`) === undefined) continue;
    expressions.template(expect, siteOf([...at, 'expect'], checks));
  }
}

function siteOf(path: Path, { scope, place = 'definition' }: EventChecks): ExpressionSite {
  return { path, scope, place };
}
