import type { Client } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { DEFAULT_QUEUE_PREFIX, partsOfTaskQueue } from '../dsl/names';
import { freshPollers } from '../worker/telemetry/queue-state';
import { beamlineCommand } from './command-name';
import { shellWord } from './output';

const { TASK_QUEUE_TYPE_ACTIVITY, TASK_QUEUE_TYPE_WORKFLOW } = temporal.api.enums.v1.TaskQueueType;

/** True where some worker polled the task queue lately: for workflows, or for steps. */
export async function hasWorker(
  client: Client,
  taskQueue: string,
  { forSteps = false }: { forSteps?: boolean } = {},
): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: forSteps ? TASK_QUEUE_TYPE_ACTIVITY : TASK_QUEUE_TYPE_WORKFLOW,
  });
  return freshPollers(pollers).length > 0;
}

/** Why a step does not begin whose queue no worker polls, and what a person does then. */
export function unservedStep(taskQueue: string, cwd = process.cwd()): string {
  const { prefix, pool } = partsOfTaskQueue(taskQueue);
  const pools = pool === undefined ? '' : ` --pools ${pool}`;
  const flag = prefix === DEFAULT_QUEUE_PREFIX ? '' : ` --queue-prefix ${shellWord(prefix)}`;
  return `waits for a worker: none polls ${taskQueue}; start one with \`${beamlineCommand(cwd)} worker${pools}${flag}\``;
}

/** What a person does where no worker polls a queue. */
export function startWorkerHint(taskQueue: string, cwd = process.cwd()): string {
  const beamline = beamlineCommand(cwd);
  const { prefix, pool } = partsOfTaskQueue(taskQueue);
  const flag = prefix === DEFAULT_QUEUE_PREFIX ? '' : ` --queue-prefix ${shellWord(prefix)}`;
  // Whoever starts a worker without a word of pools gets none for dry runs.
  const pools = pool === 'sandbox' ? ' --pools sandbox' : '';
  return `start one with \`${beamline} worker${pools}${flag}\`, or \`${beamline} dev${flag}\``;
}
