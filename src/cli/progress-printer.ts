import { letterId } from '../dsl/dead-letter';
import { formatDuration } from '../dsl/durations';
import type { FlowProgress, StepProgress, StepStatus } from '../dsl/progress';
import { printable, type Style, type StyleName, type TextOutput } from './output';
import { type QuotaNotice, QuotaNotices } from './quota-notices';

/** Kinds of tasks that only hold others: their steps are told, not they. */
export const GROUPS: ReadonlySet<string> = new Set(['do', 'for', 'fork', 'try']);

/** How a step that has ended looks. */
const MARKS: Readonly<Partial<Record<StepStatus, { readonly mark: string; readonly style: StyleName }>>> = {
  completed: { mark: '✓', style: 'green' },
  failed: { mark: '✗', style: 'red' },
  skipped: { mark: '-', style: 'dim' },
  cancelled: { mark: '~', style: 'yellow' },
};

const PATH_WIDTH = 44;
const BLOCK_WIDTH = 14;
const POOL_WIDTH = 3;

/** Commands that go on with what waits for people; absent: only that it waits is told. */
export interface FollowUps {
  /** Decides on an approval. */
  readonly approve?: (workflowId: string) => string;
  /** Shows a dead letter. */
  readonly showLetter?: (letterId: string) => string;
}

/** Prints a line for every step that has ended, for every approval and dead letter that waits, each once, and for what waits for a quota. */
export class ProgressPrinter {
  readonly #ended = new Set<number>();
  readonly #awaited = new Set<string>();
  readonly #letters = new Set<string>();
  readonly #quotas = new QuotaNotices();
  #missed = 0;

  constructor(
    private readonly output: TextOutput,
    private readonly followUps: FollowUps = {},
  ) {}

  show(progress: FlowProgress): void {
    const { steps, stepsEnded } = progress;
    for (const step of steps) {
      if (step.status === 'deadLettered') this.#showLetter(step);
      // What is retried may fail again, and is told again then.
      else this.#letters.delete(letterId(step.id, step.iteration));
      if (step.status === 'awaitingApproval') this.#showApproval(step);
      else if (step.endedAt !== undefined) this.#showEnded(step);
    }
    for (const notice of this.#quotas.find(progress)) this.#showQuota(notice);
    this.#showMissed(stepsEnded);
  }

  /** To be called now and then while nothing changes: what still waits for a quota is told again. */
  remind(): void {
    for (const notice of this.#quotas.findAgain()) this.#showQuota(notice);
  }

  #showEnded(step: StepProgress): void {
    if (this.#ended.has(step.seq)) return;
    this.#ended.add(step.seq);
    // A group that failed or was skipped is no news beside its steps, unless it has none to tell.
    if (GROUPS.has(step.block) && step.status !== 'skipped') return;
    this.output.line(formatStep(step, this.output.style));
    const reason = step.status === 'failed' ? reasonOf(step) : undefined;
    if (reason !== undefined) this.output.line(`    ${this.output.style.red(reason)}`);
  }

  #showApproval({ approval, id, iteration, block }: StepProgress): void {
    if (approval === undefined || this.#awaited.has(approval)) return;
    this.#awaited.add(approval);
    const { yellow } = this.output.style;
    const place = pad(placeOf({ id, iteration }), PATH_WIDTH);
    this.output.line(`${yellow('?')} ${place} ${pad(block, BLOCK_WIDTH)} awaits approval ${printable(approval)}`);
    if (this.followUps.approve !== undefined) this.output.line(`    ${this.followUps.approve(approval)}`);
  }

  /** Known by its place: it has another number once the flow has continued as new. */
  #showLetter(step: StepProgress): void {
    const letter = letterId(step.id, step.iteration);
    if (this.#letters.has(letter)) return;
    this.#letters.add(letter);
    const { red } = this.output.style;
    const place = pad(placeOf(step), PATH_WIDTH);
    this.output.line(`${red('!')} ${place} ${pad(step.block, BLOCK_WIDTH)} failed, and waits as a dead letter`);
    const reason = reasonOf(step);
    if (reason !== undefined) this.output.line(`    ${red(reason)}`);
    if (this.followUps.showLetter !== undefined) this.output.line(`    ${this.followUps.showLetter(letter)}`);
  }

  #showQuota({ step, others, text }: QuotaNotice): void {
    const place = pad(step === undefined ? 'the flow' : placeOf(step), PATH_WIDTH);
    const more = others === 0 ? '' : ` (and ${others} more step${others === 1 ? '' : 's'})`;
    const line = `${place} ${pad(step?.block ?? '', BLOCK_WIDTH)} waits: ${printable(text)}${more}`;
    this.output.line(`${this.output.style.yellow('…')} ${line}`);
  }

  /** The query keeps the newest steps only: where they end faster than it is asked, some go by unseen. */
  #showMissed(stepsEnded: number): void {
    const missed = stepsEnded - this.#ended.size - this.#missed;
    if (missed <= 0) return;
    this.#missed += missed;
    this.output.line(this.output.style.dim(`  … and ${missed} more`));
  }
}

/** `✓ /do/0/getOrder   http.request  io  1 attempt  35 ms` */
export function formatStep(step: StepProgress, style: Style): string {
  const { mark, style: name } = MARKS[step.status] ?? { mark: '·', style: 'dim' };
  const duration =
    step.status === 'skipped' ? 'skipped' : formatDuration((step.endedAt ?? Date.now()) - step.startedAt);
  const columns = [
    pad(placeOf(step), PATH_WIDTH),
    pad(step.block, BLOCK_WIDTH),
    pad(step.pool ?? '', POOL_WIDTH),
    pad(attemptsOf(step), '10 attempts'.length),
  ];
  return `${style[name](mark)} ${columns.join(' ')} ${style.dim(duration)}`;
}

function attemptsOf({ attempts, cached }: StepProgress): string {
  if (cached === true) return 'cached';
  return attempts === undefined ? '' : `${attempts} attempt${attempts === 1 ? '' : 's'}`;
}

/** Where a step is, with the round of the loops around it. */
export function placeOf({ id, iteration }: { id: string; iteration?: string | undefined }): string {
  return printable(iteration === undefined ? id : `${id} [${iteration}]`);
}

/** Why a step failed, with the code; undefined where it did not. */
export function reasonOf({ error }: StepProgress): string | undefined {
  if (error === undefined) return undefined;
  const text = error.detail ?? error.title ?? error.type;
  if (typeof text !== 'string') return undefined;
  return printable(typeof error.code === 'string' ? `${text} [${error.code}]` : text);
}

/** By code points; wide characters may push a column out, which only looks less tidy. */
function pad(text: string, width: number): string {
  return text + ' '.repeat(Math.max(0, width - [...text].length));
}
