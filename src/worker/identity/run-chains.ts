import type { NativeConnection } from '@temporalio/worker';
import { retryable } from '../../activities/block-failure';
import type { RunPlace } from '../../activities/ports/gate';

/** Runs whose chain is remembered; each takes some 100 bytes. */
const MAX_KNOWN = 20_000;

const NOT_FOUND = 5;

/** First run of the execution chain that a run belongs to; undefined where there is no such run. */
export type FindFirstRun = (place: RunPlace) => Promise<string | undefined>;

/** Knows which runs belong together: a flow that is retried, reset or continued as new has several, which follow from one start. */
export class RunChains {
  readonly #known = new Map<string, string>();

  constructor(private readonly findFirstRun: FindFirstRun) {}

  /** True where `place` is `firstRunId`, or came from it. Temporal is asked once for each run that is not the first one. */
  async isPartOf(place: RunPlace, firstRunId: string): Promise<boolean> {
    if (place.runId === firstRunId) return true;
    const known = this.#known.get(place.runId) ?? (await this.findFirstRun(place));
    if (known === undefined) return false;
    if (this.#known.size >= MAX_KNOWN) this.#known.clear();
    this.#known.set(place.runId, known);
    return known === firstRunId;
  }
}

/** Asks Temporal. Rejects with BLW_IDENTITY_UNAVAILABLE where it does not answer. */
export function firstRunFinder({ workflowService }: NativeConnection, namespace: string): FindFirstRun {
  return async (execution) => {
    try {
      const { workflowExecutionInfo } = await workflowService.describeWorkflowExecution({ namespace, execution });
      return workflowExecutionInfo?.firstRunId || undefined;
    } catch (cause) {
      if ((cause as { code?: unknown }).code === NOT_FOUND) return undefined;
      throw retryable('BLW_IDENTITY_UNAVAILABLE', 'Temporal does not say which flow a run belongs to', { cause });
    }
  };
}
