import { type CompiledWorkerOptions, type Logger, Worker } from '@temporalio/worker';
import type { WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import type { WorkflowBundleWithSourceMapAndFilename } from '@temporalio/worker/lib/workflow/workflow-worker-thread/input';
import { FLOW_THREAD_ENTRY } from '../package-files';
import { FlowThread } from './flow-thread';
import { FlowThreadWatch } from './flow-thread-watch';

/**
 * The SDK's worker, but for the thread that runs the flows' code, which is a {@link FlowThread}, and for how it is seen to that this code does not run longer than
 * `isolateExecutionTimeout` between two waits: by a {@link FlowThreadWatch}, which costs nothing while all is well.
 */
export class FlowWorker extends Worker {
  protected static override async createWorkflowCreator(
    bundle: WorkflowBundleWithSourceMapAndFilename,
    options: CompiledWorkerOptions,
    logger: Logger,
  ): Promise<WorkflowCreator> {
    // In the SDK's debug mode there is no thread.
    if (options.debugMode) return await Worker.createWorkflowCreator(bundle, options, logger);
    const activityNames = new Set(options.activities.keys());
    const thread = await FlowThread.start(FLOW_THREAD_ENTRY, { bundle: withoutMap(bundle), activityNames });
    return new FlowThreadWatch({
      threadId: thread.threadId,
      limitMs: options.isolateExecutionTimeoutMs,
      onError: (error) => logger.error('the thread of the flows could not be interrupted', { error }),
    }).wrap(thread);
  }
}

/** What maps stack traces of the flows' code is off in that thread (thread-main.ts). */
function withoutMap(bundle: WorkflowBundleWithSourceMapAndFilename): WorkflowBundleWithSourceMapAndFilename {
  return { ...bundle, sourceMap: { ...bundle.sourceMap, sources: [], names: [], mappings: '' } };
}
