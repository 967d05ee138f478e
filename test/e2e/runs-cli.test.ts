import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { BrokenService, lettersOf } from '../helpers/broken-service';
import { type CliResult, runCli, startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { testTemporal } from '../helpers/temporal';
import {
  eventually,
  flowOf,
  openApproval,
  progressWhen,
  startTestWorker,
  type TestWorker,
} from '../helpers/test-worker';

let worker: TestWorker;
/** Its tenant `acme` has a key. */
let sealing: TestWorker;
let service: BrokenService;
let folder: string;
/** One of its own, so that lists have only what the test made. */
let tenant: string;
const unused: WorkflowHandle[] = [];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-runs-'));
  const { stdout } = await runCli(['codec', 'keygen']);
  writeFileSync(join(folder, 'acme.key'), stdout, { mode: 0o600 });
  writeFileSync(join(folder, 'keys.yaml'), 'acme: [{ id: k1, key: file:./acme.key }]\n');
  service = await new BrokenService().open();
  worker = await startTestWorker();
  sealing = await startTestWorker({ pools: 'io', 'encryption-keys': join(folder, 'keys.yaml') });
});
beforeEach(() => {
  tenant = `t-${randomUUID().slice(0, 8)}`;
});
afterEach(async () => {
  for (const handle of unused.splice(0)) await handle.terminate().catch(() => undefined);
});
afterAll(async () => {
  await worker.stop();
  await sealing.stop();
  await service.close();
  rmSync(folder, { recursive: true, force: true });
});

const connection = () => ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
const runs = (...args: string[]): Promise<CliResult> =>
  runInProcess(['runs', ...args, ...connection()], { cwd: folder });

interface ListedJson {
  readonly runs: readonly (JsonObject & { readonly workflowId: string })[];
  readonly hasMore: boolean;
}

/** What is listed, once it is as wanted: Temporal's lists come a little later. */
async function listed(args: readonly string[], isWanted: (list: ListedJson) => boolean): Promise<ListedJson> {
  return await eventually(async () => {
    const { code, stdout, stderr } = await runs('list', '--tenant', tenant, '--json', ...args);
    if (code !== 0) throw new Error(stderr);
    const list = JSON.parse(stdout) as ListedJson;
    return isWanted(list) ? list : undefined;
  });
}

const idsOf = ({ runs: all }: ListedJson) => all.map(({ workflowId }) => workflowId);

async function start(tasks: string, input: JsonObject = { n: 1 }, by = worker): Promise<WorkflowHandle> {
  const flow = await by.start(tasks, input, { tenant: by === worker ? tenant : 'acme' });
  unused.push(flow);
  return flow;
}

const asking = (name = 'ask') => `{${name}: {call: human.approval, with: {title: Pay 5?}}}`;

async function shown(flow: WorkflowHandle, ...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await runs('show', flow.workflowId, ...args);
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
  return stdout;
}

describe('beamline runs list', () => {
  test('shows id, flow, tenant, status, when it began, how long it took, and what it waits for', async () => {
    service.broken.add('/listed');
    const [asked, parked, done, failed, idle] = await Promise.all([
      start(`do: [${asking()}]`),
      start(`do: [${service.step('pay', '/listed')}]`),
      start('do: [{s: {set: {a: 1}}}]'),
      start("do: [{s: {raise: {error: {type: 'https://x.test/e', status: 409, title: no}}}}]"),
      start('do: [{w: {wait: PT1H}}]'),
    ]);
    const all = [asked, parked, done, failed, idle].map(({ workflowId }) => workflowId);
    await listed([], (list) => {
      const statuses = list.runs.map(({ status }) => status).sort();
      return statuses.join() === 'AwaitingApproval,Completed,DeadLettered,Failed,Running';
    });
    const { code, stdout } = await runs('--tenant', tenant);
    expect(code).toBe(0);
    const [header, ...rows] = stdout.trimEnd().split('\n');
    expect(header?.split(/ {2,}/)).toEqual(['ID', 'FLOW', 'TENANT', 'STATUS', 'STARTED', 'DURATION', 'WAITS FOR']);
    expect(rows.map((row) => row.split(/ {2,}/)[0]).sort()).toEqual([...all].sort());
    const rowOf = ({ workflowId }: WorkflowHandle) => rows.find((row) => row.startsWith(workflowId))?.split(/ {2,}/);
    const times = [expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/), expect.stringMatching(/ (ms|s)$/)];
    const known = (status: string) => ['test/flow:1.0.0', tenant, status, ...times];
    expect(rowOf(asked)).toEqual([asked.workflowId, ...known('AwaitingApproval'), 'a decision']);
    expect(rowOf(parked)).toEqual([parked.workflowId, ...known('DeadLettered'), 'a dead letter (http.request)']);
    expect(rowOf(done)).toEqual([done.workflowId, ...known('Completed')]);
    expect(rowOf(failed)).toEqual([failed.workflowId, ...known('Failed')]);

    const only = async (...args: string[]) => idsOf(await listed(args, () => true)).sort();
    const ids = (...flows: WorkflowHandle[]) => flows.map(({ workflowId }) => workflowId).sort();
    expect(await only('--status', 'running')).toEqual(ids(idle));
    expect(await only('--status', 'awaitingApproval')).toEqual(ids(asked));
    expect(await only('--status', 'Open')).toEqual(ids(asked, parked, idle));
    expect(await only('--status', 'completed', '--status', 'Failed')).toEqual(ids(done, failed));
    expect(await only('--status', 'Terminated')).toEqual([]);
    expect(await only('--block', 'http.request')).toEqual(ids(parked));
    expect(await only('--flow', 'test/flow')).toEqual([...all].sort());
    expect(await only('--flow', 'test/flow:1.0.1')).toEqual([]);
    expect(await only('--since', '1h')).toEqual([...all].sort());
    expect(await only('--started-after', '1h', '--started-before', '30m')).toEqual([]);
    expect(await only('--query', `WorkflowId = '${idle.workflowId}' OR WorkflowId = '${done.workflowId}'`)).toEqual(
      ids(done, idle),
    );
    // The open ones first.
    expect(
      idsOf(await listed([], () => true))
        .slice(3)
        .sort(),
    ).toEqual(ids(done, failed));

    const { stdout: two, stderr } = await runs('list', '--tenant', tenant, '--limit', '2');
    expect(two.trimEnd().split('\n')).toHaveLength(3);
    expect(stderr).toBe('there are more than 2; see them with --limit\n');
    expect((await listed(['--limit', '5'], () => true)).hasMore).toBe(false);
    expect((await listed(['--status', 'completed'], () => true)).runs).toEqual([
      {
        workflowId: done.workflowId,
        runId: expect.any(String),
        flow: 'test/flow:1.0.0',
        tenant,
        status: 'Completed',
        startedAt: expect.any(String),
        closedAt: expect.any(String),
      },
    ]);
  });

  test('says where there is none', async () => {
    expect(await runs('list', '--tenant', tenant)).toMatchObject({ code: 0, stdout: 'there is no such flow\n' });
  });

  test('has a flow that no worker has taken up yet, and counts it as running', async () => {
    const id = `early-${randomUUID()}`;
    const { client } = worker;
    unused.push(await client.workflow.start('runFlow', { workflowId: id, taskQueue: `none-${id}-io`, args: [{}] }));
    const stdout = await eventually(async () => {
      const listing = await runs('list', '--status', 'running', '--query', `WorkflowId = '${id}'`);
      return listing.stdout.includes(id) ? listing.stdout : undefined;
    });
    expect(stdout).toMatch(new RegExp(`^${id} +Running .* a worker$`, 'm'));
    expect((await runs('show', id)).stdout).toMatch(/^ {2}flow +\(no worker has taken it up yet\)$/m);
  });
});

describe('beamline runs show', () => {
  test('has the steps, the attempts that fail, when the next one begins, and where it happened', async () => {
    // A step that fails now, and is to be tried again in an hour.
    const retried = `{pay: {call: http, metadata: {retry: {initialInterval: PT1H, maximumAttempts: 4}}, with: {method: post, endpoint: 'http://127.0.0.1:1/x'}}}`;
    const flow = await start(`do: [{first: {set: {a: 1}}}, ${retried}]`);
    const report = await eventually(async () => {
      const json = JSON.parse(await shown(flow, '--json')) as { pending?: { state: string }[] };
      return json.pending?.[0]?.state === 'retrying' ? json : undefined;
    });
    expect(report).toMatchObject({
      workflowId: flow.workflowId,
      status: 'Running',
      isOpen: true,
      flow: 'test/flow:1.0.0',
      tenant,
      historyEvents: expect.any(Number),
      progress: { stepsStarted: 2, stepsEnded: 1, steps: [{ name: 'first', status: 'completed' }, { name: 'pay' }] },
      pending: [
        {
          block: 'http.request',
          state: 'retrying',
          attempt: 2,
          maximumAttempts: 4,
          nextAttemptAt: expect.any(String),
          step: '/do/1/pay',
          failure: { code: 'BLW_HTTP_UNREACHABLE', message: expect.stringContaining('127.0.0.1:1') },
        },
      ],
      approvals: [],
      deadLetters: [],
      notes: [],
    });
    const text = await shown(flow);
    expect(text).toMatch(/^ {2}status +Running$/m);
    expect(text).toMatch(/^Steps: 1 of 2 that began have ended$/m);
    expect(text).toMatch(/^ {2}\/do\/0\/first +completed +set .* ms$/m);
    expect(text).toMatch(/^ {2}\/do\/1\/pay +running +http\.request +io +2 .* BLW_HTTP_UNREACHABLE$/m);
    expect(text).toMatch(/^ {2}\/do\/1\/pay: http\.request, attempt 2 of 4 begins in 59 min \d+ s, at \d{4}-/m);
    expect(text).toMatch(/^ {4}.*127\.0\.0\.1:1.* \[BLW_HTTP_UNREACHABLE\]$/m);
    expect(text).toMatch(new RegExp(`^ {2}\\S.* runs show ${flow.workflowId} --follow --address`, 'm'));
  });

  test('says of a step whose queue no worker polls that it waits for one, and how to start it', async () => {
    const flow = await sealing.start('do: [{one: {call: fs.list, metadata: {resources: cpu}, with: {}}}]');
    unused.push(flow);
    const text = await eventually(async () => {
      const found = await runs('show', flow.workflowId);
      return found.stdout.includes('Under way:') ? found.stdout : undefined;
    });
    const queue = `${sealing.queuePrefix}-cpu`;
    expect(text).toMatch(new RegExp(`^ {2}/do/0/one +queued +fs\\.list +cpu +no worker polls ${queue}$`, 'm'));
    expect(text).toMatch(/^ {2}\/do\/0\/one: fs\.list, attempt 1\b.* waits for a worker/m);
    expect(text).toContain(`waits for a worker: none polls ${queue}; start one with \``);
    expect(text).toContain(` worker --pools cpu --queue-prefix ${sealing.queuePrefix}\``);
  });

  test('has the approvals that wait, also in what the flow runs, with the command that decides', async () => {
    const flow = await start(
      `do: [{both: {fork: {branches: [${asking('one')}, {two: {for: {in: '[0]'}, metadata: {concurrency: 2, batchSize: 1}, do: [${asking()}]}}]}}}]`,
    );
    const text = await eventually(async () => {
      const found = await shown(flow);
      return found.match(/ approvals approve /g)?.length === 2 ? found : undefined;
    });
    expect(text).toMatch(/^ {2}status +AwaitingApproval$/m);
    expect(text).toMatch(/awaitingApproval +human\.approval .* approval \S+\/both\/one$/m);
    expect(text).toMatch(/^ {2}# The approval "Pay 5\?" has waited for /m);
    const [command = ''] = /^ {2}\S.* approvals approve \S+\/one --by NAME .*$/m.exec(text) ?? [];
    expect(command).toContain('--address');
    const json = JSON.parse(await shown(flow, '--json')) as { approvals: JsonObject[] };
    expect(json.approvals).toHaveLength(2);
    expect(json.approvals[0]).toMatchObject({ title: 'Pay 5?', status: 'pending' });
  });

  test('has the dead letters, with the command that shows what can be done', async () => {
    service.broken.add('/parked');
    const flow = await start(`do: [${service.step('pay', '/parked')}]`);
    await lettersOf(flow);
    const text = await shown(flow);
    expect(text).toMatch(/\/do\/0\/pay +deadLettered +http\.request +io +1 .*\[BLW_HTTP_STATUS\]$/m);
    expect(text).toMatch(/^ {2}# \/do\/0\/pay failed for good; /m);
    expect(text).toMatch(new RegExp(`^ {2}\\S.* dlq show ${flow.workflowId} /do/0/pay --address`, 'm'));
    expect(JSON.parse(await shown(flow, '--json'))).toMatchObject({
      deadLetters: [{ id: '/do/0/pay', failedIn: 'run' }],
    });
  });

  test('has the output of a flow that completed, and the error of one that failed, with the way on', async () => {
    const done = await start('do: [{s: {set: {a: "x\\u001b[31m"}}}]');
    const failed = await start(
      "do: [{s: {raise: {error: {type: 'https://x.test/e', status: 409, title: no, detail: sold out}}}}]",
    );
    await done.result();
    await failed.result().catch(() => undefined);
    const text = await shown(done);
    expect(text).toMatch(/^Output:\n {2}\{\n {4}"a": "x/m);
    expect(text).not.toContain('\u001b');
    expect(text).toMatch(/^ {2}ended +\S+, after /m);
    expect(text).not.toContain('What to do next');
    expect(JSON.parse(await shown(done, '--json'))).toMatchObject({
      status: 'Completed',
      output: { a: 'x\u001b[31m' },
    });
    const why = await shown(failed);
    expect(why).toMatch(/^error: sold out$/m);
    expect(why).toMatch(new RegExp(`^ {2}\\S.* redrive ${failed.workflowId} --address`, 'm'));
    expect(JSON.parse(await shown(failed, '--json'))).toMatchObject({ error: { status: 409, detail: 'sold out' } });
  });

  test('of many steps shows those that count, and the last', async () => {
    const flow = await start(
      `do: [{each: {for: {in: '[${Array.from({ length: 60 }, (_, index) => index).join(', ')}]'}, do: [{s: {set: {a: 1}}}]}}, {w: {wait: PT1H}}]`,
    );
    await progressWhen(flow, ({ steps }) => steps.some(({ name }) => name === 'w'));
    const text = await shown(flow);
    expect(text).toMatch(/^ {2}\/do\/1\/w +running +wait /m);
    expect(text).toContain('/do/0/each/do/0/s [59]');
    expect(text).not.toContain('/do/0/each/do/0/s [0]');
    expect(text).toContain('… and 21 more that have ended; --json has them');
  });

  test('without a worker shows what Temporal knows, and says so', async () => {
    const own = await startTestWorker({ pools: 'io' });
    const flow = await own.start(`do: [${asking()}]`, null, { tenant });
    unused.push(worker.client.workflow.getHandle(flow.workflowId));
    await progressWhen(flow, ({ steps }) => steps[0]?.approval !== undefined);
    await listed([], ({ runs: [first] }) => first?.status === 'AwaitingApproval');
    await own.stop();
    const text = await shown(flow);
    expect(text).toMatch(/^ {2}status +AwaitingApproval$/m);
    expect(text).toMatch(/^ {2}note +no worker .*; start one with /m);
    expect(text).toMatch(new RegExp(` approvals approve ${flow.workflowId}/ask --by NAME`));
    expect(text).not.toContain('Steps:');
  }, 60_000);

  test('without the key says what cannot be read, and shows codes', async () => {
    const step = `{pay: {call: http, metadata: {retry: {initialInterval: PT1H}}, with: {method: get, endpoint: 'http://127.0.0.1:1/x'}}}`;
    const flow = await start(`do: [${step}]`, { n: 1 }, sealing);
    const text = await eventually(async () => {
      const found = await shown(flow);
      return found.includes('begins in') ? found : undefined;
    });
    expect(text).toMatch(/^ {2}note +not everything can be read here: .*"k1"/m);
    expect(text).toContain('(cannot be read: BLW_PAYLOAD_KEY) [BLW_HTTP_UNREACHABLE]');
    expect(text).not.toContain('127.0.0.1:1/');
    const keys = ['--encryption-keys', join(folder, 'keys.yaml')];
    const read = await shown(flow, ...keys);
    expect(read).toContain('/do/0/pay: http.request, attempt 2');
    expect(read).toContain('127.0.0.1:1');
    expect(read).toContain(`--follow --address ${testTemporal().address}`);
    expect(read).toContain(' --encryption-keys ');
  });

  test('tells which run goes on of a flow that has another history', async () => {
    const flow = await start('do: [{a: {set: {a: 1}}}, {w: {wait: PT1H}}]');
    await progressWhen(flow, ({ steps }) => steps.some(({ name }) => name === 'w'));
    const { runId } = await flow.describe();
    const { events } = await flow.fetchHistory();
    const first = await worker.client.workflowService.resetWorkflowExecution({
      namespace: testTemporal().namespace,
      workflowExecution: { workflowId: flow.workflowId, runId },
      requestId: randomUUID(),
      reason: 'test',
      workflowTaskFinishEventId: events?.[3]?.eventId ?? null,
    });
    const text = await shown(flow, '--run-id', runId);
    expect(text).toMatch(/^ {2}status +Terminated$/m);
    expect(text).toMatch(new RegExp(`^ {2}goes on +as run ${first.runId}$`, 'm'));
    expect(await shown(flow)).toMatch(new RegExp(`^ {2}run id +${first.runId}$`, 'm'));
  });

  test.each<[string, () => Promise<string[]>, string]>([
    ['no such flow', async () => ['show', 'nowhere'], 'there is no flow with the id "nowhere"'],
    [
      'an approval',
      async () => {
        const flow = await start(`do: [${asking()}]`);
        return ['show', (await openApproval(worker.client, flow)).workflowId];
      },
      ' runs show ',
    ],
    ['an empty id', async () => ['show', ' '], 'expected a workflow id'],
    ['an empty run id', async () => ['show', 'x', '--run-id', ''], '--run-id: got an empty text, expected a UUID'],
    ['a run id that is none', async () => ['show', 'x', '--run-id', 'nope'], '--run-id: got "nope", expected a UUID'],
    ['no id', async () => ['show'], "missing required argument 'id'"],
    ['a status that is none', async () => ['list', '--status', 'runing'], 'did you mean Running?'],
    ['a tenant that is none', async () => ['list', '--tenant', 'a b'], '--tenant: got "a b"'],
    ['a time that is none', async () => ['list', '--since', 'yesterday'], 'expected how long ago'],
    ['two beginnings', async () => ['list', '--since', '1h', '--started-after', '1h'], 'cannot be used with'],
    ['no number', async () => ['list', '--limit', '0'], 'Expected a whole number from 1 to 1000'],
    ['a query that is none', async () => ['list', '--query', 'Nonsense = 1'], 'Temporal refuses this'],
    [
      'an unknown command',
      async () => ['look'],
      "unknown command 'look'; expected one of list, show, cancel, terminate",
    ],
    ['a command that is nearly one', async () => ['lst'], "unknown command 'lst'; did you mean list?"],
    ['a flow that has ended', async () => ['cancel', (await ended()).workflowId], 'has ended (Completed)'],
    ['to terminate no such flow', async () => ['terminate', 'nowhere'], 'there is no flow with the id'],
  ])('refuses %s', async (_, args, detail) => {
    expect(await runs(...(await args()))).toMatchObject({ code: 2, stderr: expect.stringContaining(detail) });
  });

  async function ended(): Promise<WorkflowHandle> {
    const flow = await start('do: [{s: {set: {a: 1}}}]');
    await flow.result();
    return flow;
  }
});

test('--follow goes on with the steps, and ends as the flow does', async () => {
  service.held.add('/held');
  const step = `{slow: {call: http, with: {method: get, endpoint: '${service.origin}/held'}}}`;
  const flow = await start(`do: [{a: {set: {a: 1}}}, ${step}]`);
  const cli = startCli(['runs', 'show', flow.workflowId, '--follow', ...connection()], { cwd: folder });
  try {
    await cli.waitFor(/✓ \/do\/0\/a /, { stream: 'stderr' });
    expect(cli.stderr()).toMatch(/^ {2}status +Running$/m);
    service.letGo('/held');
    expect(await cli.exited).toMatchObject({ code: 0, stdout: `${JSON.stringify({ path: '/held' }, undefined, 2)}\n` });
    expect(cli.stderr()).toMatch(/✓ \/do\/1\/slow /);
  } finally {
    cli.kill();
  }
  const again = await runs('show', flow.workflowId, '--follow', '--json');
  expect({ code: again.code, json: JSON.parse(again.stdout) }).toMatchObject({
    code: 0,
    json: { workflowId: flow.workflowId, status: 'Completed', output: { path: '/held' } },
  });
});

test('no control character of an id, a step or a title gets to the terminal', async () => {
  const evil = '\u001b[2J\u009b1m\u202E';
  const [name, title] = ['ask', 'Pay'].map((text) => JSON.stringify(`${text}${evil}`));
  service.broken.add('/escapes');
  const tasks = `do: [{both: {fork: {branches: [
    {${name}: {call: human.approval, with: {title: ${title}}}}, ${service.step(JSON.stringify(`pay${evil}`), '/escapes')}]}}}]`;
  const flow = await worker.client.workflow.start(RUN_FLOW, {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `escapes-${randomUUID()}${evil}`,
    args: [{ flow: flowOf(tasks), input: { n: 1 }, tenant }],
  });
  unused.push(flow);
  await progressWhen(flow, ({ steps }) => steps.filter(({ status }) => /Lettered|Approval/.test(status)).length === 2);
  const list = await listed([], ({ runs: all }) => all.length === 1);
  expect(idsOf(list)).toEqual([flow.workflowId]);
  for (const args of [
    ['list', '--tenant', tenant],
    ['show', flow.workflowId],
    ['cancel', flow.workflowId],
  ]) {
    const { code, stdout, stderr } = await runs(...args);
    const text = `${stdout}${stderr}`;
    expect({ code, controls: text.match(/[^\P{Cc}\n]|\p{Bidi_Control}/gu) }).toEqual({ code: 0, controls: null });
    expect(text).toContain(args[0] === 'show' ? "dlq show $'escapes-" : 'escapes-');
  }
});

describe('beamline runs cancel and terminate', () => {
  test('cancel asks the flow to end, and says why in its history', async () => {
    const flow = await start('do: [{w: {wait: PT1H}}]');
    const { code, stdout } = await runs('cancel', flow.workflowId, '--reason', 'ordered twice');
    expect({ code, stdout }).toEqual({
      code: 0,
      stdout: `${flow.workflowId} is asked to end; see it end with \`runs show\`\n`,
    });
    await expect(flow.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    const { events } = await flow.fetchHistory();
    expect(events?.map((event) => event.workflowExecutionCancelRequestedEventAttributes?.cause)).toContain(
      'ordered twice',
    );
    expect(await shown(flow)).toMatch(/^ {2}status +Cancelled$/m);
  });

  test('terminate ends it at once', async () => {
    const flow = await start('do: [{w: {wait: PT1H}}]');
    const { runId } = await flow.describe();
    const { code, stdout } = await runs('terminate', flow.workflowId, '--reason', 'stuck', '--json');
    expect({ code, json: JSON.parse(stdout) }).toEqual({ code: 0, json: { workflowId: flow.workflowId, runId } });
    await expect(flow.result()).rejects.toMatchObject({ cause: { name: 'TerminatedFailure', message: 'stuck' } });
    expect(await shown(flow)).toMatch(/^error: the flow was terminated: stuck \[BLW_CANCELLED\]$/m);
  });
});
