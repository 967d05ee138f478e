import { NativeConnection, Worker } from '@temporalio/worker';

/** A worker of somebody who may use the namespace, with the workflows of foreign-workflows.ts; gives what stops it. */
export async function startForeignWorker(address: string, taskQueue: string): Promise<() => Promise<void>> {
  const connection = await NativeConnection.connect({ address });
  const worker = await Worker.create({
    connection,
    taskQueue,
    workflowsPath: require.resolve('./foreign-workflows'),
    activities: { nothing: async () => undefined },
  });
  const runs = worker.run();
  return async () => {
    worker.shutdown();
    await runs;
    await connection.close();
  };
}
