import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConfiguredSecrets, parseSecretFlag } from '../../src/activities/ports/configured-secrets';
import { Mask } from '../../src/activities/secrets/mask';
import { resolveSecrets } from '../../src/activities/secrets/resolve-secrets';
import { FlowError } from '../../src/dsl/errors';
import type { JsonObject } from '../../src/dsl/json';
import type { StepSecrets } from '../../src/dsl/secrets';
import { failureOf } from '../helpers/block-context';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const ENV = { TOKEN: 'token-value', SHOP: '{ "username": "me", "password": "hunter22", "note": "x" }', BROKEN: '{ no' };
const storeOf = (...flags: string[]) =>
  createConfiguredSecrets(
    flags.map((flag) => parseSecretFlag(flag, folder)),
    ENV,
  );

function configErrorOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    if (error instanceof FlowError && error.data.code === 'BLW_CONFIG') return error.message;
    throw error;
  }
  throw new Error('expected a BLW_CONFIG error');
}

describe('--secret', () => {
  it('names a variable or a file, for all tenants or one', () => {
    expect(parseSecretFlag('a.b-c=env:A_B')).toEqual({ name: 'a.b-c', source: { env: 'A_B' } });
    expect(parseSecretFlag('acme/a=file:x=y.json', '/srv')).toEqual({
      name: 'a',
      tenant: 'acme',
      source: { file: '/srv/x=y.json' },
    });
  });

  it.each([
    '',
    'a',
    'a=',
    '=env:A',
    'a=hunter22',
    'a=env:',
    'a=env:hunter 22',
    'a=file:',
    'a b=env:A',
    'a/b/c=env:A',
    '/a=env:A',
  ])('refuses %j without repeating what may be the secret', (flag) => {
    const message = configErrorOf(() => parseSecretFlag(flag));
    expect(message).toContain('expected NAME=env:VARIABLE or NAME=file:PATH');
    expect(message).not.toContain('hunter');
  });

  it('is refused at once where there is nothing to read, or twice', () => {
    expect(configErrorOf(() => storeOf('a=env:NONE'))).toContain('--secret a: the variable NONE is not set');
    expect(configErrorOf(() => storeOf('a=file:none'))).toContain('--secret a: the file cannot be read (ENOENT)');
    expect(configErrorOf(() => storeOf('a=env:TOKEN', 'a=env:SHOP'))).toContain('--secret a: got the name twice');
  });
});

describe('configured secrets', () => {
  it('are text or a JSON object, without the line end of a file', async () => {
    writeFileSync(join(folder, 'token'), 'from-file\n');
    const store = storeOf('token=env:TOKEN', 'shop=env:SHOP', 'broken=env:BROKEN', 'file=file:token');
    expect(await store.get('token', 'acme')).toBe('token-value');
    expect(await store.get('shop', 'acme')).toEqual({ username: 'me', password: 'hunter22', note: 'x' });
    expect(await store.get('broken', 'acme')).toBe('{ no');
    expect(await store.get('file', 'acme')).toBe('from-file');
    expect(await store.get('other', 'acme')).toBeUndefined();
  });

  it('of a file are read anew, and missed where it is gone', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'one');
    const store = storeOf('token=file:token');
    writeFileSync(file, 'two');
    expect(await store.get('token', 'acme')).toBe('two');
    rmSync(file);
    expect((await failureOf(store.get('token', 'acme'))).data).toMatchObject({
      code: 'BLW_SECRET_UNAVAILABLE',
      status: 403,
    });
  });

  it('of a tenant are nobody else’s, and come before those of all', async () => {
    const store = storeOf('acme/a=env:TOKEN', 'acme/b=env:TOKEN', 'b=env:BROKEN');
    expect(await store.get('a', 'acme')).toBe('token-value');
    expect(await store.get('a', 'other')).toBeUndefined();
    expect(await store.get('acme/a', 'other')).toBeUndefined();
    expect(await store.get('b', 'acme')).toBe('token-value');
    expect(await store.get('b', 'other')).toBe('{ no');
  });
});

describe('resolving', () => {
  const resolve = async (args: JsonObject, secrets: StepSecrets) => {
    const mask = new Mask();
    const store = storeOf('token=env:TOKEN', 'shop=env:SHOP');
    return { args: await resolveSecrets(args, secrets, { store, tenant: 'acme', mask }), mask };
  };
  const token = { text: 'blw-1-', path: ['token'] };

  it('puts values in place of the placeholders of the step, alone, in text and in keys', async () => {
    const { args, mask } = await resolve({ a: 'blw-1-', b: ['x blw-1- y'], 'k-blw-1-': 1 }, { placeholders: [token] });
    expect(args).toEqual({ a: 'token-value', b: ['x token-value y'], 'k-token-value': 1 });
    expect(mask.text('token-value')).toBe('***');
  });

  it('leaves what only looks like a placeholder', async () => {
    const { args } = await resolve({ a: 'blw-2-' }, { placeholders: [token] });
    expect(args).toEqual({ a: 'blw-2-' });
    expect((await resolve({ a: 'blw-1-' }, {})).args).toEqual({ a: 'blw-1-' });
  });

  it('hands on an object as it is, and as JSON in text', async () => {
    const placeholders = [
      { text: 'blw-1-', path: ['shop'] },
      { text: 'blw-2-', path: ['shop', 'password'] },
    ];
    const { args } = await resolve({ a: 'blw-1-', b: 'x blw-1-', c: 'blw-2-' }, { placeholders });
    const shop = { username: 'me', password: 'hunter22', note: 'x' };
    expect(args).toEqual({ a: shop, b: `x ${JSON.stringify(shop)}`, c: 'hunter22' });
  });

  it('puts the known properties of a scheme into an authentication', async () => {
    const at = ['endpoint', 'authentication', 'basic'];
    const policies = [{ at, name: 'shop' }];
    const { args, mask } = await resolve(
      { endpoint: { uri: 'u', authentication: { basic: { use: 'shop' } } } },
      { policies },
    );
    expect(args).toEqual({
      endpoint: { uri: 'u', authentication: { basic: { username: 'me', password: 'hunter22' } } },
    });
    expect(mask.text(`Basic ${Buffer.from('me:hunter22').toString('base64')}`)).toBe('Basic ***');
  });

  it('takes text as the token of a bearer', async () => {
    const policies = [{ at: ['authentication', 'bearer'], name: 'token' }];
    const { args } = await resolve({ authentication: { bearer: { use: 'token' } } }, { policies });
    expect(args).toEqual({ authentication: { bearer: { token: 'token-value' } } });
  });

  it.each<[string, StepSecrets, string]>([
    [
      'no secret',
      { placeholders: [{ text: 'p', path: ['none'] }] },
      'secret "none": the worker has none of that name for the tenant "acme"',
    ],
    ['no key', { placeholders: [{ text: 'p', path: ['shop', 'pin'] }] }, 'secrets.shop has no key "pin"'],
    ['text', { placeholders: [{ text: 'p', path: ['token', 'pin'] }] }, 'secrets.token has no JSON object'],
    ['text for basic', { policies: [{ at: ['basic'], name: 'token' }] }, 'properties of basic (username, password)'],
  ])('fails for good where there is %s', async (_, secrets, message) => {
    const failure = await failureOf(resolve({ a: 'p' }, secrets));
    expect(failure.message).toContain(message);
    expect(failure.data).toMatchObject({
      code: 'BLW_SECRET_UNAVAILABLE',
      status: 403,
      type: expect.stringMatching(/\/authorization$/),
    });
    expect(failure.options.retryable).toBe(false);
  });

  it('does not ask for a secret whose placeholder is not in the arguments', async () => {
    expect((await resolve({ a: 'x' }, { placeholders: [{ text: 'p', path: ['none'] }] })).args).toEqual({ a: 'x' });
  });
});
