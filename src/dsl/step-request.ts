import type { Json, JsonObject } from './json';
import type { StepSecrets } from './secrets';

/** Largest value that crosses Temporal's wire, in bytes of JSON; the server ends a workflow that sends more than 2 MiB. */
export const MAX_PAYLOAD_BYTES = 1_900_000;

/** Input of a step's activity. */
export interface StepRequest {
  readonly tenant: string;
  /** `namespace/name:version`. */
  readonly flow: string;
  /** JSON Pointer of the step. */
  readonly stepId: string;
  /** Idempotency key: `tenant:workflowId:stepPath:iteration:generation`. */
  readonly key: string;
  /** Doing it twice is harmless: the block's word, or the author's. */
  readonly idempotent: boolean;
  /** Resolved arguments; where they hold a secret, a placeholder stands for it. */
  readonly with: JsonObject;
  /** Secrets that the step's activity puts into the arguments, and no others. */
  readonly secrets?: StepSecrets;
}

/** Result of a step's activity. */
export interface StepResult {
  readonly output: Json;
  /** Number of the attempt that succeeded, from 1. */
  readonly attempt: number;
}

/** What a step's identity is made of; the run id is not part of it, since it changes on reset and continue-as-new. */
export function idempotencyKey(parts: {
  tenant: string;
  flowId: string;
  stepPath: string;
  iteration: string;
  generation: number;
}): string {
  return `${parts.tenant}:${parts.flowId}:${parts.stepPath}:${parts.iteration || '0'}:${parts.generation}`;
}
