import { cronProblem } from '../../src/dsl/schedule/cron';

/** The same lists are given to a real server by deploy.test.ts. */
import { INVALID_CRONS, VALID_CRONS } from './crons';

it.each(VALID_CRONS)('takes %j', (cron) => {
  expect(cronProblem(cron)).toBeUndefined();
});

it.each(INVALID_CRONS)('refuses %j', (cron) => {
  expect(cronProblem(cron)).toMatch(/^(?:got|minute|hour|day of month|month|day of week|year|second)/);
});

it.each([
  ['0 7 * *', 'got 4 fields, expected 5 (minute, hour, day of month, month, day of week)'],
  ['60 7 * * *', 'minute: got "60", expected *, a value from 0 to 59'],
  ['0 7 * * funday', 'day of week: got "funday"'],
  ['@hourli', 'got "@hourli", expected @every or one of: @yearly'],
  ['CRON_TZ=Europe/Berlin 0 7 * * *', 'write it as document.metadata.schedule.timezone'],
])('says what is wrong with %j: %s', (cron, message) => {
  expect(cronProblem(cron)).toContain(message);
});
