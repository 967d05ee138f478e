import { formatDuration } from '../durations';
import type { JsonObject } from '../json';
import type { StepProgress, StepStatus } from '../progress';
import type { GraphState } from './graph';

/** How far a run is with a step, in words and for colours. */
export interface StepSummary {
  readonly state: GraphState;
  /** Lines of a label; the first begins with the status. */
  readonly lines: readonly string[];
}

/** When a run is looked at. */
export interface Moment {
  /** Until when steps that have not ended have lasted, in ms since 1970: now, or the end of the run. */
  readonly until: number;
  /** What became of steps that did not end before the run was over; absent while it runs. */
  readonly unended?: 'completed' | 'stopped';
}

type ShownStatus = StepStatus | 'stopped';

/** Statuses in the order in which they are told; the first one that occurs gives the colour. */
const STATUSES: Readonly<Record<ShownStatus, { readonly word: string; readonly counted: string; state: GraphState }>> =
  {
    deadLettered: { word: 'dead letter', counted: 'dead letters', state: 'failed' },
    awaitingApproval: { word: 'awaiting approval', counted: 'awaiting approval', state: 'waiting' },
    awaitingQuota: { word: 'awaiting quota', counted: 'awaiting quota', state: 'waiting' },
    listening: { word: 'listening', counted: 'listening', state: 'waiting' },
    running: { word: 'running', counted: 'running', state: 'running' },
    failed: { word: 'failed', counted: 'failed', state: 'failed' },
    stopped: { word: 'was running', counted: 'were running', state: 'cancelled' },
    cancelled: { word: 'cancelled', counted: 'cancelled', state: 'cancelled' },
    completed: { word: 'completed', counted: 'done', state: 'completed' },
    skipped: { word: 'skipped', counted: 'skipped', state: 'skipped' },
  };

/** Error codes that are named; more are counted. */
const NAMED_CODES = 2;

/** Sums up the executions of one step, oldest first; there is one at least. */
export function summarizeStep(executions: readonly StepProgress[], moment: Moment): StepSummary {
  const iterations = latestByIteration(executions);
  const counts = new Map<ShownStatus, number>();
  for (const step of iterations) {
    const status = statusAt(step, moment);
    counts.set(status, (counts.get(status) ?? 0) + 1);
  }
  const present = (Object.keys(STATUSES) as ShownStatus[]).filter((status) => counts.has(status));
  const [first = 'completed'] = present;
  const [only] = iterations;
  const codes = errorCodes(iterations, moment);
  if (only !== undefined && iterations.length === 1) {
    const line = [STATUSES[first].word, ...codes].join(' ');
    return { state: STATUSES[first].state, lines: [line, ...lineOf(detailsOfOne(only, executions.length, moment))] };
  }
  const line = present.map((status) => `${counts.get(status)} ${STATUSES[status].counted}`).join(', ');
  return {
    state: STATUSES[first].state,
    lines: [line, ...lineOf(codes), ...lineOf(detailsOfMany(iterations, executions.length))],
  };
}

/** Of what a `then` or a retry ran again, the last execution counts: one for each place in the loops around. */
function latestByIteration(executions: readonly StepProgress[]): StepProgress[] {
  const latest = new Map<string, StepProgress>();
  for (const step of executions) latest.set(placeInLoops(step), step);
  return [...latest.values()];
}

/** The iteration without the numbers of repeated visits (`1.2~3` of `src/workflows/scope.ts`). */
function placeInLoops({ iteration = '' }: StepProgress): string {
  const parts = iteration.split('.').filter((part) => !part.includes('~'));
  return parts.join('.');
}

function statusAt({ status, endedAt }: StepProgress, { unended }: Moment): ShownStatus {
  return endedAt === undefined && unended !== undefined ? unended : status;
}

function detailsOfOne(step: StepProgress, runs: number, moment: Moment): string[] {
  const { attempts = 1, cached, startedAt, endedAt = moment.until, status } = step;
  return [
    ...(runs > 1 ? [`${runs} runs`] : []),
    ...(attempts > 1 ? [`${attempts} attempts`] : []),
    ...(cached === true ? ['cached'] : []),
    ...(status === 'skipped' ? [] : [formatDuration(Math.max(0, endedAt - startedAt))]),
  ];
}

function detailsOfMany(iterations: readonly StepProgress[], runs: number): string[] {
  const attempts = iterations.reduce((most, step) => Math.max(most, step.attempts ?? 1), 1);
  const cached = iterations.filter((step) => step.cached === true).length;
  const durations = iterations.flatMap(({ startedAt, endedAt, status }) =>
    endedAt === undefined || status === 'skipped' ? [] : [endedAt - startedAt],
  );
  const total = durations.reduce((sum, ms) => sum + Math.max(0, ms), 0);
  return [
    ...(runs > iterations.length ? [`${runs} runs`] : []),
    ...(attempts > 1 ? [`up to ${attempts} attempts`] : []),
    ...(cached > 0 ? [`${cached} cached`] : []),
    ...(durations.length > 0 ? [`${formatDuration(Math.round(total / durations.length))} on average`] : []),
  ];
}

function errorCodes(iterations: readonly StepProgress[], moment: Moment): string[] {
  const failed = iterations.filter((step) => ['failed', 'deadLettered'].includes(statusAt(step, moment)));
  const codes = [...new Set(failed.flatMap(({ error }) => errorCode(error) ?? []))];
  return codes.length > NAMED_CODES
    ? [...codes.slice(0, NAMED_CODES), `and ${codes.length - NAMED_CODES} more`]
    : codes;
}

/** The stable code of an error, else the telling end of its type; never its text, which may have data of the flow. */
export function errorCode(error: JsonObject | undefined): string | undefined {
  if (typeof error?.code === 'string') return error.code;
  return typeof error?.type === 'string' ? error.type.split('/').at(-1) || undefined : undefined;
}

function lineOf(parts: readonly string[]): string[] {
  return parts.length === 0 ? [] : [parts.join(', ')];
}
