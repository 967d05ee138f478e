import type { AttackSuite } from './attack';
import { approvalCases } from './identity-approvals';
import { deadLetterCases } from './identity-dead-letters';
import { deploymentCases } from './identity-deployments';
import { flowCases } from './identity-flows';
import { placeCases } from './identity-places';
import { startCases } from './identity-starts';
import { stepCases } from './identity-steps';
import { tokenCases } from './identity-tokens';
import { type IdentityWorld, openIdentityWorld } from './identity-world';

/**
 * Whoever can use the Temporal namespace tries to have a block run, or a decision made, as somebody else. On a real server; the
 * service that blocks call must not hear of any of it.
 */
export const identitySuite: AttackSuite<IdentityWorld> = {
  area: 'identity',
  cases: [
    ...tokenCases,
    ...startCases,
    ...stepCases,
    ...flowCases,
    ...placeCases,
    ...approvalCases,
    ...deadLetterCases,
    ...deploymentCases,
  ],
  open: openIdentityWorld,
  close: (world) => world.close(),
};
