import { setCurrentDetails, workflowInfo } from '@temporalio/workflow';
import type { JsonObject } from '../dsl/json';
import type { FlowStatus } from '../dsl/names';
import type { FlowProgress, StepProgress, StepStatus } from '../dsl/progress';
import type { QuotaNeed } from '../dsl/quota';
import type { FlowSpans } from './tracing/flow-spans';

/** Executions that are kept for the query; a long loop would otherwise grow every cached workflow. */
const KEPT_STEPS = 1_000;

/** Of these, what goes on to the next run when a flow continues as new. */
const CARRIED_STEPS = 100;

/** Notes that are kept. */
const KEPT_NOTES = 20;

/** Running steps named in the current details. */
const NAMED_STEPS = 5;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** What a step that stands still is shown to do, in place of its block. */
const WAITS: Partial<Record<StepStatus, string>> = {
  awaitingApproval: 'awaits approval',
  awaitingQuota: 'awaits quota',
  listening: 'listens',
  deadLettered: 'is a dead letter',
};

/** Handle of one execution of one step while it runs. */
export interface TrackedStep {
  /** As it is shown now. */
  readonly shown: StepProgress;
  /** Number of its span; absent: the flow is not traced. */
  readonly span: number | undefined;
  update(changes: {
    status?: StepStatus;
    approval?: string;
    child?: string;
    attempts?: number;
    cached?: true;
    error?: JsonObject | undefined;
  }): void;
  /** The step waits for a quota; its next status ends that. `need`: which one, where that is known. */
  awaitQuota(need: QuotaNeed | undefined): void;
  /** It ran before the flow came to it; in ms since 1970. */
  ranAt(times: { readonly startedAt: number; readonly endedAt: number }): void;
  /** Which worker ran its last attempt. */
  ranOn(worker: string | undefined): void;
  end(status: StepStatus, error?: JsonObject): void;
}

/** What of the progress goes on when a flow continues as new. */
export interface ProgressState {
  readonly startedAt: number;
  readonly version: number;
  readonly seq: number;
  readonly stepsStarted: number;
  readonly stepsEnded: number;
  readonly steps: readonly StepProgress[];
  readonly notes?: readonly string[];
}

/** What a tracked step is. */
export interface StepDescription {
  readonly id: string;
  readonly name: string;
  readonly iteration?: string;
  readonly block: string;
  readonly pool?: string;
}

/** Keeps what the query `progress` and the current details of Temporal's UI show. Costs no history. */
export class ProgressTracker {
  flow = '';
  tenant = '';
  status: FlowStatus = 'Running';
  /** Absent: the flow is not traced. */
  spans: FlowSpans | undefined;
  /** How long the run waited for a worker belongs to the flow. */
  #startedAt = workflowInfo().startTime.getTime();
  #version = 0;
  #seq = 0;
  #stepsStarted = 0;
  #stepsEnded = 0;
  /** By sequence number, oldest first; each with the version of its last change. */
  readonly #steps = new Map<number, { step: Mutable<StepProgress>; version: number }>();
  /** Running leaf steps, by sequence number. */
  readonly #running = new Map<number, StepProgress>();
  readonly #notes: string[] = [];
  #waitsFor: QuotaNeed | undefined;

  /** `around`: number of the span of the task that the step is in. */
  begin(description: StepDescription, around?: number): TrackedStep {
    this.#stepsStarted += 1;
    return this.#track(description, { startedAt: Date.now(), around });
  }

  /** A step that began before the flow continued as new. */
  resume(description: StepDescription, begun: { startedAt: number; around?: number | undefined }): TrackedStep {
    return this.#track(description, begun);
  }

  /** Keeps what nobody was there to be told, such as an event that was refused. */
  note(text: string): void {
    this.#notes.push(text);
    if (this.#notes.length > KEPT_NOTES) this.#notes.shift();
    this.#version += 1;
  }

  /** What the flow waits for before its first step; undefined: nothing any more. */
  waitFor(need: QuotaNeed | undefined): void {
    this.#waitsFor = need;
    this.#version += 1;
  }

  /** When the first run was started, in ms since 1970. */
  get startedAt(): number {
    return this.#startedAt;
  }

  /** What the next run of the flow goes on with; of the steps, the newest that have ended. */
  state(): ProgressState {
    const ended = [...this.#steps.values()].map(({ step }) => step).filter(({ endedAt }) => endedAt !== undefined);
    return {
      startedAt: this.#startedAt,
      version: this.#version,
      seq: this.#seq,
      stepsStarted: this.#stepsStarted,
      stepsEnded: this.#stepsEnded,
      steps: ended.slice(-CARRIED_STEPS),
      ...(this.#notes.length === 0 ? {} : { notes: [...this.#notes] }),
    };
  }

  restore({ startedAt, version, seq, stepsStarted, stepsEnded, steps, notes = [] }: ProgressState): void {
    this.#startedAt = startedAt;
    this.#version = version;
    this.#seq = seq;
    this.#stepsStarted = stepsStarted;
    this.#stepsEnded = stepsEnded;
    for (const step of steps) this.#steps.set(step.seq, { step, version });
    this.#notes.unshift(...notes);
  }

  #track(
    description: StepDescription,
    { startedAt, around = 0 }: { startedAt: number; around?: number | undefined },
  ): TrackedStep {
    const { spans } = this;
    const seq = ++this.#seq;
    const step: Mutable<StepProgress> = { seq, ...description, status: 'running', startedAt };
    const entry = { step, version: ++this.#version };
    this.#steps.set(seq, entry);
    this.#running.set(seq, step);
    this.#dropOldest();
    this.#showDetails();
    const span = spans?.begin(step, around);
    let ranUntil: number | undefined;
    return {
      shown: step,
      span,
      update: (changes) => {
        delete step.waitsFor;
        const { status } = changes;
        if (status !== undefined) ranUntil = undefined;
        if (span !== undefined && status !== undefined && status !== step.status) spans?.happened(span, status);
        Object.assign(step, changes);
        entry.version = ++this.#version;
        this.#showDetails();
      },
      awaitQuota: (need) => {
        step.status = 'awaitingQuota';
        if (span !== undefined) spans?.happened(span, 'awaitingQuota', need && { reason: need.reason });
        if (need !== undefined) step.waitsFor = need;
        entry.version = ++this.#version;
        this.#showDetails();
      },
      ranAt: (times) => {
        step.startedAt = times.startedAt;
        ranUntil = times.endedAt;
      },
      ranOn: (worker) => {
        if (span !== undefined && worker !== undefined) spans?.ranOn(span, worker);
      },
      end: (status, error) => {
        delete step.waitsFor;
        step.status = status;
        step.endedAt = ranUntil ?? Date.now();
        if (error !== undefined) step.error = error;
        if (span !== undefined) spans?.end(span);
        entry.version = ++this.#version;
        this.#stepsEnded += 1;
        this.#running.delete(seq);
        this.#showDetails();
      },
    };
  }

  setStatus(status: FlowStatus): void {
    this.status = status;
    this.#version += 1;
    this.#showDetails();
  }

  snapshot(since = 0): FlowProgress {
    const steps = [...this.#steps.values()].filter(({ version }) => version > since).map(({ step }) => ({ ...step }));
    return {
      flow: this.flow,
      tenant: this.tenant,
      status: this.status,
      startedAt: this.#startedAt,
      stepsStarted: this.#stepsStarted,
      stepsEnded: this.#stepsEnded,
      steps,
      ...(this.#waitsFor === undefined ? {} : { waitsFor: this.#waitsFor }),
      ...(this.#notes.length === 0 ? {} : { notes: [...this.#notes] }),
      version: this.#version,
    };
  }

  #dropOldest(): void {
    if (this.#steps.size <= KEPT_STEPS) return;
    for (const [seq, { step }] of this.#steps) {
      if (step.endedAt === undefined) continue;
      this.#steps.delete(seq);
      return;
    }
  }

  #showDetails(): void {
    const names: string[] = [];
    for (const { id, block, iteration, status, waitsFor } of this.#running.values()) {
      if (names.length === NAMED_STEPS) break;
      const what = `${WAITS[status] ?? block}${waitsFor === undefined ? '' : ` \`${waitsFor.reason}\``}`;
      names.push(`- \`${id}\`${iteration === undefined ? '' : ` [${iteration}]`} ${what}`);
    }
    const more = this.#running.size > names.length ? `\n- and ${this.#running.size - names.length} more` : '';
    const running = names.length === 0 ? '' : `\n\nNow:\n${names.join('\n')}${more}`;
    setCurrentDetails(
      `**${this.status}** · ${this.#stepsEnded} of ${this.#stepsStarted} steps that began have ended${running}`,
    );
  }
}
