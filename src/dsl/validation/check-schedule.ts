import { READ_MODES } from '../events/cloud-event';
import { hasExpression } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { shortText } from '../problems';
import { cronProblem } from '../schedule/cron';
import { MIN_INTERVAL_MS, OVERLAP_POLICIES } from '../schedule/schedule';
import type { CheckContext } from './check-context';
import { checkStrategy } from './check-event-strategy';
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
  checker.oneOf(schedule.read, ['schedule', 'read'], 'schedule: read', READ_MODES);
  if (schedule.on === undefined) return;
  const { expressions } = context;
  const checks = { checker, expressions, scope: ROOT_SCOPE, place: 'workflowInput' as const };
  // As a strategy that ends another one, it has no `until`: a schedule goes on until it is deleted.
  checkStrategy(schedule.on, ['schedule', 'on'], checks, { isInner: true });
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
