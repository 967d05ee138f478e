import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** What `npm run conformance` runs, once it has built. */
const MAIN = join(__dirname, '..', '..', 'dist', 'conformance', 'main.js');

// Each starts a process, some of them a server too.
jest.setTimeout(120_000);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function run(...args: string[]): Promise<{ code: unknown; stdout: string; stderr: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, ...args], (error, stdout, stderr) => {
      resolve({ code: error?.code ?? 0, stdout, stderr });
    });
  });
}

const feature = (expected: string) => `Feature: F
  Scenario: S
    Given a workflow with definition:
    """yaml
    document: { dsl: '1.0.3', namespace: conformance, name: s, version: '1.0.0' }
    do: [{ a: { set: { x: 1 } } }]
    """
    When the workflow is executed
    Then the workflow should complete with output:
    """yaml
    x: ${expected}
    """
`;

describe('npm run conformance', () => {
  it('prints a line for each scenario, and fails where one does', async () => {
    mkdirSync(join(folder, 'features'));
    writeFileSync(join(folder, 'features', 'a.feature'), feature('1'));
    writeFileSync(join(folder, 'features', 'b.feature'), feature('2'));
    const { code, stdout, stderr } = await run('--ctk', folder);
    expect({ code, stderr }).toEqual({ code: 1, stderr: '' });
    const lines = stdout.replace(/\(\d+ ms\)/g, '(1 ms)').split('\n');
    expect(lines).toEqual([
      'ok      F › S (1 ms)',
      'FAILED  F › S (1 ms)',
      '        b.feature:9 Then the workflow should complete with output:',
      "        the flow's output",
      '        got:      {"x":1}',
      '        expected: {"x":2}',
      '',
      '1 passed, 1 failed',
      '',
    ]);
  });

  it('succeeds where all scenarios pass', async () => {
    mkdirSync(join(folder, 'features'));
    writeFileSync(join(folder, 'features', 'a.feature'), feature('1'));
    const { code, stdout } = await run('--ctk', folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(/\n1 passed, 0 failed\n$/);
  });

  it.each([
    ['the kit', '--ctk', 'ctk'],
    ['the examples', '--examples', 'examples'],
  ])('says how to get %s where it is not there', async (_what, option, part) => {
    const { code, stdout } = await run(option, join(folder, 'nowhere'));
    expect(code).toBe(0);
    expect(stdout).toMatch(/^skipped: .+ there is no folder .+nowhere\n/);
    expect(stdout).toMatch(
      new RegExp(`git clone https://\\S+ && npm run conformance -- ${option} specification/${part}\n$`),
    );
  });

  it('fails where a kit has no scenario', async () => {
    expect(await run('--ctk', folder)).toMatchObject({ code: 1, stderr: expect.stringContaining('got no scenario') });
  });

  it('lists flows with what they are refused for', async () => {
    const document = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }";
    writeFileSync(join(folder, 'a.yaml'), `${document}\ndo: [{ a: { wait: PT1S } }]`);
    writeFileSync(join(folder, 'b.yaml'), `${document}\ndo: [{ a: { wiat: PT1S } }]`);
    const { code, stdout } = await run('--examples', folder);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^valid {2}a\.yaml\nBLW_\w+ {2}b\.yaml\n {4}2:\d+ BLW_\w+ .*wait.*\n\n1 valid, 1 refused\n$/,
    );
  });

  it('runs the cases of expressions', async () => {
    const { stdout } = await run('--expressions');
    expect(stdout).toMatch(/^cel: \d\d+ passed, 0 failed$/m);
  });

  it.each([
    [['--tck'], 'Unknown option'],
    [['features'], 'unknown argument features'],
    [['--examples', '--expressions'], 'expected one'],
    [['--examples', 'a', 'b'], 'unknown argument'],
  ])('refuses %j as bad usage', async (args, reason) => {
    const { code, stdout, stderr } = await run(...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(reason);
    expect(stderr).toContain('Usage: npm run conformance');
  });
});
