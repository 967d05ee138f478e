import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CryptoKey, exportJWK, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';
import { generateAuthKey, readSealKey } from '../../src/worker/identity/auth-key';
import { type SealPurpose, sealToken } from '../../src/worker/identity/sealed-token';
import type { IdentityPolicy, Policy, PolicySource, TenantPolicy } from '../../src/worker/policy/policy';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'beamline';

/** One key of an issuer. */
export interface IssuerKey {
  readonly kid: string;
  readonly privateKey: CryptoKey;
  readonly publicJwk: JWK;
}

export async function makeIssuerKey(kid: string = randomUUID()): Promise<IssuerKey> {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { kid, privateKey, publicJwk: { ...(await exportJWK(publicKey)), kid, alg: 'ES256', use: 'sig' } };
}

/** Claims of a token for tests; the ones given come over alice of acme. */
export function claimsOf(claims: JWTPayload = {}): JWTPayload {
  const now = Math.floor(Date.now() / 1_000);
  const all = { iss: ISSUER, aud: AUDIENCE, sub: 'alice', tenant: 'acme', iat: now, exp: now + 600, ...claims };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined));
}

export async function signToken(key: IssuerKey, claims: JWTPayload = {}): Promise<string> {
  return await new SignJWT(claimsOf(claims)).setProtectedHeader({ alg: 'ES256', kid: key.kid }).sign(key.privateKey);
}

/** An issuer whose keys are in a file, the keys of the workers, and all that a client has: for tests. */
export interface TestIdentity {
  readonly folder: string;
  readonly jwksFile: string;
  readonly authKeyFile: string;
  readonly sealKeyFile: string;
  readonly key: IssuerKey;
  /** A token of the issuer. */
  token(claims?: JWTPayload): Promise<string>;
  /** The same, in a file. */
  tokenFile(claims?: JWTPayload): Promise<string>;
  seal(token: string, purpose: SealPurpose): Promise<string>;
  close(): void;
}

export async function makeIdentity(): Promise<TestIdentity> {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-identity-'));
  const [jwksFile, authKeyFile, sealKeyFile] = ['jwks.json', 'auth-key.json', 'seal-key.json'].map((name) =>
    join(folder, name),
  ) as [string, string, string];
  const key = await makeIssuerKey();
  const { privateSet, publicSet } = await generateAuthKey();
  writeFileSync(jwksFile, JSON.stringify({ keys: [key.publicJwk] }));
  writeFileSync(authKeyFile, JSON.stringify(privateSet), { mode: 0o600 });
  writeFileSync(sealKeyFile, JSON.stringify(publicSet));
  const sealKey = await readSealKey(sealKeyFile);
  const token = (claims?: JWTPayload) => signToken(key, claims);
  return {
    folder,
    jwksFile,
    authKeyFile,
    sealKeyFile,
    key,
    token,
    tokenFile: async (claims) => {
      const file = join(folder, `${randomUUID()}.jwt`);
      writeFileSync(file, `${await token(claims)}\n`);
      return file;
    },
    seal: (plain, purpose) => sealToken(plain, purpose, sealKey),
    close: () => rmSync(folder, { recursive: true, force: true }),
  };
}

export function identityPolicy(jwks: IdentityPolicy['jwks']): IdentityPolicy {
  return {
    jwks,
    issuer: ISSUER,
    audience: AUDIENCE,
    algorithms: ['ES256', 'RS256'],
    claims: { tenant: 'tenant', scopes: 'scope', groups: 'groups' },
    clockToleranceMs: 0,
  };
}

export function tenantPolicy(name: string, scopes: readonly string[], rest: Partial<TenantPolicy> = {}): TenantPolicy {
  return { name, scopes, quotas: {}, privateHosts: ['127.0.0.1'], ...rest };
}

/** Everything that a tenant can be given. */
export const ALL_SCOPES = [
  'flow:start',
  'block:*',
  'resources:*',
  'http:*:*',
  'blob:read:*',
  'blob:write:*',
  'sql:write:*',
  'secret:*',
  'approval:*',
  'deadletter:resolve',
];

/** A policy that is no file. */
export function policySource(identity: IdentityPolicy | undefined, tenants: readonly TenantPolicy[]): PolicySource {
  const policy: Policy = {
    ...(identity === undefined ? {} : { identity }),
    tenants: new Map(tenants.map((tenant) => [tenant.name, tenant])),
  };
  return { current: () => policy, close: async () => undefined };
}

/** The text of a policy file that takes the tokens of the issuer; of quotas, it has `flows`. */
export function policyText(jwks: string, tenants: readonly TenantPolicy[]): string {
  const byName = tenants.map(({ name, scopes, privateHosts, approvers, quotas: { flows } }) => [
    name,
    {
      scopes,
      privateHosts,
      ...(approvers === undefined ? {} : { approvers: Object.fromEntries(approvers) }),
      ...(flows === undefined ? {} : { quotas: { flows } }),
    },
  ]);
  return JSON.stringify({
    version: 1,
    identity: { jwks, issuer: ISSUER, audience: AUDIENCE, algorithms: ['ES256'], clockTolerance: 'PT0S' },
    tenants: Object.fromEntries(byName),
  });
}
