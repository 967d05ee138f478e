import { execute } from '../../../src/worker/state/rule';
import type { StateStore } from '../../../src/worker/state/state-store';
import { countUsageSinceBegin } from '../../../src/worker/usage/usage-counters';
import { countApproval, countAttempts } from '../../../src/worker/usage/usage-rules';
import { storeKinds } from '../../helpers/state-stores';

const DAY_MS = 86_400_000;
const USAGE = { cpuMs: 1.5, peakMemoryBytes: 1_000, bytesIn: 10, bytesOut: 20 };

describe.each(storeKinds())('counters of usage in $name', (kind) => {
  let now: number;
  let store: StateStore;
  const count = (id: string, end: 'completed' | 'failed', attempt = 1) =>
    store.run(() => countAttempts('acme', [{ id, attempt, end }], USAGE));
  const counters = async () => (await store.run(() => countUsageSinceBegin(new Set(['acme', 'idle'])))).get('acme');

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    now = Date.UTC(2026, 10, 27, 23);
    await kind.begin();
    store = kind.open(() => now);
  });
  afterEach(() => store.close());

  test('are the sums of all days, with the peak of today', async () => {
    await count('a', 'completed');
    await count('b', 'failed');
    now += DAY_MS;
    await store.run(() => countApproval({ tenant: 'acme', id: 'c' }));
    await store.run(() => countAttempts('other', [{ id: 'd', attempt: 1, end: 'completed' }], USAGE));
    const sums = { steps: 1, failures: 1, cpu_ms: 3, bytes_in: 20, bytes_out: 40, approvals: 1 };
    expect(await counters()).toEqual({ ...sums, peak_memory_bytes: 0 });
    await count('e', 'completed');
    expect(await counters()).toMatchObject({ steps: 2, peak_memory_bytes: 1_000 });
    expect([...(await store.run(() => countUsageSinceBegin(new Set(['idle'])))).keys()]).toEqual([]);
  });

  test('do not fall where the end of a step is corrected, and are exact again after the next one', async () => {
    await count('a', 'failed');
    expect(await counters()).toMatchObject({ steps: 0, failures: 1 });
    await count('a', 'completed', 2);
    expect(await counters()).toMatchObject({ steps: 1, failures: 1 });
    await count('b', 'failed');
    expect(await counters()).toMatchObject({ steps: 1, failures: 1 });
    await count('c', 'failed');
    expect(await counters()).toMatchObject({ steps: 1, failures: 2 });
  });

  test('keep days that are removed, for whoever asks next', async () => {
    for (const id of ['a', 'b', 'c']) await count(id, 'completed');
    now += DAY_MS;
    await count('d', 'completed');
    expect(await counters()).toMatchObject({ steps: 4, bytes_in: 40, cpu_ms: 6 });
    await store.run(() => execute("DELETE FROM beamline_usage WHERE day = '2026-11-27'"));
    expect(await counters()).toMatchObject({ steps: 4, bytes_in: 40, cpu_ms: 6 });
    await store.close();
    store = kind.open(() => now);
    await count('e', 'completed');
    expect(await counters()).toMatchObject({ steps: 5, bytes_in: 50, cpu_ms: 7.5 });
  });
});
