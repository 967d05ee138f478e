import { randomUUID } from 'node:crypto';
import type { Quotas } from '../../../src/worker/policy/policy';
import { lockTenant } from '../../../src/worker/quota/lines';
import { askForPlace } from '../../../src/worker/quota/place-rules';
import { chargeCpu } from '../../../src/worker/quota/rates';
import { readLoad } from '../../../src/worker/quota/tenant-load';
import { execute } from '../../../src/worker/state/rule';
import type { StateStore } from '../../../src/worker/state/state-store';
import { storeKinds } from '../../helpers/state-stores';

describe.each(storeKinds())('the load of tenants in $name', (kind) => {
  let now: number;
  let store: StateStore;
  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    now = Date.UTC(2026, 10, 27, 12);
    await kind.begin();
    store = kind.open(() => now);
  });
  afterEach(() => store.close());

  const ask = (quotas: Quotas, kindOfPlace: 'step' | 'flow' = 'step') => {
    const ids = { ticket: randomUUID(), lease: randomUUID(), worker: 'w', namespace: 'n', flowId: 'f' };
    return store.run(() => askForPlace({ tenant: 'acme', kind: kindOfPlace, priority: 3, ...ids }, quotas));
  };
  const load = async (quotas: Quotas) => {
    const read = () => readLoad(['acme'], () => quotas);
    const [acme] = await store.run(read, { isReading: true });
    return { ...acme, quotas: Object.fromEntries(acme?.quotas ?? []) };
  };

  test('of one that is new is nothing', async () => {
    expect(await load({ concurrentSteps: 2, flows: 1 })).toEqual({
      tenant: 'acme',
      running: 0,
      waiting: 0,
      quotas: { concurrentSteps: false, flows: false },
    });
    expect(await load({})).toEqual({ tenant: 'acme', waiting: 0, quotas: {} });
  });

  test('counts steps that run and that wait, until their leases expire', async () => {
    const quotas = { concurrentSteps: 2 };
    await ask(quotas);
    expect(await load(quotas)).toMatchObject({ running: 1, waiting: 0, quotas: { concurrentSteps: false } });
    for (let steps = 0; steps < 3; steps += 1) await ask(quotas);
    expect(await load(quotas)).toMatchObject({ running: 2, waiting: 2, quotas: { concurrentSteps: true } });
    now += 31_000;
    expect(await load(quotas)).toMatchObject({ running: 0, waiting: 2, quotas: { concurrentSteps: false } });
  });

  test('says which quotas are used up', async () => {
    const quotas: Quotas = {
      flows: 1,
      stepsPerSecond: 1,
      blobBytes: 100,
      cpuTime: { maxMs: 50, windowMs: 3_600_000 },
    };
    await ask(quotas);
    await ask(quotas, 'flow');
    expect((await load(quotas)).quotas).toEqual({
      flows: true,
      stepsPerSecond: true,
      blobBytes: false,
      cpuTime: false,
    });
    await store.run(function* () {
      yield* chargeCpu(yield* lockTenant('acme'), quotas, 60);
      yield* execute("UPDATE beamline_tenants SET blob_bytes = 100 WHERE tenant = 'acme'");
    });
    now += 2_000;
    expect(await load(quotas)).toMatchObject({
      blobBytes: 100,
      quotas: { flows: true, stepsPerSecond: false, blobBytes: true, cpuTime: true },
    });
  });
});
