import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { BrokenService, lettersOf, statusOf } from '../helpers/broken-service';
import { flowText } from '../helpers/catalog-folder';
import { type CliResult, runCli, startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { testTemporal } from '../helpers/temporal';
import { eventually, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

const run = promisify(execFile);

let worker: TestWorker;
let service: BrokenService;
let folder: string;
let temporalCli: string;
/** One of its own, so that lists have only what the tests made. */
let tenant: string;
const unused: WorkflowHandle[] = [];

beforeAll(async () => {
  service = await new BrokenService().open();
  worker = await startTestWorker();
  folder = mkdtempSync(join(tmpdir(), 'beamline-dlq-'));
  temporalCli = await findTemporal({ log: () => undefined, canInstall: false });
});
beforeEach(() => {
  tenant = `t-${randomUUID().slice(0, 8)}`;
});
afterEach(async () => {
  for (const handle of unused.splice(0)) await handle.terminate().catch(() => undefined);
});
afterAll(async () => {
  await worker.stop();
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

const connection = () => ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
const dlq = (...args: string[]): Promise<CliResult> => runInProcess(['dlq', ...args, ...connection()], { cwd: folder });

interface ListedJson {
  readonly deadLetters: readonly (JsonObject & { readonly workflowId: string; readonly id: string })[];
  readonly hasMore: boolean;
}

/** What is listed, once there is so much: Temporal's lists come a little later. */
async function listed(count: number, ...args: string[]): Promise<ListedJson> {
  return await eventually(async () => {
    const { code, stdout, stderr } = await dlq('list', '--tenant', tenant, '--json', ...args);
    if (code !== 0) throw new Error(stderr);
    const list = JSON.parse(stdout) as ListedJson;
    return list.deadLetters.length === count ? list : undefined;
  });
}

let flows = 0;

/** A flow with one dead letter, of a path of its own. */
async function park(name = 'pay', path = `/p${++flows}`): Promise<{ flow: WorkflowHandle; path: string; id: string }> {
  service.broken.add(path);
  const flow = await worker.start(`do: [${service.step(name, path)}]`, { n: 1 }, { tenant });
  unused.push(flow);
  await lettersOf(flow);
  return { flow, path, id: flow.workflowId };
}

describe('beamline dlq list', () => {
  test('shows a flow that its workers cannot go on with, and the others', async () => {
    const settings = { 'queue-prefix': `test-${randomUUID()}`, 'blob-root': join(folder, 'lost') };
    const before = await startTestWorker(settings);
    const step = service.step('pay', '/lost');
    service.broken.add('/lost');
    const parkOne = async (input: string): Promise<WorkflowHandle> => {
      const flow = await before.client.workflow.start('runFlow', {
        taskQueue: `${settings['queue-prefix']}-io`,
        workflowId: `flow-${randomUUID()}`,
        args: [{ flow: flowOf(`do: [${step}]`), input, tenant }],
      });
      await lettersOf(flow);
      return flow;
    };
    const stuck = await parkOne('x'.repeat(300_000));
    const fine = await parkOne('x');
    await before.stop();
    // What its first event refers to.
    rmSync(join(settings['blob-root'], 'payloads', 'objects'), { recursive: true });
    const after = await startTestWorker(settings);
    try {
      const list = await eventually(async () => {
        const { stdout } = await dlq('list', '--tenant', tenant, '--json');
        const { deadLetters } = JSON.parse(stdout) as ListedJson;
        return deadLetters.length === 2 ? deadLetters : undefined;
      });
      const lineOf = ({ workflowId }: WorkflowHandle) => list.find((letter) => letter.workflowId === workflowId);
      expect(lineOf(stuck)).toMatchObject({ error: { code: 'BLW_TEMPORAL_UNREACHABLE' } });
      expect(lineOf(fine)).toMatchObject({ id: '/do/0/pay' });
      const { code, stderr } = await dlq('retry', stuck.workflowId);
      expect(code).toBe(1);
      expect(stderr).toContain(`cannot go on with "${stuck.workflowId}": `);
    } finally {
      await after.stop();
      await Promise.all(
        [stuck, fine].map(({ workflowId }) => worker.client.workflow.getHandle(workflowId).terminate()),
      );
    }
  }, 60_000);

  test('shows id, step, block, code, attempts, age, flow and tenant', async () => {
    const { id } = await park();
    await listed(1);
    const { code, stdout } = await dlq('list', '--tenant', tenant);
    expect(code).toBe(0);
    const [header, row, ...rest] = stdout.trimEnd().split('\n');
    expect(header?.split(/ {2,}/)).toEqual(['ID', 'STEP', 'BLOCK', 'CODE', 'ATTEMPTS', 'AGE', 'FLOW', 'TENANT']);
    expect(row?.split(/ {2,}/)).toEqual([
      id,
      '/do/0/pay',
      'http.request',
      'BLW_HTTP_STATUS',
      '1',
      expect.stringMatching(/ s$|ms$/),
      'test/flow:1.0.0',
      tenant,
    ]);
    expect(rest).toEqual([]);
    expect((await listed(1)).deadLetters).toEqual([
      expect.objectContaining({ workflowId: id, id: '/do/0/pay', tenant, failedIn: 'run', input: { n: 1 } }),
    ]);
  });

  test('says where there is none, and where there are more', async () => {
    expect(await dlq('list', '--tenant', tenant)).toMatchObject({ code: 0, stdout: 'no dead letter waits\n' });
    await park();
    await park();
    await listed(2);
    const { stdout, stderr } = await dlq('list', '--tenant', tenant, '--limit', '1');
    expect(stdout.trimEnd().split('\n')).toHaveLength(2);
    expect(stderr).toBe('there are more than 1; see them with --limit\n');
  });

  test('filters by flow, block, code and time of failure', async () => {
    const { id } = await park();
    const wrong = await worker.start(`do: [${service.step('pay', '/wrong')}]`, { wrong: 1 }, { tenant });
    unused.push(wrong);
    await listed(2);
    const idsOf = async (...args: string[]) => {
      const { stdout } = await dlq('list', '--tenant', tenant, '--json', ...args);
      return (JSON.parse(stdout) as ListedJson).deadLetters.map(({ workflowId }) => workflowId).sort();
    };
    const both = [id, wrong.workflowId].sort();
    expect(await idsOf('--flow', 'test/flow')).toEqual(both);
    expect(await idsOf('--flow', 'test/flow:1.0.0')).toEqual(both);
    expect(await idsOf('--flow', 'test/flo')).toEqual([]);
    expect(await idsOf('--flow', 'test/flow:1.0.1')).toEqual([]);
    expect(await idsOf('--block', 'http.request')).toEqual(both);
    expect(await idsOf('--block', 'sql.query')).toEqual([]);
    expect(await idsOf('--code', 'BLW_HTTP_STATUS')).toEqual([id]);
    expect(await idsOf('--code', 'BLW_EXPR_FAILED')).toEqual([wrong.workflowId]);
    expect(await idsOf('--since', '2h')).toEqual(both);
    expect(await idsOf('--since', 'PT2H', '--until', new Date(Date.now() + 60_000).toISOString())).toEqual(both);
    expect(await idsOf('--until', '2h')).toEqual([]);
    expect(await idsOf('--since', '2020-01-01')).toEqual(both);
  });

  test('has all of a flow with many, page by page', async () => {
    const count = 620;
    service.broken.add('/many');
    const items = `[${Array.from({ length: count }, (_, index) => index).join(', ')}]`;
    const flow = await worker.start(
      `do: [{each: {for: {in: '${items}'}, metadata: {concurrency: ${count}, batchSize: ${count}}, do: [${service.step('p', '/none').replace('data.n', 'data.none')}]}}]`,
      { big: 'x'.repeat(4_000) },
      { tenant },
    );
    unused.push(flow);
    const { deadLetters } = await listed(count, '--limit', '1000');
    expect(new Set(deadLetters.map(({ id }) => id)).size).toBe(count);
    expect(deadLetters.some(({ isCut }) => isCut === true)).toBe(true);
    // What the list had no room for is there where one is asked for.
    const cut = deadLetters.find(({ isCut }) => isCut === true);
    expect(cut).not.toHaveProperty('input');
    const { stdout } = await dlq('show', cut?.workflowId ?? '', cut?.id ?? '', '--json');
    expect(JSON.parse(stdout)).toMatchObject({ deadLetters: [{ id: cut?.id, input: { big: expect.any(String) } }] });
  }, 60_000);
});

describe('beamline dlq show', () => {
  test('shows all of it, and commands that work when they are pasted', async () => {
    const { id, flow, path } = await park();
    // As a process of its own: the commands are called as it was.
    const { code, stdout } = await runCli(['dlq', 'show', id, ...connection()], { cwd: folder });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^pay\n {2}id +flow-.*\n {2}step +\/do\/0\/pay\n {2}flow +test\/flow:1\.0\.0\n/);
    expect(stdout).toContain('BLW_HTTP_STATUS: ');
    expect(stdout).toContain('"n": 1');
    const lines = stdout.split('What to do next:\n')[1]?.trimEnd().split('\n') ?? [];
    const commands = lines.filter((line) => !line.startsWith('  #'));
    expect(commands.map((command) => / (retry|skip|discard|update) /.exec(command)?.[1])).toEqual([
      'retry',
      'retry',
      'skip',
      'skip',
      'discard',
      'update',
    ]);
    // A correction that nobody has filled in does nothing; the retry is as it stands.
    service.broken.delete(path);
    const [retry = '', corrected = ''] = commands;
    await expect(run('sh', ['-c', corrected.trim()], { cwd: folder })).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--with: not JSON'),
    });
    expect(await lettersOf(flow)).toHaveLength(1);
    const pasted = await run('sh', ['-c', retry.trim()], { cwd: folder });
    expect(pasted.stdout).toMatch(/^runs again: \/do\/0\/pay of /);
    expect(await flow.result()).toBe(path);
  });

  test('proposes the command of the Temporal CLI, which does the same', async () => {
    const { id, flow, path } = await park();
    service.broken.delete(path);
    const { stdout } = await dlq('show', id);
    const command = stdout.split('\n').find((line) => line.includes('temporal workflow update')) ?? '';
    await run('sh', ['-c', command.trim().replace(/^temporal/, temporalCli)]);
    expect(await flow.result()).toBe(path);
  });

  test('proposes no retry of a step that is done, and an input where the arguments could not be made', async () => {
    const done = await worker.start(
      `do: [${service.step('a', '/done').replace('data.path', 'data.none')}]`,
      { n: 1 },
      { tenant },
    );
    const wrong = await worker.start(`do: [${service.step('a', '/wrong')}]`, { wrong: 1 }, { tenant });
    unused.push(done, wrong);
    await lettersOf(done);
    await lettersOf(wrong);
    expect((await dlq('show', done.workflowId)).stdout).not.toContain('dlq retry');
    expect((await dlq('show', wrong.workflowId)).stdout).toContain(`/do/0/a --input '{"wrong":1}'`);
    expect((await dlq('show', wrong.workflowId)).stdout).toContain('its arguments could not be made');
  });

  test.each<[string, () => Promise<string[]>, string]>([
    ['no such flow', async () => ['nowhere'], 'there is no flow with the id "nowhere"'],
    ['a flow without dead letters', async () => [(await idle()).workflowId], 'has no dead letter'],
    ['a step that is none', async () => [(await park()).id, '/do/9/x'], '/do/9/x is no dead letter of the flow'],
    ['a flow that has ended', async () => [(await ended()).workflowId], 'has ended (completed)'],
  ])('refuses %s', async (_, args, detail) => {
    expect(await dlq('show', ...(await args()))).toMatchObject({ code: 2, stderr: expect.stringContaining(detail) });
  });

  async function idle(): Promise<WorkflowHandle> {
    const flow = await worker.start('do: [{w: {wait: PT1H}}]', null, { tenant });
    unused.push(flow);
    return flow;
  }

  async function ended(): Promise<WorkflowHandle> {
    const flow = await worker.start('do: [{s: {set: {a: 1}}}]', null, { tenant });
    await flow.result();
    return flow;
  }
});

describe('beamline dlq retry, skip and discard', () => {
  test('retries, and says who did', async () => {
    const { id, flow, path } = await park();
    service.broken.delete(path);
    const { code, stdout } = await dlq('retry', id, '--by', 'alice', '--comment', 'it is back');
    expect({ code, stdout }).toEqual({ code: 0, stdout: `runs again by alice: /do/0/pay of ${id}\n` });
    expect(await flow.result()).toBe(path);
  });

  test('retries with corrected arguments, from a file too, or another input', async () => {
    const [one, two] = [await park(), await park()];
    for (const { path } of [one, two]) service.broken.delete(path);
    writeFileSync(join(folder, 'patch.json'), '{"body": {"n": 2, "more": true}}');
    expect(await dlq('retry', one.id, '/do/0/pay', '--with', '@patch.json')).toMatchObject({ code: 0 });
    expect(await dlq('retry', two.id, 'pay', '--input', '{"n": 3}', '--json')).toMatchObject({ code: 0 });
    await Promise.all([one.flow.result(), two.flow.result()]);
    expect(service.at(one.path).at(-1)?.body).toBe('{"n":2,"more":true}');
    expect(service.at(two.path).at(-1)?.body).toBe('{"n":3}');
  });

  test('skips with an output, and discards', async () => {
    const [one, two] = [await park(), await park()];
    const skipped = await dlq('skip', one.id, '--output', '{"by": "hand"}', '--json');
    expect(JSON.parse(skipped.stdout)).toEqual({ workflowId: one.id, id: '/do/0/pay', action: 'skip', left: 0 });
    expect(await one.flow.result()).toEqual({ by: 'hand' });
    expect((await dlq('discard', two.id)).stdout).toBe(`discarded: /do/0/pay of ${two.id}\n`);
    await expect(two.flow.result()).rejects.toMatchObject({ cause: { type: 'BLW_HTTP_STATUS' } });
  });

  test('asks which one is meant where several wait, and finds those in batches by the id of the flow', async () => {
    service.broken.add('/each');
    const text = (more: string) =>
      `do: [{each: {for: {in: '[0, 1]'}, metadata: {concurrency: 2${more}}, do: [${service.step('p', '/each')}]}}]`;
    const several = await worker.start(text(''), { n: 1 }, { tenant });
    unused.push(several);
    await lettersOf(several, 2);
    const refused = await dlq('skip', several.workflowId);
    expect(refused).toMatchObject({ code: 2, stderr: expect.stringContaining('2 dead letters of the flow') });
    const step = '/do/0/each/do/0/p[1]';
    expect(refused.stderr).toContain(step);
    expect((await dlq('skip', several.workflowId, step)).stdout).toContain('; 1 more dead letter waits in this flow');
    const batches = await worker.start(text(', batchSize: 1'), { n: 1 }, { tenant });
    unused.push(batches);
    await listed(3);
    for (const index of [0, 1])
      expect(
        await dlq('skip', batches.workflowId, `/do/0/each/do/0/p[${index}]`, '--output', `${index}`),
      ).toMatchObject({
        code: 0,
      });
    expect(await batches.result()).toEqual([0, 1]);
  });

  test('tells what the flow refuses, with exit code 1', async () => {
    const { id, flow } = await park();
    const refused = await dlq('retry', id, '--with', '{"body": {"n": 1}}', '--by', 'x'.repeat(300));
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('[BLW_RESOLUTION_INVALID]') });
    expect(await lettersOf(flow)).toHaveLength(1);
  });

  test.each<[string, string[], string]>([
    ['nothing that says which', ['retry'], 'which dead letters?'],
    ['an id and a filter', ['retry', 'x', '--tenant', 'a'], 'expected one of both'],
    ['an id and --all', ['skip', 'x', '--all'], 'expected one of both'],
    ['a filter and --all', ['skip', '--all', '--code', 'X'], '--all: is everything'],
    ['two corrections', ['retry', 'x', '--with', '{}', '--input', '1'], 'cannot be used with'],
    ['an output for a retry', ['retry', 'x', '--output', '1'], 'unknown option'],
    ['a correction for a skip', ['skip', 'x', '--with', '{}'], 'unknown option'],
    ['a correction that is no object', ['retry', 'x', '--with', '[1]'], 'expected a JSON object'],
    ['a correction that is no JSON', ['retry', 'x', '--with', '{a'], '--with: not JSON'],
    ['a time that is none', ['list', '--since', 'yesterday'], 'expected how long ago'],
    ['a date that is none', ['list', '--until', '2026-13-40'], 'expected how long ago'],
    ['a flow without a namespace', ['list', '--flow', 'order'], 'Expected namespace/name'],
    ['no number', ['list', '--limit', 'many'], 'Expected a whole number from 1 to 1000'],
    ['a token without a key', ['retry', 'x', '--token-file', 'none.jwt'], 'none.jwt'],
  ])('refuses %s, and does nothing', async (_, args, detail) => {
    expect(await dlq(...args)).toMatchObject({ code: 2, stdout: '', stderr: expect.stringContaining(detail) });
  });
});

describe('many at once', () => {
  test('says what it would do, asks before it does it, and tells what was refused', async () => {
    const [one, two] = [await park(), await park()];
    await listed(2);
    const planned = await dlq('retry', '--tenant', tenant, '--dry-run');
    expect(planned).toMatchObject({ code: 0 });
    expect(planned.stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^ID +STEP/),
      expect.stringContaining('/do/0/pay'),
      expect.stringContaining('/do/0/pay'),
      'would retry 2 dead letters of 2 flows; nothing was done (--dry-run)',
    ]);
    expect(await dlq('retry', '--tenant', tenant)).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('would retry 2 dead letters of 2 flows, and there is nobody to ask'),
    });
    expect(service.at(one.path)).toHaveLength(1);
    expect(await dlq('retry', '--tenant', `${tenant}-x`, '--yes')).toMatchObject({
      code: 0,
      stdout: 'no dead letter matches; nothing to do\n',
    });
    await Promise.all([statusOf(one.flow), statusOf(two.flow)]);
  });

  test('resolves 60 flows, of which some refuse, and goes on', async () => {
    const count = 60;
    service.broken.add('/bulk');
    const started = await Promise.all(
      Array.from({ length: count }, (_, index) =>
        // Every tenth is done already, and cannot run again.
        worker.start(
          `do: [${service.step('pay', index % 10 === 0 ? '/bulk-done' : '/bulk').replace('data.path', index % 10 === 0 ? 'data.none' : 'data.path')}]`,
          { n: index },
          { tenant },
        ),
      ),
    );
    unused.push(...started);
    await listed(count);
    service.broken.delete('/bulk');
    const { code, stdout, stderr } = await dlq('retry', '--tenant', tenant, '--yes', '--by', 'alice');
    expect({ code, stdout }).toEqual({ code: 1, stdout: 'retried 54 of 60 dead letters of 60 flows; 6 refused\n' });
    const refusals = stderr.trimEnd().split('\n');
    expect(refusals).toHaveLength(6);
    for (const refusal of refusals)
      expect(refusal).toMatch(/^refused: flow-\S+ \/do\/0\/pay: .*the step is done.* \[BLW_RESOLUTION_INVALID\]$/);
    const outcomes = await Promise.all(started.map((flow, index) => (index % 10 === 0 ? 'waits' : flow.result())));
    expect(outcomes.filter((outcome) => outcome === '/bulk')).toHaveLength(54);
    // Each exactly twice: as it failed, and as it was retried.
    expect(service.at('/bulk')).toHaveLength(2 * 54);

    await listed(6);
    const skipped = await dlq(
      'skip',
      '--tenant',
      tenant,
      '--block',
      'http.request',
      '--output',
      '1',
      '--yes',
      '--json',
    );
    expect(skipped.code).toBe(0);
    expect(JSON.parse(skipped.stdout)).toMatchObject({ action: 'skip', refused: [], resolved: { length: 6 } });
    await listed(0);
  }, 60_000);
});

test('without a worker, what waits is listed still, and a resolution says that nobody answers', async () => {
  const own = await startTestWorker({ pools: 'io' });
  service.broken.add('/alone');
  const flow = await own.start(`do: [${service.step('pay', '/alone')}]`, { n: 1 }, { tenant });
  unused.push(worker.client.workflow.getHandle(flow.workflowId));
  await lettersOf(flow);
  await listed(1);
  await own.stop();
  const { stdout } = await dlq('list', '--tenant', tenant);
  expect(stdout).toContain('(no worker answers)');
  const { code, stderr } = await dlq('retry', '--tenant', tenant, '--yes');
  expect(code).toBe(1);
  expect(stderr).toContain('[BLW_TEMPORAL_UNREACHABLE]');
}, 60_000);

test('beamline run tells of a dead letter at once, with the command that shows it, and goes on waiting', async () => {
  service.broken.add('/told');
  writeFileSync(join(folder, 'told.yaml'), flowText('test/told:1.0.0', `do: [${service.step('pay', '/told')}]`));
  const id = `told-${randomUUID()}`;
  const cli = startCli(
    ['run', 'told.yaml', '--input', '{"n": 1}', '--id', id, '--queue-prefix', worker.queuePrefix, ...connection()],
    { cwd: folder },
  );
  try {
    await cli.waitFor(/failed, and waits as a dead letter\n.*\[BLW_HTTP_STATUS\]\n +\S.* dlq show \S+ \/do\/0\/pay/, {
      stream: 'stderr',
    });
    const command =
      cli
        .stderr()
        .split('\n')
        .find((line) => line.includes(' dlq show ')) ?? '';
    const shown = await run('sh', ['-c', command.trim()], { cwd: folder });
    expect(shown.stdout).toMatch(/^pay\n/);
    service.broken.delete('/told');
    expect(await dlq('retry', id)).toMatchObject({ code: 0 });
    expect(await cli.exited).toMatchObject({ code: 0, stdout: '"/told"\n' });
  } finally {
    cli.kill();
  }
}, 60_000);

describe('the Temporal CLI', () => {
  const temporal = async (...args: string[]) => (await run(temporalCli, [...args, ...connection()])).stdout;

  test('lists, queries and resolves', async () => {
    const { id, flow, path } = await park();
    await listed(1);
    const query = `BeamlineStatus = 'DeadLettered' AND BeamlineTenant = '${tenant}'`;
    expect(await temporal('workflow', 'list', '--query', query)).toContain(id);
    expect(await temporal('workflow', 'query', '--workflow-id', id, '--type', 'deadLetters')).toContain('/do/0/pay');
    service.broken.delete(path);
    const input = JSON.stringify({ action: 'retry', with: { body: { n: 9 } }, by: 'carol' });
    const update = ['workflow', 'update', 'execute', '--workflow-id', id, '--name', 'resolve', '--input', input];
    expect(await temporal(...update)).toContain('carol');
    expect(await flow.result()).toBe(path);
    expect(service.at(path).at(-1)?.body).toBe('{"n":9}');
  });

  test('is told what is wrong', async () => {
    const { id } = await park();
    const input = JSON.stringify({ action: 'again' });
    const update = ['workflow', 'update', 'execute', '--workflow-id', id, '--name', 'resolve', '--input', input];
    await expect(temporal(...update)).rejects.toMatchObject({
      stderr: expect.stringContaining('expected retry, skip, discard'),
    });
  });
});
