import { randomBytes, randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { connectClient } from '../../src/worker/temporal-connection';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { familyOf, rawText, readable } from '../helpers/raw-history';
import { testTemporal } from '../helpers/temporal';
import { errorOf, openApproval } from '../helpers/test-worker';

const MARK = 'PLAIN-8e55';
const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const keyFile = join(folder, 'keys.yaml');
let host: IdentityWorker;
let acme: Client;
let closeAcme: () => Promise<void>;

beforeAll(async () => {
  writeFileSync(keyFile, `"*": [{ id: all, key: "${randomBytes(32).toString('base64')}" }]\n`);
  const tenants = ['acme', 'other'].map((name) => tenantPolicy(name, ALL_SCOPES));
  host = await startIdentityWorker(tenants, { 'encryption-keys': keyFile });
  ({ client: acme, close: closeAcme } = await connectClient({
    ...testTemporal(),
    keys: readKeyRing(keyFile, {}),
    tenant: 'acme',
  }));
});
afterAll(async () => {
  await closeAcme();
  await host.stop();
  rmSync(folder, { recursive: true, force: true });
});

const FLOW = (ping: string) => `do:
  - call: ${ping}
  - ask: { call: human.approval, with: { title: '${MARK}' } }
  - end: { raise: { error: { type: t, status: 400, detail: 'so ends ${MARK}' } } }`;

test('a flow whose tenant only its token says is encrypted for that tenant, from its plan on', async () => {
  // Readable, as the plain Temporal CLI sends it, and without a tenant.
  const handle = await host.start(FLOW(host.ping), { claims: { tenant: 'acme' } });
  const approval = await openApproval(host.worker.client, handle);
  const decision = await host.decision(
    approval,
    { decision: 'approved', comment: MARK },
    { sub: 'bob', tenant: 'acme' },
  );
  await acme.workflow.getHandle(approval.workflowId).executeUpdate('decide', { args: [decision] });
  expect(await errorOf(handle)).toMatchObject({ detail: `so ends ${MARK}` });
  const [first, ...rest] = (await handle.fetchHistory()).events ?? [];
  expect(readable(first)).toContain(MARK);
  expect(readable(rest)).not.toContain(MARK);
  // Of the tenant of the token, and of no other.
  const tenants = new Set(
    [...JSON.stringify(rest).matchAll(/"beamline-tenant":"([^"]+)"/g)].map(([, text = '']) =>
      Buffer.from(text, 'base64').toString(),
    ),
  );
  expect([...tenants]).toEqual(['acme']);
  for (const id of (await familyOf(acme, handle.workflowId)).slice(1)) {
    expect(await rawText(acme, id)).not.toContain(MARK);
  }
});

test('a start that is encrypted for one tenant, with a token of another, runs for neither', async () => {
  const workflowId = `flow-${randomUUID()}`;
  const start = await host.sealed(workflowId, `do: [{ call: ${host.ping} }]`, { claims: { tenant: 'other' } });
  const calls = host.service.requests.length;
  const handle = await acme.workflow.start('runFlow', { workflowId, taskQueue: host.taskQueue, args: [start] });
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
  expect(host.service.requests).toHaveLength(calls);
});

test('the refusal of a token is encrypted for the tenant that sent it', async () => {
  const workflowId = `flow-${randomUUID()}`;
  const start = await host.sealed(workflowId, 'do: []', { claims: { tenant: 'other' }, tenant: 'acme' });
  const handle = await acme.workflow.start('runFlow', { workflowId, taskQueue: host.taskQueue, args: [start] });
  const { code, detail } = await errorOf(handle);
  expect(code).toBe('BLW_TENANT_DENIED');
  const text = await rawText(acme, workflowId);
  expect(text).toContain('Encoded failure');
  expect(text).not.toContain(String(detail));
});
