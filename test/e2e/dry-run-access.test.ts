import { randomUUID } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { AUTHORIZE_DEPLOYMENT, RUN_FLOW } from '../../src/dsl/names';
import { deploymentPurpose, startPurpose } from '../../src/worker/identity/sealed-token';
import { runInProcess } from '../helpers/cli-in-process';
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

  it('does not look at the form of what a secret may be', async () => {
    const flow = flowOf(
      "use: { secrets: [hook] }\ndo: [{ s: { call: http, with: { method: post, endpoint: '${ secrets.hook }' } } }]",
    );
    expect(await (await send(flow, dryRun)).result()).toMatchObject({
      status: 'completed',
      steps: [{ would: 'would send POST ***' }],
    });
    const wrong = flowOf('do: [{ s: { call: http, with: { method: post, endpoint: \'${ "no" + " url" }\' } } }]');
    expect(await (await send(wrong, dryRun)).result()).toMatchObject({ error: { code: 'BLW_HTTP_URL' } });
    // The secret is elsewhere.
    const path = flowOf(
      'use: { secrets: [hook] }\ndo: [{ s: { call: fs.put, with: { path: \'${ "../" + "x" }\', content: \'${ secrets.hook }\' } } }]',
    );
    expect(await (await send(path, dryRun)).result()).toMatchObject({ error: { code: 'BLW_FS_PATH' } });
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

it('the grant of a deployment starts no dry run', async () => {
  const { client, queuePrefix } = acme.worker;
  const workflowId = `beamline-authorize:${randomUUID()}`;
  const request = { tenant: 'acme', flow: PING, input: null, idPrefix: `acme/jobs/${randomUUID()}-` };
  const purpose = deploymentPurpose({ namespace: client.options.namespace, workflowId }, request);
  const token = await acme.identity.seal(await acme.identity.token(), purpose);
  const args = [{ ...request, token }];
  const { grant } = (await client.workflow.execute(AUTHORIZE_DEPLOYMENT, {
    ...{ workflowId, taskQueue: acme.taskQueue, args },
  })) as JsonObject;
  const start = { flow: PING, input: null, tenant: 'acme', grant: String(grant), mode: 'dry-run' };
  const at = { workflowId: `${request.idPrefix}1`, taskQueue: `${queuePrefix}-sandbox` };
  expect(await errorOf(await acme.send(start, at))).toMatchObject({
    code: 'BLW_TOKEN_INVALID',
    detail: expect.stringContaining('it is of a deployment, which starts live flows'),
  });
});

describe('beamline token seal --dry-run', () => {
  /** What the command prints, for a dry run. */
  async function sealed(id: string, ...flags: string[]): Promise<JsonObject> {
    writeFileSync(join(folder, 'ping.json'), JSON.stringify(PING));
    writeFileSync(join(folder, 'mocks.yaml'), 'ping: { output: { id: 7 } }\n');
    const { namespace } = acme.worker.client.options;
    const { code, stdout, stderr } = await runInProcess(
      [
        ...['token', 'seal', '--for', id, '--flow', 'ping.json', '--json', '--namespace', namespace, ...flags],
        ...['--token-file', await acme.identity.tokenFile(), '--seal-key', acme.identity.sealKeyFile],
      ],
      { cwd: folder },
    );
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    return JSON.parse(stdout) as JsonObject;
  }

  const start = (workflowId: string, input: JsonObject, pool = 'sandbox') =>
    acme.send(input, { workflowId, taskQueue: `${acme.worker.queuePrefix}-${pool}` });

  it('seals for a dry run that others start, with its mocks', async () => {
    const id = `sealed-${randomUUID()}`;
    const input = await sealed(id, '--dry-run', '--mocks', 'mocks.yaml', '--real-waits');
    expect(input).toMatchObject({ mode: 'dry-run', mocks: { ping: { output: { id: 7 } } }, waits: 'real' });
    const report = await (await start(id, input)).result();
    expect(report).toMatchObject({ dryRun: true, tenant: 'acme', steps: [{ name: 'ping', output: { id: 7 } }] });
  });

  it('seals for nothing else, and the refusal names the mode', async () => {
    const id = `sealed-${randomUUID()}`;
    const refused = { code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining('tenant, mode, decision') };
    const { mode, ...live } = await sealed(id, '--dry-run');
    expect(mode).toBe('dry-run');
    expect(await errorOf(await start(id, live, 'io'))).toMatchObject(refused);
    expect(await errorOf(await start(id, { ...(await sealed(id)), mode: 'dry-run' }))).toMatchObject(refused);
    expect(acme.service.requests).toEqual([]);
  });

  it.each<[string[], string]>([
    [['--mocks', 'mocks.yaml', '--for', 'a', '--flow', 'ping.json'], '--mocks: counts in a dry run only'],
    [['--approval', 'a', '--decision', 'approved', '--dry-run'], '--dry-run: counts for a start only'],
    [['--dead-letter', 'a', '--action', 'retry', '--real-waits'], '--real-waits: counts for a start only'],
  ])('refuses %j', async (flags, detail) => {
    const identity = ['--token-file', await acme.identity.tokenFile(), '--seal-key', acme.identity.sealKeyFile];
    const { code, stderr } = await runInProcess(['token', 'seal', ...flags, ...identity], { cwd: folder });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(detail) });
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
