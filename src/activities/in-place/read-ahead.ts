import { randomUUID } from 'node:crypto';
import { ApplicationFailure } from '@temporalio/activity';
import { parseDuration } from '../../dsl/durations';
import { measureJson } from '../../dsl/encoded-json';
import { flowError } from '../../dsl/errors';
import { type Batch, type BatchValues, evaluateBatch } from '../../dsl/expressions/batch';
import { Evaluator } from '../../dsl/expressions/evaluator';
import type { Json } from '../../dsl/json';
import { LOCAL_ATTEMPT_MS } from '../../dsl/local-step';
import { type ForeseenRead, foresee } from '../../dsl/read-ahead/foresee';
import { type ReadAhead, readAheadMs, type StepAhead, withAheadMs } from '../../dsl/read-ahead/read-ahead';
import { cacheOf, idempotencyKey, type StepRequest, type StepResult } from '../../dsl/step-request';
import {
  type AttemptPlace,
  attemptInfo,
  contextOf,
  recordedFailure,
  StopClock,
  type TriedStep,
} from './attempt-context';

/** Reads ahead of one step, and what they may bring along: it is all in one record of the history. */
const MAX_READS = 64;
const MAX_BYTES = 131_072;

/** Largest arguments that are recorded with an answer, and largest answer that is expected. */
const MAX_STEP_BYTES = 32_768;

/** Work of expressions for one step's reads ahead: some ms of the worker's main thread. */
const MAX_WORK = 100_000;

/** Time for them, ms. */
const MAX_EVALUATION_MS = 20;

/** Flows whose expressions are kept compiled, and how many of each. */
const MAX_FLOWS = 100;
const MAX_EXPRESSIONS = 500;

/** What follows a step that has just been answered. */
interface Following {
  readonly ahead: ReadAhead;
  /** Of the step. */
  readonly output: Json;
  /** When the step began, as `performance.now()`. */
  readonly begunAt: number;
  warn(error: unknown): void;
  /** The step may be tried in place, and gives at most so many bytes. */
  isExpected(request: StepRequest, bytes: number): boolean;
  /** Tries it as any other step in place; says with `elsewhere` where it is to go to its queue. It waits so long for a place, ms. */
  attempt(step: TriedStep, patienceMs: number): Promise<StepResult>;
}

/** Reads, while the flow waits for one step, those that follow it. */
export class ReaderAhead {
  readonly #evaluators = new Map<string, Evaluator>();

  /**
   * Reads one after the other, in the order of the flow, to the first that fails or goes to its queue. What is under way when the time is up is stopped, and
   * no answer: the step's own may not be lost by it.
   */
  async readOn({ request, temporal, group }: TriedStep, following: Following): Promise<StepAhead[]> {
    const { ahead, output, begunAt } = following;
    const reads = foresee(ahead, output, { evaluate: this.#evaluation(request, ahead), uuid: randomUUID });
    const answers: StepAhead[] = [];
    const clock = new StopClock(temporal.cancellationSignal, begunAt + withAheadMs(ahead));
    const at = { temporal: contextOf(temporal, temporal.info, clock.signal), group };
    let bytes = 0;
    try {
      for (let next = reads.next(); next.done !== true; ) {
        const leftMs = begunAt + readAheadMs(ahead) - performance.now();
        const isOver = clock.signal.aborted || answers.length >= MAX_READS || bytes > MAX_BYTES || leftMs <= 0;
        const step = isOver ? undefined : stepOf(next.value, { first: request, at, ahead, number: answers.length + 1 });
        if (step === undefined) break;
        const argumentBytes = measureJson(step.request.with);
        if (argumentBytes > MAX_STEP_BYTES || !following.isExpected(step.request, MAX_STEP_BYTES)) break;
        const answering = this.#answer(step, next.value, () => following.attempt(step, leftMs));
        const answer = await Promise.race([answering, clock.stopped]);
        const outcome = answer === undefined ? undefined : resultOf(answer);
        const resultBytes = outcome === undefined ? 0 : measureJson(outcome.output);
        // Once that is known of a step, it is not read ahead again.
        if (answer === undefined || resultBytes > MAX_STEP_BYTES) break;
        answers.push(answer);
        if (outcome === undefined || outcome.elsewhere !== undefined || outcome.waiting !== undefined) break;
        bytes += argumentBytes + resultBytes;
        next = reads.next(outcome.output);
      }
    } catch (error) {
      // A defect: what there is counts, and the flow does the rest by itself.
      following.warn(error);
    } finally {
      clock.end();
    }
    return answers;
  }

  /** Undefined where nothing was done. */
  async #answer(
    { request: { stepId, with: args } }: TriedStep,
    { iteration }: ForeseenRead,
    attempt: () => Promise<StepResult>,
  ): Promise<StepAhead | undefined> {
    const startedAt = Date.now();
    const about = () => ({ step: stepId, iteration, with: args, startedAt, endedAt: Date.now() });
    try {
      const result = await attempt();
      const { elsewhere } = result;
      const isUntried = elsewhere !== undefined && (elsewhere.reason === 'stopped' || elsewhere.tookMs === 0);
      return isUntried ? undefined : { ...about(), result };
    } catch (error) {
      // What no step of ours fails with the flow is to see as it is: it tries the step itself.
      return error instanceof ApplicationFailure ? { ...about(), failure: recordedFailure(error) } : undefined;
    }
  }

  /** Evaluates for the reads after one step: for so long at most, of all that the flow lets it do at once. */
  #evaluation(request: StepRequest, { language = 'cel' }: ReadAhead): (batch: Batch) => BatchValues {
    if (language !== 'cel') return constantsOf;
    const evaluator = this.#evaluatorOf(request);
    evaluator.renewBudget();
    let leftMs = MAX_EVALUATION_MS;
    return (batch) => {
      if (leftMs <= 0) throw flowError('BLW_EXPR_FAILED', 'it takes too long to foresee what comes next');
      const begunAt = performance.now();
      try {
        return evaluator.evaluateBatch(batch);
      } finally {
        leftMs -= performance.now() - begunAt;
      }
    };
  }

  #evaluatorOf({ tenant, flow }: StepRequest): Evaluator {
    const key = `${tenant}\n${flow}`;
    const known = this.#evaluators.get(key);
    // Flows of one name may come with ever other expressions.
    const evaluator = known === undefined || known.size > MAX_EXPRESSIONS ? new Evaluator(MAX_WORK) : known;
    // The last one used stands last.
    this.#evaluators.delete(key);
    this.#evaluators.set(key, evaluator);
    const [oldest] = this.#evaluators.keys();
    if (this.#evaluators.size > MAX_FLOWS && oldest !== undefined) this.#evaluators.delete(oldest);
    return evaluator;
  }
}

function resultOf(answer: StepAhead): StepResult | undefined {
  return 'result' in answer ? answer.result : undefined;
}

/** Values without an expression. Throws BLW_EXPR_FAILED where there is one. */
function constantsOf(batch: Batch): BatchValues {
  const walk = evaluateBatch(batch).next();
  if (walk.done === true) return walk.value;
  throw flowError('BLW_EXPR_FAILED', `\${ ${walk.value.expression} }: is evaluated elsewhere`);
}

/** The step as its flow would send it out; undefined: it would not be as it stands. */
function stepOf(
  { task, iteration, values, with: args, secrets }: ForeseenRead,
  {
    first,
    at: { temporal, group },
    ahead: { flowId },
    number,
  }: { readonly first: StepRequest; readonly at: AttemptPlace; readonly ahead: ReadAhead; readonly number: number },
): TriedStep | undefined {
  const { tenant, flow, execution, grant, quota, local, trace } = first;
  // A place of its own in its tenant's line is the flow's to give.
  if (local === undefined || task.priorityKey !== undefined) return undefined;
  const leftMs = values.timeout === undefined ? undefined : msOf(values.timeout);
  if (values.timeout !== undefined && leftMs === undefined) return undefined;
  const { leftMs: _, ...attempt } = local;
  const { priority } = quota ?? {};
  const { retry } = task;
  const request: StepRequest = {
    tenant,
    flow,
    stepId: task.path,
    key: idempotencyKey({ tenant, flowId, stepPath: task.path, iteration, generation: 0 }),
    ...(execution === undefined ? {} : { execution: `${execution}+${number}` }),
    idempotent: task.idempotent,
    with: args,
    ...(secrets === undefined ? {} : { secrets }),
    ...cacheOf(task, values),
    ...(grant === undefined ? {} : { grant }),
    quota: priority === undefined ? {} : { priority },
    // Not sampled, so that no span is below the wrong one: who is called hears just that.
    ...(trace === undefined ? {} : { trace }),
    local: {
      ...attempt,
      isAsked: task.dispatch === 'local',
      isLast: retry.maximumAttempts === 1,
      ...(leftMs === undefined ? {} : { leftMs }),
    },
  };
  const info = attemptInfo(temporal.info, `-${number}`, {
    activityType: task.block,
    startToCloseTimeoutMs: Math.min(LOCAL_ATTEMPT_MS, task.startToCloseMs, leftMs ?? LOCAL_ATTEMPT_MS),
    retryPolicy: {
      initialInterval: retry.initialIntervalMs,
      nonRetryableErrorTypes: [...(retry.nonRetryableErrorTypes ?? [])],
    },
  });
  return { blockType: task.block, request, temporal: contextOf(temporal, info), group };
}

function msOf(duration: Json): number | undefined {
  const parsed = parseDuration(duration);
  return 'ms' in parsed ? Math.max(1, parsed.ms) : undefined;
}
