import { availableParallelism } from 'node:os';
import { flowError } from '../../dsl/errors';
import type { BatchValues, ExpressionRequest } from '../../dsl/expressions/batch';
import { readProcessUsage } from '../process/process-usage';
import type { ChildUsage } from '../process/protocol';
import { describeFailure } from './expression-failure';
import { ExpressionHost } from './expression-host';
import { ExpressionMemory } from './expression-memory';
import type { Experience } from './job-queue';
import {
  type Answer,
  deadlineOf,
  type EngineLanguage,
  type EngineLimits,
  type HostJob,
  itemExpressions,
  type Job,
  type StopReason,
  type SyntaxQuestion,
} from './protocol';

/** How an engine is made. */
export interface ExpressionEngineOptions {
  /** Path of the compiled host-main.js. */
  readonly entry: string;
  readonly limits?: Partial<EngineLimits>;
}

/** Evaluates expressions outside of the worker's own process: jq, JSONata, and CEL that takes long. */
export interface ExpressionEngine {
  /** Values of a batch. Throws BLW_EXPR_FAILED; an Error where the engine is closed or cannot be started. */
  evaluate(request: ExpressionRequest): Promise<BatchValues>;
  /** What is wrong with the syntax of each expression in jq, or null; `variables` are the names that it may use. */
  checkJq(questions: readonly SyntaxQuestion[]): Promise<(string | null)[]>;
  /** Ends all evaluation; what is under way fails. */
  close(): Promise<void>;
  /** Process ids of what it has started, for logs and tests. */
  pids(): number[];
  /** What its processes use now, and the CPU time of all that it has had; 0 where the system does not say. */
  usage(): ChildUsage;
}

/**
 * A second is a thousand times what an expression takes. 16 threads at the lowest priority cost the others 3 % of a
 * processor; a JSONata thread starts at 15 MB, one of jq at 20, and each may grow to its heap or jq's 256 MB.
 */
export const ENGINE_LIMITS: EngineLimits = {
  deadlineMs: 1_000,
  demoteAfterMs: 100,
  demoteUnderLoadMs: 50,
  maxDemoted: 16,
  fastThreads: availableParallelism(),
  heapMb: 192,
  maxRssMb: 2_048,
};

/** Expressions that one job checks, so that each job stays far from its deadline. */
const CHECKED_TOGETHER = 50;

/** Makes an engine. Its process is started with the first request. */
export function createExpressionEngine({ entry, limits }: ExpressionEngineOptions): ExpressionEngine {
  return new Engine(entry, { ...ENGINE_LIMITS, ...limits });
}

class Engine implements ExpressionEngine {
  #host: ExpressionHost | undefined;
  /** Jobs that ran when a process broke, one after the other in a process of their own. */
  #quarantine: Promise<unknown> = Promise.resolve();
  readonly #memory = new ExpressionMemory();
  readonly #hosts = new Set<ExpressionHost>();
  /** CPU time of each process as it was asked last; of those that have ended, in one sum. */
  readonly #cpuMs = new Map<number, number>();
  #endedCpuMs = 0;
  #isClosed = false;

  constructor(
    private readonly entry: string,
    private readonly limits: EngineLimits,
  ) {}

  async evaluate(request: ExpressionRequest): Promise<BatchValues> {
    const { language } = request;
    const expressions = request.items.flatMap(itemExpressions).map(({ expression }) => expression);
    const experience = this.#memory.of(expressions);
    const job = hostJob({ kind: 'evaluate', request }, language, experience);
    const answer = await this.#do(job);
    if (!('stopped' in answer)) this.#memory.wasQuick(expressions);
    if ('values' in answer) return answer.values;
    if ('detail' in answer) throw flowError('BLW_EXPR_FAILED', answer.detail);
    if (!('stopped' in answer)) throw new Error('an evaluation has no verdicts');
    const expression = expressions[Math.min(answer.expression, expressions.length - 1)] ?? '';
    // With large data the time says nothing of the expression, which other flows may have, too.
    if (job.text.length <= SMALL_JOB_LENGTH) this.#memory.wasStopped(expression);
    throw flowError('BLW_EXPR_FAILED', describeFailure(expression, stopText(answer.stopped, job, this.limits)));
  }

  async checkJq(questions: readonly SyntaxQuestion[]): Promise<(string | null)[]> {
    const verdicts: (string | null)[] = [];
    for (let from = 0; from < questions.length; from += CHECKED_TOGETHER) {
      const some = questions.slice(from, from + CHECKED_TOGETHER);
      verdicts.push(...(await this.#checkSome(some)));
    }
    return verdicts;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all([...this.#hosts].map((host) => host.close()));
  }

  pids(): number[] {
    return [...this.#hosts].flatMap(({ pid, isUsable }) => (pid === undefined || !isUsable ? [] : [pid]));
  }

  usage(): ChildUsage {
    const pids = this.pids();
    let rssBytes = 0;
    for (const pid of pids) {
      const usage = readProcessUsage(pid);
      if (usage === undefined) continue;
      rssBytes += usage.rssBytes;
      this.#cpuMs.set(pid, usage.cpuMs);
    }
    for (const [pid, cpuMs] of this.#cpuMs) {
      if (pids.includes(pid)) continue;
      this.#endedCpuMs += cpuMs;
      this.#cpuMs.delete(pid);
    }
    return { rssBytes, cpuMs: [...this.#cpuMs.values()].reduce((sum, cpuMs) => sum + cpuMs, this.#endedCpuMs) };
  }

  /** Where a job is stopped, its expressions are checked one by one, so that only the one that takes long is blamed. */
  async #checkSome(questions: readonly SyntaxQuestion[]): Promise<(string | null)[]> {
    const job = hostJob({ kind: 'checkJq', questions }, 'jq', 'unknown');
    const answer = await this.#do(job);
    if ('verdicts' in answer) return [...answer.verdicts];
    if (!('stopped' in answer)) throw new Error('a check has no values');
    if (questions.length === 1) return [`to check it ${stopText(answer.stopped, job, this.limits)}`];
    const each = await Promise.all(questions.map((question) => this.#checkSome([question])));
    return each.flat();
  }

  async #do(job: HostJob): Promise<Answer | Stopped> {
    // A process that breaks before the job has begun has not broken by it.
    for (let tries = 0; tries < MAX_STARTS; tries += 1) {
      const outcome = await this.#currentHost().run(job);
      if (this.#isClosed && outcome.kind !== 'answered') break;
      if (outcome.kind === 'answered') return JSON.parse(outcome.answer) as Answer;
      if (outcome.kind === 'stopped') return { stopped: outcome.reason, expression: outcome.expression };
      if (outcome.began) return await this.#doAlone(job);
    }
    throw new Error(
      this.#isClosed ? 'the worker is stopping' : 'the process that evaluates expressions cannot be started',
    );
  }

  /** A job that ran when its process broke: alone, so that if it breaks again, it was this one. */
  async #doAlone(job: HostJob): Promise<Answer | Stopped> {
    const turn = this.#quarantine.then(async (): Promise<Answer | Stopped> => {
      const host = this.#newHost();
      try {
        const outcome = await host.run(job);
        if (outcome.kind === 'answered') return JSON.parse(outcome.answer) as Answer;
        if (outcome.kind === 'stopped') return { stopped: outcome.reason, expression: outcome.expression };
        return { stopped: 'memory', expression: 0 };
      } finally {
        await host.close();
        this.#hosts.delete(host);
      }
    });
    this.#quarantine = turn.catch(() => undefined);
    return await turn;
  }

  #currentHost(): ExpressionHost {
    if (this.#host?.isUsable !== true) {
      if (this.#host !== undefined) this.#hosts.delete(this.#host);
      this.#host = this.#newHost();
    }
    return this.#host;
  }

  #newHost(): ExpressionHost {
    if (this.#isClosed) throw new Error('the worker is stopping');
    const host = new ExpressionHost({ entry: this.entry, limits: this.limits });
    this.#hosts.add(host);
    return host;
  }
}

/** Up to this length a job that takes too long does so for its expressions, and not for its data. */
const SMALL_JOB_LENGTH = 100_000;

function hostJob(job: Job, language: EngineLanguage, experience: Experience): HostJob {
  return { text: JSON.stringify(job), language, experience };
}

/** How often a process is started for one job, where it breaks before the job begins. */
const MAX_STARTS = 5;

interface Stopped {
  readonly stopped: StopReason;
  readonly expression: number;
}

function stopText(reason: StopReason, { text }: HostJob, limits: EngineLimits): string {
  switch (reason) {
    case 'deadline':
      return `took longer than ${deadlineOf(text, limits)} ms`;
    case 'memory':
      return 'used too much memory';
    case 'crashed':
      return 'broke its evaluator';
  }
}
