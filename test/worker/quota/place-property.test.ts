import fc from 'fast-check';
import type { Quotas } from '../../../src/worker/policy/policy';
import { renewLeases, restoreLeases } from '../../../src/worker/quota/lease-rules';
import { needsReview, type SurveyedLine, surveyLines } from '../../../src/worker/quota/line-survey';
import { LEASE_MS, lockTenant, type Offer } from '../../../src/worker/quota/lines';
import { askForPlace, leaveLine, offerPlaces, reviewLine } from '../../../src/worker/quota/place-rules';
import { OFFER_MS } from '../../../src/worker/quota/tickets';
import { execute } from '../../../src/worker/state/rule';
import type { StateStore } from '../../../src/worker/state/state-store';
import { storeKinds } from '../../helpers/state-stores';

const RUNS = Number(process.env.QUOTA_RUNS ?? 0);

/** What may happen, in any order. Numbers choose among those to whom it can happen. */
type Happening =
  | { readonly kind: 'arrives'; readonly priority: number }
  | { readonly kind: 'asks' | 'ends' | 'leaves' | 'answersOffer' | 'dies'; readonly who: number }
  | { readonly kind: 'passes'; readonly ms: number }
  | { readonly kind: 'reviews' | 'renews' }
  | { readonly kind: 'allows'; readonly limit: number };

const who = fc.nat(50);
const happening: fc.Arbitrary<Happening> = fc.oneof(
  {
    weight: 9,
    arbitrary: fc.record({ kind: fc.constant('arrives' as const), priority: fc.integer({ min: 1, max: 5 }) }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant('asks' as const), who }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('ends' as const), who }) },
  { weight: 6, arbitrary: fc.record({ kind: fc.constant('answersOffer' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leaves' as const), who }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('dies' as const), who }) },
  {
    weight: 3,
    arbitrary: fc.record({ kind: fc.constant('passes' as const), ms: fc.integer({ min: 1, max: LEASE_MS }) }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constantFrom('reviews' as const, 'renews' as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('allows' as const), limit: fc.integer({ min: 1, max: 4 }) }) },
);

interface Step {
  readonly id: string;
  readonly priority: number;
  since: number;
  /** When its lease expires, while it runs. */
  leaseUntil: number;
  state: 'waits' | 'runs' | 'dead' | 'gone';
  /** Until when a place is set aside for it; 0: it stands in the line. */
  offeredUntil: number;
}

/** The rules again, as simply as they can be said: who runs, who waits, and what must hold whenever a place is given. */
class Model {
  readonly steps: Step[] = [];
  now = 1_800_000_000_000;
  limit = 2;

  in(...states: Step['state'][]): Step[] {
    return this.steps.filter(({ state }) => states.includes(state));
  }

  /** Those whose lease still stands, whether their worker lives or not. */
  get leases(): Step[] {
    return this.in('runs', 'dead').filter(({ leaseUntil }) => leaseUntil > this.now);
  }

  /** Those in the line that came before it and were never passed over. */
  before(step: Step): Step[] {
    const rank = ({ priority, since }: Step): [number, number] => [priority, since];
    return this.in('waits').filter((other) => {
      const [first, second] = [rank(other), rank(step)];
      const isBefore = first[0] < second[0] || (first[0] === second[0] && first[1] < second[1]);
      return other !== step && other.offeredUntil === 0 && isBefore;
    });
  }
}

describe.each(storeKinds())('places under everything that may happen, in $name', (kind) => {
  beforeAll(() => kind.setUp(), 60_000);
  afterAll(() => kind.tearDown());

  async function check(happenings: readonly Happening[]): Promise<void> {
    await kind.begin();
    const model = new Model();
    // Two workers; each rule runs on one of them.
    const stores = [kind.open(() => model.now), kind.open(() => model.now)] as const;
    let turn = 0;
    const store = (): StateStore => stores[turn++ % 2 === 0 ? 0 : 1];
    const quotas = (): Quotas => ({ concurrentSteps: model.limit });
    const told = (offers: readonly Offer[]): void => {
      for (const { ticket } of offers) {
        const step = model.steps.find(({ id }) => id === ticket);
        if (step === undefined) throw new Error(`an offer for ${ticket}, who is not there`);
        expect(step.state).toBe('waits');
        // Whoever stands before it has been offered a place as well, or earlier in this list.
        expect(model.before(step)).toEqual([]);
        step.offeredUntil = model.now + OFFER_MS;
      }
      const setAside = model.in('waits').filter(({ offeredUntil }) => offeredUntil > model.now).length;
      if (offers.length > 0) expect(model.leases.length + setAside).toBeLessThanOrEqual(model.limit);
    };
    const ask = async (step: Step): Promise<void> => {
      const { id, priority } = step;
      const asker = { tenant: 'acme', kind: 'step', namespace: 'n', worker: 'w', flowId: id } as const;
      const before = model.before(step);
      const leasesBefore = model.leases.length;
      const wasOffered = step.offeredUntil > model.now;
      const hadLapsed = step.offeredUntil > 0 && !wasOffered;
      const setAside = model.in('waits').filter(({ offeredUntil }) => offeredUntil > model.now);
      const verdict = await store().run(() =>
        askForPlace({ ...asker, ticket: id, lease: `lease ${id}`, since: step.since, priority }, quotas()),
      );
      if (verdict.wait === undefined) {
        // Never more than allowed.
        expect(leasesBefore).toBeLessThan(model.limit);
        // Nobody before it who could have had the place: each of those finds one too.
        if (!wasOffered && !hadLapsed) {
          expect(leasesBefore + setAside.length + before.length).toBeLessThan(model.limit);
        }
        Object.assign(step, { state: 'runs', leaseUntil: model.now + LEASE_MS, offeredUntil: 0 });
        // Places that were set aside for the last in the line may have been taken back.
        const live = model.in('waits').filter(({ offeredUntil }) => offeredUntil > model.now);
        live.sort((left, right) => right.priority - left.priority || right.since - left.since);
        for (const last of live.slice(0, Math.max(0, model.leases.length + live.length - model.limit)))
          last.offeredUntil = 0;
        return;
      }
      // Who may go is not kept waiting.
      const isBlocked = leasesBefore + setAside.length + before.length >= model.limit;
      if (!wasOffered) expect(isBlocked).toBe(true);
      step.since = verdict.wait.since;
      step.offeredUntil = 0;
      told(verdict.offers);
    };
    const end = async (step: Step): Promise<void> => {
      step.state = 'gone';
      told(
        await store().run(function* () {
          const tenant = yield* lockTenant('acme');
          yield* execute('DELETE FROM beamline_leases WHERE id = ?', `lease ${step.id}`);
          return yield* offerPlaces(tenant, 'step', quotas());
        }),
      );
    };
    const review = async (): Promise<void> => {
      const { lines } = await store().run(() => surveyLines('w'), { isReading: true });
      const isNeeded = lines.some((line) => needsReview(line, quotas()));
      const { offers, news } = await store().run(() => reviewLine('acme', 'step', quotas()));
      // A look says whether there is something to do.
      if (!isNeeded) expect([offers, news]).toEqual([[], []]);
      else if (offers.length === 0 && lines.every(isTold)) expect(isNeeded).toBe(false);
      told(offers);
    };
    const isTold = ({ known_limit: known }: SurveyedLine): boolean => known === model.limit;
    const renew = async (): Promise<void> => {
      const alive = model.in('runs');
      const leases = alive.map(({ id }) => ({
        id: `lease ${id}`,
        tenant: 'acme',
        worker: 'w',
        namespace: 'n',
        flowId: id,
      }));
      const lost = await store().run(() => renewLeases(leases));
      await store().run(() => restoreLeases('acme', lost, () => true));
      for (const step of alive) step.leaseUntil = model.now + LEASE_MS;
    };
    const pick = (steps: readonly Step[], index: number): Step | undefined => steps[index % Math.max(1, steps.length)];
    const happens = async (event: Happening): Promise<void> => {
      switch (event.kind) {
        case 'arrives': {
          // Distinct times, so that the order of arrival is that of time.
          model.now += 1;
          const step: Step = {
            id: `s${model.steps.length}`,
            priority: event.priority,
            since: model.now,
            leaseUntil: 0,
            state: 'waits',
            offeredUntil: 0,
          };
          model.steps.push(step);
          return await ask(step);
        }
        case 'passes':
          model.now += event.ms;
          return;
        case 'allows':
          model.limit = event.limit;
          return;
        case 'reviews':
          return await review();
        case 'renews':
          return await renew();
        default:
      }
      const candidates =
        event.kind === 'ends' || event.kind === 'dies'
          ? model.in('runs')
          : event.kind === 'answersOffer'
            ? model.in('waits').filter(({ offeredUntil }) => offeredUntil > 0)
            : model.in('waits');
      const step = pick(candidates, event.who);
      if (step === undefined) return;
      if (event.kind === 'ends') return await end(step);
      if (event.kind === 'asks' || event.kind === 'answersOffer') return await ask(step);
      if (event.kind === 'dies') {
        step.state = 'dead';
        return;
      }
      step.state = 'gone';
      told(await store().run(() => leaveLine({ tenant: 'acme', kind: 'step', tickets: [step.id] }, quotas())));
    };
    try {
      for (const event of happenings) await happens(event);
      // Nobody starves: once steps end and flows answer, all have run after a while.
      for (let round = 0; model.in('waits').length > 0; round += 1) {
        expect(round).toBeLessThan(happenings.length * 3 + 20);
        for (const step of model.in('runs')) await end(step);
        model.now += 2_000;
        await review();
        for (const step of model.in('waits').filter(({ offeredUntil }) => offeredUntil > model.now)) await ask(step);
      }
    } finally {
      for (const each of stores) await each.close();
    }
  }

  test('never more than allowed, in order, and nobody starves', async () => {
    const numRuns = RUNS > 0 ? RUNS : kind.name === 'SQLite' ? 150 : 15;
    await fc.assert(fc.asyncProperty(fc.array(happening, { minLength: 5, maxLength: 120, size: 'max' }), check), {
      numRuns,
      interruptAfterTimeLimit: 600_000,
    });
  }, 620_000);
});
