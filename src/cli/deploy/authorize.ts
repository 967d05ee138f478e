import { randomUUID } from 'node:crypto';
import { type Client, WorkflowFailedError } from '@temporalio/client';
import type { DeploymentGrant, DeploymentRequest } from '../../dsl/admission';
import { FlowError, type FlowErrorData } from '../../dsl/errors';
import { AUTHORIZE_DEPLOYMENT } from '../../dsl/names';
import { deploymentPurpose } from '../../worker/identity/sealed-token';
import { triggerPrefix } from '../../worker/identity/token-gate';
import { CommandError } from '../command-error';
import { EXIT } from '../exit-codes';
import { failureToJson } from '../flow-outcome';
import { ANSWER_TIMEOUT_MS, isSilence, noAnswer } from '../no-answer';
import type { Seal } from '../token-flags';
import type { Deployment } from './deployment';

/**
 * Has the workers check the user's token, and gives the deployment what its runs will show in its place: the token will have
 * expired by then. Throws what the workers refuse it with (exit code 1), BLW_TEMPORAL_UNREACHABLE where none answers.
 */
export async function authorize(client: Client, deployment: Deployment, seal: Seal): Promise<Deployment> {
  const { tenant, triggerId, taskQueue, workflowId, schedule, start, deployed } = deployment;
  const { flow, input } = start;
  const isTimed = schedule.everyMs !== undefined || schedule.cron !== undefined || schedule.afterMs !== undefined;
  const ask = (request: DeploymentRequest) => askWorkers(client, { request, taskQueue, seal });
  const runs = isTimed ? await ask({ tenant, flow, input, idPrefix: `${workflowId}-` }) : undefined;
  const triggered =
    schedule.on === undefined ? undefined : await ask({ tenant, flow, idPrefix: triggerPrefix(tenant, triggerId) });
  const by = runs?.by ?? triggered?.by;
  return {
    ...deployment,
    start: runs === undefined ? start : { ...start, grant: runs.grant },
    ...(triggered === undefined ? {} : { triggerGrant: triggered.grant }),
    deployed: by === undefined ? deployed : { ...deployed, authorizedBy: by },
  };
}

async function askWorkers(
  client: Client,
  { request, taskQueue, seal }: { request: DeploymentRequest; taskQueue: string; seal: Seal },
): Promise<DeploymentGrant> {
  const workflowId = `beamline-authorize:${randomUUID()}`;
  const token = await seal(deploymentPurpose({ namespace: client.options.namespace, workflowId }, request));
  try {
    return await client.withDeadline(
      Date.now() + ANSWER_TIMEOUT_MS,
      async () =>
        (await client.workflow.execute(AUTHORIZE_DEPLOYMENT, {
          workflowId,
          taskQueue,
          args: [{ ...request, token }],
          workflowExecutionTimeout: ANSWER_TIMEOUT_MS,
        })) as DeploymentGrant,
    );
  } catch (error) {
    if (error instanceof WorkflowFailedError && error.cause !== undefined) {
      const data = failureToJson(error.cause) as unknown as FlowErrorData;
      throw new CommandError(new FlowError(data, { cause: error }), EXIT.failed);
    }
    throw isSilence(error) ? noAnswer(error, { taskQueue, timeoutMs: ANSWER_TIMEOUT_MS }) : error;
  }
}
