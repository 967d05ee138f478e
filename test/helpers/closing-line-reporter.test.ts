import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const REPORTER = join(__dirname, 'closing-line-reporter.js');
const JEST = join(dirname(require.resolve('jest/package.json')), 'bin', 'jest.js');

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** Runs jest in a process of its own on the given files; what it wrote to standard output, and its exit code. */
function runJest(files: Record<string, string>): Promise<{ stdout: string; exitCode: number }> {
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(folder, name)), { recursive: true });
    writeFileSync(join(folder, name), text);
  }
  const config = { rootDir: folder, reporters: ['default', REPORTER], transform: {}, haste: { enableSymlinks: false } };
  return new Promise((resolve) => {
    const args = [JEST, '--config', JSON.stringify(config), '--runInBand', '--ci'];
    execFile(process.execPath, args, { cwd: folder }, (error, stdout) =>
      resolve({ stdout, exitCode: typeof error?.code === 'number' ? error.code : 0 }),
    );
  });
}

const PASS = "test('passes', () => {});";

test.each<[string, string, string, number]>([
  ['passed tests', PASS, '1 passed, 0 failed', 0],
  ['a failed test', `${PASS} test('fails', () => { throw new Error('no'); });`, '1 passed, 1 failed', 1],
  [
    'skipped tests and those to be written',
    `${PASS} test.skip('a', () => {}); test.todo('b');`,
    '1 passed, 0 failed, 2 skipped',
    0,
  ],
  ['a file that does not parse', 'this is (no program', '0 passed, 1 failed', 1],
  ['a file that throws', "throw new Error('at the top');", '0 passed, 1 failed', 1],
  ['a file without tests', '', '0 passed, 1 failed', 1],
  ['a failed afterAll', `${PASS} afterAll(() => { throw new Error('late'); });`, '1 passed, 1 failed', 1],
])('counts %s', async (_, text, line, exitCode) => {
  const run = await runJest({ 'some.test.js': text });
  expect(run.stdout.trimEnd().split('\n').at(-1)).toBe(line);
  expect(run.stdout.match(/passed, \d+ failed/g)).toHaveLength(1);
  expect(run.exitCode).toBe(exitCode);
});

test('adds up all files', async () => {
  const run = await runJest({
    'a.test.js': PASS,
    'b.test.js': `${PASS} test.skip('later', () => {});`,
    'c.test.js': ')',
  });
  expect(run.stdout.trimEnd().split('\n').at(-1)).toBe('2 passed, 1 failed, 1 skipped');
});
