import type { ResourceClass } from './block-spec';

/** Names that live in other people's histories and scripts. They are added to, never changed. */

/** Workflow types. */
export const RUN_FLOW = 'runFlow';
export const APPROVAL = 'approval';
/** A batch of a large loop. */
export const RUN_WINDOW = 'runWindow';

/** Queries, updates and signals. */
export const PROGRESS_QUERY = 'progress';
export const APPROVAL_STATE_QUERY = 'state';
export const DECIDE_UPDATE = 'decide';
export const APPROVE_SIGNAL = 'approve';
export const REJECT_SIGNAL = 'reject';

/** Local activities of the workflows. */
export const PREPARE_FLOW = 'prepareFlow';
export const VALIDATE_DATA = 'validateData';
export const VALIDATE_ARGUMENTS = 'validateArguments';

/** Search attributes, all of type Keyword. */
export const SEARCH_ATTRIBUTES = {
  tenant: 'BeamlineTenant',
  flow: 'BeamlineFlow',
  status: 'BeamlineStatus',
  block: 'BeamlineBlock',
} as const;

/** Values of `BeamlineStatus`. */
export type FlowStatus = 'Running' | 'AwaitingApproval' | 'Compensating' | 'Completed' | 'Failed' | 'Cancelled';

export const DEFAULT_QUEUE_PREFIX = 'beamline';

/** Task queue of a resource class: `beamline-io`. */
export function taskQueueOf(prefix: string, resources: ResourceClass): string {
  return `${prefix}-${resources}`;
}

/** Task queue of another class beside the one a flow runs on, whatever their prefix is. */
export function siblingTaskQueue(flowTaskQueue: string, resources: ResourceClass): string {
  return flowTaskQueue.replace(/(-(io|cpu|gpu))?$/, `-${resources}`);
}
