import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection } from '@temporalio/worker';
import { FlowWorker } from '../../../src/worker/flow-thread/flow-worker';
import { testTemporal } from '../../helpers/temporal';

test.each(['endless', 'restless'])(
  'stops code that is %s, fails its workflow task, and goes on with other flows',
  async (type) => {
    const { address, namespace } = testTemporal();
    const connection = await NativeConnection.connect({ address });
    const clientConnection = await Connection.connect({ address });
    const client = new Client({ connection: clientConnection, namespace });
    try {
      const workflowsPath = join(__dirname, '../../helpers/endless-workflows.ts');
      const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
      const taskQueue = `flow-worker-${randomUUID()}`;
      const worker = await FlowWorker.create({
        connection,
        namespace,
        taskQueue,
        workflowBundle: { code },
        reuseV8Context: true,
        // The SDK's, but not in its types.
        ...{ isolateExecutionTimeout: 1_000 },
      });
      await worker.runUntil(async () => {
        const start = (name: string) =>
          client.workflow.start(name, { taskQueue, workflowId: `${name}-${randomUUID()}` });
        const endless = await start(type);
        await (await start('short')).result();
        for (;;) {
          const { events } = await endless.fetchHistory();
          const failed = events?.find(({ workflowTaskFailedEventAttributes: failure }) => failure);
          if (failed === undefined) {
            await (await start('short')).result();
            continue;
          }
          expect(failed.workflowTaskFailedEventAttributes?.failure?.message).toBe(
            "the flow's code ran for more than 1000 ms without a wait, and was stopped",
          );
          break;
        }
        await endless.terminate();
        expect(await (await start('short')).result()).toBe('done');
      });
    } finally {
      await clientConnection.close();
      await connection.close();
    }
  },
  60_000,
);
