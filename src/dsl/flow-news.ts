/** What becomes of a flow, a batch of a loop, an approval or a dead letter, for the log of the worker: nothing of it is in history. */
export interface FlowNews {
  readonly status:
    | 'started'
    | 'completed'
    | 'failed'
    | 'cancelled'
    | 'continued'
    /** Of approvals. */
    | 'approved'
    | 'rejected'
    | 'timedOut'
    /** Of a step of the flow or of the batch. */
    | 'deadLettered';
  readonly tenant: string;
  /** `namespace/name:version`; empty where it is not known: the start was refused. */
  readonly flow: string;
  /** Since the first run was started, waits included; absent at the start, and of a dead letter. */
  readonly durationMs?: number;
  /** Stable code of the error; absent where the flow raised one of its own. */
  readonly code?: string;
  /** Of a dead letter. */
  readonly letter?: {
    /** JSON Pointer of the step. */
    readonly step: string;
    /** With the iteration: unique among those that wait. */
    readonly id: string;
    readonly block: string;
    readonly failedAt: number;
  };
}

/** Where a flow tells its news. */
export type FlowNewsSinks = {
  readonly flowNews: { tell(news: FlowNews): void };
};
