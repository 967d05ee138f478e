import type { PoolName } from './block-spec';

/** Names that live in other people's histories and scripts. They are added to, never changed. */

/** Workflow types. */
export const RUN_FLOW = 'runFlow';
export const APPROVAL = 'approval';
/** Runs a flow again and again, each time some time after the run before has ended. */
export const REPEAT_FLOW = 'repeatFlow';
export const EVENT_BUS = 'eventBus';
/** A batch of a large loop. */
export const RUN_WINDOW = 'runWindow';
/** Checks a token once for a flow that is to run by itself later. */
export const AUTHORIZE_DEPLOYMENT = 'authorizeDeployment';

/** Queries, updates and signals. */
export const PROGRESS_QUERY = 'progress';
export const APPROVAL_STATE_QUERY = 'state';
/** On `runFlow`, in a dry run: what its steps would have done until now. */
export const DRY_RUN_STEPS_QUERY = 'dryRunSteps';
export const DECIDE_UPDATE = 'decide';
export const APPROVE_SIGNAL = 'approve';
export const REJECT_SIGNAL = 'reject';
/** On `repeatFlow`: what to run, and how long after the run before. */
export const CONFIGURE_SIGNAL = 'configure';

/** Dead letters, on `runFlow` and `runWindow`: a query and an update. */
export const DEAD_LETTERS_QUERY = 'deadLetters';
export const RESOLVE_UPDATE = 'resolve';

/** Events, on `runFlow`: signal and update. */
export const EVENT_SIGNAL = 'event';
export const EVENT_UPDATE = 'event';

/** Events, on `eventBus`: signals, an update, a query. */
export const EMIT_SIGNAL = 'emit';
export const SUBSCRIBE_SIGNAL = 'subscribe';
export const UNSUBSCRIBE_SIGNAL = 'unsubscribe';
export const TRIGGER_SIGNAL = 'trigger';
export const UNTRIGGER_SIGNAL = 'untrigger';
export const EMIT_UPDATE = 'emit';
export const SUBSCRIPTIONS_QUERY = 'subscriptions';

/** On `runFlow` and `runWindow`, a signal: it is the turn of steps that wait for a quota. */
export const QUOTA_SIGNAL = 'quota';

/** Local activities of the workflows. */
export const PREPARE_FLOW = 'prepareFlow';
export const VALIDATE_DATA = 'validateData';
export const VALIDATE_ARGUMENTS = 'validateArguments';
export const EVALUATE_EXPRESSIONS = 'evaluateExpressions';
export const EMIT_EVENT = 'emitEvent';
export const SUBSCRIBE_EVENTS = 'subscribeEvents';
export const UNSUBSCRIBE_EVENTS = 'unsubscribeEvents';
export const PUBLISH_DEAD_LETTER = 'publishDeadLetter';
export const PREPARE_TRIGGER = 'prepareTrigger';
export const START_TRIGGERED_FLOW = 'startTriggeredFlow';
export const ADMIT_WINDOW = 'admitWindow';
export const ADMIT_DECISION = 'admitDecision';
export const ADMIT_RESOLUTION = 'admitResolution';
export const ADMIT_DEPLOYMENT = 'admitDeployment';
export const LEAVE_QUOTA_LINE = 'leaveQuotaLine';
export const ADMIT_FLOW = 'admitFlow';
export const RELEASE_FLOW = 'releaseFlow';
export const COUNT_FAILURE = 'countFailure';
export const TELL_TIME = 'tellTime';
/** Steps in place that begin together. */
export const TRY_STEPS = 'trySteps';

/** Search attributes, all of type Keyword. */
export const SEARCH_ATTRIBUTES = {
  tenant: 'BeamlineTenant',
  flow: 'BeamlineFlow',
  status: 'BeamlineStatus',
  block: 'BeamlineBlock',
} as const;

/** Values of `BeamlineStatus` of flows that have not ended. */
export const OPEN_STATUSES = ['Running', 'AwaitingApproval', 'AwaitingQuota', 'Compensating', 'DeadLettered'] as const;

export type OpenStatus = (typeof OPEN_STATUSES)[number];

/** Values of `BeamlineStatus`. */
export type FlowStatus = OpenStatus | 'Completed' | 'Failed' | 'Cancelled';

/** Values of `BeamlineStatus` of dry runs: none of them is a live flow's, so that no list and no count takes one for the other. */
export const DRY_RUN_STATUSES = ['DryRun', 'DryRunCompleted', 'DryRunFailed', 'DryRunCancelled'] as const;

export type DryRunStatus = (typeof DRY_RUN_STATUSES)[number];

/** What lists show of a dry run. */
export function dryRunStatus(status: FlowStatus): DryRunStatus {
  return status === 'Completed' || status === 'Failed' || status === 'Cancelled' ? `DryRun${status}` : 'DryRun';
}

export const DEFAULT_QUEUE_PREFIX = 'beamline';

/** Task queue of a pool: `beamline-io`. */
export function taskQueueOf(prefix: string, pool: PoolName): string {
  return `${prefix}-${pool}`;
}

/** Prefix and pool of a task queue, where it is one of ours. */
export function partsOfTaskQueue(taskQueue: string): { readonly prefix: string; readonly pool?: string } {
  const [, prefix = taskQueue, pool] = /^(.*)-(io|cpu|gpu|sandbox)$/.exec(taskQueue) ?? [];
  return { prefix, ...(pool === undefined ? {} : { pool }) };
}

/** True for the queue of dry runs, whose workers reach nothing. */
export function isSandboxQueue(taskQueue: string): boolean {
  return partsOfTaskQueue(taskQueue).pool === 'sandbox';
}

/** Id of what runs a flow by itself, a Temporal schedule or a workflow `repeatFlow`: `beamline:acme:shop/report`. */
export function scheduleId(tenant: string, namespace: string, name: string): string {
  return `${SCHEDULE_ID_PREFIX}${tenant}:${namespace}/${name}`;
}

export const SCHEDULE_ID_PREFIX = 'beamline:';

/** Task queue of another class beside the one a flow runs on, whatever their prefix is. */
export function siblingTaskQueue(flowTaskQueue: string, resources: PoolName): string {
  return taskQueueOf(partsOfTaskQueue(flowTaskQueue).prefix, resources);
}

/** Workflow id of a tenant's event bus: `beamline-events:acme`. A tenant's name has no colon, so none is another's. */
export function eventBusId(flowTaskQueue: string, tenant: string): string {
  return `${partsOfTaskQueue(flowTaskQueue).prefix}-events:${tenant}`;
}
