import { jsonBytes } from '../encoded-json';
import type { ErrorCode } from '../error-codes';
import type { Json, JsonObject } from '../json';
import type { StepProgress, StepStatus } from '../progress';
import { SCRIPT_BLOCK } from '../script';
import type { MockDecision } from './mock';
import type { AnswerSource } from './mock-table';
import type { Visits } from './visits';

/** Result of a dry run. Scripts read it: add optional fields, never change one. */
export interface DryRunReport {
  /** Tells a report from the output of a flow. */
  readonly dryRun: true;
  /** `namespace/name:version`. */
  readonly flow: string;
  readonly tenant: string;
  readonly status: 'completed' | 'failed';
  /** Of a flow that completed. */
  readonly output?: Json;
  /** Of one that failed, in the shape of OWS. */
  readonly error?: JsonObject;
  /** What ran, in the order in which it began. */
  readonly steps: readonly ReportedStep[];
  /** Steps that ran and are not in the list, which has room for only so many. */
  readonly omittedSteps?: number;
  /** Time that passed for the flow and was not waited, in ms; absent: none. Of what happens side by side the longest counts. */
  readonly skippedMs?: number;
  /** Where the start asked for `coverage`: how often each step was come to, by path; absent are those that were not. */
  readonly visits?: Visits;
  /** Steps that were come to and are not in `visits`, which has room for only so many. */
  readonly omittedVisits?: number;
  /** Paths of steps that the start's `mocks` are for and that did not run, as far as there is room; absent: none. */
  readonly unusedMocks?: readonly string[];
  /** Where one step ran alone: its path. `output` is the step's then. */
  readonly only?: string;
  /** Of that step, where it completed: the context after its `export`. */
  readonly context?: Json;
  /** Likewise where the flow would go on: at the step of that name, `end` or `exit`; null: its list is through. */
  readonly next?: string | null;
  /** What expressions of that step read and it was not given, e.g. `variables.item`; absent: nothing. */
  readonly notGiven?: readonly string[];
}

/** Answer of the query `dryRunSteps`: a report as far as it goes, also of a dry run that was ended before there was one. */
export type DryRunSoFar = Pick<DryRunReport, 'flow' | 'tenant' | 'steps' | 'omittedSteps' | 'skippedMs'>;

/** One execution of one step in a dry run. */
export interface ReportedStep {
  /** JSON Pointer of the step in its document. */
  readonly path: string;
  readonly name: string;
  /** Indexes of the loops around the step, e.g. `2` or `0.4`; absent outside of loops. */
  readonly iteration?: string;
  /** Block type (`http.request`) or kind of task (`switch`). */
  readonly block: string;
  readonly status: StepStatus;
  readonly attempts?: number;
  /** Of several attempts: what those before the last were answered, the first 20 of them. */
  readonly failedAttempts?: readonly FailedAttempt[];
  /** Its arguments, resolved; `***` stands for a secret. Absent where it has none. */
  readonly input?: Json;
  /** What it would have done, in words; absent: nothing outside of the flow. */
  readonly would?: string;
  /** Where its answer comes from; absent: there is none, since the step asks nobody. `computed`: of a script, which really ran. */
  readonly answer?: AnswerSource | 'computed';
  /** Of an approval: what was decided; `timedOut`: nobody did. */
  readonly decision?: MockDecision['decision'];
  /** Of a `switch`: the case that was taken; null: none matched. */
  readonly case?: string | null;
  readonly output?: Json;
  readonly error?: JsonObject;
  /** Of a step that runs another flow: that flow's report. */
  readonly flow?: DryRunReport;
  /** Values that were too large for the report and are not in it. */
  readonly cut?: readonly CutKey[];
}

/** Values of a step that may have no room. */
export type CutKey = 'input' | 'output' | 'error' | 'flow' | 'failedAttempts';

/** An attempt that was made again, as its mock has it. */
export interface FailedAttempt {
  /** Counted from 1. */
  readonly attempt: number;
  readonly code?: ErrorCode;
  readonly type?: string;
  readonly status?: number;
  readonly detail?: string;
}

/** What is added to the progress of a step. */
export type StepNotes = Partial<
  Pick<Mutable<ReportedStep>, 'input' | 'would' | 'answer' | 'decision' | 'case' | 'output' | 'flow' | 'failedAttempts'>
>;

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** Largest value in a report, in bytes of JSON. */
const MAX_VALUE_BYTES = 16_384;

/** Of all values and steps together: a report stays below the size from which payloads are kept in a store. */
const MAX_REPORT_BYTES = 200_000;

/** With the visits, which take what the steps leave and at least the difference: still below that size. */
const MAX_COUNTED_BYTES = 250_000;

/** What a step takes beside its names and values, at most. */
const STEP_BYTES = 200;

/** True for the result of a dry run, as against the output of a flow. */
export function isDryRunReport(value: unknown): value is DryRunReport {
  return (
    typeof value === 'object' &&
    value !== null &&
    (value as Partial<DryRunReport>).dryRun === true &&
    Array.isArray((value as Partial<DryRunReport>).steps)
  );
}

/** What is kept of a report that is being written, when the flow goes on with a new history. */
export interface ReportState {
  readonly steps: readonly ReportedStep[];
  readonly omitted: number;
  readonly bytes: number;
}

/** A step that is in the report: what its progress says of it is read once the report is wanted. */
export interface StepEntry {
  readonly shown: StepProgress;
  readonly notes: StepNotes & { cut?: CutKey[] };
  /** Of the report's room. */
  bytes: number;
}

/** Writes the steps of a report, within its room: what has none is not kept until then either. Pure, so that it can be part of a workflow. */
export class ReportWriter {
  readonly #steps: (ReportedStep | StepEntry)[];
  #omitted: number;
  #bytes: number;

  constructor(state: ReportState = { steps: [], omitted: 0, bytes: 0 }) {
    this.#steps = [...state.steps];
    this.#omitted = state.omitted;
    this.#bytes = state.bytes;
  }

  /** A step begins; undefined: there is no room for it. */
  begin(shown: StepProgress): StepEntry | undefined {
    const entry = { shown, notes: {}, bytes: 0 };
    if (!this.#takes(STEP_BYTES + jsonBytes([shown.id, shown.name]), entry)) {
      this.#omitted += 1;
      return undefined;
    }
    this.#steps.push(entry);
    return entry;
  }

  /** Adds to what is told of a step; `show` makes a value what may be shown of it, and is called only where there is room. */
  note(
    entry: StepEntry,
    { input, output, flow, failedAttempts, would, ...others }: StepNotes,
    show = (value: Json): Json => value,
  ): void {
    const { notes } = entry;
    Object.assign(notes, others);
    if (would !== undefined && this.#takes(jsonBytes(would), entry)) notes.would = would;
    for (const [key, value] of Object.entries({ input, output, flow, failedAttempts })) {
      if (value === undefined) continue;
      delete notes[key as 'input'];
      const bytes = jsonBytes(value);
      const shown = hasRoom(key, bytes) && this.#takes(bytes, entry) ? show(value as unknown as Json) : undefined;
      if (shown === undefined) notes.cut = [...(notes.cut ?? []), key as CutKey];
      else notes[key as 'input'] = shown;
    }
  }

  /** Steps that were reported elsewhere: by a batch of a loop. */
  add({ steps, omitted }: Pick<ReportState, 'steps' | 'omitted'>): void {
    this.#omitted += omitted;
    for (const step of steps) {
      if (this.#takes(jsonBytes(step))) this.#steps.push(step);
      else this.#omitted += 1;
    }
  }

  /**
   * The steps as they are now; with `onlyEnded` without those that still run, which are begun again elsewhere, and take their room there.
   * Changes nothing.
   */
  state({ onlyEnded = false } = {}): ReportState {
    const steps: ReportedStep[] = [];
    let bytes = this.#bytes;
    for (const entry of this.#steps) {
      if (!('shown' in entry)) steps.push(entry);
      else if (onlyEnded && entry.shown.endedAt === undefined) bytes -= entry.bytes;
      else {
        const { error } = entry.shown;
        const errorBytes = error === undefined ? 0 : jsonBytes(error);
        const isErrorKept = hasRoom('error', errorBytes) && bytes + errorBytes <= MAX_REPORT_BYTES;
        if (isErrorKept) bytes += errorBytes;
        steps.push(reported(entry, isErrorKept));
      }
    }
    return { steps, omitted: this.#omitted, bytes };
  }

  #takes(bytes: number, entry?: StepEntry): boolean {
    if (this.#bytes + bytes > MAX_REPORT_BYTES) return false;
    this.#bytes += bytes;
    if (entry !== undefined) entry.bytes += bytes;
    return true;
  }
}

/** Of bytes: what visits may take beside the steps of a report. */
export function roomForVisits({ bytes }: ReportState): number {
  return MAX_COUNTED_BYTES - bytes;
}

/** Whether a value is small enough; the report of another flow has been kept small where it was written. */
function hasRoom(key: string, bytes: number): boolean {
  return key === 'flow' || bytes <= MAX_VALUE_BYTES;
}

function reported({ shown, notes }: StepEntry, isErrorKept: boolean): ReportedStep {
  const { id: path, name, iteration, block, status, attempts, error } = shown;
  const { would, answer, decision, case: taken, cut = [], ...values } = notes;
  const allCut: CutKey[] = error === undefined || isErrorKept ? cut : [...cut, 'error'];
  return {
    path,
    name,
    ...(iteration === undefined ? {} : { iteration }),
    block,
    status,
    ...(attempts === undefined ? {} : { attempts }),
    ...(would === undefined ? {} : { would }),
    ...(answer === undefined ? {} : { answer: answer === 'generated' && block === SCRIPT_BLOCK ? 'computed' : answer }),
    ...(decision === undefined ? {} : { decision }),
    ...(taken === undefined ? {} : { case: taken }),
    ...values,
    ...(error !== undefined && isErrorKept ? { error } : {}),
    ...(allCut.length === 0 ? {} : { cut: allCut }),
  };
}
