import {
  type ActivityOptions,
  executeChild,
  makeContinueAsNewFunc,
  proxyLocalActivities,
  scheduleActivity,
} from '@temporalio/workflow';

/** Workflows of somebody who can run a worker of his own in the namespace, and knows what ours are sent. */

/** Schedules an activity on whichever task queue. */
export async function scheduleForeign(type: string, args: unknown[], options: ActivityOptions): Promise<unknown> {
  return await scheduleActivity(type, args, { startToCloseTimeout: '10 s', retry: { maximumAttempts: 1 }, ...options });
}

/** Starts one of our workflows as a child. */
export async function startForeign(
  type: string,
  args: unknown[],
  options: { workflowId: string; taskQueue: string },
): Promise<unknown> {
  return await executeChild(type, { args, ...options });
}

/** Goes on as one of our workflows, with arguments of its own. */
export async function continueForeign(workflowType: string, args: unknown[], taskQueue: string): Promise<unknown> {
  return await makeContinueAsNewFunc<(...given: unknown[]) => Promise<unknown>>({ workflowType, taskQueue })(...args);
}

/** Under the name of ours. */
export async function runFlow(type: string, args: unknown[], options: ActivityOptions): Promise<unknown> {
  return await scheduleForeign(type, args, options);
}

/** Calls a local activity, which is then its own worker's. */
export async function callLocal(type: string, ...args: unknown[]): Promise<unknown> {
  const local = proxyLocalActivities<Record<string, (...given: unknown[]) => Promise<unknown>>>({
    startToCloseTimeout: '5 s',
    retry: { maximumAttempts: 1 },
  });
  return await local[type]?.(...args);
}
