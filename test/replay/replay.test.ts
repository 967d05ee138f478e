import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { replayHistories } from '../../src/worker/replay';

const HISTORIES = join(__dirname, 'histories');

beforeAll(() => {
  Runtime.install({ logger: new DefaultLogger('ERROR', () => undefined), shutdownSignals: [] });
});

test('every stored history replays on the workflows as they are now', async () => {
  const names: string[] = [];
  for await (const { name, error } of replayHistories(HISTORIES)) {
    if (error !== undefined) throw new Error(`${name}: ${error.message}`);
    names.push(name);
  }
  expect(names.length).toBeGreaterThanOrEqual(readdirSync(HISTORIES).length * 3);
});

test('a history that took another course is found out', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  try {
    const [version = ''] = readdirSync(HISTORIES);
    cpSync(join(HISTORIES, version, 'tasks.json'), join(folder, version, 'tasks.json'));
    const file = join(folder, version, 'tasks.json');
    writeFileSync(file, readFileSync(file, 'utf8').replaceAll('"fs.put"', '"fs.putt"'));
    const outcomes = [];
    for await (const outcome of replayHistories(folder)) outcomes.push(outcome);
    expect(outcomes).toMatchObject([{ error: { name: 'DeterminismViolationError' } }]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
