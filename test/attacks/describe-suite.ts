import type { RunnableSuite } from './attack';

/** Thousands of files on a busy disk take their time. */
const ATTACK_LIMIT_MS = 180_000;

/** The cases of a suite as tests, each by its kind and name. */
export function describeSuite(suite: RunnableSuite): void {
  const describeHere = suite.skipped === undefined ? describe : describe.skip;
  describeHere(`attacks on ${suite.area}${suite.skipped === undefined ? '' : ` (skipped: ${suite.skipped})`}`, () => {
    let running: Awaited<ReturnType<RunnableSuite['start']>> | undefined;

    beforeAll(async () => {
      running = await suite.start();
    }, 60_000);

    afterAll(() => running?.close(), ATTACK_LIMIT_MS);

    const rows = suite.cases.map(({ kind, name, isControl }, index) => {
      const verb = isControl === true ? 'allows' : 'blocks';
      return [kind, verb, name, index] as const;
    });
    test.each(rows)(
      '%s: %s %s',
      async (_kind, _verb, _name, index) => {
        expect(await running?.attempt(index)).toBeUndefined();
      },
      ATTACK_LIMIT_MS,
    );

    test('has harmless controls beside the attacks of every kind', () => {
      const kinds = [...new Set(suite.cases.map(({ kind }) => kind))];
      const without = (isControl: boolean) =>
        kinds.filter((kind) => !suite.cases.some((one) => one.kind === kind && (one.isControl ?? false) === isControl));
      expect([without(true), without(false)]).toEqual([[], []]);
      const names = suite.cases.map(({ kind, name }) => `${kind}: ${name}`);
      expect(names.filter((name, index) => names.indexOf(name) !== index)).toEqual([]);
    });
  });
}
