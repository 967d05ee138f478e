import { randomUUID } from 'node:crypto';
import {
  type CryptoKey,
  exportJWK,
  exportSPKI,
  generateKeyPair,
  importJWK,
  type JWTPayload,
  SignJWT,
  UnsecuredJWT,
} from 'jose';
import { startPurpose } from '../../src/worker/identity/sealed-token';
import { AUDIENCE, claimsOf, ISSUER, makeIssuerKey, signToken } from '../helpers/identity';
import { flowOf } from '../helpers/test-worker';
import { attack, control, type IdentityCase, type IdentityWorld, refusedAs, sameAs } from './identity-world';

const KIND = 'tokens';

type MakeToken = (world: IdentityWorld) => Promise<string>;

const now = () => Math.floor(Date.now() / 1_000);
const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token of the issuer, with other claims. */
const claims =
  (make: () => object): MakeToken =>
  ({ acme }) =>
    acme.identity.token(make() as JWTPayload);

/** A token that is signed with a secret, under the name of the issuer's key. */
const signedWith =
  (secretOf: (world: IdentityWorld) => Promise<string>): MakeToken =>
  async (world) =>
    new SignJWT(claimsOf())
      .setProtectedHeader({ alg: 'HS256', kid: world.acme.identity.key.kid })
      .sign(Buffer.from(await secretOf(world)));

/** A token with no signature, whose algorithm is spelled that way. */
const unsigned =
  (alg: string): MakeToken =>
  async () =>
    `${encode({ alg })}.${encode(claimsOf())}.`;

/** A token that somebody signed with a key of his own, which the header tells how to find. */
const bringingKey =
  (headerOf: (jwk: object, kid: string) => object): MakeToken =>
  async ({ acme }) => {
    const key = await makeIssuerKey(acme.identity.key.kid);
    const header = { alg: 'ES256', kid: key.kid, ...headerOf(key.publicJwk, key.kid) };
    return await new SignJWT(claimsOf()).setProtectedHeader(header).sign(key.privateKey);
  };

const INVALID = 'BLW_TOKEN_INVALID';

const ATTACKS: readonly (readonly [name: string, make: MakeToken, code: string, detail: string])[] = [
  ['that has expired', claims(() => ({ exp: now() - 1 })), INVALID, 'expired'],
  ['that never expires', claims(() => ({ exp: undefined })), INVALID, '"exp"'],
  ['whose expiry is text', claims(() => ({ exp: '9999999999' })), INVALID, 'token'],
  ['that is not valid yet', claims(() => ({ nbf: now() + 60 })), INVALID, 'not valid yet'],
  ['of another issuer', claims(() => ({ iss: `${ISSUER}.evil` })), INVALID, 'issuer'],
  ['of the issuer with a slash', claims(() => ({ iss: `${ISSUER}/` })), INVALID, 'issuer'],
  ['of no issuer', claims(() => ({ iss: undefined })), INVALID, 'iss'],
  ['for another audience', claims(() => ({ aud: `${AUDIENCE}2` })), INVALID, 'audience'],
  ['for several others', claims(() => ({ aud: ['other', AUDIENCE.toUpperCase()] })), INVALID, 'audience'],
  ['for no audience', claims(() => ({ aud: undefined })), INVALID, 'aud'],
  ['of nobody', claims(() => ({ sub: undefined })), INVALID, '"sub"'],
  ['of a blank', claims(() => ({ sub: ' ' })), INVALID, '"sub"'],
  ['of no tenant', claims(() => ({ tenant: undefined })), INVALID, '"tenant"'],
  ['of two tenants', claims(() => ({ tenant: ['acme', 'globex'] })), INVALID, '"tenant"'],
  ['of a tenant that cannot be', claims(() => ({ tenant: 'acme:1' })), INVALID, '"tenant"'],
  ['of all tenants', claims(() => ({ tenant: '*' })), INVALID, '"tenant"'],
  ['with scopes of another form', claims(() => ({ scope: { a: 1 } })), INVALID, '"scope"'],
  ['with an empty list of scopes', claims(() => ({ scope: [] })), 'BLW_SCOPE_DENIED', 'flow:start'],
  ['with scopes of others alone', claims(() => ({ scope: 'openid profile' })), 'BLW_SCOPE_DENIED', 'flow:start'],
  ['of a tenant that is not in the policy', claims(() => ({ tenant: 'nobody' })), 'BLW_TENANT_DENIED', 'no access'],
  ['that is not signed', async () => new UnsecuredJWT(claimsOf()).encode(), INVALID, 'token'],
  ['of the algorithm NONE', unsigned('NONE'), INVALID, 'token'],
  ['of the algorithm nOnE', unsigned('nOnE'), INVALID, 'token'],
  ['of no algorithm', unsigned(''), INVALID, 'token'],
  ['whose signature was cut off', cutSignature, INVALID, 'token'],
  ['signed with the public key as a secret (PEM)', signedWith(publicPem), INVALID, 'algorithm'],
  [
    'signed with the public key as a secret (JWK)',
    signedWith(async ({ acme }) => JSON.stringify(acme.identity.key.publicJwk)),
    INVALID,
    'algorithm',
  ],
  ['signed with nothing as a secret', signedWith(async () => '\0'), INVALID, 'algorithm'],
  ['of a key that is not published', async () => signToken(await makeIssuerKey()), INVALID, 'does not publish'],
  ['of another key under a name that is known', bringingKey(() => ({})), INVALID, 'signature'],
  ['that brings its key along', bringingKey((jwk) => ({ jwk })), INVALID, 'signature'],
  ['that says where its key is', bringingKey(() => ({ jku: 'https://evil.example/jwks' })), INVALID, 'signature'],
  ['that brings a certificate', bringingKey(() => ({ x5c: ['AAAA'] })), INVALID, 'signature'],
  ['with a header that has to be understood', withCritical, INVALID, 'token'],
  ['of an RSA key under the name of the other', rsaToken, INVALID, 'algorithm'],
  ['with a changed byte in its claims', changedClaims, INVALID, 'signature'],
  ['that is no JWT', async () => 'a.b.c', INVALID, 'not a valid JWT'],
  ['that is empty', async () => '', INVALID, 'token'],
];

async function publicPem({ acme }: IdentityWorld): Promise<string> {
  return await exportSPKI((await importJWK(acme.identity.key.publicJwk, 'ES256')) as CryptoKey);
}

async function cutSignature({ acme }: IdentityWorld): Promise<string> {
  return `${(await acme.identity.token()).split('.').slice(0, 2).join('.')}.`;
}

async function changedClaims({ acme }: IdentityWorld): Promise<string> {
  const [header, content = '', signature] = (await acme.identity.token()).split('.');
  const text = Buffer.from(content, 'base64url').toString().replace('"alice"', '"alicf"');
  return [header, Buffer.from(text).toString('base64url'), signature].join('.');
}

/** Signed by the issuer. What its header asks for, nobody here knows. */
async function withCritical({ acme }: IdentityWorld): Promise<string> {
  const { kid, privateKey } = acme.identity.key;
  const header = { alg: 'ES256', kid, crit: ['evil'], evil: true };
  return await new SignJWT(claimsOf()).setProtectedHeader(header).sign(privateKey, { crit: { evil: true } });
}

async function rsaToken({ acme }: IdentityWorld): Promise<string> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const header = { alg: 'RS256', kid: acme.identity.key.kid, jwk: await exportJWK(publicKey) };
  return await new SignJWT(claimsOf()).setProtectedHeader(header).sign(privateKey);
}

/** A start with this token, sealed as it should be. */
async function start(world: IdentityWorld, makeToken: MakeToken): Promise<[workflowId: string, input: object]> {
  const workflowId = `flow-${randomUUID()}`;
  const flow = flowOf(world.pinging);
  const { namespace } = world.acme.worker.client.options;
  const purpose = startPurpose({ namespace, workflowId }, { flow, input: null, tenant: undefined });
  return [workflowId, { flow, token: await world.acme.identity.seal(await makeToken(world), purpose) }];
}

const CONTROLS: readonly (readonly [name: string, make: MakeToken])[] = [
  ['a good one', claims(() => ({}))],
  ['one that expires soon', claims(() => ({ exp: now() + 60 }))],
  ['one for several audiences', claims(() => ({ aud: ['other', AUDIENCE] }))],
  ['one that is valid since now', claims(() => ({ nbf: now() }))],
  [
    'one with scopes as a list',
    claims(() => ({ scope: ['openid', 'flow:start', 'block:*', 'resources:*', 'http:*:*'] })),
  ],
  ['one of another tenant', claims(() => ({ tenant: 'globex' }))],
];

/** Tokens that no issuer gave, or gave for something else. */
export const tokenCases: readonly IdentityCase[] = [
  ...ATTACKS.map(([name, makeToken, code, detail]) =>
    attack(KIND, name, async (world) => {
      const [workflowId, input] = await start(world, makeToken);
      return refusedAs(await world.refusalOf(input, workflowId), code, detail);
    }),
  ),
  ...CONTROLS.map(([name, makeToken]) =>
    control(KIND, name, async (world) => {
      const [workflowId, input] = await start(world, makeToken);
      const before = world.effects;
      const output = await (await world.acme.send(input as never, { workflowId })).result();
      return sameAs([output, world.effects - before], ['pong', 1]);
    }),
  ),
];
