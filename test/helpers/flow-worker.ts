import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { Client, Connection, type WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { bundleWorkflowCode, DefaultLogger, NativeConnection, type WorkerOptions } from '@temporalio/worker';
import { FlowWorker } from '../../src/worker/flow-thread/flow-worker';
import { testTemporal } from './temporal';

/** Starts one of the workflows. */
export type Start = (type: string) => Promise<WorkflowHandleWithFirstExecutionRunId>;

/** Runs `work` beside a worker that runs the workflows of a file in this folder. */
export async function withFlowWorker(
  { file, ...options }: { readonly file: string } & Partial<WorkerOptions>,
  work: (start: Start) => Promise<void>,
): Promise<void> {
  const { address, namespace } = testTemporal();
  const connection = await NativeConnection.connect({ address });
  const clientConnection = await Connection.connect({ address });
  const client = new Client({ connection: clientConnection, namespace });
  try {
    const workflowsPath = join(__dirname, file);
    const { code } = await bundleWorkflowCode({ workflowsPath, logger: new DefaultLogger('ERROR') });
    const taskQueue = `flow-worker-${randomUUID()}`;
    const workflowBundle = { code };
    const worker = await FlowWorker.create({ connection, namespace, taskQueue, workflowBundle, ...options });
    const start: Start = (type) => client.workflow.start(type, { taskQueue, workflowId: `${type}-${randomUUID()}` });
    await worker.runUntil(() => work(start));
  } finally {
    await clientConnection.close();
    await connection.close();
  }
}

/** Message of the first failed workflow task of a workflow, while others run to their end beside it. */
export async function taskFailureBeside(
  handle: Pick<WorkflowHandleWithFirstExecutionRunId, 'fetchHistory'>,
  runOther: () => Promise<void>,
): Promise<string | null | undefined> {
  for (;;) {
    await runOther();
    const { events } = await handle.fetchHistory();
    const failed = events?.find(({ workflowTaskFailedEventAttributes: failure }) => failure);
    if (failed !== undefined) return failed.workflowTaskFailedEventAttributes?.failure?.message;
  }
}
