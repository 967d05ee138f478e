import { documentedReport } from '../../dsl/dry-run/documented-report';
import type { DryRunPlan, DryStep, OnlyPlan } from '../../dsl/dry-run/dry-run';
import type { StepMock } from '../../dsl/dry-run/mock';
import { answersFrom } from '../../dsl/dry-run/mock-table';
import {
  type DryRunReport,
  type DryRunSoFar,
  type ReportState,
  ReportWriter,
  roomForVisits,
  type StepEntry,
  type StepNotes,
} from '../../dsl/dry-run/report';
import { unusedMocks } from '../../dsl/dry-run/unused-mocks';
import { VisitCounter } from '../../dsl/dry-run/visits';
import { type FlowError, type FlowErrorData, flowError, flowErrorToJson } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import { withoutPlaceholders } from '../../dsl/placeholders';
import type { CallPlan, SubflowPlan, SwitchPlan, TaskPlan, TryPlan } from '../../dsl/planning/plan';
import type { StepProgress } from '../../dsl/progress';
import type { StartInput } from '../../dsl/start';
import type { TrackedStep } from '../progress-tracker';
import type { TaskScope } from '../scope';
import { MockedAnswers } from './mocked-answers';
import type { BegunRehearsal, RehearsalState } from './rehearsal-state';
import { VirtualClock } from './virtual-clock';

/** Steps of a dry run: where waits are skipped, a loop that waits for something else would never end. */
const MAX_STEPS = 20_000;

/** What a report names of what a step was not given. */
const MAX_NOT_GIVEN = 100;

/** The dry run of a flow: how far it is, and what is told of it in the end. */
export class Rehearsal {
  readonly #writer: ReportWriter;
  readonly #entries = new WeakMap<StepProgress, StepEntry>();
  /** Absent: nobody asked for it. */
  readonly #visits: VisitCounter | undefined;
  /** What steps are answered by mocks. */
  readonly answers: MockedAnswers;
  /** On which skipped time passes; absent: time is waited, or the history is one of before, which adds up what is skipped. */
  readonly clock: VirtualClock | undefined;
  #skippedMs: number;
  #steps: number;
  /** Of a step that ran alone, once it has completed. */
  #after: Pick<DryRunReport, 'context' | 'next'> = {};

  constructor(
    private readonly plan: DryRunPlan,
    state: RehearsalState | undefined,
  ) {
    this.#writer = new ReportWriter(state?.report);
    this.answers = new MockedAnswers(plan.mocks, state);
    this.#skippedMs = state?.skippedMs ?? 0;
    this.clock = plan.keepsTime === true ? new VirtualClock(this.#skippedMs) : undefined;
    this.#steps = state?.steps ?? 0;
    this.#visits = plan.coverage === true ? new VisitCounter(state?.visits) : undefined;
  }

  /** The step that runs alone; undefined: the flow runs. */
  get only(): OnlyPlan | undefined {
    return this.plan.only;
  }

  /** What there is to tell of that step, once it has completed. */
  endOnly(after: { context: Json; next: string | null }): void {
    this.#after = after;
  }

  /** Time is waited where the flow waits. */
  get waits(): boolean {
    return this.plan.waits === true;
  }

  /** Time that was not waited, in ms: it has passed for the flow. */
  get skippedMs(): number {
    return this.clock?.now ?? this.#skippedMs;
  }

  /** To be called before each step. Throws BLW_STEP_LIMIT. */
  countStep(): void {
    this.#countSteps(1);
  }

  #countSteps(count: number): void {
    this.#steps += count;
    if (this.#steps <= MAX_STEPS) return;
    const detail = `the dry run has made ${MAX_STEPS} steps, expected it to end; mock what its loop waits for`;
    throw flowError('BLW_STEP_LIMIT', detail);
  }

  /** A step begins, or goes on in a new history. */
  begin({ shown }: TrackedStep, { isResumed }: { isResumed: boolean }): void {
    const entry = this.#writer.begin(shown);
    if (entry !== undefined) this.#entries.set(shown, entry);
    if (!isResumed) this.#visits?.begin(shown.id);
  }

  /** To be called where a step has ended, or stands still until the flow goes on in a new history. */
  end({ shown: { id, status } }: TrackedStep): void {
    this.#visits?.end(id, status);
  }

  /** Which case a `switch` takes; undefined: none matches. */
  choose({ path }: SwitchPlan, step: TrackedStep, name: string | undefined): void {
    this.note(step, { case: name ?? null });
    this.#visits?.choose(path, name ?? null);
  }

  /** The `catch` of a `try` handles an error. */
  catches({ path }: TryPlan): void {
    this.#visits?.catches(path);
  }

  note({ shown }: TrackedStep, notes: StepNotes): void {
    const entry = this.#entries.get(shown);
    if (entry !== undefined) this.#writer.note(entry, notes);
  }

  /** The arguments of a step, with `***` for its secrets, and what it would have done. */
  noteInput({ shown }: TrackedStep, input: Json, would?: string): void {
    const entry = this.#entries.get(shown);
    if (entry === undefined) return;
    this.#writer.note(entry, { input }, masked);
    if (would !== undefined) this.#writer.note(entry, { would: withoutPlaceholders(would) });
  }

  /** What was noted of a step so far. */
  notesOf({ shown }: TrackedStep): StepNotes {
    return this.#entries.get(shown)?.notes ?? {};
  }

  /** The report of a flow that a step ran: what is mocked there is from where the step's mock is. */
  noteFlow(step: TrackedStep, report: DryRunReport, { task, scope }: { task: SubflowPlan; scope: TaskScope }): void {
    const isDocumented = this.answers.entryOf(task, scope)?.source === 'document';
    this.note(step, { flow: isDocumented ? documentedReport(report) : report });
  }

  /** Says of a step that failed for good what would become of it. */
  noteDeadLetter({ shown }: TrackedStep): void {
    const entry = this.#entries.get(shown);
    if (entry === undefined) return;
    const would = `${entry.notes.would ?? 'would run'}; failed for good, it would wait for people as a dead letter`;
    this.#writer.note(entry, { would });
  }

  /** Says of a step that starts a flow and does not wait for it that this flow would fail. */
  noteUnawaited(step: TrackedStep, { flow }: SubflowPlan, { message }: FlowError): void {
    this.note(step, { would: `would start the flow ${flow} and go on; that flow would fail: ${message}` });
  }

  /** Without a clock: time is not waited. */
  skip(ms: number): void {
    this.#skippedMs += ms;
  }

  /** As {@link skip}, for what histories of before do not count: times decide how often a `try` tries. */
  pass(ms: number): void {
    if (this.plan.countsTime === true) this.#skippedMs += ms;
  }

  /** What the worker is told of a step. */
  requestOf(task: CallPlan, scope: TaskScope): DryStep {
    const { answers } = this;
    const mock: StepMock | undefined = answers.mockOf(task, scope);
    const { schema, as } = task.output ?? {};
    return {
      resources: task.resources,
      ...(mock === undefined ? {} : { answers: answersFrom(mock.answers, answers.attemptsOf(task, scope)) }),
      ...(schema === undefined || as !== undefined ? {} : { schema }),
    };
  }

  /** Of the start input of a flow that a step runs. */
  startOf(task: TaskPlan, scope: TaskScope): Pick<StartInput, 'mode' | 'mocks' | 'waits' | 'awaited'> {
    const inner = this.answers.entryOf(task, scope)?.inner;
    return {
      mode: 'dry-run',
      awaited: true,
      ...(inner === undefined ? {} : { mocks: inner }),
      ...(this.waits ? { waits: 'real' } : {}),
    };
  }

  /** What a batch of the loop, which runs in a workflow of its own, begins with. */
  begunOf(task: TaskPlan, rounds: { iteration: string; from: number; to: number }): BegunRehearsal {
    return { attempts: this.answers.attemptsIn(task, rounds), steps: this.#steps };
  }

  /**
   * Steps of a batch of a loop, which ran in a workflow of its own and began with `begun`. On a clock its time is for the caller to let pass.
   * Throws BLW_STEP_LIMIT.
   */
  take(state: RehearsalState | undefined, begun: BegunRehearsal | undefined): void {
    if (state === undefined) return;
    this.#writer.add(state.report);
    this.answers.take(state);
    this.pass(state.skippedMs);
    this.#visits?.add(state.visits ?? {});
    this.#countSteps(Math.max(0, state.steps - (begun?.steps ?? 0)));
  }

  /** What goes on in a new history: steps that stand still now begin again there. */
  state({ onlyEnded }: { onlyEnded: boolean }): RehearsalState {
    return {
      report: this.#writer.state({ onlyEnded }),
      ...this.answers.state(),
      skippedMs: this.skippedMs,
      steps: this.#steps,
      ...(this.#visits === undefined ? {} : { visits: this.#visits.state() }),
    };
  }

  /** The report of a flow that has ended. */
  report(flow: { flow: string; tenant: string }, end: { output: Json } | { error: FlowErrorData }): DryRunReport {
    const told = this.#writer.state();
    return {
      dryRun: true,
      ...flow,
      ...('output' in end
        ? { status: 'completed', output: end.output }
        : { status: 'failed', error: flowErrorToJson(end.error) }),
      ...this.#told(told),
      ...this.#visited(told),
      ...unusedMocks(this.plan, this.answers.used),
      ...this.#alone(),
    };
  }

  /** What there is to tell while it runs; changes nothing. */
  soFar(flow: { flow: string; tenant: string }): DryRunSoFar {
    return { ...flow, ...this.#told(this.#writer.state()) };
  }

  #told({ steps, omitted }: ReportState): Pick<DryRunReport, 'steps' | 'omittedSteps' | 'skippedMs'> {
    const { skippedMs } = this;
    return {
      steps,
      ...(omitted === 0 ? {} : { omittedSteps: omitted }),
      ...(skippedMs === 0 ? {} : { skippedMs }),
    };
  }

  #alone(): Pick<DryRunReport, 'only' | 'context' | 'next' | 'notGiven'> {
    const { only } = this;
    if (only === undefined) return {};
    const notGiven = [...new Set(Object.values(only.notGiven).flat())].slice(0, MAX_NOT_GIVEN);
    return { only: only.path, ...this.#after, ...(notGiven.length === 0 ? {} : { notGiven }) };
  }

  #visited(told: ReportState): Pick<DryRunReport, 'visits' | 'omittedVisits'> {
    if (this.#visits === undefined) return {};
    const { visits, omitted } = this.#visits.within(roomForVisits(told));
    return { visits, ...(omitted === 0 ? {} : { omittedVisits: omitted }) };
  }
}

/** As it may be shown: a placeholder stands for a secret. */
function masked(value: Json): Json {
  return JSON.parse(withoutPlaceholders(JSON.stringify(value))) as Json;
}
