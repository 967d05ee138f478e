import type { Gate } from '../../activities/ports/gate';
import type { StepMiddleware } from '../../activities/step-activities';

/**
 * Checks for each step that it is of a flow that was let in, and of which tenant (docs/identity.md): whoever can start workflows
 * could also schedule a step by hand. Passes on whom the flow runs for. Throws BLW_TOKEN_REQUIRED, BLW_TOKEN_INVALID.
 */
export function stepIdentity(gate: Gate): StepMiddleware {
  return async (step, next) => {
    const { grant, ...known } = step;
    const { flowId: workflowId, runId } = step;
    const bearer = await gate.recognize(
      { tenant: step.tenant, ...(grant === undefined ? {} : { grant }) },
      { workflowId, runId },
    );
    return await next({ ...known, ...bearer });
  };
}
