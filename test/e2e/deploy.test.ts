import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { JsonObject } from '../../src/dsl/json';
import { connectClient } from '../../src/worker/temporal-connection';
import { INVALID_CRONS, VALID_CRONS } from '../dsl/crons';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { testTemporal } from '../helpers/temporal';
import { eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Schedules live in the namespace that all tests share: a tenant of their own keeps these apart. */
const TENANT = `t${randomUUID().slice(0, 8)}`;

const folder = makeCatalogFolder();
const target = testTemporal();
const CONNECTION = ['--address', target.address, '--namespace', target.namespace];
let worker: TestWorker;
let client: Client;
let close: () => Promise<void>;
beforeAll(async () => {
  worker = await startTestWorker({ pools: 'io', catalog: folder.folder });
  ({ client, close } = await connectClient(target));
});
afterAll(async () => {
  for await (const { scheduleId } of client.schedule.list()) {
    if (scheduleId.startsWith(`beamline:${TENANT}:`)) await client.schedule.getHandle(scheduleId).delete();
  }
  for await (const { workflowId } of client.workflow.list({ query: "ExecutionStatus = 'Running'" })) {
    if (workflowId.includes(TENANT)) await client.workflow.getHandle(workflowId).terminate();
  }
  await close();
  await worker.stop();
  folder.dispose();
});

const id = (name: string) => `beamline:${TENANT}:cron/${name}`;

const write = (
  name: string,
  schedule: string,
  options: { version?: string; metadata?: string; body?: string } = {},
) => {
  const { version = '1.0.0', metadata, body = 'do:\n  - say: { set: { said: true } }' } = options;
  const text = flowText(`cron/${name}:${version}`, `${schedule}\n${body}`);
  const file = `${name}.yaml`;
  const withMetadata =
    metadata === undefined ? text : text.replace("' }\n", `', metadata: { schedule: ${metadata} } }\n`);
  writeFileSync(join(folder.folder, file), withMetadata);
  return file;
};

/** The command, without a process of its own; the flow's tenant and queue are those of the test. */
async function deploy(...args: string[]) {
  const options = args[0] === 'list' ? [] : ['--queue-prefix', worker.queuePrefix];
  return runInProcess(['deploy', ...args, '--tenant', TENANT, ...options, ...CONNECTION], { cwd: folder.folder });
}

const describe_ = (name: string) => client.schedule.getHandle(id(name)).describe();

describe('a flow with cron', () => {
  it('becomes a Temporal schedule, the same one however often it is deployed', async () => {
    const file = write('nightly', "schedule: { cron: '30 7 * * mon-fri' }", {
      metadata: '{ timezone: Europe/Berlin }',
    });
    expect(await deploy(file, '--dry-run')).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(
        /^would be created: schedule .*cron\/nightly:1\.0\.0, cron "30 7 \* \* mon-fri" \(Europe\/Berlin\)$/m,
      ),
    });
    await expect(describe_('nightly')).rejects.toThrow();

    expect(await deploy(file)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/^created: schedule /),
      stderr: '',
    });
    const first = await describe_('nightly');
    expect(first.spec.timezone).toBe('Europe/Berlin');
    expect(first.spec.calendars?.[0]).toMatchObject({
      minute: [{ start: 30 }],
      hour: [{ start: 7 }],
      dayOfWeek: [{ start: 'MONDAY', end: 'FRIDAY' }],
    });
    expect(first.policies).toMatchObject({ overlap: 'SKIP', catchupWindow: 3_600_000 });
    expect(first.action).toMatchObject({
      workflowType: 'runFlow',
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `${TENANT}/cron/nightly`,
    });
    expect(first.state.paused).toBe(false);

    expect((await deploy(file)).stdout).toMatch(/^unchanged: schedule /);
  });

  it('says what changed, and takes the new version', async () => {
    await deploy(write('changing', "schedule: { cron: '0 7 * * *' }"));
    const next = write('changing', "schedule: { cron: '0 8 * * *' }", {
      version: '1.1.0',
      metadata: '{ overlap: bufferOne, catchupWindow: PT1M }',
    });
    const { stdout } = await deploy(next, '--input', '{"region": "eu"}');
    expect(stdout.split('\n')).toEqual([
      expect.stringMatching(/^updated: schedule /),
      '  flow: cron/changing:1.0.0 → cron/changing:1.1.0',
      expect.stringMatching(/^ {2}document: sha256:\w+ → sha256:\w+$/),
      '  when: cron "0 7 * * *" (UTC) → cron "0 8 * * *" (UTC)',
      '  overlap: skip → bufferOne',
      '  catchupWindow: 1 h → 1 min',
      '  input: none → {"region":"eu"}',
      '',
    ]);
    const { spec, policies, action } = await describe_('changing');
    expect(spec.calendars).toHaveLength(1);
    expect(spec.calendars?.[0]).toMatchObject({ hour: [{ start: 8 }] });
    expect(policies).toMatchObject({ overlap: 'BUFFER_ONE', catchupWindow: 60_000 });
    const [start] = action.args as [JsonObject];
    expect(start).toMatchObject({ tenant: TENANT, input: { region: 'eu' }, flow: { document: { version: '1.1.0' } } });
  });

  it('keeps a pause, whoever made it, until it is resumed', async () => {
    const file = write('paused', "schedule: { cron: '@daily' }");
    expect((await deploy(file, '--paused')).stdout).toMatch(/created: .*\(paused; go on with --resume\)/);
    await client.schedule.getHandle(id('paused')).unpause();
    await client.schedule.getHandle(id('paused')).pause('maintenance');
    expect((await deploy(file)).stdout).toMatch(/unchanged: .*\(paused/);
    expect((await describe_('paused')).state.paused).toBe(true);
    expect((await deploy(file, '--resume')).stdout).toMatch(/updated: (?:.|\n)*resumed/);
    expect((await describe_('paused')).state.paused).toBe(false);
  });

  it('is deleted with --delete, by its file or its name', async () => {
    const file = write('deleted', "schedule: { cron: '@daily' }");
    await deploy(file);
    expect((await deploy(file, '--delete', '--dry-run')).stdout).toMatch(/^would be deleted: schedule /);
    expect((await describe_('deleted')).scheduleId).toBe(id('deleted'));
    expect((await deploy('cron/deleted', '--delete')).stdout).toMatch(/^deleted: schedule /);
    await expect(describe_('deleted')).rejects.toThrow();
    expect((await deploy(file, '--delete')).stdout).toMatch(/^nothing: .* is not deployed$/m);
  });

  it('runs by its name where it is in the catalog', async () => {
    const { stdout } = await deploy(write('named', 'schedule: { every: PT1H }'), 'cron/named:1.0.0', '--catalog', '.');
    expect(stdout).toMatch(/created: (?:.|\n)*document: sha256:\w+ → cron\/named:1\.0\.0 of the catalog/);
    const { action } = await describe_('named');
    expect(action.args).toEqual([{ flow: 'cron/named:1.0.0', input: null, tenant: TENANT }]);
    await client.schedule.getHandle(id('named')).trigger();
    const run = await eventually(async () => (await describe_('named')).info.recentActions[0]?.action.workflow);
    expect(await client.workflow.getHandle(run.workflowId).result()).toEqual({ said: true });
    expect(run.workflowId).toMatch(new RegExp(`^${TENANT}/cron/named-\\d{4}-`));
  });
});

it('takes and refuses the same cron expressions as the server', async () => {
  const create = async (cron: string) => {
    const scheduleId = `beamline:${TENANT}:crons/${randomUUID()}`;
    const spec = { cronExpressions: [cron] };
    const action = { type: 'startWorkflow', workflowType: 'runFlow', taskQueue: 'nobody' } as const;
    await client.schedule.create({ scheduleId, spec, action, state: { paused: true } });
    await client.schedule.getHandle(scheduleId).delete();
  };
  for (const cron of VALID_CRONS) await create(cron);
  for (const cron of INVALID_CRONS) await expect(create(cron)).rejects.toThrow();
});

it('runs a flow with every at its interval, for its tenant, even while one is running', async () => {
  const file = write('often', 'schedule: { every: { seconds: 1 } }', {
    body: "do:\n  - who: { set: { tenant: '${ runtime.metadata.tenant }' } }",
  });
  await deploy(file);
  const actions = await eventually(async () => {
    const { info } = await describe_('often');
    return info.recentActions.length >= 2 ? info.recentActions : undefined;
  });
  expect((await describe_('often')).policies.overlap).toBe('ALLOW_ALL');
  await deploy(file, '--delete');
  for (const { action } of actions.slice(0, 2)) {
    expect(await client.workflow.getHandle(action.workflow.workflowId).result()).toEqual({ tenant: TENANT });
  }
});

describe('a flow with after', () => {
  const runs = async (name: string) => {
    const found = [];
    const query = `WorkflowType = 'runFlow' AND WorkflowId STARTS_WITH '${TENANT}/cron/${name}-'`;
    for await (const run of client.workflow.list({ query })) found.push(run);
    return found.sort((left, right) => left.startTime.getTime() - right.startTime.getTime());
  };
  const endedRuns = async (name: string, count: number) =>
    await eventually(async () => {
      const found = (await runs(name)).filter(({ closeTime }) => closeTime !== undefined);
      return found.length >= count ? found : undefined;
    });

  it.concurrent('runs again so long after it has ended, in one chain however often it is deployed', async () => {
    const file = write('again', 'schedule: { after: PT1S }');
    expect((await deploy(file)).stdout).toMatch(/^created: repeat .* 1 s after it has ended$/m);
    await Promise.all([deploy(file), deploy(file)]);
    const [first, second, third] = await endedRuns('again', 3);
    await deploy(file, '--delete');
    for (const [before, next] of [
      [first, second],
      [second, third],
    ]) {
      expect(Number(next?.startTime) - Number(before?.closeTime)).toBeGreaterThanOrEqual(900);
    }
    const { status } = await client.workflow.getHandle(id('again')).describe();
    expect(status.name).toBe('TERMINATED');
  });

  it.concurrent('goes on after a run that failed', async () => {
    const file = write('failing', 'schedule: { after: PT1S }', {
      body: "do:\n  - no: { raise: { error: { type: 'https://example.com/no', status: 400 } } }",
    });
    await deploy(file);
    const ended = await endedRuns('failing', 2);
    await deploy(file, '--delete');
    expect(ended.map(({ status }) => status.name)).toEqual(expect.arrayContaining(['FAILED', 'FAILED']));
  });

  it.concurrent('changes with the next run, and lets a run that goes on end by itself', async () => {
    const waiting = (seconds: number) =>
      `do:\n  - pause: { wait: PT${seconds}S }\n  - say: { set: { waited: ${seconds} } }`;
    await deploy(write('slow', 'schedule: { after: PT1H }', { body: waiting(2) }));
    const run = await eventually(async () => (await runs('slow'))[0]);
    const { stdout } = await deploy(write('slow', 'schedule: { after: PT2H }', { body: waiting(2), version: '2.0.0' }));
    expect(stdout).toMatch(/when: 1 h after it has ended → 2 h after it has ended/);
    expect((await deploy('cron/slow', '--delete')).stdout).toMatch(/^deleted: repeat /);
    expect(await client.workflow.getHandle(run.workflowId).result()).toEqual({ waited: 2 });
  });

  it.concurrent('begins no run while it is paused', async () => {
    const file = write('still', 'schedule: { after: PT1S }');
    await deploy(file, '--paused');
    await eventually(async () =>
      (await client.workflow.getHandle(id('still')).describe()).memo?.paused === true ? true : undefined,
    );
    expect(await runs('still')).toEqual([]);
    await deploy(file, '--resume');
    expect(await endedRuns('still', 1)).not.toEqual([]);
    await deploy(file, '--delete');
  });

  it.concurrent('becomes a schedule where the next version has one, and the chain ends', async () => {
    await deploy(write('moved', 'schedule: { after: PT1H }'));
    await eventually(async () =>
      (await client.workflow.getHandle(id('moved')).describe()).memo?.deployed === undefined ? undefined : true,
    );
    const { stdout } = await deploy(write('moved', 'schedule: { every: PT1H }'));
    expect(stdout).toMatch(/^created: schedule (?:.|\n)*^deleted: repeat /m);
    expect((await client.workflow.getHandle(id('moved')).describe()).status.name).toBe('TERMINATED');
  });
});

it('registers a flow with on at the event bus of its tenant', async () => {
  // No worker serves this queue: what is recorded stays there to be looked at.
  const file = write('events', "schedule: { on: { one: { with: { type: 'com.example.order' } } }, read: envelope }");
  const nobody = `nobody-${TENANT}`;
  const { stdout } = await runInProcess(['deploy', file, '--tenant', TENANT, '--queue-prefix', nobody, ...CONNECTION], {
    cwd: folder.folder,
  });
  expect(stdout).toMatch(/^registered: trigger .*on events/m);
  const remove = ['deploy', 'cron/events', '--delete', '--tenant', TENANT, '--queue-prefix', nobody, ...CONNECTION];
  expect(await runInProcess(remove)).toMatchObject({ stdout: expect.stringMatching(/^deleted: trigger /), stderr: '' });
  const bus = client.workflow.getHandle(`${nobody}-events:${TENANT}`);
  const { events } = await bus.fetchHistory();
  const signals = (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) =>
    signal == null ? [] : [signal],
  );
  const sent = signals.map(({ signalName, input }) => [signalName, JSON.parse(String(input?.payloads?.[0]?.data))]);
  expect(sent).toEqual([
    [
      'trigger',
      expect.objectContaining({
        id: 'cron/events',
        language: 'cel',
        on: { one: { with: { type: 'com.example.order' } } },
        read: 'envelope',
        flow: expect.objectContaining({ do: expect.anything() }),
      }),
    ],
    ['untrigger', { id: 'cron/events', ifMissing: 'ignore' }],
  ]);
  expect((await bus.describe()).type).toBe('eventBus');
});

it('leaves no refusal at a bus that did not answer in time, whether it had a trigger of the flow or not', async () => {
  const prefix = `late-${TENANT}`;
  const late = async (file: string) =>
    runInProcess(['deploy', file, '--tenant', TENANT, '--queue-prefix', prefix, ...CONNECTION], { cwd: folder.folder });
  const on = 'schedule: { on: { one: { with: { type: com.example.late } } } }';
  await late(write('stays', on));
  await late(write('leaves', on));
  await late(write('leaves', "schedule: { cron: '0 0 1 1 *' }"));
  await late(write('never', "schedule: { cron: '0 0 1 1 *' }"));
  const served = await startTestWorker({ pools: 'io', 'queue-prefix': prefix });
  try {
    const bus = client.workflow.getHandle(`${prefix}-events:${TENANT}`);
    const overview = await eventually(async () => {
      const now = await bus.query<BusOverview>('subscriptions');
      return now.pending === 0 ? now : undefined;
    });
    expect(overview).toMatchObject({ triggers: [{ id: 'cron/stays' }], refused: [] });
    await bus.signal('untrigger', { id: 'cron/never' });
    expect((await bus.query<BusOverview>('subscriptions')).refused).toMatchObject([
      { reason: 'there is no trigger "cron/never"' },
    ]);
  } finally {
    await served.stop();
  }
});

it('starts a flow for the events that it was deployed for, by its name too', async () => {
  const body = "do:\n  - see: { set: { order: '${ data[0].id }' } }";
  const schedule = 'schedule: { on: { one: { with: { type: com.example.paid } } } }';
  const file = write('paid', schedule, { body });
  await deploy(file, 'cron/paid', '--catalog', '.');
  const bus = client.workflow.getHandle(`${worker.queuePrefix}-events:${TENANT}`);
  const event = {
    specversion: '1.0',
    id: randomUUID(),
    source: '/test',
    type: 'com.example.paid',
    data: { id: '4711' },
  };
  expect(await bus.executeUpdate('emit', { args: [event] })).toMatchObject({ receivers: 1 });
  const run = await eventually(async () => {
    const query = `WorkflowType = 'runFlow' AND BeamlineTenant = '${TENANT}' AND BeamlineFlow = 'cron/paid:1.0.0'`;
    for await (const found of client.workflow.list({ query })) return found;
    return undefined;
  });
  expect(await client.workflow.getHandle(run.workflowId).result()).toEqual({ order: '4711' });
  expect((await deploy('cron/paid', '--delete', '--dry-run')).stdout).toMatch(/^would be deleted: trigger /);
  expect((await deploy('cron/paid', '--delete')).stdout).toMatch(/^deleted: trigger /);
  expect(await bus.query('subscriptions')).toMatchObject({ triggers: [], refused: [] });
  expect((await deploy('cron/paid', '--delete')).stdout).toMatch(/^nothing: .* is not deployed$/m);
});

it('takes a flow off the event bus once it has another schedule, and asks the bus for nothing it does not have', async () => {
  const bus = client.workflow.getHandle(`${worker.queuePrefix}-events:${TENANT}`);
  await deploy(write('turned', 'schedule: { on: { one: { with: { type: com.example.turned } } } }'));
  const timed = write('turned', 'schedule: { every: PT1H }');
  expect((await deploy(timed)).stdout).toMatch(/^created: schedule (?:.|\n)*^deleted: trigger /m);
  expect((await deploy(timed)).stdout).toMatch(/^unchanged: schedule [^\n]*\n$/);
  expect(await bus.query('subscriptions')).toMatchObject({ triggers: [], refused: [] });
});

it('lists what runs by itself', async () => {
  await deploy(
    write('listed', "schedule: { cron: '0 0 1 1 *' }"),
    write('chained', 'schedule: { after: PT1H }'),
    '--paused',
  );
  await deploy(write('listed', "schedule: { cron: '0 0 1 1 *' }"), '--resume');
  const rows = await eventually(async () => {
    const { stdout } = await deploy('list', '--json');
    const { deployments } = JSON.parse(stdout) as { deployments: JsonObject[] };
    const found = deployments.filter(({ id: found }) => [id('listed'), id('chained')].includes(String(found)));
    return found.length === 2 && found.every(({ when }) => when !== '?') ? found : undefined;
  });
  expect(rows).toEqual([
    {
      id: id('chained'),
      kind: 'repeat',
      tenant: TENANT,
      flow: 'cron/chained:1.0.0',
      when: '1 h after it has ended',
      isPaused: true,
    },
    {
      id: id('listed'),
      kind: 'schedule',
      tenant: TENANT,
      flow: 'cron/listed:1.0.0',
      when: 'cron "0 0 1 1 *" (UTC)',
      isPaused: false,
      next: expect.stringMatching(/-01-01T00:00:00.000Z$/),
    },
  ]);
  const { stdout } = await deploy('list');
  expect(stdout).toMatch(new RegExp(`${id('listed')} .*cron "0 0 1 1 \\*" \\(UTC\\) .*-01-01T00:00:00.000Z  active`));
});

describe('deploys nothing', () => {
  test.each([
    ['of a flow without a schedule', '', [], 2, 'the flow has no `schedule`'],
    ['of a flow with problems', "schedule: { cron: 'often' }", [], 2, 'BLW_VALUE_INVALID schedule: cron: got 1 fields'],
    [
      'with an input that does not fit',
      'input: { schema: { document: { type: object } } }\nschedule: { every: PT1H }',
      [],
      2,
      'BLW_DATA_INVALID',
    ],
    [
      'with an input for events',
      'schedule: { on: { one: { with: { type: a } } } }',
      ['--input', '{}'],
      2,
      'leave --input out',
    ],
    [
      'paused and resumed',
      'schedule: { every: PT1H }',
      ['--paused', '--resume'],
      2,
      "'--paused' cannot be used with option '--resume'",
    ],
  ])('%s', async (_, schedule, flags, code, message) => {
    const result = await deploy(write('nothing', schedule), ...flags);
    expect({ code: result.code, stderr: result.stderr }).toEqual({ code, stderr: expect.stringContaining(message) });
    await expect(describe_('nothing')).rejects.toThrow();
  });

  it('by a name without the catalog', async () => {
    expect(await deploy('cron/nightly:1.0.0')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('--catalog DIR'),
    });
  });
});

test('says nothing of tokens where the workers need none, and that it does not know where there is no worker', async () => {
  const file = write('tokenless', 'schedule: { every: { days: 300 } }');
  expect(await deploy(file)).toMatchObject({ code: 0, stderr: '' });
  const nobody = ['--queue-prefix', `nobody-${randomUUID()}`];
  const { code, stderr } = await runInProcess(['deploy', file, '--tenant', TENANT, ...nobody, ...CONNECTION], {
    cwd: folder.folder,
  });
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^note: no worker of nobody-\S+-io said whether a token is needed; /),
  });
});
