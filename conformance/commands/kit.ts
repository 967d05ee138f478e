import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { ReleaseStack } from '../../src/cli/release-stack';
import { startTemporalServer } from '../../temporal-dev/server';
import { readFeatures } from '../features';
import { startConformanceRunner } from '../flow-runner';
import { findSpecificationFolder, KIT_FOLDER } from '../folders';
import { runScenario, type ScenarioResult } from '../run-scenario';

/** Runs all scenarios of a kit on a server of its own, prints how each went; resolves with the exit code. */
export async function runKit(folder = KIT_FOLDER): Promise<number> {
  const kit = findSpecificationFolder(folder, { what: 'the conformance test kit', part: 'ctk', option: '--ctk' });
  if (kit === undefined) return 0;
  const scenarios = readFeatures(join(kit, 'features'));
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
  const releases = new ReleaseStack((error) => console.error(`conformance: ${String(error)}`));
  try {
    const server = await startTemporalServer({ headless: true, log: console.error });
    releases.add(() => server.stop());
    const runner = await startConformanceRunner({ target: { ...server, isOwnServer: true } });
    releases.add(() => runner.stop());
    let failed = 0;
    for (const scenario of scenarios) {
      const result = await runScenario(scenario, runner);
      if (result.failure !== undefined) failed += 1;
      console.log(reportScenario(result));
    }
    console.log(`\n${scenarios.length - failed} passed, ${failed} failed`);
    return failed === 0 ? 0 : 1;
  } finally {
    await releases.releaseAll();
  }
}

/** One line for a scenario that passed; for one that failed also which step did, where it stands, and why. */
export function reportScenario({ scenario, durationMs, failure }: ScenarioResult): string {
  const { feature, name, file } = scenario;
  const line = `${failure === undefined ? 'ok     ' : 'FAILED '} ${feature} › ${name} (${Math.round(durationMs)} ms)`;
  if (failure === undefined) return line;
  const { step, reason } = failure;
  const where = step === undefined ? file : `${file}:${step.line} ${step.label}`;
  return [line, where, ...reason.split('\n')].join('\n        ');
}
