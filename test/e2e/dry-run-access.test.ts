import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { startPurpose } from '../../src/worker/identity/sealed-token';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { errorOf, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

let acme: IdentityWorker;
let sandbox: TestWorker;
let folder: string;

const MEEK = ['flow:start', 'block:*', 'resources:io', 'http:GET:example.com', 'blob:read:*', 'sql:read:*'] as const;
const QUOTAS = { concurrentSteps: 1, stepsPerSecond: 20 };

beforeAll(async () => {
  acme = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES), tenantPolicy('meek', MEEK)], {
    pools: 'io,sandbox',
  });
  folder = mkdtempSync(join(tmpdir(), 'blw-dry-run-'));
  const policy = join(folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ version: 1, tenants: { busy: { scopes: ALL_SCOPES, quotas: QUOTAS } } }));
  sandbox = await startTestWorker({ pools: 'sandbox', policy });
}, 60_000);

afterAll(async () => {
  await acme?.stop();
  await sandbox?.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** Sends a flow with a token that was sealed for a mode, to a pool. */
async function send(
  flow: JsonObject,
  { sealedFor, mode, pool, tenant = 'acme' }: { sealedFor?: string; mode?: string; pool: string; tenant?: string },
) {
  const workflowId = `flow-${randomUUID()}`;
  const { identity, worker } = acme;
  const place = { namespace: worker.client.options.namespace, workflowId };
  const purpose = startPurpose(place, { flow, input: null, tenant: undefined, mode: sealedFor });
  const token = await identity.seal(await identity.token({ tenant }), purpose);
  return await acme.send(
    { flow, input: null, token, ...(mode === undefined ? {} : { mode }) },
    { workflowId, taskQueue: `${worker.queuePrefix}-${pool}` },
  );
}

const PING = flowOf("do: [{ ping: { call: http, with: { method: get, endpoint: 'https://example.com/' } } }]");

describe('a dry run with tokens', () => {
  const dryRun = { sealedFor: 'dry-run', mode: 'dry-run', pool: 'sandbox' };

  it('runs for whom the token names', async () => {
    const handle = await send(PING, dryRun);
    expect(await handle.result()).toMatchObject({ status: 'completed', tenant: 'acme' });
  });

  it.each([
    ['of a dry run starts no live flow', { sealedFor: 'dry-run', pool: 'io' }],
    ['of a live flow starts no dry run', { mode: 'dry-run', pool: 'sandbox' }],
  ])('a token %s', async (_, how) => {
    expect(await errorOf(await send(PING, how))).toMatchObject({ code: 'BLW_TOKEN_INVALID' });
    expect(acme.service.requests).toEqual([]);
  });

  it.each([
    ['http', "{ call: http, with: { method: post, endpoint: 'https://example.com/' } }", 'http:POST:example.com'],
    ['http', "{ call: http, with: { method: get, endpoint: 'https://other.example/' } }", 'http:GET:other.example'],
    ['a blob', '{ call: fs.put, with: { path: a, content: b } }', 'blob:write:a'],
    ['a stream', "{ call: http.stream, with: { endpoint: 'https://example.com/', to: a } }", 'blob:write:a'],
    ['a database', '{ call: sql.execute, with: { database: shop, statement: DELETE } }', 'sql:write:shop'],
    ['a class', '{ call: fs.get, with: { path: a }, metadata: { resources: gpu } }', 'resources:gpu'],
    [
      'a document',
      "{ call: openapi, with: { document: { endpoint: 'https://other.example/' }, operationId: a } }",
      'http:GET:other.example',
    ],
  ])('asks for the scopes of %s as a live step does', async (_, step, scope) => {
    const handle = await send(flowOf(`do: [{ s: ${step} }]`), { ...dryRun, tenant: 'meek' });
    const report = (await handle.result()) as unknown as DryRunReport;
    expect(report).toMatchObject({ status: 'failed', error: { code: 'BLW_SCOPE_DENIED', data: { scope } } });
  });

  it('asks for the scope of a secret, and needs none to be there', async () => {
    const flow = flowOf(
      "use: { secrets: [none] }\ndo: [{ s: { call: http, with: { method: get, endpoint: 'https://example.com/', headers: { x: '${ secrets.none }' } } } }]",
    );
    const denied = await (await send(flow, { ...dryRun, tenant: 'meek' })).result();
    expect(denied).toMatchObject({ error: { code: 'BLW_SCOPE_DENIED', data: { scope: 'secret:none' } } });
    expect(await (await send(flow, dryRun)).result()).toMatchObject({
      status: 'completed',
      steps: [{ input: { headers: { x: '***' } } }],
    });
  });

  it('gives batches of loops grants of their own', async () => {
    const flow = flowOf(
      "do: [{ l: { for: { in: '${ [1, 2, 3] }' }, do: [{ g: { call: fs.get, with: { path: a } } }], metadata: { batchSize: 1 } } }]",
    );
    const report = (await (await send(flow, dryRun)).result()) as unknown as DryRunReport;
    expect(report.steps.filter(({ name }) => name === 'g')).toHaveLength(3);
  });
});

describe('a worker of the sandbox alone', () => {
  it('keeps to the quotas of tenants, and counts nothing as used', async () => {
    const branches = Array.from({ length: 6 }, (_, index) => `{ b${index}: { call: fs.get, with: { path: a } } }`);
    const flow = flowOf(`do: [{ all: { fork: { branches: [${branches.join(', ')}] } } }]`);
    const report = (await sandbox.client.workflow.execute(RUN_FLOW, {
      workflowId: `dry-${randomUUID()}`,
      taskQueue: `${sandbox.queuePrefix}-sandbox`,
      args: [{ flow, tenant: 'busy', mode: 'dry-run' }],
    })) as DryRunReport;
    expect(report.status).toBe('completed');
    const state = new Database(join(sandbox.folder, 'blobs', 'state.sqlite'), { readonly: true });
    try {
      const count = (table: string) => state.prepare(`SELECT COUNT(*) AS n FROM ${table}`).get();
      expect(['beamline_usage', 'beamline_counted', 'beamline_leases'].map(count)).toEqual([
        { n: 0 },
        { n: 0 },
        { n: 0 },
      ]);
    } finally {
      state.close();
    }
  });

  it('lets no time pass while steps wait for a quota', async () => {
    const branches = Array.from({ length: 4 }, (_, index) => `{ b${index}: { call: fs.get, with: { path: a } } }`);
    const all = `{ all: { do: [{ inner: { fork: { branches: [${branches.join(', ')}] } } }, { said: { set: '\${ 1 }' } }] } }`;
    const report = (await sandbox.client.workflow.execute(RUN_FLOW, {
      workflowId: `dry-${randomUUID()}`,
      taskQueue: `${sandbox.queuePrefix}-sandbox`,
      args: [
        {
          flow: flowOf(`do: [{ race: { fork: { compete: true, branches: [{ slow: { wait: PT1S } }, ${all}] } } }]`),
          tenant: 'busy',
          mode: 'dry-run',
        },
      ],
    })) as DryRunReport;
    expect(report).toMatchObject({ status: 'completed', output: 1 });
    expect(report.skippedMs).toBeUndefined();
  });

  it('has no blob store', () => {
    const names = readdirSync(join(sandbox.folder, 'blobs')).filter((name) => !name.startsWith('state.sqlite'));
    expect(names).toEqual(['payloads']);
  });
});
