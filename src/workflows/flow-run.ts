import { proxyLocalActivities, workflowInfo } from '@temporalio/workflow';
import { flowError } from '../dsl/errors';
import { Evaluator } from '../dsl/expressions/evaluator';
import type { Json, JsonObject } from '../dsl/json';
import type { FlowPlan } from '../dsl/planning/plan';
import type { PreparedFlow } from '../dsl/start';
import { MAX_INLINE_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES } from '../dsl/step-request';
import { Dispatch } from './dispatch';
import type { ProgressTracker } from './progress-tracker';
import { publishAttributes } from './search-attributes';

/** Steps that may run without a wait in between; more is a loop that would stall the worker's workflow thread. */
const MAX_STEPS_WITHOUT_WAIT = 20_000;

/** Temporal ends a workflow at 51,200 events; a flow stops in good order before. */
const MAX_HISTORY_EVENTS = 48_000;

/** Likewise 50 MiB. What runs when the limit is met adds its results still, so the rest is ample. */
const MAX_HISTORY_BYTES = 40_000_000;

/** Local activities that the interpreter uses: what needs a schema library, which is not in the workflow's bundle. */
export interface FlowLocalActivities {
  validateData(request: { schema: Json; data: Json; what: string }): Promise<void>;
  validateArguments(request: { block: string; args: Json }): Promise<void>;
}

/** Validation takes milliseconds; a failure of the machinery is tried again, a verdict is not. */
export const localActivities = proxyLocalActivities<FlowLocalActivities>({
  startToCloseTimeout: '10 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/** The state of one run of a flow that all its steps share. */
export class FlowRun {
  readonly plan: FlowPlan;
  readonly tenant: string;
  readonly evaluator = new Evaluator();
  readonly dispatch: Dispatch;
  /** Largest value that goes in or out, in bytes of JSON. */
  readonly maxPayloadBytes: number;
  readonly id = workflowInfo().workflowId;
  readonly taskQueue = workflowInfo().taskQueue;
  /** `$context` of OWS. */
  context: Json;
  /** Arguments that are the same for every expression of the flow. */
  readonly constants: { readonly workflow: JsonObject; readonly runtime: JsonObject };
  #stepsSinceWait = 0;
  #awaitedApprovals = 0;

  constructor(
    readonly prepared: PreparedFlow,
    input: Json,
    readonly progress: ProgressTracker,
  ) {
    this.plan = prepared.plan;
    this.tenant = prepared.tenant;
    const claimsLarge = prepared.largePayloads === true;
    this.maxPayloadBytes = claimsLarge ? MAX_PAYLOAD_BYTES : MAX_INLINE_PAYLOAD_BYTES;
    this.dispatch = new Dispatch({ maxBytes: this.maxPayloadBytes, claimsLarge });
    this.context = null;
    const definition = this.plan.definition;
    this.constants = {
      workflow: {
        id: this.id,
        input,
        startedAt: dateTime(workflowInfo().startTime.getTime()),
        ...(definition === undefined ? {} : { definition }),
      },
      runtime: {
        name: 'Beamline Worker',
        version: prepared.runtimeVersion ?? '0.1.0',
        metadata: { tenant: this.tenant },
      },
    };
    progress.flow = this.plan.flow;
    progress.tenant = this.tenant;
  }

  /** Makes the flow visible in Temporal's lists. One command of the first workflow task. */
  publishIdentity(): void {
    publishAttributes({ tenant: this.tenant, flow: this.plan.flow, status: 'Running' });
  }

  approvalBegins(): void {
    this.#awaitedApprovals += 1;
    if (this.#awaitedApprovals > 1) return;
    this.progress.setStatus('AwaitingApproval');
    publishAttributes({ status: 'AwaitingApproval', block: 'human.approval' });
  }

  approvalEnds(): void {
    this.#awaitedApprovals -= 1;
    if (this.#awaitedApprovals > 0) return;
    this.progress.setStatus('Running');
    publishAttributes({ status: 'Running', block: null });
  }

  /** Throws BLW_STEP_LIMIT for a flow that runs away. */
  countStep(): void {
    this.#stepsSinceWait += 1;
    if (this.#stepsSinceWait > MAX_STEPS_WITHOUT_WAIT) {
      throw flowError(
        'BLW_STEP_LIMIT',
        `${MAX_STEPS_WITHOUT_WAIT} steps ran without a wait, expected a loop to end or to wait`,
      );
    }
    const { historyLength, historySize } = workflowInfo();
    if (historyLength > MAX_HISTORY_EVENTS) {
      throw flowError('BLW_STEP_LIMIT', `the history has more than ${MAX_HISTORY_EVENTS} events`);
    }
    if (historySize > MAX_HISTORY_BYTES) {
      throw flowError(
        'BLW_STEP_LIMIT',
        `the history has more than ${MAX_HISTORY_BYTES} bytes; pass large data between steps as blobs`,
      );
    }
  }

  /** To be called where the flow really waits. */
  waits(): void {
    this.#stepsSinceWait = 0;
    this.evaluator.renewBudget();
  }

  /** True where some expression reads the step's output through `steps`; all others are not kept. */
  keepsOutputOf(step: string): boolean {
    return this.plan.stepOutputs === true || this.plan.stepOutputs.includes(step);
  }
}

/** OWS's date-time descriptor. */
export function dateTime(ms: number): JsonObject {
  return { iso8601: new Date(ms).toISOString(), epoch: { seconds: Math.floor(ms / 1_000), milliseconds: ms } };
}
