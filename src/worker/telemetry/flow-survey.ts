import { APPROVAL, type FlowStatus, OPEN_STATUSES, RUN_FLOW, RUN_WINDOW, SEARCH_ATTRIBUTES } from '../../dsl/names';
import { DeadLetterAges } from './dead-letter-ages';
import { oldestStart } from './oldest-start';
import { countFlows, ENDS, type Namespace, SURVEY_LIMIT_MS } from './visibility';

/** What Temporal's lists say of the flows of one namespace and task queue. */
export interface FlowFigures {
  /** Open flows by `BeamlineStatus`; those that have none yet are among the running ones. */
  readonly open: ReadonlyMap<string, number>;
  /** Closed flows that Temporal still knows, by how they ended. */
  readonly closed: ReadonlyMap<string, number>;
  readonly approvals: number;
  /** Seconds since the oldest approval was asked for; 0 where there is none. */
  readonly oldestApproval: number;
  /** Flows, and batches of loops, with dead letters. */
  readonly deadLetters: number;
  /** Seconds since the oldest of them came to stand still; absent where that is not known. */
  readonly oldestDeadLetter?: number;
}

/** Statuses that are counted one by one: of all that is open, what is left is running. */
const RUNNING: FlowStatus = 'Running';
const SPECIAL = OPEN_STATUSES.filter((status) => status !== RUNNING);

/** Asks Temporal's lists (visibility) for the flows that began on a task queue. */
export class FlowSurvey {
  readonly #ages: DeadLetterAges;

  constructor(private readonly options: Namespace & { readonly taskQueue: string }) {
    this.#ages = new DeadLetterAges(options);
  }

  /** Throws where Temporal does not answer. */
  async read(): Promise<FlowFigures> {
    const flows = this.#query(`WorkflowType = '${RUN_FLOW}'`);
    const approvals = this.#query(`WorkflowType = '${APPROVAL}'`, OPEN);
    const letters = this.#query(`WorkflowType IN ('${RUN_FLOW}', '${RUN_WINDOW}')`, OPEN, statusIs('DeadLettered'));
    const [byEnd, special, approvalCount, letterCount] = await Promise.all([
      this.#countByEnd(flows),
      Promise.all(SPECIAL.map((status) => this.#count(`${flows} AND ${OPEN} AND ${statusIs(status)}`))),
      this.#count(approvals),
      this.#count(letters),
    ]);
    const open = new Map(SPECIAL.map((status, index) => [status as string, special[index] ?? 0]));
    // The counts are taken one after the other.
    open.set(RUNNING, Math.max(0, (byEnd.get('Running') ?? 0) - special.reduce((sum, count) => sum + count, 0)));
    const oldestDeadLetter = await this.#ages.oldest(letterCount === 0 ? undefined : letters);
    return {
      open,
      closed: new Map(ENDS.map((end) => [end, byEnd.get(end) ?? 0])),
      approvals: approvalCount,
      oldestApproval: approvalCount === 0 ? 0 : secondsSince(await oldestStart(this.options, approvals)),
      deadLetters: letterCount,
      ...(letterCount === 0 ? { oldestDeadLetter: 0 } : {}),
      ...(oldestDeadLetter === undefined ? {} : { oldestDeadLetter: secondsSince(oldestDeadLetter) }),
    };
  }

  #query(...conditions: readonly string[]): string {
    return [`TaskQueue = '${this.options.taskQueue}'`, ...conditions].join(' AND ');
  }

  async #count(query: string): Promise<number> {
    return await countFlows(this.options, query);
  }

  /** Of all that the query finds, by Temporal's own status. */
  async #countByEnd(query: string): Promise<ReadonlyMap<string, number>> {
    const { connection, namespace } = this.options;
    const { groups } = await connection.withDeadline(Date.now() + SURVEY_LIMIT_MS, () =>
      connection.workflowService.countWorkflowExecutions({ namespace, query: `${query} GROUP BY ExecutionStatus` }),
    );
    return new Map(
      (groups ?? []).map(({ groupValues, count }) => [
        String(JSON.parse(Buffer.from(groupValues?.[0]?.data ?? '""').toString('utf8'))),
        Number(count ?? 0),
      ]),
    );
  }
}

const OPEN = "ExecutionStatus = 'Running'";

function statusIs(status: FlowStatus): string {
  return `${SEARCH_ATTRIBUTES.status} = '${status}'`;
}

function secondsSince(ms: number): number {
  return Math.max(0, (Date.now() - ms) / 1_000);
}
