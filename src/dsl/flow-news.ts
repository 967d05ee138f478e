/** What becomes of a flow, a batch of a loop or an approval, for the log of the worker: nothing of it is in history. */
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
    | 'timedOut';
  readonly tenant: string;
  /** `namespace/name:version`; empty where it is not known: the start was refused. */
  readonly flow: string;
  /** Since the first run began, waits included; absent at the start. */
  readonly durationMs?: number;
  /** Stable code of the error; absent where the flow raised one of its own. */
  readonly code?: string;
}

/** Where a flow tells its news. */
export type FlowNewsSinks = {
  readonly flowNews: { tell(news: FlowNews): void };
};
