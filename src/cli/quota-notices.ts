import { formatDuration } from '../dsl/durations';
import type { FlowProgress, StepProgress } from '../dsl/progress';
import type { QuotaNeed } from '../dsl/quota';
import { formatByteSize } from '../worker/policy/byte-sizes';

/** A quota that still holds steps up is told again after this. */
const TOLD_AGAIN_MS = 30_000;

/** That steps, or the flow itself, wait for a quota. */
export interface QuotaNotice {
  /** The first step that waits; absent: the flow itself does. */
  readonly step?: StepProgress;
  /** How many steps have begun to wait for the same beside it. */
  readonly others: number;
  /** `concurrentSteps 2 of 2 in use by tenant acme` */
  readonly text: string;
}

/** Tells what a flow waits for: each quota once, and again where its limit has changed and every half a minute while steps wait for it. */
export class QuotaNotices {
  readonly #toldAt = new Map<string, number>();
  #latest: FlowProgress | undefined;

  constructor(private readonly now: () => number = Date.now) {}

  /** What is new in this progress. */
  find(progress: FlowProgress): QuotaNotice[] {
    this.#latest = progress;
    return this.#find(progress);
  }

  /** What is to be told again, where nothing has changed since. */
  findAgain(): QuotaNotice[] {
    return this.#latest === undefined ? [] : this.#find(this.#latest);
  }

  #find({ steps, tenant, waitsFor }: FlowProgress): QuotaNotice[] {
    const notices: QuotaNotice[] = [];
    if (waitsFor !== undefined && this.#isNew(waitsFor)) {
      notices.push({ others: 0, text: describeNeed(waitsFor, tenant) });
    }
    const waiting = steps.filter(({ status }) => status === 'awaitingQuota');
    for (const [key, [step, ...others]] of groupByNeed(waiting)) {
      if (step === undefined || !this.#isNew(step.waitsFor, key)) continue;
      notices.push({ step, others: others.length, text: describeNeed(step.waitsFor, tenant) });
    }
    return notices;
  }

  #isNew(need: QuotaNeed | undefined, key = keyOf(need)): boolean {
    const now = this.now();
    const toldAt = this.#toldAt.get(key);
    if (toldAt !== undefined && now - toldAt < TOLD_AGAIN_MS) return false;
    this.#toldAt.set(key, now);
    return true;
  }
}

function groupByNeed(steps: readonly StepProgress[]): Map<string, StepProgress[]> {
  const groups = new Map<string, StepProgress[]>();
  for (const step of steps) {
    const key = keyOf(step.waitsFor);
    groups.set(key, [...(groups.get(key) ?? []), step]);
  }
  return groups;
}

/** What is in use changes all the time, and is no news. */
function keyOf(need: QuotaNeed | undefined): string {
  return need === undefined ? '' : `${need.reason} ${need.limit ?? ''} ${need.until ?? ''}`;
}

/** Which quota, in words; without `need`, as from a worker of an earlier version, only whose. */
export function describeNeed(need: QuotaNeed | undefined, tenant: string): string {
  const owner = `tenant ${tenant}`;
  if (need === undefined) return `a quota of ${owner}`;
  const { reason, limit = 0, used, until } = need;
  switch (reason) {
    case 'concurrentSteps':
      if (used === undefined)
        return `concurrentSteps: ${owner} may run ${limit} at once, and this flow has as many under way`;
      return `concurrentSteps ${used} of ${limit} in use by ${owner}${used < limit ? ', others are before it in the line' : ''}`;
    case 'flows':
      return `flows ${used ?? limit} of ${limit} open for ${owner}`;
    case 'stepsPerSecond':
      return `stepsPerSecond: ${owner} may begin ${limit} steps a second`;
    case 'cpuTime': {
      const end = until === undefined ? '' : `, which ends at ${new Date(until).toISOString()}`;
      return `cpuTime: ${owner} has used its ${formatDuration(limit)} of the window${end}`;
    }
    case 'blobBytes':
      return `blobBytes ${used === undefined ? '' : `${formatByteSize(used)} of `}${formatByteSize(limit)} in use by ${owner}`;
    case 'store':
      return 'the store that keeps the quotas does not answer; workers ask it again';
  }
}
