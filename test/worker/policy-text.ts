import { formatProblem } from '../../src/dsl/problems';
import { parsePolicy } from '../../src/worker/policy/parse-policy';
import type { Policy } from '../../src/worker/policy/policy';

/** A policy that uses every key. */
export const FULL_POLICY = `version: 1
identity:
  jwks: ./keys/jwks.json
  issuer: https://login.example.com/
  audience: beamline
  algorithms: [ES256, EdDSA]
  claims: { tenant: org, scopes: permissions, groups: roles }
  clockTolerance: PT10S
tenants:
  acme:
    scopes:
      - flow:start
      - block:*
      - resources:io
      - http:GET:api.example.com
      - http:*:*.example.com:8443
      - blob:read:*
      - blob:write:orders/*
      - sql:read:shop
      - secret:shopLogin
      - approval:*
    quotas:
      concurrentSteps: 20
      stepsPerSecond: 0.5
      cpuTime: { max: PT2H, window: { days: 1 } }
      memoryMb: 512
      blobBytes: 10GiB
      flows: 1000
    fairnessWeight: 2
    priorityKey: 3
    privateHosts: ['inventory.internal:8080', '[::1]:9000']
    approvers: { finance: [alice, bob], legal: [] }
  globex:
    scopes: []
`;

/** A policy of one tenant, from the lines below its name. */
export function tenantText(lines: string): string {
  return `version: 1\ntenants:\n  acme:\n    scopes: [flow:start]\n${lines.replace(/^/gm, '    ')}\n`;
}

/** The policy that a text holds. Fails where it holds none. */
export function policyOf(text: string): Policy {
  const { policy, problems } = parsePolicy(Buffer.from(text), '/etc/beamline');
  if (policy === undefined)
    throw new Error(problems.map((problem) => formatProblem(problem, 'policy.yaml')).join('\n'));
  return policy;
}

/** What is wrong with a text, as `line:column CODE message`. */
export function policyProblems(content: string | Uint8Array): string[] {
  const { problems = [] } = parsePolicy(Buffer.from(content), '/etc/beamline');
  return problems.map((problem) => formatProblem({ ...problem, path: [] }, '').slice(1));
}
