import { randomUUID } from 'node:crypto';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import { resolveLetter as resolveByCli } from '../../src/cli/dead-letter-client';
import type { DeadLetters, ListedLetter, Resolution } from '../../src/dsl/dead-letter';
import type { Json, JsonObject } from '../../src/dsl/json';
import { BrokenService, lettersOf, resolveLetter } from '../helpers/broken-service';
import { runInProcess } from '../helpers/cli-in-process';
import { historyText } from '../helpers/history-text';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { testTemporal } from '../helpers/temporal';
import { eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

let acme: IdentityWorker;
/** Checks no tokens. */
let open: TestWorker;
let service: BrokenService;
beforeAll(async () => {
  service = await new BrokenService().open();
  acme = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES), tenantPolicy('globex', ALL_SCOPES)]);
  open = await startTestWorker({ pools: 'io' });
});
afterAll(async () => {
  await acme.stop();
  await open.stop();
  await service.close();
});

let paths = 0;

/** A flow of rita's with a dead letter of a path of its own. */
async function park(claims: JsonObject = {}): Promise<{ flow: WorkflowHandle; letter: ListedLetter; path: string }> {
  const path = `/path-${++paths}`;
  service.broken.add(path);
  const flow = await acme.start(`do: [${service.step('pay', path)}]`, {
    claims: { sub: 'rita', ...claims },
    input: { n: 1 },
  });
  const [letter] = await lettersOf(flow);
  if (letter === undefined) throw new Error('no letter');
  return { flow, letter, path };
}

const sealed = (flow: WorkflowHandle, said: Resolution, { letter }: { letter: ListedLetter }) =>
  acme.resolution(flow, { letter, said, claims: { sub: 'bob' } });

async function refusalOf(flow: WorkflowHandle, resolution: Resolution | Json): Promise<string> {
  const error: unknown = await resolveLetter(flow, resolution).catch((thrown: unknown) => thrown);
  if (!(error instanceof WorkflowUpdateFailedError)) return `no refusal: ${JSON.stringify(error)}`;
  return String((error.cause as { type?: string }).type);
}

test('a person of the tenant who may, resolves; the answer and the history have the name, and no token', async () => {
  const { flow, letter, path } = await park();
  const { needsToken } = await flow.query<DeadLetters>('deadLetters');
  expect(needsToken).toBe(true);
  service.broken.delete(path);
  const said = await sealed(flow, { action: 'retry', with: { body: { n: 2 } }, comment: 'as agreed' }, { letter });
  const answer = await resolveLetter(flow, said);
  expect(answer).toEqual({ id: letter.id, action: 'retry', by: 'bob', left: 0 });
  expect(await flow.result()).toBe(path);
  expect(service.at(path).map(({ body }) => body)).toEqual(['{"n":1}', '{"n":2}']);
  expect(await historyText(flow)).not.toContain((await acme.identity.token({ sub: 'bob' })).split('.')[1]);
});

test('two who resolve at the same moment have one outcome', async () => {
  const { flow, letter } = await park();
  const said = await Promise.all(
    ['one', 'two', 'three'].map((output) => sealed(flow, { action: 'skip', output }, { letter })),
  );
  const outcomes = await Promise.allSettled(said.map((one) => resolveLetter(flow, one)));
  expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  const winner = outcomes.findIndex(({ status }) => status === 'fulfilled');
  expect(await flow.result()).toBe(['one', 'two', 'three'][winner]);
  // Whoever was too late has an answer before the flow ends: Temporal takes none behind the end.
  const { events } = await flow.fetchHistory();
  expect(events?.filter(({ workflowTaskFailedEventAttributes: failed }) => failed)).toEqual([]);
});

test('in a batch of a loop, the batch is what a token is sealed for', async () => {
  const path = '/batch';
  service.broken.add(path);
  const body = service.step('p', path).replace('call: http', 'if: item == 2, call: http');
  const flow = await acme.start(
    `do: [{each: {for: {in: '[0, 1, 2, 3]'}, metadata: {concurrency: 2, batchSize: 2}, do: [${body}]}}]`,
    { claims: { sub: 'rita' }, input: { n: 1 } },
  );
  const { client } = acme.worker;
  const batch = await eventually(async () => {
    const query = `BeamlineStatus = 'DeadLettered' AND WorkflowType = 'runWindow'`;
    for await (const { workflowId } of client.workflow.list({ query }))
      if (workflowId.startsWith(flow.workflowId)) return client.workflow.getHandle(workflowId);
    return undefined;
  });
  const [letter] = await lettersOf(batch);
  if (letter === undefined) throw new Error('no letter');
  const forFlow = await sealed(flow, { action: 'skip', output: 'x' }, { letter });
  expect(await refusalOf(batch, forFlow)).toBe('BLW_TOKEN_INVALID');
  await resolveLetter(batch, await sealed(batch, { action: 'skip', output: 'x' }, { letter }));
  expect(await flow.result()).toEqual([{ n: 1 }, { n: 1 }, 'x', { n: 1 }]);
});

test('where nobody is checked, a token is refused, before it is in the history', async () => {
  service.broken.add('/open');
  const flow = await open.start(`do: [${service.step('pay', '/open')}]`, { n: 1 });
  const [letter] = await lettersOf(flow);
  if (letter === undefined) throw new Error('no letter');
  expect(await flow.query<DeadLetters>('deadLetters')).not.toHaveProperty('needsToken');
  const said = await sealed(flow, { action: 'skip' }, { letter });
  expect(await refusalOf(flow, said)).toBe('BLW_RESOLUTION_INVALID');
  expect(await historyText(flow)).not.toContain(String(said.token));
  expect(await resolveLetter(flow, { action: 'skip', by: 'anybody' })).toMatchObject({ by: 'anybody' });
  await flow.result();
});

describe('beamline', () => {
  const connection = () => ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
  const cli = (...args: string[]) => runInProcess([...args, ...connection()], { cwd: acme.identity.folder });
  const asWhom = async (claims: JsonObject = { sub: 'bob' }) => [
    ...['--token-file', await acme.identity.tokenFile(claims)],
    ...['--seal-key', acme.identity.sealKeyFile],
  ];

  test('dlq resolves as the person of the token, and tells what is refused', async () => {
    const { flow, path } = await park();
    const id = flow.workflowId;
    expect(await cli('dlq', 'retry', id, '--by', 'bob')).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BLW_TOKEN_REQUIRED'),
    });
    const narrow = await asWhom({ sub: 'bob', scope: 'flow:start' });
    expect(await cli('dlq', 'retry', id, ...narrow)).toMatchObject({
      code: 1,
      stderr: expect.stringContaining('BLW_SCOPE_DENIED'),
    });
    expect((await cli('dlq', 'show', id)).stdout).toContain(' --token-file token.jwt --seal-key seal-key.json');
    service.broken.delete(path);
    const retried = await cli(
      'dlq',
      'retry',
      id,
      '--with',
      '{"body": {"n": 5}}',
      '--comment',
      'ok',
      ...(await asWhom()),
    );
    expect(retried).toMatchObject({ code: 0, stdout: `runs again by bob: /do/0/pay of ${id}\n` });
    expect(await flow.result()).toBe(path);
    expect(service.at(path).at(-1)?.body).toBe('{"n":5}');
  });

  test('dlq resolves many, each with a token of its own, and goes on past flows of other tenants', async () => {
    const parked = await Promise.all([park(), park(), park({ tenant: 'globex' })]);
    const code = 'BLW_HTTP_STATUS';
    const since = new Date(Math.min(...parked.map(({ letter }) => letter.failedAt))).toISOString();
    const { stdout } = await eventually(async () => {
      const plan = await cli('dlq', 'skip', '--code', code, '--since', since, '--dry-run', '--json');
      const found = (JSON.parse(plan.stdout) as { wouldResolve: { workflowId: string }[] }).wouldResolve;
      return parked.every(({ flow }) => found.some(({ workflowId }) => workflowId === flow.workflowId))
        ? plan
        : undefined;
    });
    expect(stdout).not.toContain('eyJ');
    const bulk = ['dlq', 'skip', '--code', code, '--since', since, '--output', '"by hand"', '--yes', '--json'];
    const done = await cli(...bulk, ...(await asWhom()));
    const { resolved, refused } = JSON.parse(done.stdout) as Record<
      string,
      { workflowId: string; error: JsonObject }[]
    >;
    expect(done.code).toBe(1);
    const [one, two, other] = parked.map(({ flow }) => flow.workflowId);
    expect(resolved?.map(({ workflowId }) => workflowId)).toEqual(expect.arrayContaining([one, two]));
    expect(refused?.find(({ workflowId }) => workflowId === other)?.error).toMatchObject({ code: 'BLW_TENANT_DENIED' });
    expect(await Promise.all(parked.slice(0, 2).map(({ flow }) => flow.result()))).toEqual(['by hand', 'by hand']);
    await parked[2]?.flow.terminate();
  });

  test('seals again where the flow has continued as new since it was looked at', async () => {
    const { flow, letter } = await park();
    const seals: string[] = [];
    const stale = { id: flow.workflowId, runId: randomUUID(), taskQueue: acme.taskQueue };
    const answer = await resolveByCli(acme.worker.client, stale, {
      letter,
      said: { action: 'skip', output: 1 },
      seal: async (purpose) => {
        seals.push(purpose.digest);
        return await acme.identity.seal(await acme.identity.token({ sub: 'bob' }), purpose);
      },
    });
    expect(answer).toMatchObject({ by: 'bob' });
    expect(new Set(seals).size).toBe(2);
    expect(await flow.result()).toBe(1);
  });

  test('token seal makes a resolution for the Temporal CLI', async () => {
    const { flow, letter } = await park();
    const patch = join(acme.identity.folder, 'output.json');
    writeFileSync(patch, '{"a": null}');
    const args = ['--dead-letter', flow.workflowId, '--action', 'skip', '--output', `@${patch}`, '--comment', 'fine'];
    const { code, stdout } = await cli('token', 'seal', ...(await asWhom()), ...args, '--json');
    rmSync(patch);
    expect(code).toBe(0);
    const sent = JSON.parse(stdout) as JsonObject;
    expect(sent).toMatchObject({ id: letter.id, action: 'skip', output: { a: null }, comment: 'fine' });
    expect(await resolveLetter(flow, sent)).toMatchObject({ by: 'bob' });
    expect(await flow.result()).toEqual({ a: null });
    for (const [wrong, detail] of [
      [['--dead-letter', 'x'], '--dead-letter: needs --action'],
      [['--dead-letter', 'nowhere', '--action', 'skip'], 'there is no flow with the id "nowhere"'],
      [['--dead-letter', 'x', '--for', 'y'], 'cannot be used with'],
    ] as const)
      expect(await cli('token', 'seal', ...(await asWhom()), ...wrong)).toMatchObject({
        code: 2,
        stderr: expect.stringContaining(detail),
      });
  });
});
