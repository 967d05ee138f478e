import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
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
