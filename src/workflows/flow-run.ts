import { sleep, workflowInfo } from '@temporalio/workflow';
import { jsonBytes } from '../dsl/encoded-json';
import { flowError } from '../dsl/errors';
import { type BatchItem, type BatchValues, evaluateBatch, type Variables } from '../dsl/expressions/batch';
import { Evaluator } from '../dsl/expressions/evaluator';
import type { ExpressionLanguage } from '../dsl/expressions/language';
import { variablesOf } from '../dsl/expressions/references';
import { INLINE_WORK, MAX_WORK } from '../dsl/expressions/work-limit';
import type { Json, JsonObject } from '../dsl/json';
import type { FlowPlan } from '../dsl/planning/plan';
import type { PreparedFlow } from '../dsl/start';
import { MAX_INLINE_PAYLOAD_BYTES, MAX_PAYLOAD_BYTES } from '../dsl/step-request';
import { admissionOf } from './admit-resolution';
import { AheadReads, ToldTasks } from './ahead-reads';
import { type CompensationEntry, Compensations } from './compensations';
import type { DeadLetters } from './dead-letters';
import { Dispatch } from './dispatch';
import { type Routine, waitFor } from './drive';
import { Rehearsal } from './dry-run/rehearsal';
import type { RehearsalState } from './dry-run/rehearsal-state';
import type { VirtualClock } from './dry-run/virtual-clock';
import type { EventInbox } from './events/event-inbox';
import { toFlowError } from './failures';
import { FlowStatus } from './flow-status';
import { isHistoryCrowded, isHistoryFull, refuseFullHistory } from './history-room';
import { interpreterActivities } from './interpreter-activities';
import { hearInRounds } from './local-rounds';
import { LocalSteps } from './local-steps';
import { readable } from './lost-payload';
import type { ProgressTracker } from './progress-tracker';
import type { QuotaLine } from './quota/quota-line';
import { publishAttributes } from './search-attributes';
import { FlowSpans } from './tracing/flow-spans';
import { Turn } from './turn';

/** Times that a flow may go back or try again without a wait in between; more is a loop that does not end. */
const MAX_REPEATS_WITHOUT_WAIT = 20_000;

/** After so many steps without a wait a flow lets the others have the worker's workflow thread: some 0.1 s. */
const STEPS_BETWEEN_PAUSES = 2_000;

/** What there is of a run before it is known what it runs. */
export interface RunParts {
  readonly progress: ProgressTracker;
  readonly inbox: EventInbox;
  readonly quota: QuotaLine;
  readonly letters: DeadLetters;
}

/** The state of one run of a flow that all its steps share. */
export class FlowRun {
  readonly plan: FlowPlan;
  readonly tenant: string;
  readonly #evaluator: Evaluator;
  readonly dispatch: Dispatch;
  /** Steps that are tried in place. */
  readonly locals: LocalSteps;
  /** Largest value that goes in or out, in bytes of JSON. */
  readonly maxPayloadBytes: number;
  /** Of the tasks that make a new context. */
  readonly exports = new Turn();
  /** Steps that would be undone. */
  readonly compensations: Compensations;
  /** Workflow id of the flow, also in its windows: idempotency keys are made of it. */
  readonly id: string;
  readonly taskQueue = workflowInfo().taskQueue;
  /** What the flow shows to the workers with each request: nothing where they check nobody. */
  readonly proof: { readonly grant?: string };
  /** `$context` of OWS. */
  context: Json;
  /** Arguments that are the same for every expression of the flow. */
  readonly constants: { readonly workflow: JsonObject; readonly runtime: JsonObject };
  #stepsSinceWait = 0;
  /** By suffix. */
  readonly #executions = new Map<string, number>();
  #repeatsSinceWait = 0;
  /** Waits under way that may take long, and cannot be taken along to another run. */
  #longWaits = 0;
  #isCompensating = false;

  readonly prepared: PreparedFlow;
  readonly progress: ProgressTracker;
  /** What lists and the query show of it. */
  readonly status: FlowStatus;
  readonly inbox: EventInbox;
  /** Steps that wait for a quota. */
  readonly quota: QuotaLine;
  /** Steps that failed for good and wait for people. */
  readonly letters: DeadLetters;
  /** When its first run began, in ms since 1970. */
  readonly startedAt: number;
  /** What workers are told of its tasks. */
  readonly told = new ToldTasks();
  /** Of a dry run; absent: the flow is live. */
  readonly rehearsal: Rehearsal | undefined;

  constructor({
    prepared,
    input,
    progress,
    inbox,
    quota,
    letters,
    startedAt,
    id = workflowInfo().workflowId,
    compensations = [],
    rehearsal,
  }: {
    prepared: PreparedFlow;
    /** The flow's raw input. */
    input: Json;
    startedAt: number;
    id?: string;
    compensations?: readonly CompensationEntry[];
    rehearsal?: RehearsalState | undefined;
  } & RunParts) {
    this.rehearsal = prepared.dryRun === undefined ? undefined : new Rehearsal(prepared.dryRun, rehearsal);
    this.clock?.attach(() => this.shouldContinueAsNew());
    this.compensations = new Compensations(compensations);
    this.id = id;
    this.prepared = prepared;
    this.proof = prepared.grant === undefined ? {} : { grant: prepared.grant };
    this.#evaluator = new Evaluator(prepared.offloadsExpressions === true ? INLINE_WORK : MAX_WORK);
    this.progress = progress;
    this.status = new FlowStatus(progress);
    this.inbox = inbox;
    this.quota = quota;
    quota.limitTo(prepared.concurrentSteps);
    quota.attach(() => this.shouldContinueAsNew());
    this.letters = letters;
    letters.attach({ shouldSuspend: () => this.shouldContinueAsNew(), ...admissionOf(prepared) });
    this.startedAt = startedAt;
    this.plan = prepared.plan;
    this.tenant = prepared.tenant;
    const claimsLarge = prepared.largePayloads === true;
    this.maxPayloadBytes = claimsLarge ? MAX_PAYLOAD_BYTES : MAX_INLINE_PAYLOAD_BYTES;
    this.dispatch = new Dispatch({
      maxBytes: this.maxPayloadBytes,
      claimsLarge,
      hasLine: prepared.continuesAsNew === true,
    });
    if (prepared.hearsInRounds === true) hearInRounds();
    this.locals = new LocalSteps(prepared);
    this.context = null;
    const definition = this.plan.definition;
    this.constants = {
      workflow: {
        id: this.id,
        input,
        startedAt: dateTime(startedAt),
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
    if (prepared.trace !== undefined) {
      progress.spans = new FlowSpans(prepared.trace, { tenant: this.tenant, flowId: this.id, flow: this.plan.flow });
    }
  }

  /** On which time passes in a dry run that does not wait; undefined: time is Temporal's. */
  get clock(): VirtualClock | undefined {
    return this.rehearsal?.clock;
  }

  /** Makes the flow visible in Temporal's lists. One command of the first workflow task. */
  publishIdentity(): void {
    publishAttributes({ tenant: this.tenant, flow: this.plan.flow, status: 'Running' });
  }

  /**
   * True where the flow should go on with a new history, as the server suggests it: asked between tasks. Not beside a wait
   * that may be long, since the others would stand still until it ends; only where the history is nearly full.
   */
  shouldContinueAsNew(): boolean {
    const { prepared } = this;
    return !this.#isCompensating && (this.#longWaits === 0 ? isHistoryFull(prepared) : isHistoryCrowded(prepared));
  }

  /** The flow undoes steps: it continues as new between these only. */
  beginCompensation(): void {
    this.#isCompensating = true;
    this.status.compensationBegins();
  }

  /** Waits for something that may take long, such as a person. */
  *longWait<T>(routine: Routine<T>): Routine<T> {
    this.#longWaits += 1;
    this.waits();
    try {
      return yield* routine;
    } finally {
      this.#longWaits -= 1;
    }
  }

  /** To be called before each step. Throws BLW_STEP_LIMIT for a flow that runs away. */
  *beginStep(): Routine<void> {
    this.#stepsSinceWait += 1;
    // What was done is undone, however much that was.
    if (!this.#isCompensating) this.rehearsal?.countStep();
    refuseFullHistory();
    if (this.prepared.continuesAsNew !== true || this.#stepsSinceWait % STEPS_BETWEEN_PAUSES !== 0) return;
    yield* waitFor(sleep(1, { summary: 'lets other flows run' }));
    this.#evaluator.renewBudget();
  }

  /** A name that no other run of a step has, also after a reset; those with the same `suffix` are counted together. */
  nextExecution(suffix: string): string {
    const count = (this.#executions.get(suffix) ?? 0) + 1;
    this.#executions.set(suffix, count);
    return `${workflowInfo().runId}:${count}${suffix}`;
  }

  /** To be called where the flow does again what it did. Throws BLW_STEP_LIMIT where it does so for ever. */
  countRepeat(): void {
    this.#repeatsSinceWait += 1;
    if (this.#repeatsSinceWait <= MAX_REPEATS_WITHOUT_WAIT) return;
    throw flowError(
      'BLW_STEP_LIMIT',
      `went back ${MAX_REPEATS_WITHOUT_WAIT} times without a wait, expected a loop to end or to wait`,
    );
  }

  /** To be called where the flow really waits. */
  waits(): void {
    this.#stepsSinceWait = 0;
    this.#repeatsSinceWait = 0;
    this.#evaluator.renewBudget();
  }

  /**
   * Evaluates what a step needs together. CEL at once, but for what takes long; that, and the other languages, in a local
   * activity. Throws BLW_EXPR_FAILED.
   */
  *evaluate(items: readonly BatchItem[], variables: Variables): Routine<BatchValues> {
    const { language = 'cel' } = this.plan;
    if (language !== 'cel') return yield* this.#evaluateOutside(language, items, variables);
    try {
      return this.#evaluator.evaluateBatch({ items, variables });
    } catch (error) {
      if (this.prepared.offloadsExpressions !== true || !this.#evaluator.isExhausted) throw error;
    }
    return yield* this.#evaluateOutside(language, items, variables);
  }

  *#evaluateOutside(
    language: ExpressionLanguage,
    items: readonly BatchItem[],
    variables: Variables,
  ): Routine<BatchValues> {
    const constant = evaluateBatch({ items, variables }).next();
    if (constant.done === true) return constant.value;
    yield* this.dispatch.enterLocal();
    this.waits();
    let bytes = 0;
    try {
      const request = { language, items, variables: variablesOf(language, items, variables) };
      const answer = yield* waitFor(interpreterActivities.evaluateExpressions(request));
      const values = readable(answer, 'the values of the expressions');
      bytes = jsonBytes(values);
      return values;
    } catch (error) {
      throw toFlowError(error);
    } finally {
      this.dispatch.leaveLocal(bytes);
    }
  }

  /** For tasks that run one after the other, `isBeside` others or not; undefined: no step of the flow is tried in place. */
  newReads(isBeside: boolean): AheadReads | undefined {
    return this.locals.areTried && this.rehearsal === undefined ? new AheadReads(isBeside) : undefined;
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
