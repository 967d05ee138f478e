import { type CompiledWorkerOptions, type Logger, Worker } from '@temporalio/worker';
import type { WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import { ThreadedVMWorkflowCreator } from '@temporalio/worker/lib/workflow/threaded-vm';
import type { WorkflowBundleWithSourceMapAndFilename } from '@temporalio/worker/lib/workflow/workflow-worker-thread/input';
import { FlowThreadWatch } from './flow-thread-watch';

/**
 * The SDK's worker, but for how it is seen to that a flow's code does not run longer than `isolateExecutionTimeout` between two waits: by a
 * {@link FlowThreadWatch}, which costs nothing while all is well.
 */
export class FlowWorker extends Worker {
  protected static override async createWorkflowCreator(
    bundle: WorkflowBundleWithSourceMapAndFilename,
    options: CompiledWorkerOptions,
    logger: Logger,
  ): Promise<WorkflowCreator> {
    // One thread runs all flows: who answers is known. In the SDK's debug mode there is none.
    if (options.debugMode || options.workflowThreadPoolSize !== 1)
      return await Worker.createWorkflowCreator(bundle, options, logger);
    const creator = await Worker.createWorkflowCreator(bundle, withoutGuard(options), logger);
    if (!(creator instanceof ThreadedVMWorkflowCreator))
      throw new TypeError('the SDK runs flows in no thread of its own');
    // biome-ignore lint/complexity/useLiteralKeys: both are protected
    const threadId = creator['workerThreadClients'][0]?.['workerThread'].threadId;
    if (threadId === undefined) throw new TypeError("the SDK's thread for flows is not where it was");
    return new FlowThreadWatch({
      threadId,
      limitMs: options.isolateExecutionTimeoutMs,
      onError: (error) => logger.error('the thread of the flows could not be interrupted', { error }),
    }).wrap(creator);
  }
}

/** Node's `vm` starts a thread for every call that has a timeout, and none where it is undefined; the SDK passes it on as it is. */
function withoutGuard(options: CompiledWorkerOptions): CompiledWorkerOptions {
  return { ...options, isolateExecutionTimeoutMs: undefined as unknown as number };
}
