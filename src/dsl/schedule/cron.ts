import { shortText } from '../problems';

/** Values of one field, and the names that it may have instead of numbers. */
interface CronField {
  readonly name: string;
  readonly min: number;
  readonly max: number;
  /** Names from `firstName` on; a name may be cut after so many letters. */
  readonly names?: { readonly list: readonly string[]; readonly first: number; readonly minLength: number };
}

const MONTHS = 'january february march april may june july august september october november december'.split(' ');
const DAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');

const SECOND: CronField = { name: 'second', min: 0, max: 59 };
const MINUTE: CronField = { name: 'minute', min: 0, max: 59 };
const HOUR: CronField = { name: 'hour', min: 0, max: 23 };
const DAY_OF_MONTH: CronField = { name: 'day of month', min: 1, max: 31 };
const MONTH: CronField = { name: 'month', min: 1, max: 12, names: { list: MONTHS, first: 1, minLength: 3 } };
/** 7 is Sunday too. */
const DAY_OF_WEEK: CronField = { name: 'day of week', min: 0, max: 7, names: { list: DAYS, first: 0, minLength: 2 } };
const YEAR: CronField = { name: 'year', min: 2000, max: 2100 };

const FIVE = [MINUTE, HOUR, DAY_OF_MONTH, MONTH, DAY_OF_WEEK];
const FIELDS: Readonly<Record<number, readonly CronField[]>> = {
  5: FIVE,
  6: [...FIVE, YEAR],
  7: [SECOND, ...FIVE, YEAR],
};

const WORDS = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly'];

/** `1h30m`, with a phase `1h/20m`. */
const EVERY = /^@every\s+((?:\d+(?:\.\d+)?[dhms])+)(?:\/((?:\d+(?:\.\d+)?[dhms])+))?$/;

/**
 * What is wrong with a cron expression, or undefined: as Temporal's schedules read it (server, service/worker/scheduler:
 * parseCronString). 5 fields; 6 with the year at the end; 7 with seconds before; or a word such as `@daily`, `@every 1h`.
 */
export function cronProblem(text: string): string | undefined {
  const cron = text.replace(/#.*$/, '').trim();
  if (/^(?:CRON_)?TZ=/.test(cron)) return 'got a time zone in it; write it as document.metadata.schedule.timezone';
  if (WORDS.includes(cron)) return undefined;
  if (cron.startsWith('@every')) {
    return EVERY.test(cron) ? undefined : `got "${shortText(cron)}", expected an interval such as @every 1h30m`;
  }
  if (cron.startsWith('@')) return `got "${shortText(cron)}", expected @every or one of: ${WORDS.join(', ')}`;
  const parts = cron.split(/\s+/);
  const fields = FIELDS[parts.length];
  if (cron === '' || fields === undefined) {
    return `got ${cron === '' ? 0 : parts.length} fields, expected 5 (minute, hour, day of month, month, day of week), 6 with a year, 7 with seconds before`;
  }
  for (const [index, field] of fields.entries()) {
    const problem = fieldProblem(parts[index] ?? '', field);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function fieldProblem(text: string, field: CronField): string | undefined {
  const wrong = text.split(',').find((part) => !isRange(part, field));
  if (wrong === undefined) return undefined;
  const { name, min, max } = field;
  return `${name}: got "${shortText(wrong)}", expected *, a value from ${min} to ${max}, a range a-b, or either with a step /n`;
}

/** `*`, `3`, `1-5`, each with `/2`. */
function isRange(part: string, field: CronField): boolean {
  const [range = '', step, ...others] = part.split('/');
  if (others.length > 0 || (step !== undefined && !/^0*[1-9]\d{0,8}$/.test(step))) return false;
  if (range === '*') return true;
  const [from, to, ...more] = range.split('-').map((value) => valueIn(value, field));
  if (from === undefined || more.length > 0) return false;
  return !range.includes('-') || (to !== undefined && to >= from);
}

function valueIn(text: string, { min, max, names }: CronField): number | undefined {
  const index = names?.list.findIndex(
    (name) => text.length >= (names?.minLength ?? 0) && name.startsWith(text.toLowerCase()),
  );
  if (names !== undefined && index !== undefined && index !== -1) return index + names.first;
  const value = /^\d{1,9}$/.test(text) ? Number(text) : Number.NaN;
  return value >= min && value <= max ? value : undefined;
}
