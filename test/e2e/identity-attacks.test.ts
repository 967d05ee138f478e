import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { NativeConnection, Worker } from '@temporalio/worker';
import { exportSPKI, importJWK, SignJWT, UnsecuredJWT } from 'jose';
import type { Json, JsonObject } from '../../src/dsl/json';
import { APPROVAL, RUN_FLOW, RUN_WINDOW } from '../../src/dsl/names';
import { generateAuthKey, readAuthKeys } from '../../src/worker/identity/auth-key';
import { Grants } from '../../src/worker/identity/grants';
import { startPurpose } from '../../src/worker/identity/sealed-token';
import { flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { ALL_SCOPES, AUDIENCE, claimsOf, ISSUER, makeIssuerKey, signToken, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { testTemporal } from '../helpers/temporal';
import { errorOf, eventually, flowOf, startTestWorker } from '../helpers/test-worker';

/**
 * Whoever can start workflows in the namespace tries to have a block run: with every start that is not a tenant's own, and past
 * the starts. The service that blocks call must not hear of any of it.
 */

const catalog = makeCatalogFolder();
const foreignQueue = `foreign-${randomUUID()}`;
let acme: IdentityWorker;
/** Somebody else's, in the same namespace. */
let foreign: Worker;
let foreignRuns: Promise<void>;
let connection: NativeConnection;

beforeAll(async () => {
  acme = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES), tenantPolicy('globex', ALL_SCOPES)], {
    catalog: catalog.folder,
  });
  catalog.write('inner.yaml', flowText('sub/inner:1.0.0', `do: [{ping: ${acme.ping}}]`));
  const { address, namespace } = testTemporal();
  connection = await NativeConnection.connect({ address });
  foreign = await Worker.create({
    connection,
    namespace,
    taskQueue: foreignQueue,
    workflowsPath: join(__dirname, '..', 'helpers', 'foreign-workflows.ts'),
    activities: { nothing: async () => undefined },
  });
  foreignRuns = foreign.run();
}, 60_000);
afterAll(async () => {
  foreign.shutdown();
  await foreignRuns;
  await connection.close();
  await acme.stop();
  catalog.dispose();
});

let before = 0;
beforeEach(() => {
  before = acme.service.requests.length;
});
afterEach(() => {
  if (!expect.getState().currentTestName?.includes('control')) expect(acme.service.requests).toHaveLength(before);
});

const pinging = () => `do: [{ping: ${acme.ping}}]`;

/** What a start with this token, sealed as it should be, ends with. */
async function refusalOf(makeToken: () => Promise<string>): Promise<JsonObject> {
  const workflowId = `flow-${randomUUID()}`;
  const flow = flowOf(pinging());
  const purpose = startPurpose(
    { namespace: testTemporal().namespace, workflowId },
    { flow, input: null, tenant: undefined },
  );
  const token = await acme.identity.seal(await makeToken(), purpose);
  return errorOf(await acme.send({ flow, token }, { workflowId }));
}

const now = () => Math.floor(Date.now() / 1_000);
const sign = (header: { alg: string; kid?: string }, secret: Uint8Array) =>
  new SignJWT(claimsOf()).setProtectedHeader(header).sign(secret);

test('control: the same start with a good token has its block run', async () => {
  expect(await (await acme.start(pinging())).result()).toBe('pong');
  expect(acme.service.requests).toHaveLength(before + 1);
});

describe('a token is refused', () => {
  test.each<[string, () => Promise<string>, string, string]>([
    ['that has expired', () => acme.identity.token({ exp: now() - 1 }), 'BLW_TOKEN_INVALID', 'expired'],
    ['that never expires', () => acme.identity.token({ exp: undefined }), 'BLW_TOKEN_INVALID', '"exp"'],
    ['that is not valid yet', () => acme.identity.token({ nbf: now() + 60 }), 'BLW_TOKEN_INVALID', 'not valid yet'],
    ['of another issuer', () => acme.identity.token({ iss: `${ISSUER}.evil` }), 'BLW_TOKEN_INVALID', 'issuer'],
    ['for another audience', () => acme.identity.token({ aud: `${AUDIENCE}2` }), 'BLW_TOKEN_INVALID', 'audience'],
    ['for no audience', () => acme.identity.token({ aud: undefined }), 'BLW_TOKEN_INVALID', 'aud'],
    ['of nobody', () => acme.identity.token({ sub: undefined }), 'BLW_TOKEN_INVALID', '"sub"'],
    ['of a blank', () => acme.identity.token({ sub: ' ' }), 'BLW_TOKEN_INVALID', '"sub"'],
    ['of no tenant', () => acme.identity.token({ tenant: undefined }), 'BLW_TOKEN_INVALID', '"tenant"'],
    ['of two tenants', () => acme.identity.token({ tenant: ['acme', 'globex'] }), 'BLW_TOKEN_INVALID', '"tenant"'],
    ['of a tenant that cannot be', () => acme.identity.token({ tenant: 'acme:1' }), 'BLW_TOKEN_INVALID', '"tenant"'],
    ['with scopes of another form', () => acme.identity.token({ scope: { a: 1 } }), 'BLW_TOKEN_INVALID', '"scope"'],
    [
      'of a tenant that is not in the policy',
      () => acme.identity.token({ tenant: 'nobody' }),
      'BLW_TENANT_DENIED',
      'no access',
    ],
    ['that is not signed', async () => new UnsecuredJWT(claimsOf()).encode(), 'BLW_TOKEN_INVALID', 'token'],
    [
      'signed with the public key as a secret (PEM)',
      async () => {
        const pem = await exportSPKI((await importJWK(acme.identity.key.publicJwk, 'ES256')) as CryptoKey);
        return sign({ alg: 'HS256', kid: acme.identity.key.kid }, Buffer.from(pem));
      },
      'BLW_TOKEN_INVALID',
      'algorithm',
    ],
    [
      'signed with the public key as a secret (JWK)',
      () =>
        sign({ alg: 'HS256', kid: acme.identity.key.kid }, Buffer.from(JSON.stringify(acme.identity.key.publicJwk))),
      'BLW_TOKEN_INVALID',
      'algorithm',
    ],
    [
      'of a key that is not published',
      async () => signToken(await makeIssuerKey()),
      'BLW_TOKEN_INVALID',
      'does not publish',
    ],
    [
      'of another key under a name that is known',
      async () => signToken({ ...(await makeIssuerKey()), kid: acme.identity.key.kid }),
      'BLW_TOKEN_INVALID',
      'signature',
    ],
    [
      'with a changed byte in its claims',
      async () => {
        const [header, claims = '', signature] = (await acme.identity.token()).split('.');
        const text = Buffer.from(claims, 'base64url').toString().replace('"alice"', '"alicf"');
        return [header, Buffer.from(text).toString('base64url'), signature].join('.');
      },
      'BLW_TOKEN_INVALID',
      'signature',
    ],
    ['that is no JWT', async () => 'a.b.c', 'BLW_TOKEN_INVALID', 'not a valid JWT'],
    ['that is empty', async () => '', 'BLW_TOKEN_INVALID', 'token'],
  ])('%s', async (_, makeToken, code, detail) => {
    const error = await refusalOf(makeToken);
    expect(error).toMatchObject({ code, detail: expect.stringContaining(detail) });
  });
});

describe('a start is refused', () => {
  test('without a token', async () => {
    const flow = await acme.send({ flow: flowOf(pinging()), tenant: 'acme' });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_TOKEN_REQUIRED', status: 401 });
  });

  test('with a plain token, and says to revoke it', async () => {
    const token = await acme.identity.token();
    const error = await errorOf(await acme.send({ flow: flowOf(pinging()), token }));
    expect(error).toMatchObject({ code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining('revoke') });
    expect(JSON.stringify(error)).not.toContain(token.slice(0, 20));
  });

  test.each<[string, Json]>([
    ['a number', 5],
    ['an object', { jwt: 'x' }],
    ['nothing', ''],
    ['an endless one', 'x'.repeat(70_000)],
  ])('with %s for a token', async (_, token) => {
    const flow = await acme.send({ flow: flowOf(pinging()), token });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_START_INVALID' });
  });

  test.each<[string, string]>([
    ['text', 'hello'],
    ['five parts of nothing', 'a.b.c.d.e'],
  ])('with %s for a sealed token', async (_, token) => {
    const flow = await acme.send({ flow: flowOf(pinging()), token });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_TOKEN_INVALID' });
  });

  test('with a sealed token in which a byte is changed', async () => {
    const workflowId = `flow-${randomUUID()}`;
    const sealed = await acme.sealed(workflowId, pinging());
    const parts = String(sealed.token).split('.');
    const [text = ''] = parts.slice(3);
    parts[3] = `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
    const flow = await acme.send({ ...sealed, token: parts.join('.') }, { workflowId });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining('opened') });
  });

  test('with a token that was sealed for other workers', async () => {
    const other = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES)], { pools: 'io' });
    try {
      const workflowId = `flow-${randomUUID()}`;
      const flow = await acme.send(await other.sealed(workflowId, pinging()), { workflowId });
      expect(await errorOf(flow)).toMatchObject({ code: 'BLW_TOKEN_INVALID', detail: expect.stringContaining('key') });
    } finally {
      await other.stop();
    }
  });

  test.each<[string, (sealed: JsonObject) => JsonObject, boolean]>([
    ['another workflow id', (sealed) => sealed, false],
    ['another document', (sealed) => ({ ...sealed, flow: flowOf('do: [{s: {set: {a: 1}}}]') }), true],
    ['another input', (sealed) => ({ ...sealed, input: { n: 2 } }), true],
    ['no input', ({ input: _, ...rest }) => rest, true],
    ['a tenant that was not sealed', (sealed) => ({ ...sealed, tenant: 'acme' }), true],
  ])('with a token that was copied to %s', async (_, change, isSameId) => {
    const id = `flow-${randomUUID()}`;
    const sealed = await acme.sealed(id, pinging(), { input: { n: 1 } });
    const workflowId = isSameId ? id : `${id}-2`;
    const flow = await acme.send(change(sealed), { workflowId });
    expect(await errorOf(flow)).toMatchObject({
      code: 'BLW_TOKEN_INVALID',
      detail: expect.stringContaining('sealed for'),
    });
  });

  test('for another tenant, with the same words whether there is one or not', async () => {
    const errors: JsonObject[] = [];
    for (const tenant of ['globex', 'nothere']) errors.push(await errorOf(await acme.start(pinging(), { tenant })));
    const [known, unknown] = errors.map(({ detail, ...error }) => ({
      ...error,
      detail: String(detail).replace(/"\w+"/, ''),
    }));
    expect(known).toMatchObject({ code: 'BLW_TENANT_DENIED' });
    expect(known).toEqual(unknown);
  });

  test('in the name of another person', async () => {
    const flow = await acme.start(pinging(), { extra: { requestedBy: 'bob' } });
    expect(await errorOf(flow)).toMatchObject({
      code: 'BLW_TOKEN_INVALID',
      detail: expect.stringContaining('requestedBy'),
    });
  });
});

/** A flow that is open, the grant that its history shows, and how to end it. */
async function runningFlow(): Promise<{ handle: WorkflowHandle; grant: string; prepared: JsonObject }> {
  const handle = await acme.start(`do: [{w: {wait: PT1H}}, {ping: ${acme.ping}}]`);
  const prepared = await eventually(() => preparedOf(handle));
  return { handle, grant: String(prepared.grant), prepared };
}

/** What the history of a flow shows of its preparation. */
async function preparedOf(handle: WorkflowHandle): Promise<JsonObject | undefined> {
  const { events } = await handle.fetchHistory();
  for (const { markerRecordedEventAttributes: marker } of events ?? []) {
    const data = marker?.details?.result?.payloads?.[0]?.data;
    if (data != null) return JSON.parse(Buffer.from(data).toString()) as JsonObject;
  }
  return undefined;
}

const stepRequest = (more: JsonObject = {}): JsonObject => ({
  tenant: 'acme',
  flow: 'test/flow:1.0.0',
  stepId: '/do/0/ping',
  key: `acme:x:/do/0/ping:0:0`,
  idempotent: true,
  with: { method: 'get', endpoint: `${acme.service.origin}/` },
  ...more,
});

/** Has somebody else's workflow do something, and gives the code of what it fails with. */
async function foreignFailure(type: string, args: unknown[], workflowId = `foreign-${randomUUID()}`): Promise<string> {
  const handle = await acme.worker.client.workflow.start(type, { workflowId, taskQueue: foreignQueue, args });
  const failure: unknown = await handle.result().then(
    (value: unknown) => new Error(`it completed with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
  for (let error = failure as { cause?: unknown; type?: string; message: string } | undefined; ; ) {
    if (error?.type?.startsWith('BLW_') === true) return error.type;
    if (error?.cause === undefined) throw failure;
    error = error.cause as typeof error;
  }
}

const onOurQueue = () => ({ taskQueue: acme.taskQueue });

describe('a step that no flow of ours scheduled', () => {
  test('runs nothing without a grant', async () => {
    expect(await foreignFailure('scheduleForeign', ['http.request', [stepRequest()], onOurQueue()])).toBe(
      'BLW_TOKEN_REQUIRED',
    );
  });

  test.each<[string, (grant: string) => Promise<string>]>([
    ['text', async () => 'x.y.z'],
    ['the claims of a good one and no signature', async (grant) => `${grant.split('.').slice(0, 2).join('.')}.`],
    ['the claims of another tenant', async (grant) => changeClaims(grant, { tenant: 'globex' })],
    ['a header that asks for no signature', async (grant) => changeHeader(grant, { alg: 'none' })],
    [
      'one that somebody signed with a key of his own',
      async (grant) => {
        const file = join(acme.identity.folder, 'other.json');
        writeFileSync(file, JSON.stringify((await generateAuthKey()).privateSet));
        return new Grants(await readAuthKeys(file), testTemporal().namespace).issue(
          readClaims(grant) as unknown as Parameters<Grants['issue']>[0],
        );
      },
    ],
    ['a token', () => acme.identity.token()],
  ])('runs nothing with %s for a grant', async (_, forge) => {
    const { handle, grant } = await runningFlow();
    const request = stepRequest({ grant: await forge(grant) });
    expect(await foreignFailure('scheduleForeign', ['http.request', [request], onOurQueue()])).toBe(
      'BLW_TOKEN_INVALID',
    );
    await handle.terminate();
  });

  test('runs nothing with a grant that was copied to another workflow id', async () => {
    const { handle, grant } = await runningFlow();
    const args = ['http.request', [stepRequest({ grant })], onOurQueue()];
    expect(await foreignFailure('scheduleForeign', args)).toBe('BLW_TOKEN_INVALID');
    await handle.terminate();
  });

  test('runs nothing with a grant that was copied to the same id and type, once the flow had ended', async () => {
    const { handle, grant } = await runningFlow();
    await handle.terminate();
    const args = ['http.request', [stepRequest({ grant })], onOurQueue()];
    expect(await foreignFailure('scheduleForeign', args, handle.workflowId)).toBe('BLW_TOKEN_INVALID');
    expect(await foreignFailure('runFlow', args, handle.workflowId)).toBe('BLW_TOKEN_INVALID');
  });

  test('runs nothing on the other pools either', async () => {
    const taskQueue = acme.taskQueue.replace(/io$/, 'cpu');
    const args = ['http.request', [stepRequest()], { taskQueue }];
    expect(await foreignFailure('scheduleForeign', args)).toBe('BLW_TOKEN_REQUIRED');
  });
});

describe('the local activities of the worker', () => {
  test.each([
    ['prepareFlow', 'a plan and a grant'],
    ['admitWindow', 'a grant'],
    ['admitDecision', 'the word of a person'],
    ['admitResolution', 'the word of a person'],
    ['admitDeployment', 'a grant'],
    ['startTriggeredFlow', 'a flow'],
    ['emitEvent', 'an event'],
    ['subscribeEvents', 'events'],
    ['unsubscribeEvents', 'silence'],
    ['prepareTrigger', 'a trigger'],
    ['evaluateExpressions', 'computing time'],
    ['validateData', 'computing time'],
    ['validateArguments', 'computing time'],
  ])('%s gives %s to no other workflow', async (activity) => {
    const { handle, grant } = await runningFlow();
    const origin = {
      firstRunId: handle.firstExecutionRunId,
      startedAt: Date.now(),
      parent: { workflowId: handle.workflowId, runId: handle.firstExecutionRunId },
    };
    const request = { grant, tenant: 'acme', origin, flow: flowOf(pinging()), input: null, workflowId: 'x' };
    expect(await foreignFailure('scheduleForeign', [activity, [request, origin], onOurQueue()])).toBe(
      'BLW_CALLER_DENIED',
    );
    await handle.terminate();
  });
});

describe('a flow that somebody starts', () => {
  test('as the child of a workflow of his own, with a copied grant, runs nothing', async () => {
    const { handle, grant } = await runningFlow();
    for (const workflowId of [`${handle.workflowId}/sub`, `child-${randomUUID()}`]) {
      const start = { flow: 'sub/inner:1.0.0', tenant: 'acme', grant };
      const args = [RUN_FLOW, [start], { workflowId, ...onOurQueue() }];
      expect(await foreignFailure('startForeign', args)).toBe('BLW_TOKEN_INVALID');
    }
    await handle.terminate();
    // Also by a parent that has taken the flow's id.
    const args = [
      RUN_FLOW,
      [{ flow: 'sub/inner:1.0.0', tenant: 'acme', grant }],
      { workflowId: `child-${randomUUID()}`, ...onOurQueue() },
    ];
    expect(await foreignFailure('startForeign', args, handle.workflowId)).toBe('BLW_TOKEN_INVALID');
  });

  test('with the grant of a flow that a flow runs, copied out of its start input, runs nothing', async () => {
    const outer = await acme.start("do: [{sub: {run: {workflow: {namespace: sub, name: inner, version: '1.0.0'}}}}]");
    expect(await outer.result()).toBe('pong');
    before += 1;
    const start = (await inputOf(acme.worker.client.workflow.getHandle(`${outer.workflowId}/sub`))) ?? {};
    expect(start.grant).toEqual(expect.any(String));
    for (const workflowId of [`${outer.workflowId}/sub`, `${outer.workflowId}/other`]) {
      expect(await errorOf(await acme.send(start, { workflowId }))).toMatchObject({ code: 'BLW_TOKEN_INVALID' });
    }
  });

  test('with its own grant instead of a token runs nothing', async () => {
    const { handle, grant } = await runningFlow();
    await handle.terminate();
    const flow = await acme.send({ flow: flowOf(pinging()), grant }, { workflowId: handle.workflowId });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_TOKEN_INVALID' });
  });

  test('as a window, with a copied grant or without one, runs nothing', async () => {
    const { handle, prepared } = await runningFlow();
    const { grant: _, ...without } = prepared;
    const args = (plan: JsonObject) => [
      RUN_WINDOW,
      [windowOf(plan)],
      { workflowId: `${handle.workflowId}/items-${randomUUID()}`, ...onOurQueue() },
    ];
    expect(await foreignFailure('startForeign', args(prepared))).toBe('BLW_TOKEN_INVALID');
    // Without one the window is let run, and its steps are not.
    const { workflow } = acme.worker.client;
    const result = await workflow.execute('startForeign', {
      workflowId: `foreign-${randomUUID()}`,
      taskQueue: foreignQueue,
      args: args(without),
    });
    expect(result).toMatchObject({ failures: [{ error: { code: 'BLW_TOKEN_REQUIRED' } }] });
    await handle.terminate();
  });

  test('with a second argument, as if it went on, runs nothing', async () => {
    const { handle, prepared } = await runningFlow();
    await handle.terminate();
    const carried = carriedOf(prepared);
    const flow = await acme.send({}, { workflowId: handle.workflowId, args: [{}, carried] });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_START_INVALID' });
    const { grant: _, ...without } = prepared;
    for (const [state, code] of [
      [carried, 'BLW_TOKEN_INVALID'],
      [carriedOf(without), 'BLW_TOKEN_REQUIRED'],
    ] as const) {
      // On from a workflow of his own, under the id of the flow.
      const args = [RUN_FLOW, [{}, state], acme.taskQueue];
      expect(await foreignFailure('continueForeign', args, handle.workflowId)).toBe(code);
    }
  });

  test('with a second argument and a retry policy, so that a run which timed out is followed by one, runs nothing', async () => {
    const { handle, prepared } = await runningFlow();
    await handle.terminate();
    const { grant: _, ...without } = prepared;
    const prefix = `late-${randomUUID()}`;
    const start = async (workflowId: string, state: JsonObject) =>
      await acme.worker.client.workflow.start(RUN_FLOW, {
        workflowId,
        taskQueue: `${prefix}-io`,
        args: [{}, state],
        retry: { maximumAttempts: 30, initialInterval: 100, backoffCoefficient: 1 },
        workflowRunTimeout: 1_000,
      });
    const copied = await start(handle.workflowId, carriedOf(prepared));
    const bare = await start(`late-${randomUUID()}`, carriedOf(without));
    // Nobody serves the queue as yet, so that the first runs time out.
    for (const { workflowId, firstExecutionRunId } of [copied, bare]) {
      const first = acme.worker.client.workflow.getHandle(workflowId, firstExecutionRunId);
      await eventually(async () => ((await first.describe()).status.name === 'RUNNING' ? undefined : true));
    }
    const flags = { auth: 'jwt', 'auth-key': acme.identity.authKeyFile, policy: acme.policyFile };
    const late = await startTestWorker({ pools: 'io', 'queue-prefix': prefix, ...flags });
    try {
      expect(await errorOf(copied)).toMatchObject({ code: 'BLW_TOKEN_INVALID' });
      expect(await errorOf(bare)).toMatchObject({ code: 'BLW_TOKEN_REQUIRED' });
    } finally {
      await late.stop();
    }
  });

  test('cannot emit or listen as a tenant either', async () => {
    const { handle, prepared } = await runningFlow();
    await handle.terminate();
    for (const text of [
      `do: [{e: {emit: {event: {with: {source: /a, type: fake}}}}}]`,
      `do: [{l: {listen: {to: {one: {with: {type: fake}}}}}}]`,
    ]) {
      const plan = await planOf(text);
      const args = [RUN_FLOW, [{}, carriedOf({ ...prepared, plan })], acme.taskQueue];
      expect(await foreignFailure('continueForeign', args, `foreign-${randomUUID()}`)).toBe('BLW_TOKEN_INVALID');
    }
  });
});

test('an approval that somebody else’s workflow asks for cannot be decided', async () => {
  const flow = await acme.start('do: [{ask: {call: human.approval, with: {title: Pay?}}}]');
  const approval = acme.worker.client.workflow.getHandle(`${flow.workflowId}/ask`);
  const request = await eventually(() => inputOf(approval));

  const workflowId = `fake-${randomUUID()}`;
  const args = [APPROVAL, [request], { workflowId, ...onOurQueue() }];
  const parent = await acme.worker.client.workflow.start('startForeign', {
    workflowId: `foreign-${randomUUID()}`,
    taskQueue: foreignQueue,
    args,
  });
  const fake = acme.worker.client.workflow.getHandle(workflowId);
  await eventually(() => fake.query('state'));
  const said = await acme.decision(fake, { decision: 'approved' }, { sub: 'bob' });
  await expect(fake.executeUpdate('decide', { args: [said] })).rejects.toMatchObject({
    cause: { type: 'BLW_TOKEN_INVALID' },
  });
  await parent.terminate();
  await flow.terminate();
});

/** What a workflow was started with. */
async function inputOf(handle: WorkflowHandle): Promise<JsonObject | undefined> {
  const { events } = await handle.fetchHistory();
  const data = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
  return data == null ? undefined : (JSON.parse(Buffer.from(data).toString()) as JsonObject);
}

/** The plan of a flow, as its history shows it. */
async function planOf(text: string): Promise<Json> {
  const handle = await acme.start(`do: [{w: {wait: PT1H}}, ${text.slice(text.indexOf('[') + 1)}`);
  const prepared = await eventually(() => preparedOf(handle));
  await handle.terminate();
  const plan = prepared.plan as JsonObject;
  return { ...plan, tasks: (plan.tasks as Json[]).slice(1) };
}

function carriedOf(prepared: JsonObject): JsonObject {
  const plan = prepared.plan as JsonObject;
  const tasks = (plan.tasks as JsonObject[]).filter(({ kind }) => kind !== 'wait');
  return {
    prepared: { ...prepared, plan: { ...plan, tasks } },
    workflowInput: null,
    startedAt: Date.now(),
    input: null,
    context: null,
    list: { index: 0, output: null, visits: {}, steps: {} },
    progress: { steps: [], seq: 0, stepsEnded: 0, version: 0 } as unknown as Json,
  };
}

function windowOf(prepared: JsonObject): JsonObject {
  const plan = prepared.plan as JsonObject;
  const tasks = (plan.tasks as JsonObject[]).filter(({ kind }) => kind !== 'wait');
  return {
    flowId: 'x',
    prepared: { ...prepared, plan: { ...plan, tasks: [] } },
    workflowInput: null,
    startedAt: Date.now(),
    context: null,
    task: {
      kind: 'for',
      name: 'l',
      path: '/do/0/l',
      each: 'item',
      at: 'index',
      in: null,
      tasks,
      parallel: { concurrency: 1, batchSize: 1, tolerated: { count: 0 } },
    },
    items: [1],
    firstIndex: 0,
    concurrency: 1,
    tolerated: 0,
    input: null,
    variables: {},
    steps: {},
    iteration: '',
    depth: 0,
  };
}

function readClaims(grant: string): JsonObject {
  return JSON.parse(Buffer.from(grant.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
}

function changeClaims(grant: string, claims: JsonObject): string {
  const [header, , signature] = grant.split('.');
  return [header, encode({ ...readClaims(grant), ...claims }), signature].join('.');
}

function changeHeader(grant: string, header: JsonObject): string {
  return [encode(header), grant.split('.')[1], ''].join('.');
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
