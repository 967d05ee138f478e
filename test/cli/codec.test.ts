import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { runInProcess } from '../helpers/cli-in-process';

const KEY = /^[A-Za-z0-9+/]{43}=\n$/;

describe('beamline codec keygen', () => {
  let cwd: string;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-codec-'));
  });
  afterEach(() => rmSync(cwd, { recursive: true, force: true }));
  const keygen = (...args: string[]) => runInProcess(['codec', 'keygen', ...args], { cwd });

  it('prints a key, another one each time', async () => {
    const [one, two] = [await keygen(), await keygen()];
    expect(one).toEqual({ code: 0, stdout: expect.stringMatching(KEY), stderr: '' });
    expect(two.stdout).not.toBe(one.stdout);
  });

  it('writes it into a file that only its owner may read, prints nothing of it, and overwrites none', async () => {
    const { code, stdout, stderr } = await keygen('--out', 'acme.key');
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const file = join(cwd, 'acme.key');
    const key = readFileSync(file, 'utf8');
    expect(key).toMatch(KEY);
    expect(stderr).toContain('acme.key');
    expect(stderr).not.toContain(key.trim());
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const again = await keygen('--out', 'acme.key');
    expect(again).toMatchObject({ code: 2, stderr: expect.stringContaining('acme.key: is there already [BLW_USAGE]') });
    expect(readFileSync(file, 'utf8')).toBe(key);
    const nowhere = await keygen('--out', 'no/where.key');
    expect(nowhere).toMatchObject({ code: 2, stderr: expect.stringContaining('cannot be written (ENOENT)') });
  });
});

describe('beamline codec export', () => {
  let cwd: string;
  const own = randomBytes(32).toString('base64');
  const master = randomBytes(32).toString('base64');
  const keysYaml = `acme: [{ id: k2, key: "${own}" }]\nglobex: [{ id: g, key: "${own}" }]\n"*": [{ id: rest, key: "${master}" }]\n`;
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-codec-'));
    writeFileSync(join(cwd, 'keys.yaml'), keysYaml, { mode: 0o600 });
  });
  afterEach(() => rmSync(cwd, { recursive: true, force: true }));
  const exportKeys = (...args: string[]) => runInProcess(['codec', 'export', ...args], { cwd });
  const whole = () => readKeyRing(join(cwd, 'keys.yaml'), {});

  it("writes one tenant's keys, its own first, into a file that only its owner may read", async () => {
    const args = ['--tenant', 'acme', '--encryption-keys', 'keys.yaml', '--out', 'acme.yaml'];
    const { code, stdout, stderr } = await exportKeys(...args);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(stderr).toContain('wrote 2 keys of the tenant acme into acme.yaml');
    const file = join(cwd, 'acme.yaml');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    const part = readKeyRing(file, {});
    expect(part.encrypting('acme')).toEqual(whole().encrypting('acme'));
    expect(part.decrypting('acme', '*/rest')).toEqual(whole().decrypting('acme', '*/rest'));
    expect(part.allOf('acme')).toEqual(whole().allOf('acme'));
    for (const other of ['globex', 'initech']) expect(part.allOf(other)).toEqual([]);
    expect(readFileSync(file, 'utf8')).not.toContain(master);
    expect(await exportKeys(...args)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('acme.yaml: is there already'),
    });
  });

  it("gives a tenant under '*' what is derived for it, on stdout without --out", async () => {
    const { code, stdout } = await exportKeys('--tenant', '2026', '--encryption-keys', 'keys.yaml');
    expect(code).toBe(0);
    writeFileSync(join(cwd, 'own.yaml'), stdout, { mode: 0o600 });
    const part = readKeyRing(join(cwd, 'own.yaml'), {});
    expect(part.encrypting('2026')).toEqual(whole().encrypting('2026'));
    expect(part.encrypting('2026')?.id).toBe('*/rest');
    expect(part.decrypting('initech', '*/rest')).toBeUndefined();
    expect(stdout).not.toContain(master);
  });

  it.each([
    ['no file', ['--tenant', 'acme'], "the workers' keys are needed; expected --encryption-keys FILE"],
    ['no tenant', ['--encryption-keys', 'keys.yaml'], "required option '--tenant <NAME>' not specified"],
    ['a name of no tenant', ['--tenant', 'a b', '--encryption-keys', 'keys.yaml'], '--tenant: got "a b"'],
    ['a tenant without a key', ['--tenant', 'acme', '--encryption-keys', 'globex.yaml'], 'has no key for "acme"'],
  ])('refuses %s', async (_, args, message) => {
    writeFileSync(join(cwd, 'globex.yaml'), `globex: [{ id: g, key: "${own}" }]\n`, { mode: 0o600 });
    const { code, stdout, stderr } = await exportKeys(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toContain(own);
  });

  it('takes no derived key as one for all tenants', () => {
    writeFileSync(join(cwd, 'bad.yaml'), `"*": [{ id: "*/rest", key: "${own}" }]\n`, { mode: 0o600 });
    expect(() => readKeyRing(join(cwd, 'bad.yaml'), {})).toThrow('expected 1 to 64 letters');
  });
});
