/** Entry of the thread that runs the code of all flows of a worker. */
import { isNativeError } from 'node:util/types';
import { parentPort, workerData } from 'node:worker_threads';
import { coresdk } from '@temporalio/proto';
import { ReusableVMWorkflowCreator } from '@temporalio/worker/lib/workflow/reusable-vm';
import { globalHandlers } from '@temporalio/worker/lib/workflow/vm-shared';
import type { SinkCall } from '@temporalio/workflow';
import {
  type FlowThreadData,
  READY,
  type ThreadError,
  type ThreadTask,
  type Turn,
  type TurnRequest,
  withoutFunctions,
} from './protocol';

/** Node's `vm` starts a thread for every call that has a timeout, and none where it is undefined: FlowThreadWatch looks after this thread. */
const NO_TIMEOUT = undefined as unknown as number;

const { WorkflowActivation } = coresdk.workflow_activation;

if (parentPort === null) throw new TypeError('is started as a thread');
const port = parentPort;

// The SDK's hooks, which keep a record of every promise that a flow makes, with a stack trace: a sixth of this thread's CPU time and a third of its garbage. Nothing of
// ours reads them: where a flow is, `progress` tells.
globalHandlers.installed = true;

start(workerData as FlowThreadData).catch((error: unknown) => {
  // Ends the thread, and so the worker.
  queueMicrotask(() => {
    throw error;
  });
});

async function start({ bundle, activityNames }: FlowThreadData): Promise<void> {
  const creator = await ReusableVMWorkflowCreator.create(bundle, NO_TIMEOUT, new Set(activityNames));
  port.on('message', (task: ThreadTask) => void handle(task, creator));
  port.postMessage(READY);
}

/** What is left rejected here would end the thread, and with it all flows of the worker. */
async function handle(task: ThreadTask, creator: ReusableVMWorkflowCreator): Promise<void> {
  if ('dispose' in task) return await dispose(task.dispose);
  try {
    port.postMessage(await turnOf(task, creator));
  } catch (error) {
    // It cannot be sent: what the flow told others may hold functions.
    port.postMessage({ id: task.id, error: errorOf(error) } satisfies Turn);
  }
}

async function dispose(runId: string): Promise<void> {
  try {
    await ReusableVMWorkflowCreator.workflowByRunId.get(runId)?.dispose();
  } catch {
    // It was to be forgotten, and is; as in the SDK, nobody hears of more.
    ReusableVMWorkflowCreator.workflowByRunId.delete(runId);
  }
}

async function turnOf(request: TurnRequest, creator: ReusableVMWorkflowCreator): Promise<Turn> {
  const { id, runId } = request;
  let turn: Turn;
  try {
    turn = { id, completion: await takeTurn(request, creator) };
  } catch (error) {
    turn = { id, error: errorOf(error) };
  }
  const calls = await callsOf(runId);
  return calls.length === 0 ? turn : { ...turn, calls };
}

async function takeTurn(
  { runId, create, activation }: TurnRequest,
  creator: ReusableVMWorkflowCreator,
): Promise<coresdk.workflow_completion.IWorkflowActivationCompletion> {
  if (create !== undefined) await creator.createWorkflow(create);
  const workflow = ReusableVMWorkflowCreator.workflowByRunId.get(runId);
  if (workflow === undefined) throw new TypeError(`there is no run ${runId} in the thread of the flows`);
  // A copy that came as a message is of no class.
  return await workflow.activate(WorkflowActivation.fromObject(activation));
}

async function callsOf(runId: string): Promise<SinkCall[]> {
  const calls = (await ReusableVMWorkflowCreator.workflowByRunId.get(runId)?.getAndResetSinkCalls()) ?? [];
  return calls.map((call) => ({ ...call, workflowInfo: withoutFunctions(call.workflowInfo) }));
}

/** An error of the context in which flows run is native, and no `Error` of ours; one about what cannot be cloned is the other way round. */
function errorOf(error: unknown): ThreadError {
  if (!isNativeError(error) && !(error instanceof Error))
    return { name: 'Error', message: String(error), stack: undefined };
  const { name, message, stack } = error;
  return { name, message, stack };
}
