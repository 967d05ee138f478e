import type { Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { FlowError } from '../../dsl/errors';
import { isJsonObject, type JsonObject } from '../../dsl/json';
import { LOCAL_BLOCKS } from '../../dsl/local-step';
import { SEARCH_ATTRIBUTES, TRY_STEPS } from '../../dsl/names';
import { type ErrorWithin, errorsWithin } from '../../dsl/steps-together';
import { LOCAL_ACTIVITY_MARKER } from '../flow-plan';
import { decodePayload, type HistoryEvent, type RunAddress, readEvents } from '../history-events';
import { Refusal, unreadable } from './refusal';

type Failure = temporal.api.failure.v1.IFailure;

const { REQUEST_CANCEL, TERMINATE } = {
  REQUEST_CANCEL: temporal.api.enums.v1.ParentClosePolicy.PARENT_CLOSE_POLICY_REQUEST_CANCEL,
  TERMINATE: temporal.api.enums.v1.ParentClosePolicy.PARENT_CLOSE_POLICY_TERMINATE,
};

/** A workflow that a run started. */
export interface ChildRun {
  readonly workflowId: string;
  readonly workflowType: string;
  /** First run of it that the parent started; absent where it had not started. */
  readonly startedRunId?: string;
  /** The run waits for it; else it has nothing more to do with it. */
  readonly isAwaited: boolean;
  readonly initiatedAt: number;
  /** End of the workflow task that started it. */
  readonly initiatedBy: number;
  readonly startedAt?: number;
  readonly closedAt?: number;
}

/** A local activity, as a run recorded it. */
export interface LocalRecord {
  readonly type: string;
  /** End of the workflow task in which it ran. */
  readonly recordedBy: number;
  readonly failure: Failure | undefined;
  readonly result: Payload | undefined;
}

/** A step that failed within the record of a local activity that ended well: tried together with others, or read ahead of another. */
export interface FailedWithin extends ErrorWithin {
  readonly recordedBy: number;
}

/** The history of one run, and what its events mean. */
export class RunHistory {
  #localActivities: Promise<readonly LocalRecord[]> | undefined;

  private constructor(
    private readonly client: Client,
    readonly address: RunAddress,
    readonly events: readonly HistoryEvent[],
  ) {}

  static async read(client: Client, address: RunAddress): Promise<RunHistory> {
    return new RunHistory(client, address, await readEvents(client, address));
  }

  get last(): HistoryEvent {
    return this.events[this.events.length - 1] ?? {};
  }

  event(id: number): HistoryEvent | undefined {
    return this.events[id - 1];
  }

  /** What a payload holds. Throws {@link Refusal} where a key or the content of a large one is missing. */
  async decode(payload: Payload | null | undefined): Promise<unknown> {
    const { workflowId } = this.address;
    try {
      return await decodePayload(this.client, workflowId, payload);
    } catch (error) {
      if (error instanceof FlowError && error.data.code?.startsWith('BLW_PAYLOAD_')) {
        throw unreadable(workflowId, error.message);
      }
      throw error;
    }
  }

  /** The error of the flow that a failure carries, as `toWorkflowFailure` and the steps write it. */
  async errorOf(failure: Failure | null | undefined): Promise<JsonObject | undefined> {
    const inner = failure?.applicationFailureInfo == null ? failure?.cause : failure;
    const value = await this.decode(inner?.applicationFailureInfo?.details?.payloads?.[0]);
    return isJsonObject(value) ? value : undefined;
  }

  /** True where the run undid steps, or went on undoing those of the run before. */
  hasCompensated(): boolean {
    return this.events.some((event) => {
      const { indexedFields } =
        event.upsertWorkflowSearchAttributesEventAttributes?.searchAttributes ??
        event.workflowExecutionStartedEventAttributes?.searchAttributes ??
        {};
      const data = indexedFields?.[SEARCH_ATTRIBUTES.status]?.data;
      // Search attributes are never encrypted.
      return data != null && Buffer.from(data).toString('utf8').includes('Compensating');
    });
  }

  /** Children that the run awaits; those that it has nothing more to do with are left out. */
  children(): ChildRun[] {
    return this.allChildren().filter(({ isAwaited }) => isAwaited);
  }

  /** Children of the run, also those that it did not wait for. */
  allChildren(): ChildRun[] {
    const children = new Map<number, ChildRun>();
    for (const event of this.events) {
      const id = Number(event.eventId);
      const initiated = event.startChildWorkflowExecutionInitiatedEventAttributes;
      if (initiated != null) {
        children.set(id, {
          isAwaited: initiated.parentClosePolicy === REQUEST_CANCEL || initiated.parentClosePolicy === TERMINATE,
          workflowId: initiated.workflowId ?? '',
          workflowType: initiated.workflowType?.name ?? '',
          initiatedAt: id,
          initiatedBy: Number(initiated.workflowTaskCompletedEventId),
        });
      }
      const started = event.childWorkflowExecutionStartedEventAttributes;
      const initiatedAt = Number(started?.initiatedEventId ?? closedChild(event)?.initiatedEventId ?? 0);
      const child = children.get(initiatedAt);
      if (child === undefined) continue;
      const runId = started?.workflowExecution?.runId;
      if (runId != null) children.set(initiatedAt, { ...child, startedRunId: runId, startedAt: id });
      else children.set(initiatedAt, { ...child, closedAt: id });
    }
    return [...children.values()];
  }

  /** Read once: several look through them. */
  localActivities(): Promise<readonly LocalRecord[]> {
    this.#localActivities ??= this.#readLocalActivities();
    return this.#localActivities;
  }

  async #readLocalActivities(): Promise<LocalRecord[]> {
    const records: LocalRecord[] = [];
    for (const { markerRecordedEventAttributes: marker } of this.events) {
      if (marker?.markerName !== LOCAL_ACTIVITY_MARKER) continue;
      const data = await this.decode(marker.details?.data?.payloads?.[0]);
      const type = isJsonObject(data) ? String(data.activity_type) : '';
      const failure = marker.failure ?? undefined;
      const result = marker.details?.result?.payloads?.[0];
      records.push({ type, recordedBy: Number(marker.workflowTaskCompletedEventId), failure, result });
    }
    return records;
  }

  /** Results that cannot be read here are passed over: most are of other steps. */
  async failedWithin(): Promise<FailedWithin[]> {
    const found: FailedWithin[] = [];
    for (const { type, recordedBy, result } of await this.localActivities()) {
      if (type !== TRY_STEPS && !LOCAL_BLOCKS.includes(type)) continue;
      const errors = errorsWithin(await this.#decodeIfPossible(result));
      found.push(...errors.map((error) => ({ ...error, recordedBy })));
    }
    return found;
  }

  async #decodeIfPossible(payload: Payload | undefined): Promise<unknown> {
    try {
      return await this.decode(payload);
    } catch (error) {
      if (error instanceof Refusal) return undefined;
      throw error;
    }
  }

  /**
   * Where a reset leaves out an event and all after it, and keeps as much as it can: the end of the last workflow task before it, or the
   * place of that end where it had not ended, or not begun. Undefined where there is no such task.
   */
  pointBefore(eventId: number): number | undefined {
    for (let index = eventId - 2; index >= 0; index -= 1) {
      const { workflowTaskStartedEventAttributes: started, workflowTaskScheduledEventAttributes: scheduled } =
        this.events[index] ?? {};
      // A task counts from the event after it on: nothing of what it did is kept.
      if (started != null || scheduled != null) return index + 2;
    }
    return undefined;
  }

  /** Signals and updates from an event on. */
  messagesFrom(eventId: number): HistoryEvent[] {
    return this.events.slice(eventId - 1).filter((event) => {
      const {
        workflowExecutionSignaledEventAttributes: signal,
        workflowExecutionUpdateAcceptedEventAttributes: update,
      } = event;
      return signal != null || update?.acceptedRequest != null;
    });
  }

  /** The run that it went on as, where it ended like that. */
  nextRunId(): string | undefined {
    const { last } = this;
    const end =
      last.workflowExecutionContinuedAsNewEventAttributes ??
      last.workflowExecutionCompletedEventAttributes ??
      last.workflowExecutionFailedEventAttributes ??
      last.workflowExecutionTimedOutEventAttributes;
    return end?.newExecutionRunId || undefined;
  }

  /** The end of the last workflow task that ended: the run ended with it, but for a termination. */
  lastTaskEnd(): number | undefined {
    const ends = this.events.filter((event) => event.workflowTaskCompletedEventAttributes != null);
    const last = ends[ends.length - 1];
    return last === undefined ? undefined : Number(last.eventId);
  }
}

/** The news of a child that ended, or could not start. */
export function closedChild(event: HistoryEvent) {
  return (
    event.childWorkflowExecutionCompletedEventAttributes ??
    event.childWorkflowExecutionFailedEventAttributes ??
    event.childWorkflowExecutionCanceledEventAttributes ??
    event.childWorkflowExecutionTerminatedEventAttributes ??
    event.childWorkflowExecutionTimedOutEventAttributes ??
    event.startChildWorkflowExecutionFailedEventAttributes ??
    undefined
  );
}
