import type { Quotas } from '../../../src/worker/policy/policy';
import { pruneExpired, renewLeases, restoreLeases } from '../../../src/worker/quota/lease-rules';
import { LEASE_MS, lockTenant, type Offer } from '../../../src/worker/quota/lines';
import { askForPlace, leaveLine, offerPlaces, releasePlace, reviewLine } from '../../../src/worker/quota/place-rules';
import { chargeCpu } from '../../../src/worker/quota/rates';
import { type Asker, OFFER_MS } from '../../../src/worker/quota/tickets';
import { execute, query, type Rule } from '../../../src/worker/state/rule';
import type { StateStore } from '../../../src/worker/state/state-store';
import { storeKinds } from '../../helpers/state-stores';

/** What becomes of a step that asks, in one word and how long it has to wait. */
type Answer = 'runs' | `waits ${string}`;

describe.each(storeKinds())('places of a tenant in $name', (kind) => {
  let store: StateStore;
  let now: number;
  let quotas: Quotas;
  let offers: Offer[];

  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());
  beforeEach(async () => {
    await kind.begin();
    now = 1_800_000_000_000;
    quotas = { concurrentSteps: 2 };
    offers = [];
    store = kind.open(() => now);
  });
  afterEach(() => store.close());

  const run = <T>(rule: () => Rule<T>): Promise<T> => store.run(rule);
  const told = (some: readonly Offer[]): void => void offers.push(...some);
  const askerOf = (name: string, more: Partial<Asker> = {}): Asker => ({
    tenant: 'acme',
    kind: 'step',
    ticket: name,
    lease: `lease ${name}`,
    worker: 'w',
    namespace: 'default',
    flowId: `flow ${name}`,
    priority: 3,
    ...more,
  });
  const ask = async (name: string, more: Partial<Asker> = {}): Promise<Answer> => {
    const verdict = await run(() => askForPlace(askerOf(name, more), quotas));
    told(verdict.offers);
    return verdict.wait === undefined ? 'runs' : `waits ${verdict.wait.reason} ${verdict.wait.afterMs}`;
  };
  const renew = (...names: readonly string[]) =>
    run(() => renewLeases(names.map((name) => ({ ...askerOf(name), id: `lease ${name}` }))));
  /** As the end of a step, or of a flow, releases its place. */
  const end = async (name: string): Promise<void> =>
    told(
      await run(function* () {
        const tenant = yield* lockTenant('acme');
        yield* execute('DELETE FROM beamline_leases WHERE id = ?', `lease ${name}`);
        return yield* offerPlaces(tenant, 'step', quotas);
      }),
    );
  const endFlow = async (name: string): Promise<void> =>
    told(await run(() => releasePlace('acme', `lease ${name}`, quotas)));
  const review = async (): Promise<void> => told((await run(() => reviewLine('acme', 'step', quotas))).offers);
  /** Whose turn it became since it was asked last. */
  const turns = (): string[] =>
    offers.splice(0).map(({ ticket, afterMs }) => (afterMs === 0 ? ticket : `${ticket} in ${afterMs}`));

  test("gives nobody else's place back: it counts by its tenant, too", async () => {
    quotas = { flows: 1 };
    await ask('a', { kind: 'flow' });
    await run(() => releasePlace('other', 'lease a', quotas));
    expect(await ask('b', { kind: 'flow' })).toMatch(/^waits flows /);
    await endFlow('a');
    expect(await ask('b', { kind: 'flow' })).toBe('runs');
  });

  test('says which quota it is, its limit and what the tenant uses of it, and nothing of other tenants', async () => {
    const waitOf = async (name: string, more: Partial<Asker> = {}) =>
      (await run(() => askForPlace(askerOf(name, more), quotas))).wait;
    for (const name of ['x', 'y', 'z']) await ask(name, { tenant: 'other' });
    await ask('a');
    await ask('b');
    expect(await waitOf('c')).toMatchObject({ reason: 'concurrentSteps', limit: 2, used: 2 });
    quotas = { flows: 1 };
    await ask('f', { kind: 'flow' });
    expect(await waitOf('g', { kind: 'flow' })).toMatchObject({ reason: 'flows', limit: 1, used: 1 });
    quotas = { stepsPerSecond: 1 };
    await waitOf('h');
    expect(await waitOf('i')).toMatchObject({ reason: 'stepsPerSecond', limit: 1 });
    quotas = { cpuTime: { maxMs: 10, windowMs: 60_000 } };
    await run(function* () {
      return yield* chargeCpu(yield* lockTenant('acme'), quotas, 10);
    });
    expect(await waitOf('j')).toMatchObject({ reason: 'cpuTime', limit: 10, until: 1_800_000_060_000 });
  });

  test('gives as many as there are, then places in the line, in the order of arrival', async () => {
    expect([await ask('a'), await ask('b'), await ask('c'), await ask('d')]).toEqual([
      'runs',
      'runs',
      'waits concurrentSteps 60000',
      'waits concurrentSteps 60000',
    ]);
    await end('a');
    expect(turns()).toEqual(['c']);
    // Free as the place is, it is set aside.
    expect(await ask('e')).toBe('waits concurrentSteps 60000');
    expect(await ask('c')).toBe('runs');
    await end('b');
    await end('c');
    expect(turns()).toEqual(['d', 'e']);
  });

  test('other tenants have places of their own', async () => {
    await ask('a');
    await ask('b');
    expect(await ask('c', { tenant: 'other' })).toBe('runs');
  });

  test('nobody can take over a ticket of another tenant', async () => {
    quotas = { concurrentSteps: 1 };
    await ask('a');
    await ask('b');
    await end('a');
    expect(turns()).toEqual(['b']);
    expect(await ask('x', { tenant: 'other' })).toBe('runs');
    expect(await ask('b', { tenant: 'other', lease: 'forged' })).toBe('waits concurrentSteps 60000');
    await run(() => leaveLine({ tenant: 'other', kind: 'step', tickets: ['b'] }, quotas));
    expect(await ask('b')).toBe('runs');
  });

  test('a higher priority goes first in the line', async () => {
    await ask('a');
    await ask('b');
    await ask('low', { priority: 5 });
    await ask('high', { priority: 1 });
    await end('a');
    expect(turns()).toEqual(['high']);
  });

  test('whoever asks again keeps its place, also where its ticket is gone', async () => {
    await ask('a');
    await ask('b');
    await ask('c');
    const since = now;
    now += 1_000;
    await ask('d');
    now += 1_000;
    await run(() => leaveLine({ tenant: 'acme', kind: 'step', tickets: ['c'] }, quotas));
    expect(await ask('c', { since })).toBe('waits concurrentSteps 60000');
    await end('a');
    expect(turns()).toEqual(['c']);
  });

  test('the longer one has waited, the later it asks by itself', async () => {
    await ask('a');
    await ask('b');
    await ask('c');
    now += 300_000;
    await renew('a', 'b');
    expect(await ask('c')).toBe('waits concurrentSteps 300000');
    now += 10_000_000;
    await renew('a', 'b');
    expect(await ask('c')).toBe('waits concurrentSteps 900000');
  });

  test('leases of a worker that is gone expire, and the line goes on', async () => {
    await ask('a');
    await ask('b');
    await ask('c');
    now += LEASE_MS - 1;
    await review();
    expect(turns()).toEqual([]);
    await renew('b');
    now += 1;
    await review();
    expect(turns()).toEqual(['c']);
    expect(await ask('c')).toBe('runs');
    expect(await ask('d')).toBe('waits concurrentSteps 60000');
  });

  test('a step that ran on while its lease expired counts again', async () => {
    await ask('a');
    await ask('b');
    now += LEASE_MS;
    await run(pruneExpired);
    const lost = await renew('a', 'b');
    expect(lost.map(({ id }) => id)).toEqual(['lease a', 'lease b']);
    await run(() => restoreLeases('acme', lost, (id) => id !== 'lease b'));
    expect(await ask('c')).toBe('runs');
    expect(await ask('d')).toBe('waits concurrentSteps 60000');
  });

  test('leases are renewed however many there are', async () => {
    quotas = { concurrentSteps: 200 };
    const names = Array.from({ length: 120 }, (_, index) => `s${index}`);
    for (const name of names) await ask(name);
    now += LEASE_MS - 1;
    expect(await renew(...names, 'unknown')).toMatchObject([{ id: 'lease unknown' }]);
    now += LEASE_MS - 1;
    await run(pruneExpired);
    const [row] = await run(() => query('SELECT count(*) AS leases FROM beamline_leases'));
    expect(row).toEqual({ leases: 120 });
  });

  test('an offer that nobody takes goes to the next, and comes back', async () => {
    quotas = { concurrentSteps: 1 };
    for (const name of ['a', 'b', 'c']) await ask(name);
    await end('a');
    expect(turns()).toEqual(['b']);
    now += OFFER_MS;
    await review();
    expect(turns()).toEqual(['c']);
    now += OFFER_MS;
    await review();
    // Both have missed one: the first again.
    expect(turns()).toEqual(['b']);
  });

  test('who comes late for an offer goes before those behind him, who come again', async () => {
    quotas = { concurrentSteps: 1 };
    for (const name of ['a', 'b', 'c']) await ask(name);
    await end('a');
    now += OFFER_MS;
    await review();
    expect(turns()).toEqual(['b', 'c']);
    expect(await ask('b')).toBe('runs');
    expect(await ask('c')).toBe('waits concurrentSteps 60000');
    await end('b');
    expect(turns()).toEqual(['c']);
  });

  test('whoever leaves the line makes room for the next', async () => {
    quotas = { concurrentSteps: 1 };
    for (const name of ['a', 'b', 'c']) await ask(name);
    await end('a');
    expect(turns()).toEqual(['b']);
    told(await run(() => leaveLine({ tenant: 'acme', kind: 'step', tickets: ['b'] }, quotas)));
    expect(turns()).toEqual(['c']);
  });

  test('a quota that is raised, lowered or taken away counts at once', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'f']) await ask(name);
    quotas = { concurrentSteps: 3 };
    await review();
    expect(turns()).toEqual(['c']);
    quotas = { concurrentSteps: 1 };
    expect(await ask('c')).toBe('waits concurrentSteps 60000');
    quotas = {};
    await review();
    expect(turns()).toEqual(['c', 'd', 'e', 'f']);
    expect(await ask('c')).toBe('runs');
  });

  test('flows hear of a quota that has changed, once', async () => {
    const news = async () =>
      (await run(() => reviewLine('acme', 'step', quotas))).news.map(({ flowId }) => flowId).sort();
    for (const name of ['a', 'b', 'c']) await ask(name);
    expect(await news()).toEqual([]);
    quotas = { concurrentSteps: 3 };
    expect([await news(), await news()]).toEqual([['flow a', 'flow b', 'flow c'], []]);
    quotas = {};
    expect([await news(), await news()]).toEqual([['flow a', 'flow b', 'flow c'], []]);
  });

  test('a lease is given once, however often it is asked for', async () => {
    quotas = { concurrentSteps: 1 };
    expect(await ask('a')).toBe('runs');
    expect(await ask('a')).toBe('waits concurrentSteps 60000');
  });

  test('steps per second: at equal distances once a tenth of a second is used up', async () => {
    quotas = { stepsPerSecond: 20 };
    expect([await ask('a'), await ask('b'), await ask('c'), await ask('d')]).toEqual([
      'runs',
      'runs',
      'waits stepsPerSecond 50',
      'waits stepsPerSecond 100',
    ]);
    now += 49;
    expect(await ask('c')).toBe('waits stepsPerSecond 1');
    now += 1;
    expect(await ask('c')).toBe('runs');
    now += 1_000;
    expect(await ask('late')).toBe('runs');
  });

  test('steps per second: what is beyond the horizon waits in the line, and gets its time in order', async () => {
    quotas = { stepsPerSecond: 1 };
    const answers: Answer[] = [];
    for (let index = 0; index < 14; index += 1) answers.push(await ask(`s${index}`));
    expect(answers.slice(0, 12)).toEqual([
      'runs',
      ...Array.from({ length: 10 }, (_, index) => `waits stepsPerSecond ${(index + 1) * 1_000}`),
      'waits stepsPerSecond 60000',
    ]);
    now += 2_000;
    await review();
    expect(turns()).toEqual(['s11 in 9000', 's12 in 10000']);
    expect([await ask('s1'), await ask('s2'), await ask('s3')]).toEqual(['runs', 'runs', 'waits stepsPerSecond 1000']);
  });

  test.each<[string, Quotas]>([
    ['alone', { stepsPerSecond: 1 }],
    ['with more places than times', { stepsPerSecond: 1, concurrentSteps: 1_000 }],
  ])('steps per second %s: newcomers do not pass those in the line', async (_, given) => {
    quotas = given;
    for (let index = 0; index < 14; index += 1) await ask(`s${index}`);
    const order: string[] = [];
    for (let second = 0; second < 5; second += 1) {
      now += 1_000;
      expect(await ask(`newcomer${second}`)).toBe('waits stepsPerSecond 60000');
      order.push(...turns());
      await review();
      order.push(...turns());
    }
    expect(order.map((turn) => turn.split(' ')[0])).toEqual(['s11', 's12', 's13', 'newcomer0', 'newcomer1']);
    expect(await ask('urgent', { priority: 1 })).toBe('waits stepsPerSecond 60000');
    now += 1_000;
    await review();
    expect(turns()).toEqual(['urgent in 10000']);
  });

  test('steps per second and at once: a time is given only with a place', async () => {
    quotas = { concurrentSteps: 1, stepsPerSecond: 10 };
    expect([await ask('a'), await ask('b')]).toEqual(['runs', 'waits concurrentSteps 60000']);
    now += 10;
    await end('a');
    expect(turns()).toEqual(['b in 90']);
    now += 90;
    expect(await ask('b')).toBe('runs');
    // However long it was blocked, the next still keeps its distance.
    now += 60_000;
    await renew('b');
    expect(await ask('c')).toBe('waits concurrentSteps 60000');
    await end('b');
    expect(turns()).toEqual(['c']);
    expect(await ask('c')).toBe('runs');
    await end('c');
    expect(await ask('d')).toBe('waits stepsPerSecond 100');
  });

  test('CPU time: nothing begins once it is used up, until the window ends', async () => {
    quotas = { cpuTime: { maxMs: 100, windowMs: 60_000 } };
    const windowEnd = Math.floor(now / 60_000) * 60_000 + 60_000;
    const charge = (ms: number) =>
      run(function* () {
        yield* chargeCpu(yield* lockTenant('acme'), quotas, ms);
      });
    expect(await ask('a')).toBe('runs');
    await charge(60);
    expect(await ask('b')).toBe('runs');
    await charge(60);
    expect(await ask('c')).toBe(`waits cpuTime ${windowEnd - now + 60_000}`);
    await review();
    expect(turns()).toEqual([]);
    now = windowEnd;
    await review();
    expect(turns()).toEqual(['c']);
    expect(await ask('c')).toBe('runs');
    await charge(150);
    quotas = { cpuTime: { maxMs: 200, windowMs: 60_000 } };
    expect(await ask('d')).toBe('runs');
  });

  test('flows have places and a line of their own, which do not expire', async () => {
    quotas = { concurrentSteps: 1, flows: 1 };
    expect(await ask('flow1', { kind: 'flow' })).toBe('runs');
    expect(await ask('step')).toBe('runs');
    now += LEASE_MS * 100;
    expect(await ask('flow2', { kind: 'flow' })).toBe('waits flows 60000');
    await endFlow('flow1');
    expect(turns()).toEqual(['flow2']);
  });

  test('a ticket whose flow does not ask any more is dropped', async () => {
    quotas = { concurrentSteps: 1 };
    for (const name of ['a', 'b']) await ask(name);
    now += 60_000 + 600_000;
    await review();
    expect(turns()).toEqual([]);
    const rows = await run(() => query('SELECT id FROM beamline_tickets WHERE offered_until > 0'));
    expect(rows).toEqual([]);
  });
});
