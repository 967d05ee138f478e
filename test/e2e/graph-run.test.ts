import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { TemporalServer } from '../../temporal-dev/server';
import type { CliResult } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { startTemporalOfShortHistories, testTemporal } from '../helpers/temporal';
import { eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A server that suggests a new history after a few events already. */
let eager: TemporalServer;
let eagerWorker: TestWorker;
let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker();
  eager = await startTemporalOfShortHistories(20);
  eagerWorker = await startTestWorker({ dispatch: 'queue' }, eager);
}, 40_000);
afterAll(async () => {
  await worker.stop();
  await eagerWorker.stop();
  await eager.stop();
});

async function graph(
  { workflowId }: { workflowId: string },
  args: readonly string[] = [],
  target: { address: string; namespace: string } = testTemporal(),
): Promise<CliResult> {
  const { address, namespace } = target;
  const folder = target === eager ? eagerWorker.folder : worker.folder;
  const connection = ['--address', address, '--namespace', namespace, '--blob-root', join(folder, 'blobs')];
  return await runInProcess(['graph', '--run', workflowId, ...connection, ...args], { cwd: folder });
}

/** The picture, with the entities of its labels as text. */
async function drawn(handle: WorkflowHandle, args: readonly string[] = [], target = testTemporal()): Promise<string> {
  const { code, stdout, stderr } = await graph(handle, args, target);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout.replace(/#(\d+);/g, (_, point: string) => String.fromCodePoint(Number(point)));
}

/** Ids of the nodes or groups of a class. */
function members(text: string, name: string): string[] {
  return new RegExp(`^ {2}class (\\S+) ${name}$`, 'm').exec(text)?.[1]?.split(',') ?? [];
}

const STAT = 'call: fs.stat, with: {path: x, ifMissing: ignore}';

describe('beamline graph --run', () => {
  it('draws a flow that waits for a person, while it runs', async () => {
    const handle = await worker.start(`do:
  - look: {${STAT}}
  - skip: {if: 'false', set: {x: 1}}
  - ask: {call: human.approval, with: {title: ok?}}
  - last: {set: {x: 1}}`);
    await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'awaitingApproval'));
    const text = await drawn(handle);
    expect(text).toMatch(/begin\(\["test\/flow:1\.0\.0<br\/>awaiting approval, [\d.]+ m?s"\]\)/);
    expect(text).toMatch(/"look<br\/>fs\.stat<br\/>completed<br\/>[\d.]+ m?s"/);
    expect(text).toContain('"skip<br/>set<br/>skipped"');
    expect(text).toMatch(/"ask<br\/>human\.approval<br\/>awaiting approval<br\/>\d+/);
    expect(text).toContain('"last<br/>set<br/>not reached"');
    expect(text).toContain(`%% /do/2/ask runs ${handle.workflowId}/ask`);
    expect(members(text, 'waiting')).toHaveLength(1);
    expect(members(text, 'notReached')).toHaveLength(1);
    await handle.terminate();
    const after = await drawn(handle);
    expect(after).toMatch(/begin\(\["test\/flow:1\.0\.0<br\/>terminated, /);
    expect(after).toMatch(/"ask<br\/>human\.approval<br\/>was running<br\/>/);
  });

  it('draws a flow that failed and undid its steps, and writes it into a file', async () => {
    const handle = await worker.start(`do:
  - first: {${STAT}, metadata: {compensate: [{undoFirst: {set: {x: 1}}}]}}
  - second: {call: fs.get, with: {path: missing}}
  - third: {set: {x: 1}}`);
    await expect(handle.result()).rejects.toThrow();
    const { code, stdout } = await graph(handle, ['--out', 'run.mmd']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
    const text = readFileSync(join(worker.folder, 'run.mmd'), 'utf8').replaceAll('#95;', '_');
    expect(text).toMatch(/begin\(\["[^"]*<br\/>failed BLW_FS_NOT_FOUND/);
    expect(text).toMatch(/"second<br\/>fs\.get<br\/>failed BLW_FS_NOT_FOUND<br\/>/);
    expect(text).toMatch(/"undoFirst<br\/>set<br\/>completed<br\/>/);
    expect(text).toMatch(/n1 -\.->\|"undo"\| n2/);
    expect(text).toMatch(/"third<br\/>set<br\/>not reached"/);
  });

  it('counts the iterations of a loop, and what functions run', async () => {
    const handle = await worker.start(
      `use: {functions: {look: {${STAT}}}}
do:
  - each:
      for: {each: n, in: workflow.input}
      do:
        - call: {call: look, with: {a: 1}}
        - odd: {if: n % 2 == 1, set: {x: 1}}
        - hold: {if: n == 3, wait: PT1H}`,
      [1, 2, 3],
    );
    await progressWhen(handle, ({ steps }) => steps.some(({ id, status }) => /hold$/.test(id) && status === 'running'));
    const text = await drawn(handle);
    expect(text).toMatch(/subgraph g\d+\["call call – 3 done, [\d.]+ m?s on average"\]/);
    expect(text).toMatch(/"look<br\/>fs\.stat<br\/>3 done<br\/>[\d.]+ m?s on average"/);
    expect(text).toMatch(/"odd<br\/>set<br\/>2 done, 1 skipped<br\/>/);
    expect(text).toMatch(/"hold<br\/>wait 1 h 0 min<br\/>1 running, 2 skipped"/);
    expect(text).toMatch(/\{\{"n in workflow\.input<br\/>running<br\/>/);
    await handle.terminate();
  });

  it('says what runs in batches, and draws a batch by its own id', async () => {
    const handle = await worker.start(
      `do: [{each: {for: {in: workflow.input}, metadata: {concurrency: 2, batchSize: 2}, do: [{s: {${STAT}}}]}}]`,
      [1, 2, 3, 4, 5],
    );
    await handle.result();
    const text = await drawn(handle);
    expect(text).toMatch(/2 at once<br\/>completed<br\/>[^"]+<br\/>batches: 3 done"/);
    expect(text).toContain('"s<br/>fs.stat<br/>runs in batches"');
    const batch = await drawn(worker.client.workflow.getHandle(`${handle.workflowId}/each/items-2`));
    expect(batch).toMatch(/"s<br\/>fs\.stat<br\/>2 done<br\/>/);
  });

  it.concurrent('draws a flow that continued as new, and says that it knows the newest steps only', async () => {
    const flow = `do:
  - before: {set: {x: 1}}
  - each: {for: {in: workflow.input}, do: [{s: {${STAT}}}]}
  - hold: {wait: PT1H}`;
    const items = Array.from({ length: 200 }, (_, index) => index);
    const handle = await eagerWorker.start(flow, items);
    await progressWhen(
      handle,
      ({ steps }) => steps.some(({ id, status }) => /hold$/.test(id) && status === 'running'),
      60_000,
    );
    const text = await drawn(handle, [], eager);
    expect(text).toMatch(/legend\["Partial picture<br\/>it counts the newest \d+ of 203 executions<br\/>/);
    expect(text).toContain('"before<br/>set<br/>no record"');
    expect(text).toMatch(/"s<br\/>fs\.stat<br\/>\d+ done<br\/>/);
    expect(text).toMatch(/"hold<br\/>wait 1 h 0 min<br\/>running<br\/>/);
    const { events } = await eagerWorker.client.workflow.getHandle(handle.workflowId).fetchHistory();
    const previous = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
    expect(previous).not.toBe('');
    const earlier = await drawn(handle, ['--run-id', previous], eager);
    expect(earlier).toContain(`%% run ${previous}`);
    expect(earlier).toContain('goes on in a new run');
    expect(earlier).toMatch(/"hold<br\/>wait 1 h 0 min<br\/>no record"/);
    await handle.terminate();
  }, 90_000);

  it('reads the plan of a large flow from the payload store', async () => {
    const steps = Array.from({ length: 40 }, (_, index) => `  - s${index}: {set: {text: '${'x'.repeat(10_000)}'}}`);
    const handle = await worker.start(`do:\n${steps.join('\n')}`);
    await handle.result();
    expect(await drawn(handle)).toMatch(/"s39<br\/>set<br\/>completed<br\/>/);
  });

  it('shows of an error its kind, not its text, which may have data of the flow', async () => {
    const handle = await worker.start(`do:
  - fail: {raise: {error: {type: 'https://example.com/errors/odd', status: 400, title: t, detail: 'the word is tulip'}}}`);
    await expect(handle.result()).rejects.toThrow();
    const text = await drawn(handle);
    expect(text).toContain('failed odd');
    expect(text).not.toContain('tulip');
  });
});

describe('beamline graph --run, where there is nothing to draw', () => {
  it('tells an id that is unknown, with exit code 2', async () => {
    const { code, stdout, stderr } = await graph({ workflowId: 'nobody' });
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^error: there is no flow with the id "nobody" \[BLW_USAGE\]\n {2}.+/);
  });

  it('tells a run id that is unknown', async () => {
    const handle = await worker.start('do: [{a: {set: {x: 1}}}]');
    const { code, stderr } = await graph(handle, ['--run-id', randomUUID()]);
    expect(code).toBe(2);
    expect(stderr).toMatch(/there is no flow with the id ".+" and the run id ".+" \[BLW_USAGE\]/);
  });

  it('tells a workflow of another type, and of an approval the flow', async () => {
    const handle = await worker.start('do: [{ask: {call: human.approval, with: {title: ok?}}}]');
    const approval = `${handle.workflowId}/ask`;
    await eventually(async () => await worker.client.workflow.getHandle(approval).describe());
    const { code, stderr } = await graph({ workflowId: approval });
    expect(code).toBe(2);
    expect(stderr).toContain('is a workflow of the type "approval", expected a flow ("runFlow")');
    expect(stderr).toContain(`graph --run ${handle.workflowId}\``);
    await handle.terminate();
  });

  it('gives the error of a flow that failed before it had a plan', async () => {
    const handle = await worker.client.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `flow-${randomUUID()}`,
      args: [{ flow: { do: [] } }],
    });
    await expect(handle.result()).rejects.toThrow();
    const { code, stdout, stderr } = await graph(handle);
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
    expect(stderr).toMatch(
      /^error: the flow ".+" ended before it had a plan, so that there is nothing to draw: \d+ problem/,
    );
    expect(stderr).toContain('[BLW_FLOW_INVALID]');
  });

  it.concurrent('does not wait for ever where no worker answers', async () => {
    const handle = await worker.client.workflow.start('runFlow', {
      taskQueue: `nobody-${randomUUID()}-io`,
      workflowId: `flow-${randomUUID()}`,
      args: [{ flow: flowOf('do: [{a: {set: {x: 1}}}]') }],
    });
    const { code, stderr } = await graph(handle);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: no worker of nobody-\S+-io answered within 10 s; start one with `/);
    expect(stderr).toContain('[BLW_TEMPORAL_UNREACHABLE]');
    await handle.terminate();
  }, 30_000);

  it.concurrent('tells of a flow whose worker is gone', async () => {
    const gone = await startTestWorker();
    const handle = await gone.start('do: [{a: {wait: PT1H}}]');
    await progressWhen(handle, ({ stepsStarted }) => stepsStarted > 0);
    await gone.stop();
    const { code, stderr } = await graph(handle);
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: no worker of \S+-io answered within 20 s; start one with `/);
    await worker.client.workflow.getHandle(handle.workflowId).terminate();
  }, 60_000);

  it.concurrent('tells of a worker that cannot rebuild the flow', async () => {
    const blobRoot = join(worker.folder, 'lost');
    const settings = { 'queue-prefix': `test-${randomUUID()}`, 'blob-root': blobRoot };
    const before = await startTestWorker(settings);
    const handle = await before.client.workflow
      .start('runFlow', {
        taskQueue: `${settings['queue-prefix']}-io`,
        workflowId: `flow-${randomUUID()}`,
        args: [{ flow: flowOf('do: [{a: {wait: PT1H}}]'), input: 'x'.repeat(300_000) }],
      })
      .then(async (started) => {
        await progressWhen(started, ({ stepsStarted }) => stepsStarted > 0);
        return started;
      })
      .finally(() => before.stop());
    rmSync(join(blobRoot, 'payloads', 'objects'), { recursive: true });
    const after = await startTestWorker(settings);
    const { code, stderr } = await graph(handle).finally(() => after.stop());
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /^error: the worker of \S+-io cannot go on with "flow-[\w-]+": .+ \[BLW_TEMPORAL_UNREACHABLE\]/,
    );
    await worker.client.workflow.getHandle(handle.workflowId).terminate();
  }, 60_000);

  it('writes no file then', async () => {
    expect((await graph({ workflowId: 'nobody' }, ['--out', 'nothing.mmd'])).code).toBe(2);
    expect(existsSync(join(worker.folder, 'nothing.mmd'))).toBe(false);
  });
});
