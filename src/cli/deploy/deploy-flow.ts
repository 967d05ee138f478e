import type { Client } from '@temporalio/client';
import { changesOf, type Deployment, type DeploymentKey } from './deployment';
import { findTrigger, putTrigger, removeTrigger } from './event-trigger';
import { repeatChain } from './repeat-chain';
import type { Runner } from './runner';
import { scheduledRuns } from './scheduled-runs';

const RUNNERS: readonly Runner[] = [scheduledRuns, repeatChain];

/** What was done, or would be. */
export interface DeployResult {
  readonly kind: Runner['kind'] | 'trigger';
  readonly action: 'created' | 'updated' | 'unchanged' | 'deleted' | 'registered';
  /** `name: before → now` */
  readonly changes: readonly string[];
  readonly isPaused: boolean;
}

/**
 * Makes Temporal run a flow as its schedule says, whatever was deployed before, of this version or another: what the schedule
 * does not have any more is taken away.
 */
export async function deployFlow(
  client: Client,
  deployment: Deployment,
  { isPaused, isDryRun }: { isPaused?: boolean | undefined; isDryRun: boolean },
): Promise<DeployResult[]> {
  const results: DeployResult[] = [];
  for (const runner of RUNNERS) {
    const before = await runner.find(client, deployment);
    if (!runner.isFor(deployment)) {
      if (before === undefined) continue;
      if (!isDryRun) await runner.remove(client, deployment);
      results.push({ kind: runner.kind, action: 'deleted', changes: [], isPaused: false });
      continue;
    }
    // Written also where nothing changed: somebody may have changed it elsewhere.
    if (!isDryRun) await runner.put(client, deployment, { isPaused });
    const pausedNow = isPaused ?? before?.isPaused ?? false;
    const changes = before === undefined ? [] : changesOf(before.deployed, deployment.deployed);
    if (before !== undefined && before.isPaused !== pausedNow) changes.push(pausedNow ? 'paused' : 'resumed');
    const action = before === undefined ? 'created' : changes.length === 0 ? 'unchanged' : 'updated';
    results.push({ kind: runner.kind, action, changes, isPaused: pausedNow });
  }
  return [...results, ...(await deployTrigger(client, deployment, isDryRun))];
}

const DELETED_TRIGGER: DeployResult = { kind: 'trigger', action: 'deleted', changes: [], isPaused: false };

async function deployTrigger(client: Client, deployment: Deployment, isDryRun: boolean): Promise<DeployResult[]> {
  if (deployment.schedule.on === undefined) {
    const before = await findTrigger(client, deployment);
    // Asked for nothing, the bus would note a refusal.
    if (before !== 'absent' && !isDryRun) await removeTrigger(client, deployment);
    return before === 'there' ? [DELETED_TRIGGER] : [];
  }
  if (!isDryRun) await putTrigger(client, deployment);
  return [{ kind: 'trigger', action: 'registered', changes: [], isPaused: false }];
}

/** Takes away whatever runs a flow by itself. Runs that are under way go on. */
export async function undeployFlow(client: Client, key: DeploymentKey, isDryRun: boolean): Promise<DeployResult[]> {
  const results: DeployResult[] = [];
  for (const runner of RUNNERS) {
    if ((await runner.find(client, key)) === undefined) continue;
    if (!isDryRun) await runner.remove(client, key);
    results.push({ kind: runner.kind, action: 'deleted', changes: [], isPaused: false });
  }
  if ((await findTrigger(client, key)) === 'absent') return results;
  if (!isDryRun) await removeTrigger(client, key);
  return [...results, DELETED_TRIGGER];
}
