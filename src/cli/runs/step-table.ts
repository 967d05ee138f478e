import { formatDuration } from '../../dsl/durations';
import { shortText } from '../../dsl/problems';
import type { FlowProgress, StepProgress } from '../../dsl/progress';
import { printable, type Style } from '../output';
import { GROUPS, placeOf, reasonOf } from '../progress-printer';
import { describeNeed } from '../quota-notices';
import { formatTable } from '../table';
import type { PendingActivity } from './pending-activities';
import { momentOf } from './run-list-view';

const HEADER = ['STEP', 'STATUS', 'BLOCK', 'POOL', 'ATTEMPTS', 'STARTED', 'TOOK', 'WHY'];

/** Rows of the table; more are in `--json`. */
const MAX_ROWS = 40;

const MAX_REASON_LENGTH = 160;

/** When a run is looked at. */
export interface Look {
  /** Now, or when the run ended, in ms since 1970. */
  readonly until: number;
  /** What of it Temporal has under way. */
  readonly pending: readonly PendingActivity[];
}

/** The steps as a table; of many, those that have not ended, those that failed, and the newest others. */
export function stepTable(progress: FlowProgress, look: Look, style: Style): string[] {
  const { tenant } = progress;
  // What a group is about its steps say.
  const steps = progress.steps.filter(({ block, status }) => !GROUPS.has(block) || status === 'skipped');
  const shown = choose(steps);
  const rows = shown.map((step) => rowOf(step, { ...look, tenant }).map(printable));
  const left = steps.length - shown.length;
  return [
    ...formatTable(HEADER, rows, style),
    ...(left > 0 ? [style.dim(`… and ${left} more that have ended; --json has them`)] : []),
  ];
}

/** In the order in which they began. */
function choose(steps: readonly StepProgress[]): StepProgress[] {
  const rank = ({ endedAt, status }: StepProgress) => (endedAt === undefined ? 0 : status === 'failed' ? 1 : 2);
  const byNeed = [...steps].sort((a, b) => rank(a) - rank(b) || b.seq - a.seq);
  return byNeed.slice(0, MAX_ROWS).sort((a, b) => a.seq - b.seq);
}

function rowOf(step: StepProgress, look: Look & { tenant: string }): string[] {
  const { status, block, pool = '', cached, startedAt, endedAt } = step;
  const pending = pendingOf(step, look.pending);
  // It has never begun.
  if (pending?.isUnserved === true && pending.attempt === 1) {
    return [placeOf(step), 'queued', block, pool, '', '', '', `no worker polls ${pending.taskQueue}`];
  }
  const attempts = cached === true ? 'cached' : `${step.attempts ?? pending?.attempt ?? ''}`;
  const took = status === 'skipped' ? '' : formatDuration(Math.max(0, (endedAt ?? look.until) - startedAt));
  const why = whyOf(step, look.tenant) ?? pending?.failure?.code ?? '';
  const started = momentOf(new Date(startedAt));
  return [placeOf(step), status, block, pool, attempts, started, took, shortText(why, MAX_REASON_LENGTH)];
}

function whyOf(step: StepProgress, tenant: string): string | undefined {
  const { status, approval, child, waitsFor } = step;
  if (status === 'awaitingQuota') return describeNeed(waitsFor, tenant);
  if (status === 'awaitingApproval') return approval === undefined ? undefined : `approval ${approval}`;
  return reasonOf(step) ?? (child === undefined || step.endedAt !== undefined ? undefined : `flow ${child}`);
}

/** What Temporal has under way for a step. */
function pendingOf(
  { id, iteration = '', endedAt }: StepProgress,
  pending: readonly PendingActivity[],
): PendingActivity | undefined {
  if (endedAt !== undefined) return undefined;
  return pending.find((one) => one.step === id && (one.iteration ?? '') === iteration);
}
