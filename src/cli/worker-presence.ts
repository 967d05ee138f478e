import type { Client } from '@temporalio/client';
import { temporal } from '@temporalio/proto';
import { DEFAULT_QUEUE_PREFIX } from '../dsl/names';
import { freshPollers } from '../worker/telemetry/queue-state';
import { beamlineCommand } from './command-name';
import { shellWord } from './output';

/** True where some worker polled the task queue for workflows lately. */
export async function hasWorker(client: Client, taskQueue: string): Promise<boolean> {
  const { pollers } = await client.workflowService.describeTaskQueue({
    namespace: client.options.namespace,
    taskQueue: { name: taskQueue },
    taskQueueType: temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
  });
  return freshPollers(pollers).length > 0;
}

/** What a person does where no worker polls a queue. */
export function startWorkerHint(taskQueue: string, cwd = process.cwd()): string {
  const beamline = beamlineCommand(cwd);
  const prefix = taskQueue.replace(/-(io|cpu|gpu)$/, '');
  const flag = prefix === DEFAULT_QUEUE_PREFIX ? '' : ` --queue-prefix ${shellWord(prefix)}`;
  return `start one with \`${beamline} worker${flag}\`, or \`${beamline} dev${flag}\``;
}
