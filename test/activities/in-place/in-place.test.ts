import { asyncLocalStorage, type Context } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { InPlace, type LocalOutcome } from '../../../src/activities/in-place/in-place';
import type { StepRequest, StepResult } from '../../../src/dsl/step-request';

const request: StepRequest = {
  tenant: 'acme',
  flow: 'shop/orders:1.0.0',
  stepId: '/do/0/read',
  key: 'acme:flow:/do/0/read:0:0',
  idempotent: true,
  with: {},
  local: { use: 'reads', task: 3, isAsked: true, isUnrecorded: false, isLast: false },
};

/** Runs a step in place, as a local activity of one flow. */
const runIn = (inPlace: InPlace, attempt: () => Promise<StepResult>, stepId = request.stepId) => {
  const info = { isLocal: true, workflowExecution: { workflowId: 'flow', runId: 'run' }, retryPolicy: {} };
  return asyncLocalStorage.run({ info } as unknown as Context, () =>
    inPlace.run('http.request', { ...request, stepId }, attempt),
  );
};

const giving = (output: string) => async (): Promise<StepResult> => ({ output, attempt: 1 });

describe('steps in place', () => {
  test('of one workflow task are under way only as far as all that they may give fits into its message', async () => {
    const inPlace = new InPlace({ slots: 100, choosesItself: false });
    const letGo: (() => void)[] = [];
    const large = () => new Promise<StepResult>((resolve) => letGo.push(() => resolve({ output: 'x', attempt: 1 })));
    const running = Array.from({ length: 40 }, (_, index) => runIn(inPlace, large, `/do/${index}`));
    // Of a step that nobody knows a result of 256 KiB is expected.
    while (letGo.length < 7) await new Promise((resolve) => setImmediate(resolve));
    const refused = await Promise.all(running.slice(7));
    expect(refused.map(({ elsewhere }) => elsewhere?.reason)).toEqual(Array(33).fill('long'));
    for (const go of letGo) go();
    expect((await Promise.all(running.slice(0, 7))).map(({ output }) => output)).toEqual(Array(7).fill('x'));
  });

  test('are all under way where they are known to give little', async () => {
    const inPlace = new InPlace({ slots: 100, choosesItself: false });
    await runIn(inPlace, giving('x'));
    const results = await Promise.all(Array.from({ length: 100 }, () => runIn(inPlace, giving('x'))));
    expect(results.filter(({ elsewhere }) => elsewhere !== undefined)).toEqual([]);
  });

  test('are counted by what became of them, also where they failed', async () => {
    const outcomes: LocalOutcome[] = [];
    const tell = (_: string, outcome: LocalOutcome) => outcomes.push(outcome);
    const inPlace = new InPlace({ slots: 1, choosesItself: false, tell });
    await runIn(inPlace, giving('x'));
    const fail = (nonRetryable: boolean) => async (): Promise<StepResult> => {
      throw ApplicationFailure.create({ type: 'BLW_HTTP_STATUS', nonRetryable });
    };
    await runIn(inPlace, fail(false));
    await expect(runIn(inPlace, fail(true))).rejects.toMatchObject({ type: 'BLW_HTTP_STATUS' });
    expect(outcomes).toEqual(['ended', 'failed', 'ended']);
  });
});
