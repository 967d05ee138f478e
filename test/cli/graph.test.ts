import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';

const EXAMPLE = join(__dirname, '..', '..', 'examples', 'order-intake.yaml');

describe('beamline graph', () => {
  let cwd: string;
  beforeAll(() => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-graph-'));
  });
  afterAll(() => rmSync(cwd, { recursive: true, force: true }));

  it('prints a Mermaid flowchart', async () => {
    const { code, stdout, stderr } = await runCli(['graph', EXAMPLE]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^flowchart TD\n {2}%% shop\/order-intake:/);
    expect(stdout).toContain('getOrder<br/>http.request');
  });

  it('writes the same into a file with --out', async () => {
    const { code, stdout } = await runCli(['graph', EXAMPLE, '--out', 'flow.mmd'], { cwd });
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    expect(readFileSync(join(cwd, 'flow.mmd'), 'utf8')).toBe((await runCli(['graph', EXAMPLE])).stdout);
  });

  it('lists the problems of an invalid flow instead', async () => {
    const { code, stdout, stderr } = await runCli(['graph', '-'], { stdin: 'do: []' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^<stdin>:1:1 BLW_KEY_MISSING /);
    expect(stderr).toMatch(/problems in 1 file\n$/);
  });

  it('says why it cannot write a file', async () => {
    const { code, stderr } = await runCli(['graph', EXAMPLE, '--out', 'missing/flow.mmd'], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(/^error: --out .*missing\/flow\.mmd: cannot be written \(ENOENT\) \[BLW_USAGE\]$/m);
  });

  it.each([
    [['graph'], 'expected a flow document, or --run with a workflow id'],
    [['graph', EXAMPLE, '--run', 'order-7'], 'got a flow document and --run; a run brings its own flow'],
    [['graph', EXAMPLE, '--run-id', 'x'], '--run-id: says which run of --run, which is missing'],
    [['graph', '--run', ''], '--run: got an empty text, expected a workflow id'],
    [
      ['graph', '--run', 'order-7', '--run-id', ' '],
      '--run-id: got an empty text, expected a UUID, the run id that `beamline runs list --json` shows',
    ],
  ])('beamline %j is refused', async (args, message) => {
    const { code, stdout, stderr } = await runInProcess(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(new RegExp(`^error: ${message} \\[BLW_USAGE\\]`));
  });
});
