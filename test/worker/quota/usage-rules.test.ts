import { query } from '../../../src/worker/state/rule';
import type { StateStore } from '../../../src/worker/state/state-store';
import { countApproval, countAttempts, type UsageEntry } from '../../../src/worker/usage/usage-rules';
import { storeKinds } from '../../helpers/state-stores';

describe.each(storeKinds())('usage in $name', (kind) => {
  let store: StateStore;
  let now: number;

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    now = Date.UTC(2026, 10, 28, 23, 59, 59);
    store = kind.open(() => now);
  });
  afterEach(() => store.close());

  const usage = { cpuMs: 1.5, peakMemoryBytes: 100, bytesIn: 10, bytesOut: 20 };
  const count = ({ tenant = 'acme', usage: used = usage, ...attempt }: Partial<UsageEntry>) =>
    store.run(() => countAttempts(tenant, [{ id: 'a', attempt: 1, ...attempt }], used));
  const days = () =>
    store.run(() =>
      query(
        'SELECT tenant, day, steps, failures, cpu_ms, peak_memory_bytes, bytes_in, bytes_out, approvals FROM beamline_usage ORDER BY day, tenant',
      ),
    );
  const sums = async () =>
    (await days()).map(({ steps, failures }) => ({ steps: Number(steps), failures: Number(failures) }));

  test('counts many attempts at once, each id once: what was counted before, or comes twice, as its newest attempt ended', async () => {
    await count({ id: 'step-007', end: 'completed' });
    const many = Array.from({ length: 120 }, (_, index) => ({
      id: `step-${String(index).padStart(3, '0')}`,
      attempt: 1,
      end: 'completed' as const,
    }));
    const again = { id: 'step-008', attempt: 2, end: 'failed' as const };
    const unclear = { id: 'step-500', attempt: 1 };
    const together = [unclear, ...many.reverse(), again];
    await store.run(() => countAttempts('acme', together, usage));
    expect(await sums()).toEqual([{ steps: 119, failures: 1 }]);
    await store.run(() => countAttempts('acme', together, undefined));
    expect(await sums()).toEqual([{ steps: 119, failures: 1 }]);
  });

  test('adds up by tenant and day, and keeps the highest peak', async () => {
    await count({ end: 'completed' });
    await count({ id: 'b', end: 'failed', usage: { ...usage, peakMemoryBytes: 50 } });
    await count({ id: 'c', tenant: 'other', end: 'completed' });
    now += 1_000;
    await count({ id: 'd' });
    expect(await days()).toEqual([
      {
        tenant: 'acme',
        day: '2026-11-28',
        steps: 1,
        failures: 1,
        cpu_ms: 3,
        peak_memory_bytes: 100,
        bytes_in: 20,
        bytes_out: 40,
        approvals: 0,
      },
      {
        tenant: 'other',
        day: '2026-11-28',
        steps: 1,
        failures: 0,
        cpu_ms: 1.5,
        peak_memory_bytes: 100,
        bytes_in: 10,
        bytes_out: 20,
        approvals: 0,
      },
      {
        tenant: 'acme',
        day: '2026-11-29',
        steps: 0,
        failures: 0,
        cpu_ms: 1.5,
        peak_memory_bytes: 100,
        bytes_in: 10,
        bytes_out: 20,
        approvals: 0,
      },
    ]);
  });

  test.each<[string, [number, UsageEntry['end']][], { steps: number; failures: number }]>([
    [
      'a report that is repeated',
      [
        [1, 'completed'],
        [1, 'completed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'an attempt that is made again after its report was lost',
      [
        [1, 'completed'],
        [2, 'completed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'one that then ends another way',
      [
        [1, 'completed'],
        [2, 'failed'],
      ],
      { steps: 0, failures: 1 },
    ],
    [
      'one that fails, and then does not',
      [
        [1, 'failed'],
        [2, 'completed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'a worker that was taken for dead and reports late',
      [
        [2, 'completed'],
        [1, 'failed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'attempts that fail on the way',
      [
        [1, undefined],
        [2, undefined],
        [3, 'completed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'one that is sent back to wait then, or cancelled,',
      [
        [1, 'completed'],
        [2, 'none'],
      ],
      { steps: 0, failures: 0 },
    ],
    [
      'a failure that is made again and sent back to wait',
      [
        [1, 'failed'],
        [2, 'none'],
      ],
      { steps: 0, failures: 0 },
    ],
    [
      'one that was sent back to wait before the report of the attempt before comes',
      [
        [2, 'none'],
        [1, 'completed'],
      ],
      { steps: 0, failures: 0 },
    ],
    [
      'one that was cancelled with its worker, and made again',
      [
        [1, 'completed'],
        [2, 'none'],
        [3, 'completed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'one that was repeated with the same end, and then an earlier attempt',
      [
        [1, 'completed'],
        [3, 'completed'],
        [2, 'failed'],
      ],
      { steps: 1, failures: 0 },
    ],
    [
      'one that fails after it was sent back to wait',
      [
        [2, 'none'],
        [1_000_000_000, 'failed'],
      ],
      { steps: 0, failures: 1 },
    ],
    [
      'a failure that the flow reports',
      [
        [1_000_000_000, 'failed'],
        [1, 'completed'],
      ],
      { steps: 0, failures: 1 },
    ],
  ])('%s counts once', async (_, reports, expected) => {
    for (const [attempt, end] of reports) await count({ attempt, ...(end === undefined ? {} : { end }) });
    expect(await sums()).toEqual([expected]);
  });

  test('what an attempt used stays where its end is taken back', async () => {
    await count({ end: 'completed' });
    await count({ attempt: 2, end: 'none', usage: { ...usage, cpuMs: 1 } });
    expect(await days()).toMatchObject([{ steps: 0, failures: 0, cpu_ms: 2.5, bytes_in: 20, bytes_out: 40 }]);
  });

  test('a correction goes to the day on which the step was counted', async () => {
    await count({ end: 'completed' });
    now += 86_400_000;
    await count({ attempt: 2, end: 'failed' });
    expect(await sums()).toEqual([
      { steps: 0, failures: 1 },
      { steps: 0, failures: 0 },
    ]);
  });

  test('an approval counts once', async () => {
    for (const id of ['x', 'y', 'x']) await store.run(() => countApproval({ tenant: 'acme', id }));
    expect(await days()).toMatchObject([{ approvals: 2 }]);
  });

  test('reports of several workers at the same time are all counted', async () => {
    const others = [kind.open(() => now), kind.open(() => now), kind.open(() => now)];
    try {
      await Promise.all(
        others.flatMap((other, worker) =>
          Array.from({ length: 50 }, (__, index) =>
            other.run(() =>
              countAttempts('acme', [{ id: `${worker % 2}:${index}`, attempt: 1, end: 'completed' }], usage),
            ),
          ),
        ),
      );
    } finally {
      for (const other of others) await other.close();
    }
    expect(await days()).toMatchObject([{ steps: 100, cpu_ms: 225, bytes_in: 1_500 }]);
  });
});
