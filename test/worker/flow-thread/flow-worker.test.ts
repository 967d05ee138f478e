import { taskFailureBeside, withFlowWorker } from '../../helpers/flow-worker';

test.each(['endless', 'restless'])(
  'stops code that is %s, fails its workflow task, and goes on with other flows',
  async (type) => {
    // The SDK's option, but not in its types.
    const options = { file: 'endless-workflows.ts', ...{ isolateExecutionTimeout: 1_000 } };
    await withFlowWorker(options, async (start) => {
      const runOther = async () => expect(await (await start('short')).result()).toBe('done');
      const endless = await start(type);
      expect(await taskFailureBeside(endless, runOther)).toBe(
        "the flow's code ran for more than 1000 ms without a wait, and was stopped",
      );
      await endless.terminate();
      await runOther();
    });
  },
  60_000,
);
