import type { Client } from '@temporalio/client';
import type { JsonObject } from '../../dsl/json';
import type { Deployment, DeploymentKey } from './deployment';

/** What is deployed already. */
export interface Existing {
  /** Remembered by whoever deployed it; empty where that was not this program. */
  readonly deployed: JsonObject;
  readonly isPaused: boolean;
}

/** One of the ways in which Temporal runs a flow by itself. */
export interface Runner {
  readonly kind: 'schedule' | 'repeat';
  /** True where a flow's schedule needs this one. */
  isFor(deployment: Deployment): boolean;
  find(client: Client, key: DeploymentKey): Promise<Existing | undefined>;
  /** Makes it so, whatever was there. `isPaused` absent: as it is, for a new one running. */
  put(client: Client, deployment: Deployment, options: { isPaused?: boolean | undefined }): Promise<void>;
  remove(client: Client, key: DeploymentKey): Promise<void>;
}
