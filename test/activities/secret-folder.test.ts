import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createConfiguredSecrets, parseSecretFlag } from '../../src/activities/ports/configured-secrets';
import { SecretFolder } from '../../src/activities/ports/secret-folder';
import type { SecretStore } from '../../src/activities/ports/secret-store';
import { failureOf } from '../helpers/block-context';

let root: string;
let folder: string;
let store: SecretStore;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  folder = join(root, 'secrets');
  mkdirSync(join(folder, 'acme'), { recursive: true });
  mkdirSync(join(folder, 'other'));
  writeFileSync(join(folder, 'token'), 'for-all\n');
  writeFileSync(join(folder, 'acme', 'token'), 'of-acme\n');
  writeFileSync(join(folder, 'other', 'private'), '{"user": "o", "password": "p"}');
  writeFileSync(join(root, 'outside'), 'OUTSIDE');
  store = createConfiguredSecrets([], {}, new SecretFolder(folder));
});
afterEach(() => rmSync(root, { recursive: true, force: true }));

it('has files for all tenants and for one, which comes first', async () => {
  expect(await store.get('token', 'acme')).toBe('of-acme');
  expect(await store.get('token', 'other')).toBe('for-all');
  expect(await store.get('private', 'other')).toEqual({ user: 'o', password: 'p' });
  expect(await store.get('private', 'acme')).toBeUndefined();
  expect(await store.get('missing', 'acme')).toBeUndefined();
});

it('is read anew each time', async () => {
  writeFileSync(join(folder, 'acme', 'token'), 'newer');
  expect(await store.get('token', 'acme')).toBe('newer');
});

it('stands behind what is named by a flag, but one for the tenant comes before one for all', async () => {
  const flags = ['token=env:ALL', 'acme/named=env:ACME', 'named=env:ALL'].map((flag) => parseSecretFlag(flag, root));
  writeFileSync(join(folder, 'named'), 'of the folder');
  const both = createConfiguredSecrets(flags, { ALL: 'flag', ACME: 'flag of acme' }, new SecretFolder(folder));
  expect(await both.get('token', 'acme')).toBe('of-acme');
  expect(await both.get('token', 'other')).toBe('flag');
  expect(await both.get('named', 'acme')).toBe('flag of acme');
  expect(await both.get('named', 'other')).toBe('flag');
});

it('may be mounted by Kubernetes: links to a folder that is changed as a whole', async () => {
  const mounted = join(root, 'mounted');
  const write = (version: string) => {
    mkdirSync(join(mounted, `..${version}`, 'acme'), { recursive: true });
    writeFileSync(join(mounted, `..${version}`, 'key'), version);
    writeFileSync(join(mounted, `..${version}`, 'acme', 'own'), `acme ${version}`);
    symlinkSync(`..${version}`, join(mounted, '..data_tmp'));
    renameSync(join(mounted, '..data_tmp'), join(mounted, '..data'));
  };
  write('v1');
  symlinkSync('..data/key', join(mounted, 'key'));
  symlinkSync('..data/acme', join(mounted, 'acme'));
  const secrets = createConfiguredSecrets([], {}, new SecretFolder(mounted));
  expect([await secrets.get('key', 'x'), await secrets.get('own', 'acme')]).toEqual(['v1', 'acme v1']);
  write('v2');
  rmSync(join(mounted, '..v1'), { recursive: true });
  expect([await secrets.get('key', 'x'), await secrets.get('own', 'acme')]).toEqual(['v2', 'acme v2']);
  for (const name of ['..data', '..data/key', '..v2']) expect(await secrets.get(name, 'x')).toBeUndefined();
});

const INSIDE = 'token';
it.each([
  ['../outside', 'acme'],
  ['../../outside', 'acme'],
  ['acme/token', 'other'],
  ['other/private', 'acme'],
  ['..', 'acme'],
  ['.', 'acme'],
  ['', 'acme'],
  ['.hidden', 'acme'],
  ['token\0', 'acme'],
  ['a\\..\\outside', 'acme'],
  ['/etc/passwd', 'acme'],
  ['%2e%2e%2foutside', 'acme'],
  ['x'.repeat(200), 'acme'],
  // The folder of a tenant is no secret, not of its own either.
  ['acme', 'acme'],
  ['acme', 'other'],
  ['outside', '..'],
  ['outside', '../secrets/..'],
  [INSIDE, '../secrets/acme'],
  ['private', 'acme/../other'],
])('has nothing of the name %j for the tenant %j', async (name, tenant) => {
  writeFileSync(join(folder, '.hidden'), 'hidden');
  // What is for all stays for all, however odd the tenant.
  expect(await store.get(name, tenant)).toBe(name === INSIDE ? 'for-all' : undefined);
});

it('follows no link out of the folder, of a file or of a tenant', async () => {
  symlinkSync(join(root, 'outside'), join(folder, 'absolute'));
  symlinkSync('../outside', join(folder, 'relative'));
  symlinkSync('../../outside', join(folder, 'acme', 'deep'));
  symlinkSync(root, join(folder, 'tenant'));
  symlinkSync('nowhere', join(folder, 'broken'));
  symlinkSync('loop', join(folder, 'loop'));
  for (const [name, tenant] of [
    ['absolute', 'x'],
    ['relative', 'x'],
    ['deep', 'acme'],
    ['outside', 'tenant'],
    ['broken', 'x'],
  ] as const) {
    expect(await store.get(name, tenant)).toBeUndefined();
  }
  expect((await failureOf(store.get('loop', 'x'))).data).toMatchObject({
    code: 'BLW_SECRET_UNAVAILABLE',
    detail: expect.stringContaining('ELOOP'),
  });
});

it("follows no link out of one tenant's folder, into another's or to what is for all", async () => {
  const acme = join(folder, 'acme');
  symlinkSync('../other/private', join(acme, 'viaLink'));
  symlinkSync(join(folder, 'other', 'private'), join(acme, 'absolute'));
  symlinkSync('../token', join(acme, 'shared'));
  symlinkSync('../other', join(acme, 'folder'));
  symlinkSync('folder/private', join(acme, 'inTwoSteps'));
  mkdirSync(join(folder, 'acme-2'));
  writeFileSync(join(folder, 'acme-2', 'key'), 'of acme-2');
  symlinkSync('../acme-2/key', join(acme, 'sameBeginning'));
  for (const name of ['viaLink', 'absolute', 'shared', 'inTwoSteps', 'sameBeginning']) {
    expect(await store.get(name, 'acme')).toBeUndefined();
  }
  expect(await store.get('private', 'other')).toEqual({ user: 'o', password: 'p' });
});

it("follows links within a tenant's folder, as Kubernetes mounts one there", async () => {
  const acme = join(folder, 'acme');
  mkdirSync(join(acme, '..v1'));
  writeFileSync(join(acme, '..v1', 'own'), 'mounted');
  symlinkSync('..v1', join(acme, '..data'));
  symlinkSync('..data/own', join(acme, 'own'));
  expect(await store.get('own', 'acme')).toBe('mounted');
});

it('reads regular files only, of a size that secrets have', async () => {
  execFileSync('mkfifo', [join(folder, 'pipe')]);
  mkdirSync(join(folder, 'directory'));
  symlinkSync('/dev/zero', join(folder, 'device'));
  for (const name of ['pipe', 'directory', 'device']) expect(await store.get(name, 'acme')).toBeUndefined();
  writeFileSync(join(folder, 'huge'), 'x'.repeat(1_048_577));
  const failure = await failureOf(store.get('huge', 'acme'));
  expect(failure.data).toMatchObject({ code: 'BLW_SECRET_UNAVAILABLE', detail: expect.stringContaining('EFBIG') });
});

it.each([
  ['not there', 'missing', 'cannot be read (ENOENT)'],
  ['a file', 'outside', 'got a file, expected a folder'],
])('is refused at the start where it is %s', (_, name, message) => {
  expect(() => new SecretFolder(join(root, name))).toThrow(`--secret-folder ${join(root, name)}: ${message}`);
});
