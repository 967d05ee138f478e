import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { readFeatures } from '../../conformance/features';
import { type ConformanceRunner, startConformanceRunner } from '../../conformance/flow-runner';
import { KIT_FOLDER } from '../../conformance/folders';
import { runScenario } from '../../conformance/run-scenario';
import { testTemporal } from '../helpers/temporal';

/** Scenarios that the engine passes, or all of them. */
const PASSING: readonly string[] | 'all' = [
  'Call Task › Call HTTP With Response Output',
  'Raise Task › Raise task with inline error',
];

/** The kit is not part of this repository. */
const FEATURES = join(KIT_FOLDER, 'features');
const titled = (existsSync(FEATURES) ? readFeatures(FEATURES) : []).map(
  (scenario) => [`${scenario.feature} › ${scenario.name}`, scenario] as const,
);
const asserted = titled.filter(([title]) => PASSING === 'all' || PASSING.includes(title));

if (titled.length === 0)
  it.skip("passes the specification's conformance test kit (which is not there)", () => undefined);
else {
  describe("the specification's conformance test kit", () => {
    let runner: ConformanceRunner;

    beforeAll(async () => {
      Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
      runner = await startConformanceRunner({ target: testTemporal() });
    });
    afterAll(() => runner.stop());

    it('has the scenarios that are asserted', () => {
      expect(titled.length).toBeGreaterThan(20);
      expect(asserted.map(([title]) => title)).toEqual(PASSING === 'all' ? titled.map(([title]) => title) : PASSING);
    });

    it.each(asserted)('passes %s', async (_title, scenario) => {
      expect((await runScenario(scenario, runner)).failure).toBeUndefined();
    });
  });
}
