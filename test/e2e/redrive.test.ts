import { execFile } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { WorkflowHandle } from '@temporalio/client';
import { executeRedrive } from '../../src/cli/redrive/execute-redrive';
import { listFailedFlows } from '../../src/cli/redrive/failed-flows';
import { planRedrive } from '../../src/cli/redrive/plan-redrive';
import type { ApprovalState } from '../../src/dsl/approval';
import type { Json, JsonObject } from '../../src/dsl/json';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { type Effects, startEffects } from '../helpers/effects';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import {
  errorOf,
  eventually,
  flowOf,
  openApproval,
  progressWhen,
  startTestWorker,
  type TestWorker,
} from '../helpers/test-worker';
import { kill, WorkerProcesses } from '../helpers/worker-process';

const catalog = makeCatalogFolder();
let effects: Effects;
let worker: TestWorker;
beforeAll(async () => {
  effects = await startEffects();
  worker = await startTestWorker({ catalog: catalog.folder });
  catalog.write(
    'inner.yaml',
    flowText('sub/inner:1.0.0', `do: [${post('one', '/in/one')}, ${post('two', '/in/two')}]`),
  );
  catalog.write(
    'undo.yaml',
    flowText(
      'sub/undo:1.0.0',
      `do: [{a: {set: {n: 1}, metadata: {compensate: [{b: {set: {n: 2}}}]}}}, ${post('bad', '/in/undo')}]`,
    ),
  );
  catalog.write(
    'compute.yaml',
    flowText('sub/compute:1.0.0', `do: [${post('one', '/in/compute')}, {x: {set: '\${ data.nothing }'}}]`),
  );
  catalog.write('beside.yaml', flowText('sub/beside:1.0.0', `do: [${post('one', '/in/beside')}]`));
  catalog.write('outer.yaml', flowText('sub/outer:1.0.0', `do: [${sub('beside')}]`));
}, 30_000);
afterAll(async () => {
  await worker.stop();
  await effects.stop();
  catalog.dispose();
});

/** A path of a test's own. */
const newPath = (name: string) => `/${name}-${randomUUID().slice(0, 8)}`;
const post = (name: string, path: string, more = '') =>
  `{ ${name}: { call: http, with: { method: post, endpoint: '${effects.origin}${path}', body: {} }${more} } }`;
const sub = (name: string, more = '') =>
  `{ sub: { run: { ${more}workflow: { namespace: sub, name: ${name}, version: '1.0.0' } } } }`;

const redrive = (...args: string[]) => {
  const { address, namespace } = testTemporal();
  return runInProcess([
    'redrive',
    ...args,
    '--address',
    address,
    '--namespace',
    namespace,
    '--blob-root',
    `${worker.folder}/blobs`,
  ]);
};
const newest = ({ workflowId }: WorkflowHandle) => worker.client.workflow.getHandle(workflowId);
const statusOf = async (handle: WorkflowHandle): Promise<unknown> =>
  (await newest(handle).describe()).searchAttributes?.BeamlineStatus?.[0];
const runsOf = async ({ workflowId }: WorkflowHandle): Promise<number> => {
  let count = 0;
  for await (const _ of worker.client.workflow.list({ query: `WorkflowId = '${workflowId}'` })) count += 1;
  return count;
};

async function redriven(handle: WorkflowHandle, ...flags: string[]): Promise<Json> {
  expect(await redrive(handle.workflowId, ...flags)).toMatchObject({ code: 0, stderr: '' });
  return (await newest(handle).result()) as Json;
}

/** Why it is refused, as scripts read it, and what people read. */
async function refusal(id: string, ...more: string[]): Promise<string> {
  const { code, stderr } = await redrive(id, ...more);
  expect(code).toBe(1);
  expect(stderr).toContain('[BLW_REDRIVE_REFUSED]');
  return stderr;
}

describe('a flow that failed', () => {
  test('by a step in place goes on from the workflow task of that', async () => {
    const [before, read] = [newPath('before'), newPath('read')];
    effects.broken.add(read);
    const get = `{ read: { call: http, with: { method: get, endpoint: '${effects.origin}${read}' }, metadata: { dispatch: local } } }`;
    const handle = await worker.start(`do: [${post('before', before)}, ${get}]`);
    expect(await errorOf(handle)).toMatchObject({ instance: '/do/1/read' });
    effects.broken.delete(read);
    expect(await redriven(handle)).toEqual({ path: read });
    expect([effects.asked(before), effects.seen(read)]).toEqual([1, 2]);
  });

  test('goes on from the failed step, with the same key, and repeats nothing before it', async () => {
    const [before, pay, after] = [newPath('before'), newPath('pay'), newPath('after')];
    effects.broken.add(pay);
    const handle = await worker.start(
      `do: [${post('before', before)}, ${post('more', `${before}/2`)}, ${post('pay', pay)}, ${post('after', after)}]`,
      null,
      { tenant: 'acme' },
    );
    expect(await errorOf(handle)).toMatchObject({ instance: '/do/2/pay' });
    const { runId } = await handle.describe();
    expect(await statusOf(handle)).toBe('Failed');

    effects.broken.delete(pay);
    effects.held.add(pay);
    const { code, stdout } = await redrive(handle.workflowId, '--reason', 'the bank is back');
    expect(code).toBe(0);
    expect(stdout).toMatch(new RegExp(`^${handle.workflowId} goes on from /do/2/pay as run `));
    await eventually(async () => (effects.seen(pay) === 2 ? true : undefined));
    expect(await statusOf(handle)).toBe('Running');
    expect(await refusal(handle.workflowId)).toContain('was redriven already');
    expect(await refusal(handle.workflowId, '--run-id', runId)).toContain('was redriven already');
    effects.release(pay);
    expect(await newest(handle).result()).toMatchObject({ path: after });
    expect(await statusOf(handle)).toBe('Completed');

    for (const path of [before, `${before}/2`, after]) expect(effects.asked(path)).toBe(1);
    expect(effects.keys(pay)).toEqual([`acme:${handle.workflowId}:/do/2/pay:0:0`]);
    const { raw } = await newest(handle).describe();
    expect(raw.workflowExecutionInfo?.firstRunId).toBe(runId);
    expect(await refusal(handle.workflowId)).toContain('has completed');
    expect(await refusal(handle.workflowId, '--run-id', runId)).toContain('it was redriven already, as run');
    expect(await runsOf(handle)).toBe(2);
  });

  test('goes on once, however often its run is redriven at the same time', async () => {
    const path = newPath('twice');
    effects.broken.add(path);
    const handle = await worker.start(`do: [${post('a', newPath('first'))}, ${post('pay', path)}]`);
    await errorOf(handle);
    effects.held.add(path);
    const plan = await planRedrive(worker.client, handle.workflowId);
    const runs = await Promise.all(Array.from({ length: 5 }, () => executeRedrive(worker.client, plan, 'test')));
    expect(new Set(runs).size).toBe(1);
    expect(await executeRedrive(worker.client, plan, 'test')).toBe(runs[0]);
    effects.broken.delete(path);
    effects.release(path);
    await newest(handle).result();
    expect(await executeRedrive(worker.client, plan, 'test')).toBe(runs[0]);
    expect(await eventually(async () => ((await runsOf(handle)) === 2 ? 2 : undefined))).toBe(2);
  });

  test('goes on once, also where a command comes late, and the flow has failed and was redriven again since', async () => {
    const path = newPath('late');
    effects.broken.add(path);
    const handle = await worker.start(`do: [${post('a', newPath('first'))}, ${post('pay', path)}]`);
    await errorOf(handle);
    const late = await planRedrive(worker.client, handle.workflowId);
    const second = await executeRedrive(worker.client, late, 'test');
    await errorOf(newest(handle));
    effects.broken.delete(path);
    expect(await redriven(handle)).toMatchObject({ path });
    const asked = effects.asked(path);
    expect(await executeRedrive(worker.client, late, 'test')).toBe(second);
    expect((await newest(handle).describe()).status.name).toBe('COMPLETED');
    expect(effects.asked(path)).toBe(asked);
    expect(await eventually(async () => ((await runsOf(handle)) === 3 ? 3 : undefined))).toBe(3);
  });

  test('fails again where what is wrong is not mended, and can be redriven again', async () => {
    const [first, path] = [newPath('first'), newPath('again')];
    effects.broken.add(path);
    const handle = await worker.start(`do: [${post('a', first)}, ${post('pay', path)}]`);
    await errorOf(handle);
    for (let seen = 2; seen <= 3; seen += 1) {
      expect((await redrive(handle.workflowId)).code).toBe(0);
      expect(await errorOf(newest(handle))).toMatchObject({ instance: '/do/1/pay' });
      expect(effects.seen(path)).toBe(seen);
    }
    effects.broken.delete(path);
    expect(await redriven(handle)).toMatchObject({ path });
    expect(effects.asked(first)).toBe(1);
  });

  test('is prepared again where the failed step was the first', async () => {
    const path = newPath('first');
    effects.broken.add(path);
    const handle = await worker.start(`do: [${post('a', path)}]`);
    await errorOf(handle);
    effects.broken.delete(path);
    expect(await redriven(handle)).toMatchObject({ path });
    expect(effects.keys(path)).toHaveLength(1);
  });

  test('with a flow by name that was not there, goes on once it is', async () => {
    const handle = await worker.client.workflow.start('runFlow', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `flow-${randomUUID()}`,
      args: [{ flow: 'sub/late:1.0.0', input: null }],
    });
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_FLOW_UNKNOWN' });
    catalog.write('late.yaml', flowText('sub/late:1.0.0', 'do: [{a: {set: {n: 7}}}]'));
    expect(await redriven(handle)).toEqual({ n: 7 });
  });

  test('has all attempts and all of its time again in a step with a timeout', async () => {
    const path = newPath('timed');
    effects.held.add(path);
    const handle = await worker.start(
      `do: [${post('a', path, ', timeout: { after: PT1S }, metadata: { idempotent: true }')}]`,
    );
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_HTTP_TIMEOUT' });
    effects.release(path);
    expect(await redriven(handle)).toMatchObject({ path });
  });

  test('after failures that it had dealt with goes on from the one that ended it', async () => {
    const path = newPath('tried');
    effects.broken.add(path);
    const handle = await worker.start(`do: [{t: {try: [${post('b', path)}], catch: {}}}, ${post('c', path)}]`);
    await errorOf(handle);
    expect(effects.seen(path)).toBe(2);
    effects.broken.delete(path);
    expect(await redriven(handle)).toMatchObject({ path });
    expect(effects.seen(path)).toBe(3);
  });

  test('whose dead letter was discarded has it again, or goes on', async () => {
    const path = newPath('letter');
    effects.broken.add(path);
    const handle = await worker.start(
      `do: [${post('a', `${path}/a`)}, ${post('b', path, ', metadata: { onFailure: deadLetter }')}]`,
    );
    await progressWhen(handle, ({ status }) => status === 'DeadLettered');
    await handle.executeUpdate('resolve', { args: [{ action: 'discard' }] });
    await errorOf(handle);
    expect((await redrive(handle.workflowId)).code).toBe(0);
    await progressWhen(newest(handle), ({ status }) => status === 'DeadLettered');
    effects.broken.delete(path);
    await newest(handle).executeUpdate('resolve', { args: [{ action: 'retry' }] });
    expect(await newest(handle).result()).toMatchObject({ path });
    expect(effects.asked(`${path}/a`)).toBe(1);
  });

  test('keeps signals and updates that came after the failed step had begun', async () => {
    const path = newPath('late');
    effects.held.add(path);
    effects.broken.add(path);
    const handle = await worker.start(
      `do: [${post('a', path)}, {hear: {listen: {to: {all: [{with: {type: x}}, {with: {type: y}}]}}}}]`,
    );
    await eventually(async () => (effects.seen(path) === 1 ? true : undefined));
    const event = (type: string) => ({ specversion: '1.0', type, source: '/t', id: type, data: type });
    await handle.signal('event', event('x'));
    await handle.executeUpdate('event', { args: [event('y')] });
    effects.release(path);
    await errorOf(handle);
    effects.broken.delete(path);
    expect(await redriven(handle)).toEqual(['x', 'y']);
  });

  test('of a schedule goes on likewise', async () => {
    const path = newPath('scheduled');
    effects.broken.add(path);
    const scheduleId = `schedule-${randomUUID()}`;
    const schedule = await worker.client.schedule.create({
      scheduleId,
      spec: {},
      action: {
        type: 'startWorkflow',
        workflowType: 'runFlow',
        workflowId: scheduleId,
        taskQueue: `${worker.queuePrefix}-io`,
        args: [{ flow: flowOf(`do: [${post('a', `${path}/a`)}, ${post('b', path)}]`), input: null }],
      },
    });
    try {
      await schedule.trigger();
      const id = await eventually(async () => {
        const [action] = (await schedule.describe()).info.recentActions;
        return action?.action.workflow.workflowId;
      });
      const handle = worker.client.workflow.getHandle(id);
      await errorOf(handle);
      effects.broken.delete(path);
      expect(await redriven(handle)).toMatchObject({ path });
      expect(effects.asked(`${path}/a`)).toBe(1);
    } finally {
      await schedule.delete();
    }
  });

  test('goes on by the plain Temporal CLI as well', async () => {
    const path = newPath('plain');
    effects.broken.add(path);
    const handle = await worker.start(`do: [${post('a', `${path}/a`)}, ${post('b', path)}]`);
    await errorOf(handle);
    effects.broken.delete(path);
    const { stdout } = await redrive(handle.workflowId, '--dry-run', '--json');
    const { flows } = JSON.parse(stdout) as { flows: JsonObject[] };
    expect(flows).toMatchObject([{ workflowId: handle.workflowId, step: '/do/1/b' }]);
    const { address, namespace } = testTemporal();
    const temporal = await findTemporal({ log: () => undefined, canInstall: false });
    const target = ['--workflow-id', handle.workflowId, '--address', address, '--namespace', namespace];
    const reset = ['--event-id', String(flows[0]?.resetEventId), '--reason', 'mended'];
    await promisify(execFile)(temporal, ['workflow', 'reset', ...target, ...reset]);
    expect(await newest(handle).result()).toMatchObject({ path });
    expect(effects.asked(`${path}/a`)).toBe(1);
  });
});

describe('what ran beside the failed step', () => {
  const fork = (...branches: string[]) => `{ f: { fork: { branches: [${branches.join(', ')}] } } }`;
  const group = (name: string, ...tasks: string[]) => `{ ${name}: { do: [${tasks.join(', ')}] } }`;

  test('is kept where it was done, and done again, with its key, where it was not', async () => {
    const path = newPath('beside');
    for (const name of ['bad', 'slow']) effects.held.add(`${path}/${name}`);
    effects.broken.add(`${path}/bad`);
    const quick = group(
      'quick',
      post('q1', `${path}/q1`),
      post('q2', `${path}/q2`),
      post('slow', `${path}/slow`),
      post('q3', `${path}/q3`),
    );
    const handle = await worker.start(`do: [${fork(post('bad', `${path}/bad`), quick)}]`);
    await eventually(async () =>
      effects.seen(`${path}/slow`) === 1 && effects.seen(`${path}/bad`) === 1 ? true : undefined,
    );
    effects.release(`${path}/bad`);
    await errorOf(handle);
    effects.broken.delete(`${path}/bad`);
    const text = await refusal(handle.workflowId);
    expect(text).toContain('may have been done, and would be sent again: /do/0/f/fork/branches/1/quick/do/2/slow');
    expect(text).toContain('--repeat-unknown');
    effects.release(`${path}/slow`);
    await redriven(handle, '--repeat-unknown');
    for (const name of ['q1', 'q2', 'q3', 'bad']) expect(effects.asked(`${path}/${name}`)).toBe(1);
    expect(effects.keys(`${path}/slow`)).toHaveLength(1);
  });

  test('a statement that was under way takes effect once', async () => {
    const path = newPath('sql');
    const sql = (call: string, statement: string) =>
      `{call: sql.${call}, with: {database: test, statement: '${statement}'}}`;
    await worker.run(`do: [{c: ${sql('execute', 'CREATE TABLE redriven (n INTEGER)')}}]`);
    effects.broken.add(path);
    const insert = `{ins: ${sql('execute', 'INSERT INTO redriven VALUES (1)')}}`;
    const count = `{q: ${sql('query', 'SELECT count(*) AS n FROM redriven')}}`;
    const handle = await worker.start(`do: [${fork(post('bad', path), insert)}, ${count}]`);
    await errorOf(handle);
    effects.broken.delete(path);
    expect(await redriven(handle)).toMatchObject({ rows: [{ n: 1 }] });
  });

  test('an approval goes on with the decisions that it had', async () => {
    const path = newPath('approval');
    effects.held.add(path);
    effects.broken.add(path);
    const ask = '{ ask: { call: human.approval, with: { title: Sure?, requiredApprovals: 2 } } }';
    const handle = await worker.start(`do: [${post('a', `${path}/a`)}, ${fork(post('bad', path), ask)}]`);
    const approval = worker.client.workflow.getHandle(`${handle.workflowId}/f/ask`);
    await progressWhen(handle, ({ status }) => status === 'AwaitingApproval');
    await eventually(() => approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'alice' }] }));
    effects.release(path);
    await errorOf(handle);
    expect((await approval.describe()).status.name).toBe('CANCELLED');
    expect(await refusal(approval.workflowId)).toContain(`Redrive "${handle.workflowId}"`);
    effects.broken.delete(path);

    expect((await redrive(handle.workflowId)).code).toBe(0);
    await openApproval(worker.client, newest(handle));
    // Under the id of the one that was cancelled.
    await eventually(async () => ((await approval.describe()).status.name === 'RUNNING' ? true : undefined));
    const state = await approval.query<ApprovalState>('state');
    expect(state).toMatchObject({ status: 'pending', decisions: [{ by: 'alice' }] });
    await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'bob' }] });
    await newest(handle).result();
    expect(effects.asked(path)).toBe(1);
    expect(effects.asked(`${path}/a`)).toBe(1);
  });

  test('an approval that nobody decided on in time is asked for again', async () => {
    const path = newPath('timed');
    const ask = '{ ask: { call: human.approval, with: { title: Sure?, timeout: PT1S } } }';
    const handle = await worker.start(`do: [${post('a', path)}, ${ask}]`);
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_APPROVAL_TIMEOUT' });
    expect((await redrive(handle.workflowId)).code).toBe(0);
    const approval = worker.client.workflow.getHandle(`${handle.workflowId}/ask`);
    await eventually(() => approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'alice' }] }), 5_000);
    await newest(handle).result();
    expect(effects.asked(path)).toBe(1);
  });

  test('a step that listened hears events again', async () => {
    const [path, tenant] = [newPath('listen'), `t-${randomUUID().slice(0, 8)}`];
    effects.held.add(path);
    effects.broken.add(path);
    const hear = '{ hear: { listen: { to: { all: [{ with: { type: x } }, { with: { type: y } }] } } } }';
    const handle = await worker.start(`do: [${post('a', `${path}/a`)}, ${fork(post('bad', path), hear)}]`, null, {
      tenant,
    });
    await progressWhen(handle, ({ steps }) => steps.some(({ status }) => status === 'listening'));
    const bus = worker.client.workflow.getHandle(`${worker.queuePrefix}-events:${tenant}`);
    const emit = (type: string) =>
      bus.executeUpdate('emit', { args: [{ specversion: '1.0', type, source: '/t', id: type, data: type }] });
    await emit('x');
    await eventually(async () => {
      const { events } = await handle.fetchHistory();
      return events?.some((event) => event.workflowExecutionSignaledEventAttributes != null) ? true : undefined;
    });
    effects.release(path);
    await errorOf(handle);
    effects.broken.delete(path);
    expect((await redrive(handle.workflowId)).code).toBe(0);
    await eventually(async () => {
      const { subscriptions } = await bus.query<{ subscriptions: readonly unknown[] }>('subscriptions');
      return subscriptions.length > 0 ? true : undefined;
    });
    await emit('y');
    expect(await newest(handle).result()).toEqual([{ path }, ['x', 'y']]);
    expect(effects.asked(`${path}/a`)).toBe(1);
  });
});

describe('flows below', () => {
  test('a flow that a flow runs goes on from its own failed step', async () => {
    effects.broken.add('/in/two');
    const handle = await worker.start(`do: [${sub('inner')}]`);
    expect(await errorOf(handle)).toMatchObject({ instance: '/do/0/sub' });
    expect(await refusal(`${handle.workflowId}/sub`)).toContain(`Redrive "${handle.workflowId}"`);
    const asked = effects.asked('/in/one');
    effects.broken.delete('/in/two');
    expect(await redriven(handle)).toMatchObject({ path: '/in/two' });
    expect(effects.asked('/in/one')).toBe(asked);
    expect(effects.keys('/in/two')).toEqual([`default:${handle.workflowId}/sub:/do/1/two:0:0`]);
  });

  test('goes on where it was stopped between the flow and what that waits for', async () => {
    effects.broken.add('/in/two');
    const handle = await worker.start(`do: [${sub('inner')}]`);
    await errorOf(handle);
    effects.broken.delete('/in/two');
    const plan = await planRedrive(worker.client, handle.workflowId);
    const { rewind } = plan;
    // As if it had ended after the first reset.
    await executeRedrive(worker.client, { ...plan, rewind: { ...rewind, children: [] } }, 'test');
    expect(await redriven(handle)).toMatchObject({ path: '/in/two' });
    expect(await runsOf(handle)).toBe(2);
  });

  test.each([
    ['', 1],
    [', toleratedFailures: 1', 2],
  ])('the batches of a loop%s repeat nothing that is done', async (tolerated, failing) => {
    const path = newPath('batch');
    const bad = [5, 6].slice(0, failing).map((item) => `${path}/${item}`);
    for (const one of bad) effects.broken.add(one);
    const call = `{ call: http, with: { method: put, endpoint: '\${ "${effects.origin}${path}/" + string(item) }', body: {} } }`;
    const flow = `do: [{ l: { for: { in: workflow.input }, metadata: { batchSize: 4, concurrency: 4${tolerated} }, do: [{ s: ${call} }] } }, { end: { set: { done: true } } }]`;
    const items = Array.from({ length: 12 }, (_, index) => index);
    const handle = await worker.start(flow, items);
    await errorOf(handle);
    for (const one of bad) effects.broken.delete(one);
    const before = items.map((item) => effects.asked(`${path}/${item}`));
    expect(before.slice(0, 4)).toEqual([1, 1, 1, 1]);
    expect(await redriven(handle)).toEqual({ done: true });
    for (const item of items.filter((each) => each < 4 || each > 7)) expect(effects.asked(`${path}/${item}`)).toBe(1);
    for (const item of items.filter((each) => tolerated === '' || each !== 5))
      expect(effects.keys(`${path}/${item}`)).toHaveLength(1);
  });

  test('batches side by side: those that were ended with the failed one go on too', async () => {
    const path = newPath('lanes');
    effects.held.add(`${path}/3`);
    effects.broken.add(`${path}/1`);
    effects.held.add(`${path}/1`);
    const call = `{ call: http, with: { method: post, endpoint: '\${ "${effects.origin}${path}/" + string(item) }', body: {} } }`;
    const flow = `do: [{ l: { for: { in: workflow.input }, metadata: { batchSize: 2, concurrency: 4 }, do: [{ s: ${call} }] } }, { end: { set: { done: true } } }]`;
    const handle = await worker.start(flow, [0, 1, 2, 3]);
    await eventually(async () => ([0, 1, 2, 3].every((n) => effects.seen(`${path}/${n}`) > 0) ? true : undefined));
    // What was answered counts as done once its batch knows.
    for (const batch of ['items-0', 'items-2']) {
      const window = worker.client.workflow.getHandle(`${handle.workflowId}/l/${batch}`);
      await eventually(async () => {
        const { events } = await window.fetchHistory();
        return events?.some((event) => event.activityTaskCompletedEventAttributes != null) ? true : undefined;
      });
    }
    effects.release(`${path}/1`);
    await errorOf(handle);
    effects.broken.delete(`${path}/1`);
    expect(await refusal(handle.workflowId)).toContain('may have been done, and would be sent again: /do/0/l/do/0/s');
    effects.release(`${path}/3`);
    expect(await redriven(handle, '--repeat-unknown')).toEqual({ done: true });
    for (const item of [0, 1, 2]) expect(effects.asked(`${path}/${item}`)).toBe(1);
    for (const item of [0, 1, 2, 3]) expect(effects.keys(`${path}/${item}`)).toHaveLength(1);
  });
});

describe('is refused', () => {
  test.concurrent.each([
    ['an expression', '{x: {set: "${ data.nothing }"}}', 'failed at /do/1/x'],
    ['an error that it raises', '{x: {raise: {error: {type: "https://x.test/e", status: 500, detail: gone}}}}', 'gone'],
    ['its time that is up', '{x: {do: [{w: {wait: PT1H}}], timeout: {after: PT0.1S}}}', 'its time was up'],
  ])('a flow that failed by %s', async (_, task, expected) => {
    const handle = await worker.start(`do: [${post('a', newPath('refused'))}, ${task}]`, {});
    await errorOf(handle);
    const text = await refusal(handle.workflowId);
    expect(text).toContain(expected);
    expect(text).toContain('start it again');
  });

  test.concurrent('a flow whose steps were undone', async () => {
    const path = newPath('undone');
    effects.broken.add(path);
    const handle = await worker.start(
      `do: [{a: {set: {n: 1}, metadata: {compensate: [${post('undo', `${path}/undo`)}]}}}, ${post('b', path)}]`,
    );
    await errorOf(handle);
    const text = await refusal(handle.workflowId);
    expect(text).toContain('its steps were undone');
    expect(text).toContain('Start it again');
    expect(await runsOf(handle)).toBe(1);
  });

  test('a flow that runs one whose steps were undone, or that failed by itself', async () => {
    effects.broken.add('/in/undo');
    const undone = await worker.start(`do: [${sub('undo')}]`);
    await errorOf(undone);
    expect(await refusal(undone.workflowId)).toContain(`"${undone.workflowId}/sub": its steps were undone`);
    const computed = await worker.start(`do: [${sub('compute')}]`, {});
    await errorOf(computed);
    expect(await refusal(computed.workflowId)).toContain(`"${computed.workflowId}/sub" failed at /do/1/x`);
  });

  test.concurrent('a flow whose step may have been done by a worker that was lost, unless that is said', async () => {
    const processes = new WorkerProcesses();
    const [path, prefix] = [newPath('lost'), `lost-${randomUUID()}`];
    const flags = ['--queue-prefix', prefix, '--blob-root', `${worker.folder}/lost`, '--allow-host', '127.0.0.1'];
    try {
      const lost = await processes.start(flags);
      effects.held.add(path);
      const handle = await worker.client.workflow.start('runFlow', {
        taskQueue: `${prefix}-io`,
        workflowId: `flow-${randomUUID()}`,
        args: [{ flow: flowOf(`do: [${post('a', path, ', metadata: { heartbeat: PT2S }')}]`), input: null }],
      });
      await eventually(async () => (effects.seen(path) === 1 ? true : undefined));
      await kill(lost);
      await processes.start(flags);
      expect(await errorOf(handle)).toMatchObject({ code: 'BLW_OUTCOME_UNKNOWN' });
      expect(await refusal(handle.workflowId)).toContain('may have been done, and would be sent again: /do/0/a');
      effects.release(path);
      expect(await redriven(handle, '--repeat-unknown')).toMatchObject({ path });
      expect(effects.keys(path)).toHaveLength(1);
    } finally {
      await processes.killAll();
    }
  }, 60_000);

  test.concurrent('a flow whose request may have been taken, since its answer was lost, unless that is said', async () => {
    const path = newPath('answer');
    effects.held.add(path);
    const handle = await worker.start(`do: [${post('a', path, ', timeout: { after: PT3S }')}]`);
    expect(await errorOf(handle)).toMatchObject({ data: { outcome: 'unknown' } });
    expect(await refusal(handle.workflowId)).toContain('may have been done, and would be sent again: /do/0/a');
    effects.release(path);
    expect(await redriven(handle, '--repeat-unknown')).toMatchObject({ path });
    expect(effects.keys(path)).toHaveLength(1);
  });

  test.concurrent.each([
    ['500', 500, 'after the insert'],
    ['303', 303, ''],
    ['broken JSON', 200, '{"charged": tru'],
    ['more than a flow takes', 200, '\u0001'.repeat(20_000_000)],
  ])('a flow whose POST was answered with %s, unless that is said', async (_what, status, body) => {
    const servers = new LoopbackServers();
    let [seen, isBroken] = [0, true];
    const { origin } = await servers.http((_request, response) => {
      seen += 1;
      const type = body.startsWith('{') ? 'application/json' : 'text/plain';
      response.writeHead(isBroken ? status : 200, { 'content-type': type, location: '/' }).end(isBroken ? body : '{}');
    });
    try {
      const handle = await worker.start(
        `do: [{ a: { call: http, with: { method: post, endpoint: '${origin}', body: {} } } }]`,
      );
      expect(await errorOf(handle)).toMatchObject({ data: { outcome: 'unknown' } });
      expect(await refusal(handle.workflowId)).toContain('/do/0/a');
      expect(seen).toBe(1);
      isBroken = false;
      expect(await redriven(handle, '--repeat-unknown')).toBeDefined();
      expect(seen).toBe(2);
    } finally {
      await servers.close();
    }
  });

  test.each([
    ['that it waited for', sub('beside'), 'sub', /^\/do\/0\/one/],
    ['that it did not wait for', sub('beside', 'await: false, '), 'sub', /^\/do\/0\/one/],
    ['that runs another one', sub('outer', 'await: false, '), 'sub/sub', /^\/do\/0\/one/],
    [
      'that is a batch of a loop',
      `{ sub: { for: { in: '[1, 2]' }, metadata: { batchSize: 1, concurrency: 1 }, do: [{ s: { call: http, with: { method: post, endpoint: 'ORIGIN/in/beside', body: {} } } }] } }`,
      'sub/items-0',
      /^\/do\/0\/f\/fork\/branches\/1\/b\/do\/0\/sub\/do\/0\/s/,
    ],
  ])('a flow that would begin a flow again %s, unless that is said', async (_what, below, child, step) => {
    const path = newPath('first');
    effects.unavailable.set(path, 1);
    const text = below.replace('ORIGIN', effects.origin);
    const slow = `{ a: { call: http, timeout: { after: PT20S }, metadata: { retry: { maximumAttempts: 2, initialInterval: PT3S } }, with: { method: post, endpoint: '${effects.origin}${path}', body: {} } } }`;
    effects.broken.add(path);
    const before = effects.asked('/in/beside');
    const handle = await worker.start(`do: [{ f: { fork: { branches: [${slow}, { b: { do: [${text}] } }] } } }]`);
    expect(await errorOf(handle)).toMatchObject({ data: { statusCode: 400 } });
    await eventually(async () => (effects.asked('/in/beside') > before ? true : undefined));
    const asked = effects.asked('/in/beside');
    const refused = await eventually(async () => {
      const text = await refusal(handle.workflowId);
      return text.includes(' runs') ? undefined : text;
    });
    const [, named = ''] = refused.split('would be sent again: ');
    expect(named).toMatch(step);
    expect(named).toContain(`/f/b/${child}"`);
    expect(effects.asked('/in/beside')).toBe(asked);
    effects.broken.delete(path);
    await redriven(handle, '--repeat-unknown');
    await eventually(async () => (effects.asked('/in/beside') === 2 * asked - before ? true : undefined));
  });

  test('a flow that would begin one again that runs', async () => {
    const path = newPath('first');
    effects.broken.add(path);
    effects.held.add(path);
    const held = newPath('held');
    catalog.write('held.yaml', flowText('sub/held:1.0.0', `do: [${post('one', held)}]`));
    effects.held.add(held);
    const slow = post('a', path, ', timeout: { after: PT20S }');
    const handle = await worker.start(
      `do: [{ f: { fork: { branches: [${slow}, { b: { do: [${sub('held', 'await: false, ')}] } }] } } }]`,
    );
    await eventually(async () => (effects.seen(held) === 1 ? true : undefined));
    effects.release(path);
    await errorOf(handle);
    const running = await refusal(handle.workflowId, '--repeat-unknown');
    expect(running).toContain(`"${handle.workflowId}/f/b/sub" runs`);
    effects.release(held);
    await newest({ workflowId: `${handle.workflowId}/f/b/sub` } as WorkflowHandle).result();
    expect(await refusal(handle.workflowId)).toContain('would be sent again: /do/0/one of');
  });

  test('a flow that runs, was cancelled or terminated, or is none', async () => {
    const waiting = () => worker.start('do: [{w: {wait: PT1H}}]');
    const running = await waiting();
    expect(await refusal(running.workflowId)).toContain('runs');
    await progressWhen(running, ({ stepsStarted }) => stepsStarted === 1);
    await running.cancel();
    await expect(running.result()).rejects.toThrow();
    expect(await refusal(running.workflowId)).toContain('was cancelled');
    const terminated = await waiting();
    await terminated.terminate('test');
    expect(await refusal(terminated.workflowId)).toContain('was terminated');
    expect(await redrive('no-such-flow')).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('no flow with the id'),
    });
    const { workflowId } = await worker.client.workflow.start('somethingElse', {
      taskQueue: `${worker.queuePrefix}-io`,
      workflowId: `other-${randomUUID()}`,
    });
    expect(await refusal(workflowId)).toContain('a workflow of the type "somethingElse"');
  });
});

describe('several flows', () => {
  test('go on by tenant, code and time, those that cannot are told, and a dry run changes nothing', async () => {
    const [path, tenant] = [newPath('bulk'), `t-${randomUUID().slice(0, 8)}`];
    effects.broken.add(path);
    const flow = `do: [${post('a', `${path}/a`)}, ${post('b', path)}]`;
    const handles = await Promise.all(Array.from({ length: 3 }, () => worker.start(flow, null, { tenant })));
    await Promise.all(handles.map((handle) => errorOf(handle)));
    const hopeless = await worker.start('do: [{x: {set: "${ data.nothing }"}}]', {}, { tenant });
    await errorOf(hopeless);
    const args = ['--tenant', tenant, '--since', 'PT1H', '--flow', 'test/flow'];
    const listed = async (...more: string[]) => {
      const { stdout, code } = await redrive(...args, '--json', ...more);
      return { code, ...(JSON.parse(stdout) as { flows: JsonObject[]; hasMore: boolean }) };
    };
    await eventually(async () => ((await listed('--dry-run')).flows.length === 4 ? true : undefined));
    expect(await listed('--dry-run', '--limit', '2')).toMatchObject({ hasMore: true, flows: [{}, {}] });
    expect(await listed('--dry-run', '--until', 'PT1H')).toMatchObject({ flows: [] });
    const hopeful = await listed('--dry-run', '--code', 'BLW_HTTP_STATUS');
    expect(hopeful).toMatchObject({ code: 0, flows: [{ step: '/do/1/b', tenant }, {}, {}] });
    expect(effects.seen(path)).toBe(3);

    effects.broken.delete(path);
    const { code, stdout } = await redrive(...args, '--yes');
    expect(code).toBe(1);
    expect(stdout).toContain('3 redriven, 1 cannot go on');
    expect(stdout).toMatch(new RegExp(`${hopeless.workflowId} .*failed at /do/0/x`));
    await Promise.all(handles.map((handle) => newest(handle).result()));
    expect(effects.asked(`${path}/a`)).toBe(3);
    expect(effects.keys(path)).toHaveLength(3);
    const left = await eventually(async () => {
      const rest = await listed('--yes');
      return rest.flows.length === 1 ? rest : undefined;
    });
    expect(left.flows).toMatchObject([{ workflowId: hopeless.workflowId, error: { data: { reason: 'noStep' } } }]);
    expect(effects.seen(path)).toBe(6);
  });

  test('go on although one of them cannot be read', async () => {
    const [path, prefix] = [newPath('read'), randomUUID().slice(0, 8)];
    effects.broken.add(path);
    const folder = mkdtempSync(join(tmpdir(), 'beamline-redrive-'));
    const keys = join(folder, 'keys.yaml');
    const key = randomBytes(32).toString('base64');
    writeFileSync(keys, `${prefix}: [{ id: a1, key: "${key}" }]\n`, { mode: 0o600 });
    const sealing = await startTestWorker({ 'encryption-keys': keys });
    try {
      const flow = `do: [${post('a', path)}]`;
      const open = await worker.start(flow, null, { tenant: prefix });
      const sealed = await sealing.start(flow, null, { tenant: prefix });
      for (const handle of [open, sealed]) await errorOf(handle);
      await eventually(async () => {
        const { stdout } = await redrive('--tenant', prefix, '--dry-run', '--json');
        return (JSON.parse(stdout || '{"flows":[]}') as { flows: Json[] }).flows.length === 2 ? true : undefined;
      });
      effects.broken.delete(path);
      const { code, stdout } = await redrive('--tenant', prefix, '--yes', '--json');
      expect(code).toBe(1);
      const { flows } = JSON.parse(stdout) as { flows: JsonObject[] };
      const of = ({ workflowId }: WorkflowHandle) => flows.find((one) => one.workflowId === workflowId);
      expect(of(sealed)).toMatchObject({
        code: 'BLW_HTTP_STATUS',
        error: { code: 'BLW_REDRIVE_REFUSED', data: { reason: 'unreadable' }, detail: expect.stringContaining('a1') },
      });
      expect(of(open)).toHaveProperty('newRunId');
      expect(await newest(open).result()).toMatchObject({ path });
      expect(await refusal(sealed.workflowId)).toContain('--encryption-keys');
    } finally {
      await sealing.stop();
      rmSync(folder, { recursive: true });
    }
  });

  test('are told one by one, whatever goes wrong with one of them, as long as Temporal is there', async () => {
    const [path, tenant] = [newPath('odd'), `t-${randomUUID().slice(0, 8)}`];
    effects.broken.add(path);
    const handles: WorkflowHandle[] = [];
    for (let n = 0; n < 2; n += 1) handles.push(await worker.start(`do: [${post('a', path)}]`, null, { tenant }));
    for (const handle of handles) await errorOf(handle);
    const { client } = worker;
    const list = (thrown: Error) => {
      const describe = () => Promise.reject(thrown);
      const workflow = Object.assign(Object.create(client.workflow) as typeof client.workflow, {
        getHandle: (id: string, runId?: string) =>
          id === handles[0]?.workflowId ? { describe } : client.workflow.getHandle(id, runId),
      });
      const faulty = Object.create(client, { workflow: { value: workflow } }) as typeof client;
      return listFailedFlows(faulty, { tenant }, { limit: 10 });
    };
    const { flows } = await eventually(async () => {
      const found = await list(new Error('a fault of its own'));
      return found.flows.length === 2 ? found : undefined;
    });
    const found = handles.map(({ workflowId }) => flows.find((flow) => flow.workflowId === workflowId)?.found);
    expect(found).toMatchObject([
      { error: { message: 'a fault of its own' } },
      { plan: { rewind: { step: '/do/0/a' } } },
    ]);
    const away = Object.assign(new Error('away'), { code: 14, details: 'away', metadata: {} });
    await expect(list(away)).rejects.toThrow('away');
  });

  test.each([
    [['--tenant', 'acme'], 'which flow?'],
    [['some-id', '--tenant', 'acme'], 'an id and filters'],
    [['--run-id', 'x', '--yes'], '--run-id needs an id'],
    [['--since', 'yesterday', '--yes'], 'expected how long ago'],
    [['--limit', '0', '--yes'], 'from 1 to'],
  ])('%j is refused', async (args, expected) => {
    expect(await redrive(...args)).toMatchObject({ code: 2, stderr: expect.stringContaining(expected) });
  });
});
