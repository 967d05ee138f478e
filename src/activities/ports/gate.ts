import type { DecisionAdmission, DeploymentGrant, ResolutionAdmission, WindowAdmission } from '../../dsl/admission';
import type { Decider } from '../../dsl/approval';
import type { Json } from '../../dsl/json';
import type { RunOrigin, StartInput, TenantShare } from '../../dsl/start';
import type { Access } from '../access/access';

/** The run that asks, in Temporal's words. */
export interface RunPlace {
  readonly workflowId: string;
  readonly runId: string;
}

/** A flow that may start. */
export interface Admission {
  readonly tenant: string;
  /** The person, as a token says. */
  readonly requestedBy?: string;
  /** What its steps are to show; absent where nobody is checked. */
  readonly grant?: string;
  /** What it may do; absent: everything. */
  readonly access?: Access;
  /** Absent where there is no policy. */
  readonly share?: TenantShare;
}

/** Who a step runs for. */
export interface Bearer {
  /** The person or program that started the flow; absent where nobody is checked. */
  readonly subject?: string;
  /** Scopes of the token; absent: it does not narrow the tenant's. */
  readonly tokenScopes?: readonly string[];
  /** The flow is only tried. */
  readonly isDryRun?: true;
}

/**
 * Decides who may start flows, decide on approvals and resolve dead letters, and knows the flows again that it let in (docs/identity.md). Everything that
 * it is given may be forged, but for the places and origins, which are the server's words. Throws FlowErrors: denials, not
 * retryable, and BLW_IDENTITY_UNAVAILABLE, retryable.
 */
export interface Gate {
  /** `tenant` is what was sent, if anything was. */
  admitStart(start: StartInput, sent: { tenant: string | undefined }, at: RunPlace & RunOrigin): Promise<Admission>;
  /** Gives a window a grant of its own. */
  admitWindow(request: WindowAdmission, at: RunPlace): Promise<string>;
  admitDecision(request: DecisionAdmission, at: RunPlace): Promise<Decider>;
  /** Says who resolves a dead letter. */
  admitResolution(request: ResolutionAdmission, at: RunPlace): Promise<{ readonly by: string }>;
  /** `request` may be anything. */
  admitDeployment(request: Json, at: RunPlace & RunOrigin): Promise<DeploymentGrant>;
  /** A flow that will be started for events: refused now, rather than with each event. */
  admitTrigger(trigger: { id: string; flow: Json; grant?: string; tenant: string }): Promise<void>;
  /** Knows a flow again by its grant. Called before every step, so it is quick. */
  recognize(request: { readonly grant?: string; readonly tenant: string }, at: RunPlace): Promise<Bearer>;
}
