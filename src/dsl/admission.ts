import type { DecisionInput } from './approval';
import type { DeadLetter, Resolution } from './dead-letter';
import type { Json } from './json';
import type { RunOrigin } from './start';

/** What workflows ask the gate of the worker, by local activities (docs/identity.md). */

/** A window of a loop asks for a grant of its own, for that of the flow or window that started it. */
export interface WindowAdmission {
  readonly grant: string;
  readonly tenant: string;
  readonly origin: RunOrigin;
}

/** An approval asks who decides. Answered with a `Decider`. */
export interface DecisionAdmission {
  /** With the decider's sealed token. */
  readonly decision: DecisionInput;
  /** The approval's, from the run that asks. */
  readonly grant: string;
  readonly tenant: string;
  readonly origin: RunOrigin;
}

/** A flow asks who resolves one of its dead letters. Answered with `{ by }`. */
export interface ResolutionAdmission {
  /** With the person's sealed token. */
  readonly resolution: Resolution;
  /** What is resolved. */
  readonly letter: Pick<DeadLetter, 'id' | 'failedAt'>;
  /** That of the run that asks. */
  readonly grant: string;
  readonly tenant: string;
}

/** What a token may be used for once, so that a flow can run by itself later. Start input of `authorizeDeployment`. */
export interface DeploymentRequest {
  readonly tenant: string;
  /** As `runFlow` takes it. */
  readonly flow: Json;
  /** Of each run; absent: events are the input. */
  readonly input?: Json;
  /** What the workflow ids of the runs begin with. */
  readonly idPrefix: string;
}

/** Result of `authorizeDeployment`. */
export interface DeploymentGrant {
  /** To be sent as `grant` with each start. */
  readonly grant: string;
  /** Who deploys, as the token says. */
  readonly by: string;
}
