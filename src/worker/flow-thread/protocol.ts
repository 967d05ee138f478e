import type { coresdk } from '@temporalio/proto';
import type { WorkflowCreateOptions } from '@temporalio/worker/lib/workflow/interface';
import type { WorkflowBundleWithSourceMapAndFilename } from '@temporalio/worker/lib/workflow/workflow-worker-thread/input';
import type { SinkCall, WorkflowInfo } from '@temporalio/workflow';

/** What the thread of the flows begins with. */
export interface FlowThreadData {
  readonly bundle: WorkflowBundleWithSourceMapAndFilename;
  readonly activityNames: ReadonlySet<string>;
}

/** What the thread is told: to have a flow go on, which it answers with a {@link Turn}, or to forget it, which it does not answer. */
export type ThreadTask = TurnRequest | { readonly dispose: string };

export interface TurnRequest {
  /** Counts the requests. */
  readonly id: number;
  readonly runId: string;
  /** Only with the first one of a run: it is made then. */
  readonly create?: WorkflowCreateOptions;
  readonly activation: coresdk.workflow_activation.IWorkflowActivation;
}

/** What came of a {@link TurnRequest}: a completion, also where the flow's code failed, or an error of the SDK. */
export type Turn = {
  readonly id: number;
  /** What the flow told others meanwhile; absent: nothing. */
  readonly calls?: SinkCall[];
} & (
  | { readonly completion: coresdk.workflow_completion.IWorkflowActivationCompletion; readonly error?: never }
  | { readonly error: ThreadError; readonly completion?: never }
);

export interface ThreadError {
  readonly name: string;
  readonly message: string;
  readonly stack: string | undefined;
}

/** The thread is there for flows. */
export const READY = 'ready';

/** What a message can carry of it: functions it cannot. Who gets it sets them anew. */
export function withoutFunctions(info: WorkflowInfo): WorkflowInfo {
  const { now, random, ...unsafe } = info.unsafe;
  return { ...info, unsafe: unsafe as WorkflowInfo['unsafe'] };
}
