import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';

const UGLY = 'do:\n- a: {wait: PT1S}\n';
const NICE = 'do:\n  - a: { wait: PT1S }\n';

describe('beamline fmt', () => {
  let cwd: string;
  const read = (file: string) => readFileSync(join(cwd, file), 'utf8');
  beforeEach(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-fmt-'));
    writeFileSync(join(cwd, 'ugly.yaml'), UGLY);
    writeFileSync(join(cwd, 'nice.yaml'), NICE);
  });
  afterEach(() => rmSync(cwd, { recursive: true, force: true }));

  it('formats files in place and names those that changed', async () => {
    expect(await runInProcess(['fmt', 'ugly.yaml', 'nice.yaml'], { cwd })).toEqual({
      code: 0,
      stdout: 'ugly.yaml\n',
      stderr: '',
    });
    expect(read('ugly.yaml')).toBe(NICE);
    expect(readdirSync(cwd).sort()).toEqual(['nice.yaml', 'ugly.yaml']);
    expect(await runInProcess(['fmt', 'ugly.yaml', 'nice.yaml'], { cwd })).toEqual({ code: 0, stdout: '', stderr: '' });
  });

  it('names with --check what would change, writes nothing and ends with 2', async () => {
    expect(await runInProcess(['fmt', '--check', 'ugly.yaml', 'nice.yaml'], { cwd })).toEqual({
      code: 2,
      stdout: 'ugly.yaml\n',
      stderr: '',
    });
    expect(read('ugly.yaml')).toBe(UGLY);
    expect((await runInProcess(['fmt', '--check', 'nice.yaml'], { cwd })).code).toBe(0);
  });

  it('formats standard input to standard output', async () => {
    expect(await runCli(['fmt', '-'], { stdin: UGLY })).toEqual({ code: 0, stdout: NICE, stderr: '' });
    const kept = 'do: |+\n  x\n\n\n';
    expect((await runCli(['fmt', '-'], { stdin: kept })).stdout).toBe(kept);
    expect(await runCli(['fmt', '--check', '-'], { stdin: UGLY })).toEqual({
      code: 2,
      stdout: '<stdin>\n',
      stderr: '',
    });
  });

  it('leaves what is not well-formed, says where, and formats the others', async () => {
    writeFileSync(join(cwd, 'broken.yaml'), 'do: [\n');
    writeFileSync(join(cwd, 'bytes.yaml'), Buffer.from([0x64, 0x6f, 0x3a, 0xff]));
    const { code, stdout, stderr } = await runInProcess(
      ['fmt', 'broken.yaml', 'missing.yaml', 'bytes.yaml', 'ugly.yaml'],
      { cwd },
    );
    expect({ code, stdout }).toEqual({ code: 2, stdout: 'ugly.yaml\n' });
    expect(stderr).toMatch(/^broken\.yaml:2:1 BLW_DOC_SYNTAX /m);
    expect(stderr).toMatch(/^bytes\.yaml:1:1 BLW_DOC_SYNTAX the document is not UTF-8 text/m);
    expect(stderr).toContain('missing.yaml: there is no such file [BLW_USAGE]');
    expect(read('broken.yaml')).toBe('do: [\n');
    expect(read('ugly.yaml')).toBe(NICE);
  });

  it('formats a flow that is not valid', async () => {
    writeFileSync(join(cwd, 'invalid.yaml'), 'stps: [1,2]\ndocument: {}\n');
    expect((await runInProcess(['fmt', 'invalid.yaml'], { cwd })).code).toBe(0);
    expect(read('invalid.yaml')).toBe('document: {}\n\nstps: [1, 2]\n');
  });

  it('keeps the mode of a file, and links', async () => {
    chmodSync(join(cwd, 'ugly.yaml'), 0o640);
    symlinkSync('ugly.yaml', join(cwd, 'link.yaml'));
    expect((await runInProcess(['fmt', 'link.yaml'], { cwd })).stdout).toBe('link.yaml\n');
    expect(lstatSync(join(cwd, 'link.yaml')).isSymbolicLink()).toBe(true);
    expect(read('ugly.yaml')).toBe(NICE);
    expect(statSync(join(cwd, 'ugly.yaml')).mode & 0o777).toBe(0o640);
  });

  it('refuses standard input beside files, and no files', async () => {
    const mixed = await runInProcess(['fmt', '-', 'ugly.yaml'], { cwd });
    expect(mixed).toEqual({
      code: 2,
      stdout: '',
      stderr: expect.stringContaining('- formats to stdout; name it alone'),
    });
    expect(read('ugly.yaml')).toBe(UGLY);
    expect((await runInProcess(['fmt'], { cwd })).stderr).toContain("missing required argument 'file'");
  });

  it('says that a folder is none', async () => {
    mkdirSync(join(cwd, 'flows'));
    const { code, stderr } = await runInProcess(['fmt', 'flows'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toContain('flows: is a folder, expected a file');
    expect(existsSync(join(cwd, 'flows'))).toBe(true);
  });
});
