import type { DeploymentAnswer, DeploymentGrant, DeploymentQuestion, DeploymentRequest } from '../dsl/admission';
import { FlowError } from '../dsl/errors';
import { isJsonObject } from '../dsl/json';
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
 * it. `request` has the sealed `token` beside what it is for; it may be anything. Or answers whether a token is needed at all.
 */
export async function authorizeDeployment(
  request: DeploymentRequest | DeploymentQuestion,
): Promise<DeploymentGrant | DeploymentAnswer> {
  try {
    belongToStated(request);
    if (isQuestion(request)) return { needsToken: await needsToken(request) };
    return await admitDeployment(readable(request, 'the request'), runOrigin());
  } catch (thrown) {
    const error = toFlowError(thrown);
    throw error instanceof FlowError ? toWorkflowFailure(error) : error;
  }
}

function isQuestion(request: DeploymentRequest | DeploymentQuestion): request is DeploymentQuestion {
  return isJsonObject(request) && request.question === 'needsToken';
}

/** Asks for admission without a token: a worker that checks tokens says that it needs one, any other that it takes none. */
async function needsToken({ tenant }: DeploymentQuestion): Promise<boolean> {
  try {
    await admitDeployment({ tenant }, runOrigin());
    return false;
  } catch (thrown) {
    const error = toFlowError(thrown);
    if (!(error instanceof FlowError)) throw error;
    return error.data.code === 'BLW_TOKEN_REQUIRED';
  }
}
