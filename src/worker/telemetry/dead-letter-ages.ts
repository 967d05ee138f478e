import { tsToMs } from '@temporalio/common/lib/time';
import { type FlowStatus, SEARCH_ATTRIBUTES } from '../../dsl/names';
import { type Namespace, SURVEY_LIMIT_MS } from './visibility';

/** Flows that are looked at; one with the oldest dead letter that is beyond them is missed. */
const MAX_FLOWS = 1_000;

/** Histories that are looked into at one time, and how many events of each, the newest first. */
const HISTORIES_AT_ONCE = 20;
const EVENTS = 50;

/** A flow whose letter was resolved may have another by now. */
const ASK_AGAIN_MS = 60_000;

const PARKED: FlowStatus = 'DeadLettered';

interface Execution {
  readonly workflowId: string;
  readonly runId: string;
}

/**
 * Since when flows stand still with a dead letter. Temporal's lists do not say, but the ends of the histories do: the last change of the
 * status. No worker is asked, and nothing is decrypted.
 */
export class DeadLetterAges {
  /** By run: since when, undefined where its history does not say, and when that was asked. */
  readonly #known = new Map<string, { readonly since: number | undefined; readonly askedAt: number }>();

  constructor(private readonly options: Namespace) {}

  /** The oldest of those that the query finds; undefined where nothing is known yet. Throws where Temporal does not answer. */
  async oldest(query: string | undefined): Promise<number | undefined> {
    const listed = query === undefined ? [] : await this.#list(query);
    const runs = new Set(listed.map(({ runId }) => runId));
    for (const runId of this.#known.keys()) if (!runs.has(runId)) this.#known.delete(runId);
    const now = performance.now();
    const due = listed
      .filter(({ runId }) => now - (this.#known.get(runId)?.askedAt ?? Number.NEGATIVE_INFINITY) > ASK_AGAIN_MS)
      // The oldest flows first, and who has never been asked before the others.
      .reverse()
      .sort((one, other) => Number(this.#known.has(one.runId)) - Number(this.#known.has(other.runId)))
      .slice(0, HISTORIES_AT_ONCE);
    await Promise.all(
      due.map(async (execution) => {
        this.#known.set(execution.runId, { since: await this.#parkedSince(execution), askedAt: now });
      }),
    );
    const times = [...this.#known.values()].flatMap(({ since }) => since ?? []);
    return times.length === 0 ? undefined : Math.min(...times);
  }

  async #list(query: string): Promise<readonly Execution[]> {
    const { connection, namespace } = this.options;
    const { executions } = await connection.withDeadline(Date.now() + SURVEY_LIMIT_MS, () =>
      connection.workflowService.listWorkflowExecutions({ namespace, query, pageSize: MAX_FLOWS }),
    );
    return (executions ?? []).map(({ execution }) => ({
      workflowId: execution?.workflowId ?? '',
      runId: execution?.runId ?? '',
    }));
  }

  async #parkedSince(execution: Execution): Promise<number | undefined> {
    const { connection, namespace } = this.options;
    const { history } = await connection.withDeadline(Date.now() + SURVEY_LIMIT_MS, () =>
      connection.workflowService.getWorkflowExecutionHistoryReverse({ namespace, execution, maximumPageSize: EVENTS }),
    );
    for (const { eventTime, upsertWorkflowSearchAttributesEventAttributes: upsert } of history?.events ?? []) {
      const { data } = upsert?.searchAttributes?.indexedFields?.[SEARCH_ATTRIBUTES.status] ?? {};
      if (data == null) continue;
      // Another status: the list was behind.
      if (Buffer.from(data).toString('utf8') !== JSON.stringify(PARKED)) return undefined;
      return tsToMs(eventTime);
    }
    return undefined;
  }
}
