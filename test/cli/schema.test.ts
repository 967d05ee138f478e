import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Ajv2020 from 'ajv/dist/2020';
import { parse } from 'yaml';
import { runCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';

describe('beamline schema', () => {
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-schema-'));
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  it('prints a JSON Schema that tells a flow from what is none, wherever it is called from', async () => {
    const { code, stdout, stderr } = await runCli(['schema'], { cwd });
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const check = new Ajv2020({ strict: false, validateFormats: false }).compile(JSON.parse(stdout));
    const document = { dsl: '1.0.3', namespace: 'a', name: 'b', version: '1.0.0' };
    expect(check({ document, do: [{ list: { call: 'fs.list', with: { limit: 5 } } }] })).toBe(true);
    expect(check({ document, do: [{ list: { call: 'fs.list', with: { count: 5 } } }] })).toBe(false);
  });

  it('writes the same into a file with --out, as YAML with --format yaml', async () => {
    const printed = await runInProcess(['schema']);
    const { code, stdout } = await runInProcess(['schema', '--out', 'flow.schema.yaml', '--format', 'yaml'], { cwd });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(parse(readFileSync(join(cwd, 'flow.schema.yaml'), 'utf8'))).toEqual(JSON.parse(printed.stdout));
  });

  it.each([
    ['a format that is none', ['--format', 'xml'], '--format: got "xml", expected json or yaml'],
    ['a file that cannot be written', ['--out', 'missing/a.json'], 'cannot be written (ENOENT)'],
    ['an argument', ['flow.yaml'], 'too many arguments'],
  ])('refuses %s', async (_what, args, message) => {
    const { code, stdout, stderr } = await runInProcess(['schema', ...args], { cwd });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).toContain('[BLW_USAGE]');
  });

  it('names where the specification and its licence are from', async () => {
    const { $comment } = JSON.parse((await runInProcess(['schema'])).stdout);
    expect($comment).toMatch(/Open Workflow Specification .*1\.0\.3.*Apache License 2\.0/);
  });
});
