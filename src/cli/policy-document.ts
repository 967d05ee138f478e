import { dirname, resolve } from 'node:path';
import type { LocatedProblem } from '../dsl/problems';
import { explainKeyFile } from '../worker/identity/issuer-keys';
import { parsePolicy, policyDigest } from '../worker/policy/parse-policy';
import type { Policy } from '../worker/policy/policy';
import { findWarnings, type PolicyWarning } from '../worker/policy/policy-warnings';
import type { Cli } from './cli';
import { readSource, STDIN, sourceName } from './read-source';

/** A policy file as a command reads it, or all that is wrong with it. */
export type PolicyDocument = { readonly name: string } & (
  | {
      readonly policy: Policy;
      readonly digest: string;
      /** What is probably not meant, with its place. */
      readonly warnings: readonly Pick<LocatedProblem, 'path' | 'message' | 'position'>[];
      readonly problems: readonly [];
    }
  | { readonly policy?: undefined; readonly problems: readonly LocatedProblem[] }
);

/** Reads a policy from a file, or from standard input (`-`). Throws BLW_USAGE where it cannot be read. */
export async function readPolicyDocument(source: string, cli: Cli): Promise<PolicyDocument> {
  const name = sourceName(source);
  const bytes = await readSource(source, cli);
  const parsed = parsePolicy(bytes, source === STDIN ? cli.cwd : dirname(resolve(cli.cwd, source)));
  if (parsed.policy === undefined) return { name, problems: parsed.problems };
  const { policy, locate } = parsed;
  const warnings = [...(await findFileWarnings(policy)), ...findWarnings(policy)].map((warning) => ({
    ...warning,
    position: locate(warning.path),
  }));
  return { name, policy, digest: policyDigest(bytes), warnings, problems: [] };
}

/** What is wrong with files that the policy names: without them it is valid, and lets nobody in. Addresses are not called. */
async function findFileWarnings({ identity }: Policy): Promise<readonly PolicyWarning[]> {
  const problem = identity && (await explainKeyFile(identity));
  return problem === undefined ? [] : [{ path: ['identity', 'jwks'], message: `identity.jwks: ${problem}` }];
}
