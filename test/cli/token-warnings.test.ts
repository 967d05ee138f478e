import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { UnsecuredJWT } from 'jose';
import { tokenWarnings } from '../../src/cli/token-warnings';
import { runInProcess } from '../helpers/cli-in-process';
import { makeIdentity, policyText, type TestIdentity, tenantPolicy } from '../helpers/identity';

const NOW = 1_800_000_000_000;
const seconds = (fromNow: number) => NOW / 1_000 + fromNow;
const tokenOf = (claims: Record<string, unknown>) =>
  new UnsecuredJWT({ sub: 'alice', exp: seconds(600), ...claims }).encode();

test.each<[string, Record<string, unknown>, string | undefined, string[]]>([
  ['is fine', { tenant: 'acme' }, 'acme', []],
  ['names no tenant', {}, 'acme', []],
  ['has another tenant in another claim', { org: 'globex' }, 'acme', []],
  ['expired', { exp: seconds(-120) }, undefined, ['the token expired 2 min 0 s ago; get a new one']],
  ['is for later', { nbf: seconds(90) }, undefined, ['the token is not valid before 1 min 30 s from now']],
  [
    'is of another tenant',
    { tenant: 'globex' },
    'acme',
    ['the token\'s claim "tenant" is "globex", and --tenant is "acme": one of them is another\'s'],
  ],
  ['never expires', { exp: undefined }, undefined, ['the token has no claim "exp"; workers accept none without']],
  ['is nobody’s', { sub: undefined }, undefined, ['the token has no claim "sub"; workers accept none without']],
])('warns of a token that %s', (_, claims, tenant, warnings) => {
  expect(tokenWarnings(tokenOf(claims), { tenant, tenantClaim: 'tenant', nowMs: NOW })).toEqual(warnings);
});

test('warns of another tenant by the claim that has the tenant, and only where that is known', () => {
  const token = tokenOf({ tenant: 'globex', org: 'initech' });
  const of = (tenantClaim?: string) => tokenWarnings(token, { tenant: 'acme', tenantClaim, nowMs: NOW });
  expect(of()).toEqual([]);
  expect(of('org')).toEqual([
    'the token\'s claim "org" is "initech", and --tenant is "acme": one of them is another\'s',
  ]);
});

test('says nothing of what is no JWT', () => {
  expect(tokenWarnings('a.b.c', {})).toEqual([]);
});

describe('beamline token', () => {
  let identity: TestIdentity;
  beforeAll(async () => {
    identity = await makeIdentity();
  });
  afterAll(() => identity.close());

  test('show and seal warn on stderr of a token that workers will not accept', async () => {
    const expired = await identity.tokenFile({ exp: 1_700_000_000 });
    const shown = await runInProcess(['token', 'show', '--token-file', expired], { cwd: identity.folder });
    expect(shown).toMatchObject({
      code: 0,
      stderr: expect.stringMatching(/^warning: the token expired .* ago; get a new one\n$/),
    });
    expect(JSON.parse(shown.stdout)).toMatchObject({ claims: { sub: 'alice' } });
    writeFileSync(join(identity.folder, 'policy.json'), policyText(identity.jwksFile, [tenantPolicy('acme', [])]));
    const seal = ['token', 'seal', '--seal-key', identity.sealKeyFile, '--for', 'x', '--flow', 'a/b:1.0.0'];
    const other = [...seal, '--token-file', await identity.tokenFile(), '--tenant', 'globex'];
    // Without the policy nobody knows here which claim has the tenant.
    for (const [policy, warning] of [
      [undefined, ''],
      ['nothere.json', ''],
      [
        'policy.json',
        'warning: the token\'s claim "tenant" is "acme", and --tenant is "globex": one of them is another\'s\n',
      ],
    ] as const) {
      const env = policy === undefined ? {} : { BEAMLINE_POLICY: policy };
      const sealed = await runInProcess(other, { cwd: identity.folder, env });
      expect(sealed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^[\w.-]+\n$/), stderr: warning });
    }
  });

  test('seal refuses the secret key of the workers', async () => {
    writeFileSync(join(identity.folder, 'token.jwt'), await identity.token());
    const args = ['token', 'seal', '--seal-key', identity.authKeyFile, '--token-file', 'token.jwt'];
    const { code, stdout, stderr } = await runInProcess([...args, '--for', 'x', '--flow', 'a/b:1.0.0'], {
      cwd: identity.folder,
    });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/it is a secret key, which belongs to the workers alone .* \[BLW_CONFIG\]/);
  });
});
