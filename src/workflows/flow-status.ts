import type { ProgressTracker } from './progress-tracker';
import { publishAttributes } from './search-attributes';

/** What a flow shows of itself while it runs: the query `progress` and Temporal's lists have its status. */
export class FlowStatus {
  #awaitedApprovals = 0;
  #awaitsQuota = false;
  #isCompensating = false;

  constructor(private readonly progress: ProgressTracker) {}

  compensationBegins(): void {
    this.#isCompensating = true;
    this.#awaitsQuota = false;
    this.progress.setStatus('Compensating');
    publishAttributes({ status: 'Compensating', block: null });
  }

  approvalBegins(): void {
    this.#awaitedApprovals += 1;
    this.#awaitsQuota = false;
    if (this.#awaitedApprovals > 1) return;
    this.progress.setStatus('AwaitingApproval');
    publishAttributes({ status: 'AwaitingApproval', block: 'human.approval' });
  }

  approvalEnds(): void {
    this.#awaitedApprovals -= 1;
    if (this.#awaitedApprovals > 0) return;
    this.progress.setStatus('Running');
    publishAttributes({ status: 'Running', block: null });
  }

  /** Shows that nothing goes on until there is room in a quota. */
  quotaWaitBegins(): void {
    if (this.#awaitsQuota || this.#awaitedApprovals > 0 || this.#isCompensating) return;
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
}
