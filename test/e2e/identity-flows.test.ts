import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { historyText } from '../helpers/history-text';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { LoopbackServers } from '../helpers/loopback';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, eventually, progressWhen } from '../helpers/test-worker';

const catalog = makeCatalogFolder();

/** A server that suggests a new history after a few events already. */
let server: TemporalServer;
let acme: IdentityWorker;
beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  const tenants = [tenantPolicy('acme', ALL_SCOPES), tenantPolicy('meek', ['flow:start', 'block:*', 'resources:*'])];
  acme = await startIdentityWorker(tenants, { catalog: catalog.folder }, server);
  catalog.write('inner.yaml', flowText('sub/inner:1.0.0', `do: [{ping: ${acme.ping}}]`));
}, 30_000);
afterAll(async () => {
  await acme.stop();
  await server.stop();
  catalog.dispose();
});

const range = (length: number): number[] => Array.from({ length }, (_, index) => index);
const calls = () => acme.service.requests.length;

test('runs a flow of the tenant and the person that the token names', async () => {
  const flow = await acme.start(
    `do: [{ping: ${acme.ping}}, {who: {set: {tenant: '\${ runtime.metadata.tenant }', got: '\${ data }'}}}]`,
  );
  expect(await flow.result()).toEqual({ tenant: 'acme', got: 'pong' });
});

test('takes a tenant and a person that are the same as those of the token', async () => {
  const flow = await acme.start(`do: [{ping: ${acme.ping}}]`, { tenant: 'acme', extra: { requestedBy: 'alice' } });
  expect(await flow.result()).toBe('pong');
});

test('takes a token whose blanks and order of keys differ', async () => {
  const id = `flow-${randomUUID()}`;
  const sealed = await acme.sealed(id, `do: [{s: {set: '\${ data }'}}]`, { input: { a: 1, b: [{ x: 'ü', y: null }] } });
  const flow = await acme.send({ ...sealed, input: { b: [{ y: null, x: 'ü' }], a: 1 } }, { workflowId: id });
  expect(await flow.result()).toEqual({ a: 1, b: [{ x: 'ü', y: null }] });
});

test('takes an input that travels as a claim, and it alone', async () => {
  const id = `flow-${randomUUID()}`;
  const sealed = await acme.sealed(id, `do: [{s: {set: '\${ size(data) }'}}]`, { input: 'x'.repeat(400_000) });
  const changed = await acme.send({ ...sealed, input: `${'x'.repeat(399_999)}y` }, { workflowId: id });
  expect(await errorOf(changed)).toMatchObject({ code: 'BLW_TOKEN_INVALID' });
  expect(await (await acme.send(sealed, { workflowId: id })).result()).toBe(400_000);
});

describe('where the keys of the issuer are at an address', () => {
  const servers = new LoopbackServers();
  afterEach(() => servers.close());

  const runWith = async (jwks: string, keys: { text: string }) => {
    const worker = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES)], { pools: 'io' }, server, jwks);
    try {
      keys.text = JSON.stringify({ keys: [worker.identity.key.publicJwk] });
      const flow = await worker.start('do: [{s: {set: {a: 1}}}]');
      return await flow.result().catch(() => errorOf(flow));
    } finally {
      await worker.stop();
    }
  };

  test('a flow starts though they cannot be had at first', async () => {
    const keys = { text: '' };
    const issuer = await servers.http((_, response) => {
      response.writeHead(issuer.requests.length === 1 ? 503 : 200).end(keys.text);
    });
    expect(await runWith(`${issuer.origin}/jwks`, keys)).toEqual({ a: 1 });
    expect(issuer.requests).toHaveLength(2);
  });

  test('a flow fails, for now, where they cannot be had at all', async () => {
    const port = await servers.closedPort();
    const error = await runWith(`http://127.0.0.1:${port}/jwks`, { text: '' });
    expect(error).toMatchObject({ code: 'BLW_IDENTITY_UNAVAILABLE', status: 503 });
  });
});

test('narrows the scopes of the tenant to those of the token, in flows that it runs too', async () => {
  const scope = 'flow:start resources:io block:fs.* openid';
  const flow = await acme.start(`do: [{ping: ${acme.ping}}]`, { claims: { scope } });
  expect(await errorOf(flow)).toMatchObject({ code: 'BLW_SCOPE_DENIED', data: { scope: 'block:http.request' } });
  const outer = await acme.start(SUBFLOW, { claims: { scope } });
  expect(await errorOf(outer)).toMatchObject({ code: 'BLW_SCOPE_DENIED', data: { scope: 'block:http.request' } });
});

test.each<[string, string[]]>([
  ['an empty list of scopes', []],
  ['no scope that is known', ['openid', 'profile']],
])('gives nothing to %s', async (_, scope) => {
  const flow = await acme.start(`do: [{s: {set: {a: 1}}}]`, { claims: { scope } });
  expect(await errorOf(flow)).toMatchObject({ code: 'BLW_SCOPE_DENIED', data: { scope: 'flow:start' } });
});

test('refuses a flow with an approval at its start where that scope is missing', async () => {
  const before = calls();
  const text = `do: [{ping: ${acme.ping}}, {f: {fork: {branches: [{ask: {call: human.approval, with: {title: Sure?}}}]}}}]`;
  const flow = await acme.start(text, { claims: { tenant: 'meek' } });
  expect(await errorOf(flow)).toMatchObject({ code: 'BLW_SCOPE_DENIED', data: { scope: 'approval:request' } });
  expect(calls()).toBe(before);
});

const SUBFLOW = "do: [{sub: {run: {workflow: {namespace: sub, name: inner, version: '1.0.0'}}}}]";

describe('steps go on to be known', () => {
  test('in flows that a flow runs', async () => {
    expect(await (await acme.start(SUBFLOW)).result()).toBe('pong');
  });

  test('in flows that a flow in a window runs, and in windows in windows', async () => {
    const windows = (body: string) =>
      `do: [{o: {for: {in: '[1, 2, 3]'}, metadata: {concurrency: 2, batchSize: 1}, do: [${body}]}}]`;
    const sub = "{sub: {run: {workflow: {namespace: sub, name: inner, version: '1.0.0'}}}}";
    const inner = `{i: {for: {each: x, at: n, in: '[1, 2]'}, metadata: {concurrency: 2, batchSize: 1}, do: [${sub}, {ping: ${acme.ping}}]}}`;
    expect(await (await acme.start(windows(inner))).result()).toEqual(range(3).map(() => ['pong', 'pong']));
  });

  test('in flows that continue as new, also in windows', async () => {
    const loop = await acme.start(`do: [{l: {for: {in: workflow.input}, do: [{ping: ${acme.ping}}]}}]`, {
      input: range(30),
    });
    expect(await loop.result()).toBe('pong');
    expect((await loop.describe()).runId).not.toBe(loop.firstExecutionRunId);
    const windows = await acme.start(
      `do: [{l: {for: {in: workflow.input}, metadata: {concurrency: 15, batchSize: 15}, do: [{ping: ${acme.ping}}]}}]`,
      { input: range(30) },
    );
    expect(await windows.result()).toEqual(range(30).map(() => 'pong'));
  });

  test('after a reset', async () => {
    const flow = await acme.start(`do: [{ping: ${acme.ping}}, {w: {wait: PT0.01S}}, {again: ${acme.ping}}]`);
    expect(await flow.result()).toBe('pong');
    const before = calls();
    const { workflowService, options } = acme.worker.client;
    const { events } = await flow.fetchHistory();
    const scheduled = events?.findIndex((event) => event.timerFiredEventAttributes != null) ?? -1;
    const finish = events
      ?.slice(scheduled)
      .find((event) => event.workflowTaskCompletedEventAttributes != null)?.eventId;
    const { runId } = await workflowService.resetWorkflowExecution({
      namespace: options.namespace,
      workflowExecution: { workflowId: flow.workflowId, runId: flow.firstExecutionRunId },
      workflowTaskFinishEventId: finish ?? null,
      requestId: randomUUID(),
      reason: 'test',
    });
    expect(await acme.worker.client.workflow.getHandle(flow.workflowId, runId).result()).toBe('pong');
    expect(calls()).toBe(before + 1);
  });

  test('when they emit and listen', async () => {
    const listener = await acme.start(`do: [{l: {listen: {to: {one: {with: {type: 'done'}}}}}}]`);
    await progressWhen(listener, ({ steps }) => steps.some(({ status }) => status === 'listening'));
    const emitter = await acme.start(
      `do: [{e: {emit: {event: {with: {source: /a, type: done, data: {n: 1}}}}}}, {ping: ${acme.ping}}]`,
    );
    expect(await emitter.result()).toBe('pong');
    expect(await listener.result()).toEqual([{ n: 1 }]);
  });

  test('where a compensation undoes them', async () => {
    const before = calls();
    const flow = await acme.start(
      `do: [{a: {set: {x: 1}, metadata: {compensate: [{undo: ${acme.ping}}]}}}, {r: {raise: {error: {type: 'https://x.test/e', status: 418}}}}]`,
    );
    expect(await errorOf(flow)).toMatchObject({ status: 418, compensation: { completed: 1, failed: [] } });
    expect(calls()).toBe(before + 1);
  });
});

test('an approval in a branch takes the word of a token, and nobody else’s', async () => {
  const flow = await acme.start(
    `do: [{f: {fork: {branches: [{ask: {call: human.approval, with: {title: Sure?, assignees: {groups: [finance]}}}}, {ping: ${acme.ping}}]}}}]`,
  );
  const approval = await waitingApproval(flow);
  const said = await acme.decision(
    approval,
    { decision: 'approved', comment: 'ok' },
    { sub: 'bob', groups: ['finance'] },
  );
  await approval.executeUpdate<ApprovalState, [Json]>('decide', { args: [said] });
  expect(await flow.result()).toMatchObject([
    { decision: 'approved', decisions: [{ by: 'bob', comment: 'ok' }] },
    'pong',
  ]);
});

/** What the history of a flow shows of its preparation. */
async function preparedOf(flow: WorkflowHandle): Promise<JsonObject> {
  return await eventually(async () => {
    const { events = [] } = await flow.fetchHistory();
    const marker = events?.find(({ markerRecordedEventAttributes: found }) => found != null);
    const data = marker?.markerRecordedEventAttributes?.details?.result?.payloads?.[0]?.data;
    return data == null ? undefined : (JSON.parse(Buffer.from(data).toString()) as JsonObject);
  });
}

async function waitingApproval(flow: WorkflowHandle): Promise<WorkflowHandle> {
  const { steps } = await progressWhen(flow, (progress) =>
    progress.steps.some(({ approval }) => approval !== undefined),
  );
  const id = steps.find(({ approval }) => approval !== undefined)?.approval ?? '';
  const approval = acme.worker.client.workflow.getHandle(id);
  await eventually(() => approval.query<ApprovalState>('state'));
  return approval;
}

describe('a flow that is deployed', () => {
  const deploy = async (name: string, schedule: string, claims?: Parameters<typeof acme.identity.tokenFile>[0]) => {
    const file = join(catalog.folder, `${name}.flow`);
    writeFileSync(file, flowText(`jobs/${name}:1.0.0`, `schedule: ${schedule}\ndo: [{ping: ${acme.ping}}]`));
    return await runInProcess([
      ...['deploy', file, '--tenant', 'acme', '--queue-prefix', acme.worker.queuePrefix],
      ...['--token-file', await acme.identity.tokenFile(claims), '--seal-key', acme.identity.sealKeyFile],
      ...['--address', server.address, '--namespace', server.namespace],
    ]);
  };
  const runsOf = async (prefix: string) => {
    const runs: WorkflowHandle[] = [];
    const query = `WorkflowId STARTS_WITH '${prefix}' AND ExecutionStatus = 'Completed'`;
    for await (const { workflowId } of acme.worker.client.workflow.list({ query }))
      runs.push(acme.worker.client.workflow.getHandle(workflowId));
    return runs;
  };

  test('runs by its schedule, though the token has expired by then', async () => {
    const exp = Math.floor(Date.now() / 1_000) + 5;
    expect(await deploy('cron', "{cron: '0 0 1 1 *'}", { exp })).toMatchObject({ code: 0, stderr: '' });
    await eventually(async () => (Date.now() / 1_000 > exp ? true : undefined));
    const schedule = acme.worker.client.schedule.getHandle('beamline:acme:jobs/cron');
    await schedule.trigger();
    const [run] = await eventually(async () => {
      const runs = await runsOf('acme/jobs/cron-');
      return runs.length > 0 ? runs : undefined;
    });
    expect(await run?.result()).toBe('pong');
    const { action } = await schedule.describe();
    expect(action.memo?.deployed).toMatchObject({ authorizedBy: 'alice' });
    await schedule.delete();
    const query = "WorkflowType = 'authorizeDeployment'";
    const { workflowId } = await eventually(async () => {
      for await (const found of acme.worker.client.workflow.list({ query })) return found;
      return undefined;
    });
    const authorization = await historyText(acme.worker.client.workflow.getHandle(workflowId));
    expect(authorization).toContain('"idPrefix":"acme/jobs/cron-"');
    expect(authorization).not.toContain(await headerOf());
  });

  test('runs after it has ended', async () => {
    expect(await deploy('after', '{after: PT1H}')).toMatchObject({ code: 0, stderr: '' });
    const [run] = await eventually(async () => {
      const runs = await runsOf('acme/jobs/after-');
      return runs.length > 0 ? runs : undefined;
    });
    expect(await run?.result()).toBe('pong');
  });

  test('runs for events', async () => {
    expect(await deploy('on', "{on: {one: {with: {type: 'order'}}}}")).toMatchObject({ code: 0, stderr: '' });
    const bus = acme.worker.client.workflow.getHandle(`${acme.worker.queuePrefix}-events:acme`);
    await eventually(async () => {
      const { triggers } = await bus.query<{ triggers: unknown[] }>('subscriptions');
      return triggers.length === 1 ? true : undefined;
    });
    await bus.executeUpdate('emit', { args: [{ specversion: '1.0', id: 'e1', source: '/x', type: 'order', data: 1 }] });
    const [run] = await eventually(async () => {
      const runs = await runsOf('acme:jobs/on:');
      return runs.length > 0 ? runs : undefined;
    });
    expect(await run?.result()).toBe('pong');
  });

  test.each<[string, (start: JsonObject) => JsonObject, string]>([
    ['another id', (start) => start, 'acme/jobs/other-1'],
    ['another flow', (start) => ({ ...start, flow: 'sub/inner:1.0.0' }), 'acme/jobs/copied-1'],
    ['another input', (start) => ({ ...start, input: { n: 1 } }), 'acme/jobs/copied-2'],
    ['another tenant', (start) => ({ ...start, tenant: 'meek' }), 'acme/jobs/copied-3'],
    ['another person', (start) => ({ ...start, requestedBy: 'mallory' }), 'acme/jobs/copied-4'],
  ])('has a grant that is of no use for %s', async (_, change, workflowId) => {
    expect(await deploy('copied', "{cron: '0 0 1 1 *'}")).toMatchObject({ code: 0 });
    const schedule = acme.worker.client.schedule.getHandle('beamline:acme:jobs/copied');
    const { action } = await schedule.describe();
    const [start] = action.args as unknown as [JsonObject];
    expect(start.grant).toEqual(expect.any(String));
    const before = calls();
    const code = { code: workflowId.endsWith('3') ? 'BLW_TENANT_DENIED' : 'BLW_TOKEN_INVALID' };
    expect(await errorOf(await acme.send(change(start), { workflowId }))).toMatchObject(code);
    expect(calls()).toBe(before);
    await schedule.delete();
  });

  test('is not started by a trigger that somebody sets by hand', async () => {
    const bus = acme.worker.client.workflow.getHandle(`${acme.worker.queuePrefix}-events:acme`);
    const signal = (trigger: Json) =>
      acme.worker.client.workflow.signalWithStart('eventBus', {
        workflowId: bus.workflowId,
        taskQueue: acme.taskQueue,
        signal: 'trigger',
        signalArgs: [trigger],
      });
    const on = { one: { with: { type: 'bait' } } };
    const grant = String((await preparedOf(await acme.start(`do: [{ping: ${acme.ping}}]`))).grant);
    await signal({ id: 'mine', flow: 'sub/inner:1.0.0', on });
    await signal({ id: 'mine', flow: 'sub/inner:1.0.0', on, grant });
    const overview = await eventually(async () => {
      const now = await bus.query<BusOverview>('subscriptions');
      return now.refused.length >= 2 ? now : undefined;
    });
    expect(overview.refused.map(({ reason }) => reason)).toEqual([
      expect.stringContaining('--token-file'),
      expect.stringContaining('it is for steps'),
    ]);
    expect(overview.triggers.map(({ id }) => id)).not.toContain('mine');
  });

  test('is not deployed without a token', async () => {
    const file = join(catalog.folder, 'bare.flow');
    const command = (...args: string[]) =>
      runInProcess([
        ...['deploy', file, '--tenant', 'acme', '--queue-prefix', acme.worker.queuePrefix],
        ...['--address', server.address, '--namespace', server.namespace, ...args],
      ]);
    for (const schedule of ["{cron: '0 0 1 1 *'}", "{on: {one: {with: {type: 'order'}}}}"]) {
      writeFileSync(file, flowText('jobs/bare:1.0.0', `schedule: ${schedule}\ndo: [{ping: ${acme.ping}}]`));
      const { code, stdout, stderr } = await command();
      expect({ code, stdout }).toEqual({ code: 1, stdout: '' });
      expect(stderr).toContain('start no flow without a token; nothing was deployed [BLW_TOKEN_REQUIRED]');
    }
    expect(await command('--dry-run')).toMatchObject({ code: 0, stderr: '' });
    const elsewhere = await command('--queue-prefix', 'nobody', '--dry-run');
    expect(elsewhere).toMatchObject({ code: 0, stderr: '' });
    await expect(acme.worker.client.schedule.getHandle('beamline:acme:jobs/bare').describe()).rejects.toThrow();
  });

  test('is not deployed with a token of another tenant, or one that may not start flows', async () => {
    expect(await deploy('denied', "{cron: '0 0 1 1 *'}", { tenant: 'meek' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BLW_TENANT_DENIED'),
    });
    expect(await deploy('denied', "{cron: '0 0 1 1 *'}", { scope: 'block:*' })).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BLW_SCOPE_DENIED'),
    });
    await expect(acme.worker.client.schedule.getHandle('beamline:acme:jobs/denied').describe()).rejects.toThrow();
  });
});

/** The header of every token of the issuer, which no other text begins with. */
const headerOf = async () => String((await acme.identity.token()).split('.')[0]);

test('no history has a token that anybody could use', async () => {
  const id = `history-${randomUUID()}`;
  const text = `do: [{ask: {call: human.approval, with: {title: Sure?, selfApproval: true}}}, {ping: ${acme.ping}}]`;
  const flow = await acme.start(text, { id });
  const approval = await waitingApproval(flow);
  const said = await acme.decision(approval, { decision: 'approved' });
  await approval.signal('approve', said);
  await flow.result();
  const history = (await Promise.all([flow, approval].map(historyText))).join('\n');
  // What is looked for would be found: the sealed one is there.
  expect(history).toContain(String(said.token));
  expect(history).not.toContain(await headerOf());
});
