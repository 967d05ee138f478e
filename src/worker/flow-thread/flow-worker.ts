import { type CompiledWorkerOptions, type Logger, Worker } from '@temporalio/worker';
import type { WorkflowCreator } from '@temporalio/worker/lib/workflow/interface';
import type { WorkflowBundleWithSourceMapAndFilename } from '@temporalio/worker/lib/workflow/workflow-worker-thread/input';
import { FLOW_THREAD_ENTRY } from '../package-files';
import { FlowThread } from './flow-thread';

/**
 * How long workflow code may run between two waits: the SDK's default of 5 s is too short to read 100 MB of small objects
 * (measured: 3 s to parse on an idle machine). The option is the SDK's, but not in its types. Endless code is stopped by our own
 * limits (work-limit.ts, MAX_STEPS_WITHOUT_WAIT) long before.
 */
export const FLOW_CODE_LIMIT = { isolateExecutionTimeout: '60s' };

/** The SDK's worker, but for the thread that runs the flows' code, and how that is looked after: a {@link FlowThread}. */
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
    return await FlowThread.start(FLOW_THREAD_ENTRY, data, {
      limitMs: options.isolateExecutionTimeoutMs,
      onError: (what, error) => logger.error(what, { error }),
    });
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
