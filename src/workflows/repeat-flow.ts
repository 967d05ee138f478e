import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  ChildWorkflowCancellationType,
  condition,
  continueAsNew,
  defineSignal,
  executeChild,
  isCancellation,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  setWorkflowOptions,
  upsertMemo,
  workflowInfo,
} from '@temporalio/workflow';
import { formatDuration } from '../dsl/durations';
import { CONFIGURE_SIGNAL, RUN_FLOW } from '../dsl/names';
import { type RepeatState, readRepeatRequest } from '../dsl/schedule/repeat';
import { onCurrentBuild } from './current-build';
import { asWorkflowFailure } from './failures';
import { belongTo } from './flow-owner';
import { publishAttributes } from './search-attributes';

const configureSignal = defineSignal<[unknown]>(CONFIGURE_SIGNAL);

/** Runs after which the history is begun anew; each takes some 10 events. */
const RUNS_PER_HISTORY = 200;

/**
 * Runs a flow, and again some time after it has ended, however it ended (OWS dsl-reference, "Schedule": after). There is one
 * such chain for a flow, since its workflow id is the flow's; cancelling it ends the chain and leaves the last run alone.
 * The signal `configure` begins and changes it.
 */
export async function repeatFlow(carried?: RepeatState): Promise<void> {
  const [, tenant] = /^beamline:([^:]+):/.exec(workflowInfo().workflowId) ?? [];
  if (tenant !== undefined) asWorkflowFailure(() => belongTo(tenant));
  const chain = new Chain(workflowInfo().continuedFromExecutionRunId === undefined ? undefined : carried);
  setHandler(configureSignal, (request) => chain.configure(request), {
    description: 'What to run and how long after the run before; sent by `beamline deploy`.',
  });
  for (let runs = 0; runs < RUNS_PER_HISTORY; runs += 1) {
    await chain.untilDue();
    await chain.run();
    if (workflowInfo().continueAsNewSuggested) break;
  }
  // A cancellation that came with the end of the last run would be lost with this history.
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the chain was cancelled');
  await continueAsNew<typeof repeatFlow>(chain.state());
}

setWorkflowOptions(onCurrentBuild, repeatFlow);

class Chain {
  #state: RepeatState | undefined;

  constructor(carried: RepeatState | undefined) {
    this.#state = carried;
  }

  configure(value: unknown): void {
    const request = readRepeatRequest(value);
    // A signal cannot answer; whoever sends another one by hand sees no change.
    if (request === undefined) return;
    const isPaused = request.paused ?? this.#state?.isPaused ?? false;
    this.#state = { ...this.#state, request, isPaused };
    const { flow, tenant, afterMs, deployed } = request;
    upsertMemo({ deployed, paused: isPaused });
    publishAttributes({ tenant, flow });
    setCurrentDetails(`${isPaused ? 'Paused' : 'Runs'} ${flow}, ${formatDuration(afterMs)} after it has ended`);
  }

  state(): RepeatState {
    if (this.#state === undefined) throw ApplicationFailure.nonRetryable('nothing was configured');
    return this.#state;
  }

  /** Waits until a run is due, by whatever is configured then. The first one is at once. */
  async untilDue(): Promise<void> {
    for (;;) {
      const state = this.#state;
      if (state === undefined || state.isPaused) {
        await condition(() => this.#state !== state);
        continue;
      }
      const restMs = state.endedAt === undefined ? 0 : state.endedAt + state.request.afterMs - Date.now();
      if (restMs <= 0) return;
      // Once the timer is up it is time, whatever the clock says: replayed, it can say something else (clock.ts).
      if (!(await condition(() => this.#state !== state, restMs))) return;
    }
  }

  /** Runs the flow to its end. That it fails is seen at the run; the chain goes on. */
  async run(): Promise<void> {
    const { request } = this.state();
    const at = new Date(Date.now()).toISOString();
    try {
      await executeChild(RUN_FLOW, {
        workflowId: `${request.workflowId}-${at}`,
        // It is nobody's child, whatever was configured.
        args: [{ ...request.start, depth: undefined, awaited: undefined }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
        cancellationType: ChildWorkflowCancellationType.ABANDON,
        priority: { fairnessKey: request.tenant },
        staticSummary: request.flow,
      });
    } catch (error) {
      if (isCancellation(error) && CancellationScope.current().consideredCancelled) throw error;
    }
    this.#state = { ...this.state(), endedAt: Date.now() };
  }
}
