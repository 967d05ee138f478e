import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { optionalTsToMs } from '@temporalio/common/lib/time';
import { temporal } from '@temporalio/proto';
import { FlowError } from '../../dsl/errors';
import { isJsonObject } from '../../dsl/json';
import { iterationOf } from '../../dsl/step-request';
import { mapBounded } from '../bounded';
import { decodePayload, type RunAddress, readEvents } from '../history-events';
import { unreadableError } from '../unreadable-flow';
import { hasWorker } from '../worker-presence';

const { PendingActivityState } = temporal.api.enums.v1;

/** Failures that are decrypted at a time. */
const DECODED_AT_ONCE = 8;

/** Why an attempt failed. */
export interface AttemptFailure {
  readonly code?: string;
  readonly message: string;
}

/** A step that Temporal has under way. Times are ms since 1970. */
export interface PendingActivity {
  /** Block type. */
  readonly block: string;
  /** JSON Pointer of the step, and the round of the loops around it; absent where the history cannot be read here. */
  readonly step?: string;
  readonly iteration?: string;
  /** `queued`: no worker has taken it; `retrying`: an attempt failed, and the next one is to come. */
  readonly state: 'running' | 'queued' | 'retrying' | 'cancelling' | 'paused';
  readonly attempt: number;
  /** Absent: any number. */
  readonly maximumAttempts?: number;
  readonly scheduledAt?: number;
  readonly startedAt?: number;
  readonly nextAttemptAt?: number;
  /** Absent where the history does not say. */
  readonly taskQueue?: string;
  /** It is queued, and no worker polls its queue. */
  readonly isUnserved?: true;
  /** Id of the worker that runs it, or ran it last. */
  readonly worker?: string;
  /** Of the attempt before. */
  readonly failure?: AttemptFailure;
}

type Pending = temporal.api.workflow.v1.IPendingActivityInfo;
type Failure = temporal.api.failure.v1.IFailure;

/** What of a flow is under way, as Temporal itself knows it: no worker is asked. Which steps these are its history says. */
export async function readPending(
  client: Client,
  { workflowId, runId, raw }: WorkflowExecutionDescription,
): Promise<readonly PendingActivity[]> {
  const all = raw.pendingActivities ?? [];
  if (all.length === 0) return [];
  const scheduled = await readScheduled(client, { workflowId, runId });
  const unserved = await findUnserved(client, all, scheduled);
  return await mapBounded(all, DECODED_AT_ONCE, async (pending) => {
    const { input, taskQueue } = scheduled.get(pending.activityId ?? '') ?? {};
    const described = describe(pending, await readRequest(client, workflowId, input));
    const isUnserved = described.state === 'queued' && taskQueue !== undefined && unserved.has(taskQueue);
    return {
      ...described,
      ...(taskQueue === undefined ? {} : { taskQueue }),
      ...(isUnserved ? { isUnserved } : {}),
      ...(pending.lastFailure == null ? {} : { failure: await readFailure(client, workflowId, pending.lastFailure) }),
    };
  });
}

/** What an activity was scheduled with. */
interface Scheduled {
  readonly input?: Payload;
  readonly taskQueue?: string;
}

/** What activities were scheduled with, by their ids. */
async function readScheduled(client: Client, run: RunAddress): Promise<ReadonlyMap<string, Scheduled>> {
  const all = new Map<string, Scheduled>();
  for (const { activityTaskScheduledEventAttributes: scheduled } of await readEvents(client, run)) {
    const [input] = scheduled?.input?.payloads ?? [];
    if (scheduled?.activityId == null) continue;
    const taskQueue = scheduled.taskQueue?.name;
    all.set(scheduled.activityId, {
      ...(input === undefined ? {} : { input }),
      ...(taskQueue ? { taskQueue } : {}),
    });
  }
  return all;
}

/** The queues that no worker polls, of those in which something waits. */
async function findUnserved(
  client: Client,
  all: readonly Pending[],
  scheduled: ReadonlyMap<string, Scheduled>,
): Promise<ReadonlySet<string>> {
  const waiting = all.filter((pending) => stateOf(pending) === 'queued');
  const queues = new Set(waiting.flatMap(({ activityId }) => scheduled.get(activityId ?? '')?.taskQueue ?? []));
  const found = await Promise.all(
    [...queues].map(async (queue) => ((await hasWorker(client, queue, { forSteps: true })) ? [] : [queue])),
  );
  return new Set(found.flat());
}

/** What of a request is of interest. */
interface Asked {
  readonly step?: string;
  readonly iteration?: string;
  /** Attempts of other activities, before the step had to wait for a quota. */
  readonly before?: number;
}

/** Which step asked for it; nothing where that cannot be read here. */
async function readRequest(client: Client, workflowId: string, input: Payload | undefined): Promise<Asked> {
  try {
    const request = await decodePayload(client, workflowId, input);
    if (!isJsonObject(request) || typeof request.stepId !== 'string') return {};
    const iteration = typeof request.key === 'string' ? iterationOf(request.key) : undefined;
    const before = isJsonObject(request.quota) ? request.quota.attempts : undefined;
    return {
      step: request.stepId,
      ...(iteration === undefined ? {} : { iteration }),
      ...(typeof before === 'number' ? { before } : {}),
    };
  } catch (error) {
    if (error instanceof FlowError) return {};
    throw error;
  }
}

function describe(pending: Pending, { before = 0, ...place }: Asked): PendingActivity {
  const { activityType, attempt, maximumAttempts, lastWorkerIdentity } = pending;
  const times = {
    scheduledAt: optionalTsToMs(pending.scheduledTime),
    startedAt: optionalTsToMs(pending.lastStartedTime),
    nextAttemptAt: optionalTsToMs(pending.nextAttemptScheduleTime),
  };
  return {
    block: activityType?.name ?? '',
    state: stateOf(pending),
    ...place,
    attempt: (attempt ?? 1) + before,
    ...(maximumAttempts ? { maximumAttempts: maximumAttempts + before } : {}),
    ...(lastWorkerIdentity ? { worker: lastWorkerIdentity } : {}),
    ...Object.fromEntries(Object.entries(times).filter(([, value]) => value !== undefined)),
  };
}

function stateOf({ state, paused, nextAttemptScheduleTime }: Pending): PendingActivity['state'] {
  if (state === PendingActivityState.PENDING_ACTIVITY_STATE_STARTED) return 'running';
  if (state === PendingActivityState.PENDING_ACTIVITY_STATE_CANCEL_REQUESTED) return 'cancelling';
  if (paused === true) return 'paused';
  return nextAttemptScheduleTime == null ? 'queued' : 'retrying';
}

/** The error in it; of one that cannot be read here its code, which is never encrypted. */
async function readFailure(client: Client, workflowId: string, failure: Failure): Promise<AttemptFailure> {
  const code = failure.applicationFailureInfo?.type ?? (failure.timeoutFailureInfo == null ? undefined : 'timeout');
  const known = code === undefined ? {} : { code };
  try {
    const [details] = failure.applicationFailureInfo?.details?.payloads ?? [];
    const error = await decodePayload(client, workflowId, details);
    if (isJsonObject(error)) {
      const { detail, title } = error;
      const message = [detail, title, failure.message].find((text) => typeof text === 'string') ?? '';
      return { ...known, message: String(message) };
    }
    const encoded = await decodePayload(client, workflowId, failure.encodedAttributes);
    const message = isJsonObject(encoded) && typeof encoded.message === 'string' ? encoded.message : failure.message;
    return { ...known, message: message ?? '' };
  } catch (error) {
    const unreadable = unreadableError(error);
    if (unreadable === undefined) throw error;
    return { ...known, message: `(cannot be read: ${unreadable.data.code})` };
  }
}
