import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { FlowSurvey } from '../../src/worker/telemetry/flow-survey';
import { connectWorker } from '../../src/worker/temporal-connection';
import type { TemporalServer } from '../../temporal-dev/server';
import { startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { startOwnTemporal } from '../helpers/temporal';
import { eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** One of its own, so that counts are those of this file. */
let server: TemporalServer;
let test: TestWorker;
let folder: string;

const READ = flowOf("do: [{ read: { call: fs.get, with: { path: '${ data }' } } }]");
/** Stands still after its first step. */
const WAITS = flowOf('do: [{ read: { call: fs.get, with: { path: a } } }, { rest: { wait: PT1H } }]');

beforeAll(async () => {
  server = await startOwnTemporal();
  folder = mkdtempSync(join(tmpdir(), 'beamline-dry-runs-'));
  const { address, namespace } = server;
  test = await startTestWorker({ pools: 'io,sandbox' }, { address, namespace });
  const live = { mode: 'live', taskQueue: `${test.queuePrefix}-io` };
  await ended(start('live', { flow: flowOf('do: [{ s: { set: { a: 1 } } }]') }, live));
  await ended(start('completed', { flow: READ, input: 'a' }));
  await ended(start('failed', { flow: READ, input: '../a' }));
  await ended(start('refused', { flow: READ, mocks: { red: { output: 1 } } }));
  const cancelled = await start('cancelled', { flow: WAITS, waits: 'real' });
  await progressWhen(cancelled, ({ stepsEnded }) => stepsEnded === 1);
  await cancelled.cancel();
  await ended(Promise.resolve(cancelled));
  await (await start('terminated', { flow: READ }, { mode: 'dry-run', taskQueue: 'nobody-sandbox' })).terminate('no');
  await start('open', { flow: WAITS, waits: 'real' });
  await start('queued', { flow: READ }, { mode: 'dry-run', taskQueue: 'nobody-sandbox' });
}, 60_000);

afterAll(async () => {
  await test?.stop();
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function start(
  workflowId: string,
  input: JsonObject,
  { mode, taskQueue } = { mode: 'dry-run', taskQueue: `${test.queuePrefix}-sandbox` },
): Promise<WorkflowHandle> {
  return test.client.workflow.start(RUN_FLOW, { workflowId, taskQueue, args: [{ ...input, mode, tenant: 'acme' }] });
}

/** However it ended. */
async function ended(handle: Promise<WorkflowHandle>): Promise<void> {
  await (await handle).result().catch(() => undefined);
}

const connection = () => ['--address', server.address, '--namespace', server.namespace];
const cli = (...args: string[]) => runInProcess([...args, ...connection()], { cwd: folder });
const show = async (id: string) => (await cli('runs', 'show', id)).stdout;

/** Id and status of what is listed, in the order of the ids. */
async function listed(...args: string[]): Promise<readonly string[]> {
  const { code, stdout, stderr } = await cli('runs', 'list', '--json', ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  const { runs } = JSON.parse(stdout) as { runs: { workflowId: string; status: string }[] };
  return runs.map(({ workflowId, status }) => `${workflowId} ${status}`).sort();
}

const ALL = [
  'cancelled DryRunCancelled',
  'completed DryRunCompleted',
  'failed DryRunFailed',
  'open DryRun',
  'queued DryRun',
  'refused DryRunFailed',
  'terminated Terminated',
];

describe('dry runs in lists', () => {
  beforeAll(async () => {
    // Temporal's lists come a little later.
    await eventually(async () => ((await listed('--dry-runs')).join() === ALL.join() ? true : undefined));
  });

  it.each<[readonly string[], readonly string[]]>([
    [[], ['live Completed']],
    [['--status', 'open'], []],
    [['--status', 'running'], []],
    [['--status', 'failed', '--status', 'cancelled'], []],
    [['--status', 'completed'], ['live Completed']],
    [['--status', 'terminated'], []],
    [['--dry-runs', '--status', 'terminated'], ['terminated Terminated']],
    [
      ['--dry-runs', '--status', 'failed'],
      ['failed DryRunFailed', 'refused DryRunFailed'],
    ],
    [
      ['--dry-runs', '--status', 'open'],
      ['open DryRun', 'queued DryRun'],
    ],
    [['--dry-runs', '--status', 'deadlettered'], []],
    [
      ['--status', 'dryrunfailed'],
      ['failed DryRunFailed', 'refused DryRunFailed'],
    ],
    [
      ['--status', 'dryrun'],
      ['open DryRun', 'queued DryRun'],
    ],
    [
      ['--status', 'DryRunCancelled', '--status', 'completed'],
      ['cancelled DryRunCancelled', 'live Completed'],
    ],
    [['--dry-runs', '--tenant', 'acme', '--flow', 'test/flow', '--status', 'completed'], ['completed DryRunCompleted']],
  ])('%j lists %j', async (flags, expected) => {
    expect(await listed(...flags)).toEqual(expected);
  });

  it('are counted neither by top nor by the metrics of the installation', async () => {
    const { stdout } = await cli('top', '--once', '--json', '--metrics', '127.0.0.1:1', '--queue-prefix', 'nobody');
    const { open, endedLastHour } = (JSON.parse(stdout) as { flows: { open: JsonObject; endedLastHour: JsonObject } })
      .flows;
    expect(Object.values(open).every((count) => count === 0)).toBe(true);
    expect(endedLastHour).toEqual({ Completed: 1 });
    const { connection: worker, namespace } = await connectWorker(server);
    try {
      const survey = new FlowSurvey({ connection: worker, namespace, taskQueue: `${test.queuePrefix}-io` });
      const { open: running, closed } = await survey.read();
      expect([running.get('Running'), closed.get('Completed'), closed.get('Failed')]).toEqual([0, 1, 0]);
    } finally {
      await worker.close();
    }
  });
});

describe('redrive of dry runs', () => {
  it.each(['failed', 'refused', 'cancelled', 'open'])('refuses one that is %s before anything is done', async (id) => {
    const { code, stderr } = await cli('redrive', id);
    expect(stderr).toContain(`"${id}" is a dry run: it did nothing that could go on [BLW_REDRIVE_REFUSED]`);
    expect(code).toBe(1);
  });

  it('leaves them out where several flows are redriven', async () => {
    const { stdout } = await cli('redrive', '--yes', '--json');
    expect(JSON.parse(stdout)).toEqual({ flows: [], hasMore: false });
  });
});

describe('runs show of a dry run', () => {
  it('prints its report, as beamline run --dry-run does', async () => {
    const text = await show('completed');
    expect(text).toMatch(/status {5}DryRunCompleted\n {2}dry run {4}its steps are answered, and nothing is done\n/);
    expect(text).toContain('flow       test/flow:1.0.0\n  tenant     acme\n');
    expect(text).toContain('dry run of test/flow:1.0.0 for acme: nothing was done\n✓ /do/0/read fs.get\n');
    expect(text).toContain('it would complete with\n');
    expect(text).not.toContain('"dryRun"');
    expect(await show('failed')).toContain('it would fail: ');
  });

  it('says of one that was refused at its start why, and proposes nothing', async () => {
    const text = await show('refused');
    expect(text).toContain('flow       (refused at its start)\n');
    expect(text).toContain('no step is called "red"');
    expect(text).not.toContain('What to do next');
  });

  it('has what one would have done that was cancelled, or still runs', async () => {
    for (const id of ['cancelled', 'open']) {
      const text = await show(id);
      expect(text).toContain('dry run of test/flow:1.0.0 for acme: nothing was done\n✓ /do/0/read fs.get\n');
      expect(text).toContain('would read blob a\n');
    }
    expect(await show('cancelled')).toContain('~ /do/1/rest wait\n');
    expect(await show('cancelled')).toContain('error: the flow was cancelled [BLW_CANCELLED]\n');
    expect(await show('open')).toContain('runs cancel open');
    expect(await show('terminated')).toContain('flow       (it ended before a worker had taken it up)\n');
    expect(await show('queued')).toContain('flow       (no worker has taken it up yet)\n');
  });

  it('has as JSON what the flow would end with, and the report', async () => {
    const json = async (id: string) => JSON.parse((await cli('runs', 'show', id, '--json')).stdout) as JsonObject;
    expect(await json('completed')).toMatchObject({
      isDryRun: true,
      status: 'DryRunCompleted',
      report: { dryRun: true, output: expect.anything() },
      output: expect.anything(),
    });
    expect(await json('failed')).toMatchObject({ error: { code: 'BLW_FS_PATH' }, report: { status: 'failed' } });
    const cancelled = await json('cancelled');
    expect(cancelled).toMatchObject({
      error: { code: 'BLW_CANCELLED' },
      report: { flow: 'test/flow:1.0.0', steps: [{ name: 'read' }, { name: 'rest', status: 'cancelled' }] },
    });
    expect(cancelled.report).not.toHaveProperty('status');
  });

  it('follows one to its report', async () => {
    const { code, stdout } = await cli('runs', 'show', 'failed', '--follow');
    expect(stdout).toContain('dry run of test/flow:1.0.0 for acme: nothing was done\n');
    expect(code).toBe(1);
  });
});

it('beamline run --dry-run tells of the steps of one that is cancelled', async () => {
  writeFileSync(join(folder, 'waits.json'), JSON.stringify(WAITS));
  const flags = ['--dry-run', '--real-waits', '--id', 'ended', '--queue-prefix', test.queuePrefix];
  const running = startCli(['run', 'waits.json', ...flags, ...connection()], { cwd: folder });
  const handle = test.client.workflow.getHandle('dry-run-ended');
  await eventually(async () => progressWhen(handle, ({ stepsEnded }) => stepsEnded === 1));
  await handle.cancel();
  const { code, stdout, stderr } = await running.exited;
  expect(stdout).toContain('✓ /do/0/read fs.get\n    would read blob a\n');
  expect(stderr).toContain('error: the flow was cancelled [BLW_CANCELLED]');
  expect(code).toBe(1);
});
