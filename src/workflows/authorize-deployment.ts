import type { DeploymentGrant, DeploymentRequest } from '../dsl/admission';
import { FlowError } from '../dsl/errors';
import { toFlowError, toWorkflowFailure } from './failures';
import { belongToStated } from './flow-owner';
import { proxyBoundedActivities } from './local-activities';
import { readable } from './lost-payload';
import { runOrigin } from './run-origin';

const { admitDeployment } = proxyBoundedActivities<{
  admitDeployment(request: unknown, origin: ReturnType<typeof runOrigin>): Promise<DeploymentGrant>;
}>({ startToCloseTimeout: '10 s', retry: { initialInterval: '100 ms', maximumAttempts: 5 } });

/**
 * Checks a token, once, and gives a grant for the flow that is to run by itself: a schedule outlives the token of whoever made
 * it. `request` has the sealed `token` beside what it is for; it may be anything.
 */
export async function authorizeDeployment(request: DeploymentRequest): Promise<DeploymentGrant> {
  try {
    belongToStated(request);
    return await admitDeployment(readable(request, 'the request'), runOrigin());
  } catch (thrown) {
    const error = toFlowError(thrown);
    throw error instanceof FlowError ? toWorkflowFailure(error) : error;
  }
}
