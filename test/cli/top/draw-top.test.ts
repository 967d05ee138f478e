import { drawTop } from '../../../src/cli/top/draw-top';
import { type StepView, type TopView, topView } from '../../../src/cli/top/top-view';
import { pageOf, sample, workerReading } from './samples';

const around = { address: '127.0.0.1:7233', namespace: 'default', footer: 'every 2 s; q ends' };

function textOf(view: TopView, width: number, height: number): string[] {
  return drawTop(view, { ...around, width, height }).map((line) =>
    line
      .map(({ text }) => text)
      .join('')
      .trimEnd(),
  );
}

const reading = (at: number, done: number) => workerReading(at, pageOf({ done, failed: done / 100, used: 16 }));
const view = topView(sample(0, [reading(0, 0)]), sample(2_000, [reading(2_000, 400)]));
const steps = (count: number): StepView[] =>
  Array.from({ length: count }, (_, index) => ({ type: `block.${index}`, ended: index, perSecond: 1 }));
const tenants = (count: number) =>
  Array.from({ length: count }, (_, index) => ({ tenant: `tenant-${index}`, running: 1, waiting: 0, overQuota: [] }));

test('shows all of it', () => {
  expect(textOf(view, 100, 40)).toEqual([
    'beamline top  127.0.0.1:7233  default  1970-01-01T00:00:02Z',
    '1 worker with metrics, 2.00 processors, 100 MiB memory, 11 flows in memory',
    '',
    'POOL  WORKERS  SLOTS  QUEUE     OLDEST  ADDED/S  SENT/S  START P95',
    'io          2  16/16  1,400      3.2 s     40.0       0      95 ms',
    'cpu         2      -      0          -        0       0          -',
    'gpu         0      -      2  1 min 1 s        0       0          -',
    '',
    'STEP          RUN/S  FAILED/S  RETRIED/S    P50    P95  ENDED',
    'http.request  202.0       2.0        2.0  17 ms  24 ms    404',
    'fs.put            0         0          0      -      -      7',
    '',
    'flows      12 Running, 3 AwaitingApproval, 1 DeadLettered',
    'last hour  1,204 Completed, 3 Failed',
    'waiting    3 approvals, the oldest for 2.0 s; 1 flow with dead letters',
    'note       metrics of 1 of 2 workers: slots, rates and latencies are of these; figures of tenants,',
    '           if there are any, another worker shows; name the others with --metrics',
    'every 2 s; q ends',
  ]);
});

test.each([
  [80, 24],
  [80, 10],
  [40, 12],
  [200, 60],
  [1, 1],
])('fits into %i by %i, however much there is', (width, height) => {
  const much = { ...view, steps: steps(30), tenants: tenants(30), notes: ['x'.repeat(300)] };
  const lines = textOf(much, width, height);
  expect(lines.length).toBeLessThanOrEqual(height);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
  expect(lines.at(-1)).toBe('every 2 s; q ends'.slice(0, width));
});

test('on a small terminal has everything that is to be known first', () => {
  const much = { ...view, steps: steps(30), tenants: tenants(30), notes: ['w1 does not answer'] };
  const lines = textOf(much, 80, 24);
  expect(lines).toHaveLength(24);
  const beginnings = lines.map((line) => line.split(/ {2,}/)[0]);
  expect(beginnings).toEqual([
    'beamline top',
    expect.stringMatching(/^1 worker/),
    '',
    'POOL',
    'io',
    'cpu',
    'gpu',
    '',
    'STEP',
    'block.0',
    'block.1',
    'block.2',
    'block.3',
    '… and 26 more',
    '',
    'TENANT',
    'tenant-0',
    '… and 29 more',
    '',
    'flows',
    'last hour',
    'waiting',
    'note',
    'every 2 s; q ends',
  ]);
});

test('leaves out what there is nothing of', () => {
  const { processes: _, ...rest } = view;
  const none = { ...rest, steps: [], notes: [], flows: { ...view.flows, endedLastHour: {} } };
  const text = textOf(none, 80, 24).join('\n');
  expect(text).not.toMatch(/STEP|TENANT|note|degraded/);
  expect(text).toContain('last hour  none ended');
});

test('tells of degraded parts and of quotas, without control characters', () => {
  const bad = {
    ...view,
    tenants: [{ tenant: 'acme', running: 10, waiting: 1_240, overQuota: ['concurrentSteps', 'cpuTime'] }],
    degraded: [{ part: 'nats', workers: 2, since: '2026-01-01T00:00:00.123Z', message: 'refused\u001b[2J' }],
  };
  const lines = textOf(bad, 100, 40);
  expect(lines).toContain('acme         10    1,240  concurrentSteps, cpuTime');
  expect(lines).toContain('degraded   nats (2 workers since 2026-01-01T00:00:00Z): refused\uFFFD[2J');
});

test('colours what somebody has to look at', () => {
  const styles = drawTop(view, { ...around, width: 100, height: 40 })
    .flat()
    .filter(({ style }) => style !== undefined && style !== 'bold' && style !== 'dim');
  expect(styles.map(({ text, style }) => [text.trim(), style])).toEqual([
    ['16/16', 'yellow'],
    ['0', 'red'],
    ['2', 'red'],
    ['2.0', 'red'],
    ['2.0', 'yellow'],
    ['3 approvals, the oldest for 2.0 s', 'yellow'],
    ['1 flow with dead letters', 'red'],
    [expect.stringContaining('metrics of 1 of 2'), 'yellow'],
    [expect.stringMatching(/; name the others with --metrics$/), 'yellow'],
  ]);
});

test('gives approvals and dead letters a line each where one is too narrow', () => {
  const waiting = {
    approvals: { waiting: 12, oldestSeconds: 4_000 },
    deadLetters: { flows: 3, oldestSeconds: 86_400 },
  };
  const lines = textOf({ ...view, ...waiting }, 80, 40);
  const at = lines.findIndex((line) => line.startsWith('waiting'));
  expect(lines.slice(at, at + 2)).toEqual([
    'waiting    12 approvals, the oldest for 1 h 6 min',
    '           3 flows with dead letters, the oldest for 24 h 0 min',
  ]);
});

test('shows what is not counted as such, and since when the first dead letter waits', () => {
  const free = { tenant: 'free', waiting: 0, overQuota: [] };
  const unknown = { tenant: 'unknown', overQuota: ['flows'] };
  const lines = textOf({ ...view, tenants: [free, unknown], deadLetters: { flows: 2, oldestSeconds: 60 } }, 100, 40);
  expect(lines).toContain('free           -        0');
  expect(lines).toContain('unknown        -        -  flows');
  expect(lines.find((line) => line.startsWith('waiting'))).toMatch(
    /; 2 flows with dead letters, the oldest for 1 min 0 s$/,
  );
});
