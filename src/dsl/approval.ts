import type { Json, JsonObject } from './json';
import type { FlowTrace } from './trace';

export type OnTimeout = 'fail' | 'reject' | 'continue';

/** Start input of the workflow `approval`. */
export interface ApprovalRequest {
  readonly tenant: string;
  /** `namespace/name:version` of the flow that asks. */
  readonly flow: string;
  /** Workflow id of the flow that asks. */
  readonly flowId: string;
  readonly stepId: string;
  readonly title: string;
  readonly description?: string;
  readonly assignees?: { readonly users?: readonly string[]; readonly groups?: readonly string[] };
  readonly requiredApprovals: number;
  /** JSON Schema of the form of an approval. */
  readonly form?: JsonObject;
  readonly timeoutMs?: number;
  readonly onTimeout: OnTimeout;
  readonly selfApproval: boolean;
  readonly requestedBy?: string;
  /** That of the run that asks (docs/identity.md). Where there is one, deciders have to show a token. */
  readonly grant?: string;
  /** Below the span of the step; absent: the flow is not traced. */
  readonly trace?: FlowTrace;
}

/** Argument of the update `decide`; the signals `approve` and `reject` take it without `decision`. */
export interface DecisionInput {
  readonly decision: 'approved' | 'rejected';
  /** Who decides; may be left out where a token says it. */
  readonly by?: string;
  /** Groups that the decider is a member of; where there is a token, that counts. */
  readonly groups?: readonly string[];
  readonly comment?: string;
  readonly form?: Json;
  /** The decider's token, sealed for this decision (docs/identity.md). */
  readonly token?: string;
}

/** Who decides, as a verified token says. */
export interface Decider {
  readonly by: string;
  readonly groups: readonly string[];
}

/** A decision that counted. */
export interface Decision {
  readonly decision: 'approved' | 'rejected';
  readonly by: string;
  /** ISO 8601. */
  readonly at: string;
  readonly comment?: string;
  readonly form?: Json;
}

/** Result of the workflow `approval`, the output of the step. */
export interface ApprovalResult {
  readonly decision: 'approved' | 'rejected' | 'timedOut';
  readonly decisions: readonly Decision[];
}

/** Answer of the query `state` on `approval`, and of the update `decide`. */
export interface ApprovalState {
  readonly status: 'pending' | 'approved' | 'rejected' | 'timedOut';
  readonly title: string;
  readonly description?: string;
  readonly tenant: string;
  readonly flow: string;
  readonly flowId: string;
  readonly stepId: string;
  readonly requestedBy?: string;
  readonly assignees?: { readonly users?: readonly string[]; readonly groups?: readonly string[] };
  readonly requiredApprovals: number;
  readonly form?: JsonObject;
  /** A decision needs a token; absent: it does not. */
  readonly needsToken?: true;
  /** ISO 8601. */
  readonly requestedAt: string;
  /** ISO 8601; absent: it waits forever. */
  readonly expiresAt?: string;
  readonly decisions: readonly Decision[];
  /** The latest signals that were refused, and why: a signal cannot answer. */
  readonly refused: readonly { readonly by: string; readonly at: string; readonly reason: string }[];
}
