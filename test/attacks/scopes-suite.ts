import type { AttackCase, AttackSuite } from './attack';
import { SCOPE_CASES } from './scopes';

const KINDS: Readonly<Record<string, string>> = {
  http: 'hosts and methods',
  blob: 'blobs',
  sql: 'databases',
};

/** Attempts to get more out of scopes than they say. */
export const scopeSuite: AttackSuite<undefined> = {
  area: 'scopes',
  cases: SCOPE_CASES.map(({ granted, need, isAllowed }, index): AttackCase<undefined> => {
    const [family = ''] = need.scope.split(':', 1);
    return {
      kind: KINDS[family] ?? 'flows, blocks, resources, secrets, approvals',
      name: `${index + 1}: ${need.scope} with ${granted.join(' ') || 'nothing'}`,
      isControl: isAllowed,
      attempt: async () => {
        const isGiven = granted.some((scope) => need.allowedBy(scope));
        if (isGiven === isAllowed) return undefined;
        return isGiven ? 'the scope gave it' : 'the scope did not give it';
      },
    };
  }),
  open: async () => undefined,
  close: async () => undefined,
};
