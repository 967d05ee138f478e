import { randomBytes, randomUUID } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { TemporalServer } from '../../temporal-dev/server';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { type Effects, startEffects } from '../helpers/effects';
import { ALL_SCOPES, policyText, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, eventually, openApproval, startTestWorker, type TestWorker } from '../helpers/test-worker';

const catalog = makeCatalogFolder();

/** A server that suggests a new history after a few events already. */
let server: TemporalServer;
let effects: Effects;
let acme: IdentityWorker;
beforeAll(async () => {
  effects = await startEffects();
  server = await startTemporalOfShortHistories(60);
  acme = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES)], { catalog: catalog.folder }, server);
  catalog.write(
    'inner.yaml',
    flowText('sub/inner:1.0.0', `do: [${post('one', '/in/one')}, ${post('two', '/in/two')}]`),
  );
}, 60_000);
afterAll(async () => {
  await acme.stop();
  await server.stop();
  await effects.stop();
  catalog.dispose();
});

const newPath = (name: string) => `/${name}-${randomUUID().slice(0, 8)}`;
const post = (name: string, path: string) =>
  `{ ${name}: { call: http, with: { method: post, endpoint: '${effects.origin}${path}', body: {} } } }`;
const redrive = (worker: TestWorker, ...args: string[]) => {
  const target = ['--address', server.address, '--namespace', server.namespace];
  return runInProcess(['redrive', ...args, ...target, '--blob-root', join(worker.folder, 'blobs')]);
};

async function goOn(handle: WorkflowHandle): Promise<WorkflowHandle> {
  expect(await redrive(acme.worker, handle.workflowId)).toMatchObject({ code: 0, stderr: '' });
  return acme.worker.client.workflow.getHandle(handle.workflowId);
}

describe('with tokens', () => {
  test('a flow with several histories, windows, a flow that it runs and an approval goes on', async () => {
    const path = newPath('all');
    effects.broken.add(path);
    effects.broken.add('/in/two');
    const each = `{ call: http, with: { method: post, endpoint: '\${ "${effects.origin}${path}/" + string(item) }', body: {} } }`;
    const handle = await acme.start(`do:
      - { loop: { for: { in: '[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20]' }, do: [{ s: ${each} }] } }
      - { windows: { for: { in: '[21, 22, 23, 24]' }, metadata: { batchSize: 2, concurrency: 1 }, do: [{ s: ${each} }] } }
      - { sub: { run: { workflow: { namespace: sub, name: inner, version: '1.0.0' } } } }
      - ${post('pay', path)}
      - { ask: { call: human.approval, with: { title: Sure?, selfApproval: true } } }`);
    effects.broken.add(`${path}/24`);
    expect(await errorOf(handle)).toMatchObject({ instance: expect.stringContaining('/do/1/windows') as unknown });
    effects.broken.delete(`${path}/24`);
    expect(await errorOf(await goOn(handle))).toMatchObject({ instance: '/do/2/sub' });
    effects.broken.delete('/in/two');
    expect(await errorOf(await goOn(handle))).toMatchObject({ instance: '/do/3/pay' });
    effects.broken.delete(path);
    const last = await goOn(handle);
    const approval = await openApproval(acme.worker.client, last);
    await approval.executeUpdate('decide', { args: [await acme.decision(approval, { decision: 'approved' })] });
    await last.result();
    for (let item = 1; item <= 24; item += 1) expect(effects.asked(`${path}/${item}`)).toBe(1);
    expect([effects.asked('/in/one'), effects.asked('/in/two'), effects.asked(path)]).toEqual([1, 1, 1]);
  });

  test('one whose token is over by now goes on, also where its first step failed', async () => {
    const path = newPath('over');
    effects.broken.add(path);
    const exp = Math.floor(Date.now() / 1_000) + 3;
    const handle = await acme.start(`do: [${post('a', path)}]`, { claims: { exp } });
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_HTTP_STATUS' });
    await eventually(async () => (Date.now() / 1_000 > exp + 1 ? true : undefined));
    effects.broken.delete(path);
    expect(await (await goOn(handle)).result()).toMatchObject({ path });
  });

  test('one is given nothing that its tenant may not have any more', async () => {
    const path = newPath('narrowed');
    effects.broken.add(path);
    const handle = await acme.start(`do: [${post('a', `${path}/a`)}, ${post('b', path)}]`);
    await errorOf(handle);
    effects.broken.delete(path);
    const write = (scopes: readonly string[]) => {
      writeFileSync(`${acme.policyFile}.new`, policyText(acme.identity.jwksFile, [tenantPolicy('acme', scopes)]));
      renameSync(`${acme.policyFile}.new`, acme.policyFile);
    };
    write(['flow:start', 'block:fs.*', 'resources:*']);
    await eventually(async () => {
      const probe = await acme.start(`do: [{ping: ${acme.ping}}]`);
      return (
        (await probe.result().then(
          () => undefined,
          () => true as const,
        )) ?? undefined
      );
    });
    expect(await errorOf(await goOn(handle))).toMatchObject({ code: 'BLW_SCOPE_DENIED' });
    expect(effects.seen(path)).toBe(1);
    write(ALL_SCOPES);
    await eventually(async () => {
      const probe = await acme.start(`do: [{ping: ${acme.ping}}]`);
      return await probe.result().then(
        () => true as const,
        () => undefined,
      );
    });
    expect(await (await goOn(handle)).result()).toMatchObject({ path });
  }, 60_000);
});

test('a flow that continued as new beside a step that listened is refused', async () => {
  const path = newPath('carried');
  effects.broken.add(path);
  const each = `{ call: http, with: { method: post, endpoint: '\${ "${effects.origin}${path}/" + string(item) }', body: {} } }`;
  const items = Array.from({ length: 30 }, (_, index) => index).join(', ');
  const handle = await acme.start(`do:
    - f:
        fork:
          branches:
            - { hear: { listen: { to: { one: { with: { type: never } } } } } }
            - work:
                do:
                  - { loop: { for: { in: '[${items}]' }, do: [{ s: ${each} }] } }
                  - ${post('pay', path)}`);
  await errorOf(handle);
  const { code, stderr } = await redrive(acme.worker, handle.workflowId);
  expect(code).toBe(1);
  expect(stderr).toContain('had begun before the flow continued as new');
});

test('flows whose payloads are encrypted need the key, and go on with it', async () => {
  const folder = acme.identity.folder;
  const keys = join(folder, 'keys.yaml');
  writeFileSync(keys, `acme: [{id: a1, key: "${randomBytes(32).toString('base64')}"}]\n`, { mode: 0o600 });
  const worker = await startTestWorker({ 'encryption-keys': keys }, server);
  try {
    const path = newPath('sealed');
    effects.broken.add(path);
    const handle = await worker.start(`do: [${post('a', `${path}/a`)}, ${post('b', path)}]`, null, { tenant: 'acme' });
    await handle.result().catch(() => undefined);
    effects.broken.delete(path);
    const without = await redrive(worker, handle.workflowId);
    expect(without.code).not.toBe(0);
    expect(without.stderr).toContain('--encryption-keys');
    const bulk = await redrive(
      worker,
      '--code',
      'BLW_HTTP_STATUS',
      '--tenant',
      'acme',
      '--dry-run',
      '--encryption-keys',
      keys,
    );
    expect(bulk.stdout).toContain(handle.workflowId);
    expect(await redrive(worker, handle.workflowId, '--encryption-keys', keys)).toMatchObject({ code: 0 });
    await worker.client.workflow.getHandle(handle.workflowId).result();
    expect(effects.asked(path)).toBe(1);
    expect(effects.asked(`${path}/a`)).toBe(1);
  } finally {
    await worker.stop();
  }
});
