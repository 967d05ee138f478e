import type { LogFields } from '../../../src/worker/logger';
import { logConditions } from '../../../src/worker/telemetry/condition-log';
import { Conditions } from '../../../src/worker/telemetry/conditions';
import { MetricGaps } from '../../../src/worker/telemetry/metric-gaps';

beforeEach(() => jest.useFakeTimers({ now: 1_000_000 }));
afterEach(() => jest.useRealTimers());
const pass = (ms: number) => jest.advanceTimersByTime(ms);

test('a part stays degraded since it was first said, with the newest reason, until it recovers', () => {
  const conditions = new Conditions();
  const told: unknown[] = [];
  conditions.use('nats');
  conditions.onChange((part, state) => told.push([part, state?.message]));
  conditions.degrade('nats', 'refused');
  pass(500);
  conditions.degrade('nats', 'timeout');
  expect(conditions.list()).toEqual([{ part: 'nats', since: 1_000_000, message: 'timeout' }]);
  conditions.recover('nats');
  conditions.recover('nats');
  expect(conditions.list()).toEqual([]);
  conditions.tell('log', 'full disk');
  expect(told).toEqual([
    ['nats', undefined],
    ['nats', 'refused'],
    ['nats', undefined],
    ['log', undefined],
    ['log', 'full disk'],
  ]);
});

test('the log says once that a part is away and once that it is back, and not each time of one that comes and goes', () => {
  const conditions = new Conditions();
  const lines: { level: string; message: string; fields: LogFields | undefined }[] = [];
  logConditions(conditions, { log: (level, message, fields) => lines.push({ level, message, fields }) });
  for (let times = 0; times < 3; times += 1) {
    conditions.degrade('temporal', 'no answer');
    pass(4_000);
    conditions.recover('temporal');
  }
  const away = { level: 'warn', message: 'Temporal does not answer', fields: { part: 'temporal', error: 'no answer' } };
  const back = { level: 'info', message: 'Temporal answers again', fields: { part: 'temporal', away_ms: 4_000 } };
  expect(lines).toEqual([away, back]);
  conditions.degrade('temporal', 'no answer');
  expect(lines).toEqual([away, back]);
  pass(30_000);
  expect(lines).toEqual([away, back, away]);
});

test('metrics are complete again once no source of them is missing', () => {
  const conditions = new Conditions();
  const gaps = new MetricGaps(conditions);
  gaps.tell('core', 'no core');
  gaps.tell('queues', 'no queues');
  gaps.tell('core', undefined);
  expect(conditions.list()).toMatchObject([{ part: 'metrics', message: 'no queues' }]);
  gaps.tell('queues', undefined);
  expect(conditions.list()).toEqual([]);
});
