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
    refuseOthers(options);
    const data = { bundle: withoutMap(bundle), activityNames: new Set(options.activities.keys()) };
    const thread = await FlowThread.start(FLOW_THREAD_ENTRY, data, (error) => logger.error(error.message, { error }));
    return new FlowThreadWatch({
      threadId: thread.threadId,
      limitMs: options.isolateExecutionTimeoutMs,
      onError: (error) => logger.error('the thread of the flows could not be interrupted', { error }),
    }).wrap(thread);
  }
}

/** What the SDK offers and this worker does not have. */
function refuseOthers({
  reuseV8Context,
  workflowThreadPoolSize,
  patchActivationCallback,
}: CompiledWorkerOptions): void {
  if (reuseV8Context === false || workflowThreadPoolSize !== 1 || patchActivationCallback !== undefined)
    throw new TypeError('flows run in one thread with one context, and nobody is asked about patches');
}

const MAP_COMMENT = '//# sourceMappingURL=data:';

/** What maps stack traces of the flows' code is off in that thread (thread-main.ts). */
function withoutMap({
  code,
  filename,
}: WorkflowBundleWithSourceMapAndFilename): WorkflowBundleWithSourceMapAndFilename {
  const at = code.lastIndexOf(MAP_COMMENT);
  const sourceMap = { version: 3, file: filename, sources: [], names: [], mappings: '' };
  return { code: at === -1 ? code : code.slice(0, at), filename, sourceMap };
}
