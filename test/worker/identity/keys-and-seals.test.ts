import { createHmac } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CompactEncrypt, exportJWK, generateKeyPair } from 'jose';
import { FlowError } from '../../../src/dsl/errors';
import { isOpenToOthers } from '../../../src/worker/file-rights';
import { type AuthKey, generateAuthKey, readAuthKeys, readSealKey } from '../../../src/worker/identity/auth-key';
import { digestOf } from '../../../src/worker/identity/digest';
import { type DeploymentTicket, Grants, type RunGrant } from '../../../src/worker/identity/grants';
import { openToken, type SealPurpose, sealToken } from '../../../src/worker/identity/sealed-token';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-keys-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function fileOf(name: string, content: unknown): string {
  const file = join(folder, name);
  writeFileSync(file, typeof content === 'string' ? content : JSON.stringify(content));
  return file;
}

const codeOf = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (error instanceof FlowError ? error.data.code : String(error)),
  );

const PURPOSE: SealPurpose = { namespace: 'prod', for: 'flow-1', digest: 'abc' };
const TOKEN = 'eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhbGljZSJ9.c2lnbmF0dXJl';

test('a token that is sealed with the public key is opened with the private one, by any of several', async () => {
  const [old, fresh] = [await generateAuthKey(), await generateAuthKey()];
  const both = { keys: [...(fresh.privateSet.keys as object[]), ...(old.privateSet.keys as object[])] };
  const keys = await readAuthKeys(fileOf('both.json', both));
  expect(keys.map(({ id }) => id)).toEqual([fresh.id, old.id]);
  for (const { publicSet } of [old, fresh]) {
    const sealed = await sealToken(TOKEN, PURPOSE, await readSealKey(fileOf('public.json', publicSet)));
    expect(sealed).not.toContain(TOKEN.slice(0, 20));
    expect(await openToken(sealed, PURPOSE, keys)).toBe(TOKEN);
  }
});

test('X25519 keys do as well, and a bare JWK', async () => {
  const { privateKey } = await generateKeyPair('ECDH-ES+A256KW', { crv: 'X25519', extractable: true });
  const { d, ...bare } = await exportJWK(privateKey);
  const sealed = await sealToken(TOKEN, PURPOSE, await readSealKey(fileOf('public.json', bare)));
  expect(await openToken(sealed, PURPOSE, await readAuthKeys(fileOf('private.json', { ...bare, d })))).toBe(TOKEN);
});

test.each<[string, unknown, string]>([
  ['no JSON', '{"d": "secret', 'it is not JSON'],
  ['no key', { keys: [] }, 'there is no key in it'],
  ['something else', { a: 1 }, 'it is no JWK'],
  ['a secret', { kty: 'oct', k: 'AAAA', d: 'AAAA' }, 'got a key of type oct'],
  ['a key of another curve', { kty: 'EC', crv: 'P-384', x: 'AA', y: 'AA', d: 'AA' }, 'got a key of type EC P-384'],
  ['a damaged key', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA', d: 'AA' }, 'the key in it is damaged'],
  ['a public key', { kty: 'EC', crv: 'P-256', x: 'AA', y: 'AA' }, 'key 1 is a public one'],
])('a key file with %s is refused, without a word of what is in it', async (_, content, detail) => {
  const file = fileOf('key.json', content);
  const error: unknown = await readAuthKeys(file).catch((reason: unknown) => reason);
  expect(error).toMatchObject({ data: { code: 'BLW_CONFIG', detail: expect.stringContaining(detail) } });
  expect((error as Error).message).not.toContain('secret');
  await expect(readAuthKeys(join(folder, 'nowhere.json'))).rejects.toThrow('ENOENT');
});

test.each([
  ['the secret key', (set: { keys: unknown }) => set],
  ['one of it, without the set around it', ({ keys }: { keys: unknown }) => (keys as unknown[])[0]],
])('%s seals nothing: whoever has it is told to take the public one', async (_, pick) => {
  const { privateSet } = await generateAuthKey();
  const error: unknown = await readSealKey(fileOf('k.json', pick(privateSet as { keys: unknown }))).catch((e) => e);
  expect(error).toMatchObject({ data: { code: 'BLW_CONFIG' } });
  expect((error as Error).message).toMatch(
    /--seal-key .*k\.json: it is a secret key.* take the public one, seal-key\.json/,
  );
});

test('tells whether others may read a key', () => {
  const file = fileOf('key.json', '{}');
  chmodSync(file, 0o600);
  expect(isOpenToOthers(file)).toBe(false);
  chmodSync(file, 0o640);
  expect(isOpenToOthers(file)).toBe(false);
  chmodSync(file, 0o644);
  expect(isOpenToOthers(file)).toBe(true);
});

describe('a sealed token', () => {
  let keys: readonly [AuthKey, ...AuthKey[]];
  let publicFile: string;
  beforeEach(async () => {
    const { privateSet, publicSet } = await generateAuthKey();
    keys = await readAuthKeys(fileOf('private.json', privateSet));
    publicFile = fileOf('public.json', publicSet);
  });

  test.each<[string, SealPurpose, string]>([
    ['the same', PURPOSE, 'accepted'],
    ['another id', { ...PURPOSE, for: 'flow-2' }, 'BLW_TOKEN_INVALID'],
    ['other content', { ...PURPOSE, digest: 'abd' }, 'BLW_TOKEN_INVALID'],
    ['another namespace', { ...PURPOSE, namespace: 'test' }, 'BLW_TOKEN_INVALID'],
  ])('is good for %s', async (_, purpose, outcome) => {
    const sealed = await sealToken(TOKEN, PURPOSE, await readSealKey(publicFile));
    expect(await codeOf(openToken(sealed, purpose, keys))).toBe(outcome);
  });

  test('of an earlier version, which names no namespace, is refused, and says what to do', async () => {
    const { id, publicKey } = await readSealKey(publicFile);
    const { namespace: _, ...old } = PURPOSE;
    const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify({ token: TOKEN, ...old })))
      .setProtectedHeader({ alg: 'ECDH-ES+A256KW', enc: 'A256GCM', kid: id })
      .encrypt(publicKey);
    await expect(openToken(sealed, PURPOSE, keys)).rejects.toMatchObject({
      data: { code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining('earlier version') },
    });
  });

  test('with any one byte changed is good for nothing', async () => {
    const sealed = await sealToken(TOKEN, PURPOSE, await readSealKey(publicFile));
    const outcomes = new Set<string | undefined>();
    for (let at = 0; at < sealed.length; at += 1) {
      if (sealed[at] === '.') continue;
      // The last character of a part may have bits that say nothing.
      const changed = sealed[at] === 'A' ? 'w' : 'A';
      const text = `${sealed.slice(0, at)}${changed}${sealed.slice(at + 1)}`;
      if (
        Buffer.from(text.split('.').at(-1) ?? '', 'base64url').equals(
          Buffer.from(sealed.split('.').at(-1) ?? '', 'base64url'),
        ) &&
        text.split('.').slice(0, -1).join() === sealed.split('.').slice(0, -1).join()
      )
        continue;
      outcomes.add(await codeOf(openToken(text, PURPOSE, keys)));
    }
    expect([...outcomes]).toEqual(['BLW_TOKEN_INVALID']);
  });

  test.each<[string, { alg: string; enc: string; zip?: string }, unknown]>([
    ['agreed on another way', { alg: 'ECDH-ES', enc: 'A256GCM' }, { token: TOKEN, ...PURPOSE }],
    ['encrypted another way', { alg: 'ECDH-ES+A256KW', enc: 'A128CBC-HS256' }, { token: TOKEN, ...PURPOSE }],
    ['compressed', { alg: 'ECDH-ES+A256KW', enc: 'A256GCM', zip: 'DEF' }, { token: 'x'.repeat(100_000), ...PURPOSE }],
    ['without a token', { alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }, PURPOSE],
    ['of a list', { alg: 'ECDH-ES+A256KW', enc: 'A256GCM' }, []],
  ])('is refused where it was made %s', async (_, header, content) => {
    const { id, publicKey } = await readSealKey(publicFile);
    const sealed = await new CompactEncrypt(Buffer.from(JSON.stringify(content)))
      .setProtectedHeader({ ...header, kid: id })
      .encrypt(publicKey);
    expect(await codeOf(openToken(sealed, PURPOSE, keys))).toBe('BLW_TOKEN_INVALID');
  });

  test('is refused where it names our key and was made for another', async () => {
    const { publicKey } = await generateKeyPair('ECDH-ES+A256KW', { crv: 'P-256' });
    const sealed = await sealToken(TOKEN, PURPOSE, { id: keys[0].id, publicKey });
    expect(await codeOf(openToken(sealed, PURPOSE, keys))).toBe('BLW_TOKEN_INVALID');
  });
});

describe('grants', () => {
  const RUN: RunGrant = { kind: 'run', id: 'flow-1', run: 'run-1', tenant: 'acme', sub: 'alice', scopes: ['block:*'] };
  const TICKET: DeploymentTicket = { kind: 'deployment', idPrefix: 'a-', flow: 'x', tenant: 'acme', sub: 'alice' };

  test('are read as they were issued, by all workers that have the key', async () => {
    const [old, fresh] = [await generateAuthKey(), await generateAuthKey()];
    const before = new Grants(await readAuthKeys(fileOf('old.json', old.privateSet)), 'prod');
    const both = { keys: [...(fresh.privateSet.keys as object[]), ...(old.privateSet.keys as object[])] };
    const after = new Grants(await readAuthKeys(fileOf('both.json', both)), 'prod');
    expect(after.read(before.issue(RUN), 'run')).toEqual(RUN);
    expect(after.read(after.issue(TICKET), 'run', 'deployment')).toEqual(TICKET);
    expect(() => before.read(after.issue(RUN), 'run')).toThrow('not signed with a key of this worker');
  });

  test('are good for their kind only, and not with one bit changed', async () => {
    const { privateSet } = await generateAuthKey();
    const grants = new Grants(await readAuthKeys(fileOf('key.json', privateSet)), 'prod');
    expect(() => grants.read(grants.issue(TICKET), 'run')).toThrow('it is for a deployment');
    expect(() => grants.read(grants.issue(RUN), 'deployment')).toThrow('it is for steps');
    const grant = grants.issue(RUN);
    const bytes = Buffer.from(grant);
    for (let at = 0; at < bytes.length - 1; at += 1) {
      const changed = Buffer.from(bytes);
      changed[at] = (changed[at] ?? 0) ^ 1;
      expect(() => grants.read(changed.toString('latin1'), 'run')).toThrow('grant:');
    }
    expect(() => grants.read(`${grant}.x`, 'run')).toThrow('grant:');
    expect(() => grants.read('', 'run')).toThrow('grant:');
  });

  test('are good in the namespace that they were issued in, and not where they name none', async () => {
    const { privateSet } = await generateAuthKey();
    const keys = await readAuthKeys(fileOf('key.json', privateSet));
    const [prod, test] = [new Grants(keys, 'prod'), new Grants(keys, 'test')];
    for (const grant of [RUN, TICKET]) {
      expect(prod.read(prod.issue(grant), 'run', 'deployment')).toEqual(grant);
      expect(() => test.read(prod.issue(grant), 'run', 'deployment')).toThrow('it is for another Temporal namespace');
      const [header, claims = ''] = prod.issue(grant).split('.');
      const { namespace, ...old } = JSON.parse(Buffer.from(claims, 'base64url').toString()) as { namespace: string };
      expect(namespace).toBe('prod');
      const content = `${header}.${Buffer.from(JSON.stringify(old)).toString('base64url')}`;
      const signature = createHmac('sha256', keys[0].grantSecret).update(content).digest('base64url');
      expect(() => prod.read(`${content}.${signature}`, 'run', 'deployment')).toThrow('an earlier version issued it');
    }
  });

  test('are not signed with the key itself, but with what is derived from it', async () => {
    const { privateSet } = await generateAuthKey();
    const [jwk] = privateSet.keys as { d: string }[];
    const [real] = await readAuthKeys(fileOf('key.json', privateSet));
    const forged = new Grants([{ ...real, grantSecret: Buffer.from(jwk?.d ?? '', 'base64url') }], 'prod').issue(RUN);
    expect(() => new Grants([real], 'prod').read(forged, 'run')).toThrow('its signature is wrong');
  });
});

describe('the digest of a value', () => {
  test.each<[string, unknown, unknown]>([
    ['the order of keys', { a: 1, b: { c: 2, d: 3 } }, { b: { d: 3, c: 2 }, a: 1 }],
    ['what is absent', { a: 1, b: undefined }, { a: 1 }],
    ['how a number is written', { a: 1.0 }, JSON.parse('{"a": 1.0e0}')],
  ])('does not depend on %s', (_, left, right) => {
    expect(digestOf('start', left)).toBe(digestOf('start', right));
  });

  test('tells all others apart', () => {
    const values = [
      null,
      0,
      '',
      '0',
      false,
      [],
      {},
      [null],
      [[]],
      [{}],
      { a: null },
      { a: [] },
      ['a', 'b'],
      ['a,b'],
      'a',
      '"a"',
    ];
    const more = [
      { a: 1, b: 2 },
      { a: '1', b: 2 },
      { ab: 12 },
      [1, 2],
      [12],
      [[1], 2],
      { '': 1 },
      { __proto__: null, a: 1 },
    ];
    const own = JSON.parse('{"__proto__": 1}') as unknown;
    const digests = [...values, ...more, own].map((value) => digestOf('start', value));
    expect(new Set(digests).size).toBe(digests.length);
    expect(digestOf('decide', null)).not.toBe(digestOf('start', null));
  });
});
