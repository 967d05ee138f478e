import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { readFeatures } from '../../conformance/features';
import { type ConformanceRunner, startConformanceRunner } from '../../conformance/flow-runner';
import { KIT_FOLDER } from '../../conformance/folders';
import { runScenario } from '../../conformance/run-scenario';
import { testTemporal } from '../helpers/temporal';

/** The kit is not part of this repository. */
const FEATURES = join(KIT_FOLDER, 'features');
const titled = (existsSync(FEATURES) ? readFeatures(FEATURES) : []).map(
  (scenario) => [`${scenario.feature} › ${scenario.name}`, scenario] as const,
);

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

    it('has its scenarios', () => {
      expect(titled.length).toBeGreaterThan(20);
    });

    it.each(titled)('passes %s', async (_title, scenario) => {
      expect((await runScenario(scenario, runner)).failure).toBeUndefined();
    });
  });
}
