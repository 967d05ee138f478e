import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { shortText } from '../problems';
import { cronProblem } from '../schedule/cron';
import { MIN_INTERVAL_MS, OVERLAP_POLICIES } from '../schedule/schedule';
import type { CheckContext } from './check-context';
import type { Checker, Path } from './checker';
import { ROOT_SCOPE } from './scope';

const TIMINGS = ['every', 'cron', 'after', 'on'];

/** OWS dsl-reference, "Schedule". It is read before the flow runs, so that none of it but event filters is an expression. */
export function checkSchedule(document: JsonObject, context: CheckContext): void {
  const { checker } = context;
  checkSettings(document, checker);
  if (document.schedule === undefined) return;
  const schedule = checker.shaped(document.schedule, ['schedule'], 'schedule', { optional: [...TIMINGS, 'read'] });
  if (schedule === undefined) return;
  const given = TIMINGS.filter((key) => schedule[key] !== undefined);
  if (given.length === 0) {
    checker.report('BLW_KEY_MISSING', ['schedule'], `schedule needs one of ${TIMINGS.join(', ')}`, 'key');
  }
  checkInterval(schedule.every, 'every', checker);
  checkInterval(schedule.after, 'after', checker);
  checkCron(schedule.cron, ['schedule', 'cron'], checker);
  if (schedule.after !== undefined && given.length > 1) {
    const others = given.filter((key) => key !== 'after').join(' and ');
    const message = `schedule: after and ${others} contradict each other: one run after another, or runs at times of their own`;
    checker.report('BLW_VALUE_INVALID', ['schedule', 'after'], message, 'key');
  }
  if (schedule.read !== undefined && schedule.on === undefined) {
    checker.report('BLW_VALUE_INVALID', ['schedule', 'read'], 'schedule: read is only for `on`', 'key');
  }
  checker.oneOf(schedule.read, ['schedule', 'read'], 'schedule: read', ['data', 'envelope', 'raw']);
  if (schedule.on !== undefined) checkEvents(schedule.on, ['schedule', 'on'], context);
}

function checkInterval(value: Json | undefined, key: 'every' | 'after', checker: Checker): void {
  if (typeof value === 'string' && hasExpression(value)) {
    const message = `schedule: ${key}: expected no expression; schedules are read before the flow runs`;
    checker.report('BLW_VALUE_INVALID', ['schedule', key], message);
    return;
  }
  checker.literalDuration(value, ['schedule', key], `schedule: ${key}`, MIN_INTERVAL_MS);
}

function checkCron(value: Json | undefined, path: Path, checker: Checker): void {
  const cron = checker.text(value, path, 'schedule: cron');
  const problem = cron === undefined ? undefined : cronProblem(cron);
  if (problem !== undefined) checker.report('BLW_VALUE_INVALID', path, `schedule: cron: ${problem}`);
}

/** `document.metadata.schedule`: what OWS has no word for. */
function checkSettings(document: JsonObject, checker: Checker): void {
  const header = isJsonObject(document.document) ? document.document : {};
  const settings = isJsonObject(header.metadata) ? header.metadata.schedule : undefined;
  if (settings === undefined) return;
  const path = ['document', 'metadata', 'schedule'];
  const known = checker.shaped(settings, path, 'metadata: schedule', {
    optional: ['timezone', 'overlap', 'catchupWindow'],
  });
  checker.oneOf(known?.overlap, [...path, 'overlap'], 'metadata: schedule.overlap', OVERLAP_POLICIES.slice());
  checker.literalDuration(known?.catchupWindow, [...path, 'catchupWindow'], 'schedule.catchupWindow', MIN_CATCHUP_MS);
  const timezone = checker.text(known?.timezone, [...path, 'timezone'], 'metadata: schedule.timezone');
  if (timezone === undefined || isTimeZone(timezone)) return;
  const message = `metadata: schedule.timezone: got "${shortText(timezone)}", expected a name such as UTC or Europe/Berlin`;
  checker.report('BLW_VALUE_INVALID', [...path, 'timezone'], message);
}

/** Temporal takes no shorter one (server, service/worker/scheduler: MinCatchupWindow). */
const MIN_CATCHUP_MS = 10_000;

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en', { timeZone: name });
    // An offset such as +01:00 is one for this program, and none for Temporal.
    return !/^[+-]/.test(name);
  } catch {
    return false;
  }
}

/** An event consumption strategy (OWS dsl-reference): which events, each with the attributes that it must have. */
function checkEvents(value: Json, path: Path, context: CheckContext): void {
  const { checker } = context;
  const strategy = checker.shaped(value, path, 'schedule: on', { optional: ['all', 'any', 'one', 'until'] });
  if (strategy === undefined) return;
  const kinds = ['all', 'any', 'one'].filter((key) => strategy[key] !== undefined);
  if (kinds.length !== 1)
    checker.report('BLW_VALUE_INVALID', path, 'schedule: on: expected exactly one of all, any, one');
  if (strategy.until !== undefined) {
    const message = 'schedule: on: until is for listen tasks; a schedule goes on until it is deleted';
    checker.report('BLW_UNSUPPORTED', [...path, 'until'], message, 'key');
  }
  if (strategy.one !== undefined) checkFilter(strategy.one, [...path, 'one'], context);
  for (const kind of kinds.filter((key) => key !== 'one')) checkFilters(strategy[kind], [...path, kind], context);
}

function checkFilters(value: Json | undefined, path: Path, context: CheckContext): void {
  if (!Array.isArray(value) || value.length === 0) {
    const got = Array.isArray(value) ? 'an empty list' : describeJsonType(value);
    context.checker.report('BLW_VALUE_INVALID', path, `schedule: on: got ${got}, expected a list of event filters`);
    return;
  }
  for (const [index, filter] of value.entries()) checkFilter(filter, [...path, index], context);
}

function checkFilter(value: Json, path: Path, { checker, expressions }: CheckContext): void {
  const filter = checker.shaped(value, path, 'event filter', { required: ['with'], optional: ['correlate'] });
  if (filter?.with === undefined) return;
  const attributes = checker.object(filter.with, [...path, 'with'], 'event filter: with');
  if (attributes !== undefined && Object.keys(attributes).length === 0) {
    checker.report('BLW_VALUE_INVALID', [...path, 'with'], 'event filter: with: expected at least one attribute');
  }
  expressions.template(attributes, { path: [...path, 'with'], scope: ROOT_SCOPE, place: 'workflowInput' });
}
