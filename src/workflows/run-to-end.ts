import {
  allHandlersFinished,
  CancellationScope,
  CancelledFailure,
  condition,
  defineQuery,
  isCancellation,
  setHandler,
} from '@temporalio/workflow';
import { FlowError } from '../dsl/errors';
import type { FlowNews } from '../dsl/flow-news';
import { inline } from '../dsl/inline-values';
import { type FlowStatus, PROGRESS_QUERY } from '../dsl/names';
import type { FlowProgress, ProgressQueryInput } from '../dsl/progress';
import { toFlowError, toWorkflowFailure } from './failures';
import { tellNews } from './flow-news';
import { ProgressTracker } from './progress-tracker';
import { publishAttributes } from './search-attributes';

const progressQuery = defineQuery<FlowProgress, [ProgressQueryInput?]>(PROGRESS_QUERY);

/** Thrown out of the interpreter with all that the next run of the workflow needs. */
export class ContinueAsNew<T> {
  constructor(
    readonly carried: T,
    /** Also where the workflow was cancelled: what is left to do is the end of the cancelled flow. */
    readonly evenCancelled = false,
  ) {}
}

/**
 * Runs a workflow of the interpreter to its end: answers the query `progress`, publishes the status, ends with the
 * result or the failure as Temporal has it, or continues as new with what was thrown as {@link ContinueAsNew}.
 */
export async function runToEnd<R, C>({
  body,
  continueAsNew,
  resultOfFailure = () => undefined,
}: {
  body: (progress: ProgressTracker) => Promise<R>;
  continueAsNew: (carried: C) => Promise<never>;
  /** What the workflow gives where it failed, in place of its failure; undefined: it fails. */
  resultOfFailure?: (error: FlowError) => R | undefined;
}): Promise<R> {
  const progress = new ProgressTracker();
  setHandler(progressQuery, (input) => inline(progress.snapshot(input?.since)), {
    description: 'Status of the flow and of its steps; {"since": version} gives only what changed after that version.',
  });
  const settle = (status: FlowStatus, code?: string) => {
    publishAttributes({ status });
    progress.setStatus(status);
    progress.spans?.finish(status, code);
  };
  const tell = (status: FlowNews['status'], code?: string) => {
    const { tenant, flow, startedAt } = progress;
    tellNews({ status, tenant, flow, durationMs: Date.now() - startedAt, ...(code === undefined ? {} : { code }) });
  };
  try {
    const result = await body(progress);
    await endHandlers();
    settle('Completed');
    tell('completed');
    return result;
  } catch (thrown) {
    await endHandlers();
    if (thrown instanceof ContinueAsNew) {
      // A cancellation that came with the last task would be lost with this run.
      if (thrown.evenCancelled || !CancellationScope.current().consideredCancelled) {
        progress.spans?.finish('ContinuedAsNew');
        tell('continued');
        return await continueAsNew(thrown.carried as C);
      }
    }
    const error = toFlowError(thrown);
    const isAbandoned = error instanceof ContinueAsNew || (error instanceof FlowError && !isUndoneInPart(error));
    if (isCancellation(error) || (isAbandoned && CancellationScope.current().consideredCancelled)) {
      settle('Cancelled');
      tell('cancelled');
      throw new CancelledFailure('the flow was cancelled');
    }
    // Anything else is a defect of this program: it fails the workflow task, which a corrected worker takes up again.
    if (!(error instanceof FlowError)) throw error;
    settle('Failed', error.data.code ?? error.data.type);
    tell('failed', error.data.code);
    const result = resultOfFailure(error);
    if (result !== undefined) return result;
    throw toWorkflowFailure(error);
  }
}

/** Waits until whoever sent an update has an answer: the end of a workflow is its last word, and Temporal takes nothing after it. */
async function endHandlers(): Promise<void> {
  if (!allHandlersFinished()) await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
}

/** True where a step could not be undone: a cancelled flow fails then, since nobody would see it in a cancellation. */
function isUndoneInPart({ data: { compensation } }: FlowError): boolean {
  return compensation !== undefined && compensation.failed.length > 0;
}
