import type { FlowStatus as Status } from '../dsl/names';
import type { ProgressTracker } from './progress-tracker';
import { publishAttributes } from './search-attributes';

/** What a flow shows of itself while it runs: the query `progress` and Temporal's lists have its status. */
export class FlowStatus {
  #awaitedApprovals = 0;
  #deadLetters = 0;
  #awaitsQuota = false;
  #isCompensating = false;

  constructor(private readonly progress: ProgressTracker) {}

  compensationBegins(): void {
    this.#isCompensating = true;
    this.#awaitsQuota = false;
    this.#show('Compensating', null);
  }

  approvalBegins(): void {
    this.#awaitedApprovals += 1;
    this.#awaitsQuota = false;
    if (this.#awaitedApprovals === 1 && this.#deadLetters === 0) this.#show('AwaitingApproval', 'human.approval');
  }

  approvalEnds(): void {
    this.#awaitedApprovals -= 1;
    if (this.#awaitedApprovals === 0 && this.#deadLetters === 0) this.#show('Running', null);
  }

  /** Shown before all else: somebody has to look at it. `block` is what failed. */
  deadLetterBegins(block: string): void {
    this.#deadLetters += 1;
    this.#awaitsQuota = false;
    if (this.#deadLetters === 1) this.#show('DeadLettered', block);
  }

  deadLetterEnds(): void {
    this.#deadLetters -= 1;
    if (this.#deadLetters > 0) return;
    if (this.#isCompensating) this.#show('Compensating', null);
    else if (this.#awaitedApprovals > 0) this.#show('AwaitingApproval', 'human.approval');
    else this.#show('Running', null);
  }

  /** Shows that nothing goes on until there is room in a quota. */
  quotaWaitBegins(): void {
    if (this.#awaitsQuota || this.#awaitedApprovals > 0 || this.#deadLetters > 0 || this.#isCompensating) return;
    this.#awaitsQuota = true;
    this.progress.setStatus('AwaitingQuota');
    publishAttributes({ status: 'AwaitingQuota' });
  }

  quotaWaitEnds(): void {
    if (!this.#awaitsQuota) return;
    this.#awaitsQuota = false;
    this.progress.setStatus('Running');
    publishAttributes({ status: 'Running' });
  }

  #show(status: Status, block: string | null): void {
    this.progress.setStatus(status);
    publishAttributes({ status, block });
  }
}
