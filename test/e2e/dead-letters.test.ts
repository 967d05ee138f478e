import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { WithStartWorkflowOperation, type WorkflowHandle, WorkflowUpdateFailedError } from '@temporalio/client';
import { parse } from 'yaml';
import { resolveLetter } from '../../src/cli/dead-letter-client';
import type { DeadLetters, Resolution, ResolveAnswer } from '../../src/dsl/dead-letter';
import type { Json, JsonObject } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { historyText } from '../helpers/history-text';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, eventually, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const SECRET = 'a-secret-of-some-length';

let temporal: TemporalServer;
let worker: TestWorker;
let server: Server;
let origin: string;
/** Requests seen, in order. */
const seen: { path: string; key: string | undefined; body: string; authorization: string | undefined }[] = [];
/** Paths that answer 400 for now. */
const broken = new Set<string>();

beforeAll(async () => {
  server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const path = request.url ?? '';
      const { 'idempotency-key': key, authorization } = request.headers;
      seen.push({ path, key: key?.toString(), body: Buffer.concat(chunks).toString(), authorization });
      response.writeHead(broken.has(path) ? 400 : 200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ path, n: 41 }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  // Suggests a new history after a few events, so that flows with dead letters meet it.
  temporal = await startTemporalOfShortHistories(60);
  worker = await startTestWorker({}, temporal);
  await worker.stop();
  worker = await startTestWorker({ secret: [`token=file:${secretFile(worker.folder)}`] }, temporal);
}, 60_000);
afterAll(async () => {
  await worker.stop();
  await temporal.stop();
  server.closeAllConnections();
  server.close();
});

function secretFile(folder: string): string {
  const file = join(folder, '..', `${folder.split('/').pop()}-token`);
  writeFileSync(file, SECRET, { mode: 0o600 });
  return file;
}

const at = (path: string) => seen.filter((request) => request.path === path);
const post = (name: string, path: string, more = '') =>
  `{ ${name}: { call: http, metadata: { onFailure: deadLetter }, with: { method: post, endpoint: '${origin}${path}', body: { n: '\${ data.n }' } }${more} } }`;

async function lettersOf(handle: WorkflowHandle, count = 1): Promise<DeadLetters['letters']> {
  return await eventually(async () => {
    const { letters } = await handle.query<DeadLetters>('deadLetters');
    return letters.length === count ? letters : undefined;
  });
}

const resolve = (handle: WorkflowHandle, resolution: Resolution | Json) =>
  handle.executeUpdate<ResolveAnswer, [Json]>('resolve', { args: [resolution as Json] });

async function refusal(handle: WorkflowHandle, resolution: Resolution | Json): Promise<string> {
  const error: unknown = await resolve(handle, resolution).catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(WorkflowUpdateFailedError);
  const { type, message } = (error as WorkflowUpdateFailedError).cause as unknown as { type: string; message: string };
  return `${type}: ${message}`;
}

function deep(levels: number): Json {
  let value: Json = 1;
  for (let level = 0; level < levels; level += 1) value = [value];
  return value;
}

/** Names of the runs of a step, as each of its activities got one. */
async function executionsOf(handle: WorkflowHandle, stepId: string): Promise<string[]> {
  const { events } = await handle.fetchHistory();
  const requests = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: activity }) => {
    const data = activity?.input?.payloads?.[0]?.data;
    return data == null ? [] : [JSON.parse(Buffer.from(data).toString()) as { stepId: string; execution: string }];
  });
  return requests.filter((request) => request.stepId === stepId).map(({ execution }) => execution);
}

async function statusOf(handle: WorkflowHandle): Promise<unknown> {
  return (await handle.describe()).searchAttributes?.BeamlineStatus?.[0];
}

describe('a step that failed for good', () => {
  test('parks its flow, is shown with arguments and error, and a retry goes on from there with the same key', async () => {
    broken.add('/pay');
    const handle = await worker.start(
      `do: [${post('before', '/before', ', output: { as: input }')}, ${post('pay', '/pay')}, {after: {set: '\${ data.n + 1 }'}}]`,
      { n: 7 },
      { tenant: 'acme' },
    );
    const [letter] = await lettersOf(handle);
    expect(letter).toMatchObject({
      id: '/do/1/pay',
      step: '/do/1/pay',
      name: 'pay',
      block: 'http.request',
      failedIn: 'run',
      attempts: 1,
      retries: 0,
      input: { n: 7 },
      with: { method: 'post', body: { n: 7 } },
      error: { code: 'BLW_HTTP_STATUS', status: 400, instance: '/do/1/pay' },
    });
    await eventually(async () => (await statusOf(handle)) === 'DeadLettered' || undefined);
    const { status, steps } = await handle.query<{ status: string; steps: JsonObject[] }>('progress');
    expect(status).toBe('DeadLettered');
    expect(steps.at(-1)).toMatchObject({ id: '/do/1/pay', status: 'deadLettered', error: { code: 'BLW_HTTP_STATUS' } });

    // Still broken: it waits again.
    expect(await resolve(handle, { action: 'retry', by: 'alice' })).toEqual({
      id: '/do/1/pay',
      action: 'retry',
      by: 'alice',
      left: 0,
    });
    const [again] = await eventually(async () => {
      const letters = await lettersOf(handle);
      return letters[0]?.retries === 1 ? letters : undefined;
    });
    expect(again).toMatchObject({ retries: 1 });

    broken.delete('/pay');
    await resolve(handle, { id: '/do/1/pay', action: 'retry' });
    expect(await handle.result()).toBe(42);
    expect(at('/before')).toHaveLength(1);
    const key = `acme:${handle.workflowId}:/do/1/pay:0:0`;
    expect(at('/pay').map((request) => request.key)).toEqual([key, key, key]);
    expect(await statusOf(handle)).toBe('Completed');
    const { steps: ended } = await handle.query<{ steps: JsonObject[] }>('progress');
    expect(ended.find(({ id }) => id === '/do/1/pay')).toMatchObject({ status: 'completed' });
    expect(ended.find(({ id }) => id === '/do/1/pay')?.error).toBeUndefined();
  });

  test('runs with corrected arguments, under another key', async () => {
    broken.add('/corrected');
    const handle = await worker.start(`do: [${post('a', '/corrected')}]`, { n: 1 });
    await lettersOf(handle);
    broken.delete('/corrected');
    await resolve(handle, { action: 'retry', with: { body: { n: 2, extra: true } } });
    expect(await handle.result()).toMatchObject({ path: '/corrected' });
    expect(at('/corrected').map(({ body }) => JSON.parse(body) as Json)).toEqual([{ n: 1 }, { n: 2, extra: true }]);
    expect(at('/corrected').map(({ key }) => key?.slice(-4))).toEqual([':0:0', ':0:1']);
  });

  test.each<[string, string, (n: number) => Partial<Resolution>]>([
    ['corrections', 'with', (n) => ({ with: { body: { n } } })],
    ['other inputs', 'input', (n) => ({ input: { n } })],
  ])('has an earlier key again with the arguments of before, by %s', async (_, name, correction) => {
    const path = `/again-${name}`;
    broken.add(path);
    const secret = `headers: { authorization: '\${ "Bearer " + secrets.token }' }, method: post`;
    const tasks = `do: [${post('a', path).replace('method: post', secret)}]`;
    const handle = await worker.start(`use: { secrets: [token] }\n${tasks}`, { n: 1 });
    for (const [index, n] of [2, 1, 3, 2].entries()) {
      await eventually(async () => ((await lettersOf(handle))[0]?.retries === index ? true : undefined));
      if (index === 3) broken.delete(path);
      await resolve(handle, { action: 'retry', ...correction(n) });
    }
    expect(await handle.result()).toMatchObject({ path });
    // What the first run may have done after all is not done twice, and a new deed gets no key that there was.
    const requests = at(path).map(({ body, key }) => [(JSON.parse(body) as JsonObject).n, key?.slice(-4)]);
    expect(requests).toEqual([
      [1, ':0:0'],
      [2, ':0:1'],
      [1, ':0:0'],
      [3, ':0:2'],
      [2, ':0:1'],
    ]);
  });

  test.each<[string, string, Resolution]>([
    ['a correction that changes nothing', 'patch', { action: 'retry', with: { body: { n: 1 } } }],
    ['the same input', 'input', { action: 'retry', input: { n: 1 } }],
    ['another input that makes the same arguments', 'other-input', { action: 'retry', input: { more: true, n: 1 } }],
  ])('has the same key with %s', async (_, name, resolution) => {
    const path = `/same-${name}`;
    broken.add(path);
    const secret = `headers: { authorization: '\${ "Bearer " + secrets.token }' }, method: post`;
    const tasks = `do: [${post('a', path).replace('method: post', secret)}]`;
    const handle = await worker.start(`use: { secrets: [token] }\n${tasks}`, { n: 1 });
    await lettersOf(handle);
    broken.delete(path);
    await resolve(handle, resolution);
    expect(await handle.result()).toMatchObject({ path });
    expect(at(path).map(({ key }) => key?.slice(-4))).toEqual([':0:0', ':0:0']);
  });

  test('has the same key where a wrong input came between', async () => {
    broken.add('/between');
    const handle = await worker.start(`do: [${post('a', '/between')}]`, { n: 1 });
    await lettersOf(handle);
    await resolve(handle, { action: 'retry', input: { wrong: 1 } });
    await eventually(async () => (await lettersOf(handle))[0]?.failedIn === 'input' || undefined);
    broken.delete('/between');
    await resolve(handle, { action: 'retry', input: { n: 1 } });
    await handle.result();
    expect(at('/between').map(({ key }) => key?.slice(-4))).toEqual([':0:0', ':0:0']);
  });

  test('is the same run of the step for the blob store, unless it is corrected', async () => {
    const put = "call: fs.put, metadata: {onFailure: deadLetter}, with: {path: put, content: x, ifMatch: '0'}";
    const handle = await worker.start(`do: [{p: {${put.replace("'0'", `'${'0'.repeat(64)}'`)}}}]`, { n: 1 });
    const again = (retries: number) =>
      eventually(async () => (await lettersOf(handle))[0]?.retries === retries || undefined);
    await lettersOf(handle);
    await resolve(handle, { action: 'retry' });
    await again(1);
    await resolve(handle, { action: 'retry', input: { n: 2 } });
    await again(2);
    await resolve(handle, { action: 'retry', with: { ifMatch: 'none' } });
    await handle.result();
    const [first, ...others] = await executionsOf(handle, '/do/0/p');
    expect(others).toEqual([first, first, expect.not.stringMatching(`^${first}$`)]);
  });

  test('has no result that others get who have the key of before', async () => {
    broken.add('/cached');
    const cached = (path: string) =>
      `do: [{c: {call: http, metadata: {onFailure: deadLetter, cache: {maxAge: PT1H, key: '\${ "dead letter" }'}}, with: {method: get, endpoint: '${origin}${path}'}, output: {as: data.path}}}]`;
    const one = await worker.start(cached('/cached'));
    await lettersOf(one);
    await resolve(one, { action: 'retry', with: { endpoint: { uri: `${origin}/instead` } } });
    expect(await one.result()).toBe('/instead');
    broken.delete('/cached');
    expect(await worker.run(cached('/cached'))).toBe('/cached');
    // As it was, the result is kept.
    expect(await worker.run(cached('/cached'))).toBe('/cached');
    expect(at('/cached')).toHaveLength(2);
  });

  test('is left alone by what was said of an earlier failure', async () => {
    broken.add('/later');
    const handle = await worker.start(`do: [${post('a', '/later', ', output: { as: data.path }')}]`, { n: 1 });
    const [first] = await lettersOf(handle);
    if (first === undefined) throw new Error('no letter');
    await resolve(handle, { action: 'retry', failedAt: first.failedAt });
    const [second] = await eventually(async () => {
      const letters = await lettersOf(handle);
      return letters[0]?.retries === 1 ? letters : undefined;
    });
    const { id, failedAt } = first;
    expect(await refusal(handle, { action: 'discard', failedAt })).toMatch(/^BLW_DEAD_LETTER_UNKNOWN.*failed again/);
    expect(await refusal(handle, { action: 'skip', failedAt: 'then' })).toMatch(/^BLW_RESOLUTION_INVALID.*failedAt/);
    const { runId } = await handle.describe();
    const flow = { id: handle.workflowId, runId, taskQueue: `${worker.queuePrefix}-io` };
    const stale = resolveLetter(worker.client, flow, {
      letter: { id, failedAt },
      said: { action: 'discard' },
      seal: undefined,
    });
    await expect(stale).rejects.toMatchObject({ error: { data: { code: 'BLW_DEAD_LETTER_UNKNOWN' } } });
    await resolve(handle, { action: 'skip', output: 'seen', failedAt: second?.failedAt ?? 0 });
    expect(await handle.result()).toBe('seen');
  });

  test('runs with another input, also where its arguments could not be made', async () => {
    const handle = await worker.start(`do: [${post('a', '/input')}]`, { wrong: 1 });
    const [letter] = await lettersOf(handle);
    expect(letter).toMatchObject({ failedIn: 'input', error: { code: 'BLW_EXPR_FAILED' }, input: { wrong: 1 } });
    expect(letter?.with).toBeUndefined();
    expect(await refusal(handle, { action: 'retry' })).toContain('BLW_RESOLUTION_INVALID');
    expect(await refusal(handle, { action: 'retry', with: { body: 1 } })).toContain('send an input');
    await resolve(handle, { action: 'retry', input: { n: 3 } });
    expect(await handle.result()).toMatchObject({ n: 41 });
    expect(at('/input').map(({ body }) => body)).toEqual(['{"n":3}']);
  });

  test('is not run again where only its output could not be transformed', async () => {
    const handle = await worker.start(`do: [${post('a', '/output', ", output: { as: '${ data.none }' }")}]`, { n: 1 });
    const [letter] = await lettersOf(handle);
    expect(letter).toMatchObject({ failedIn: 'output' });
    expect(await refusal(handle, { action: 'retry' })).toContain('the step is done');
    await resolve(handle, { action: 'skip', output: 5 });
    expect(await handle.result()).toBe(5);
    expect(at('/output')).toHaveLength(1);
  });

  test('is skipped with its input, or an output that is read by name', async () => {
    broken.add('/skip');
    const tasks = `do: [${post('a', '/skip')}, {end: {set: {data: '\${ data }', a: '\${ steps.a.output }'}}}]`;
    const handle = await worker.start(tasks, { n: 1 });
    await lettersOf(handle);
    await resolve(handle, { action: 'skip' });
    expect(await handle.result()).toEqual({ data: { n: 1 }, a: { n: 1 } });
    const other = await worker.start(tasks, { n: 1 });
    await lettersOf(other);
    await resolve(other, { action: 'skip', output: { said: 'by hand' } });
    expect(await other.result()).toEqual({ data: { said: 'by hand' }, a: { said: 'by hand' } });
    const { steps } = await other.query<{ steps: JsonObject[] }>('progress');
    expect(steps[0]).toMatchObject({ status: 'skipped', error: { code: 'BLW_HTTP_STATUS' } });
  });

  describe('that is skipped', () => {
    const FAIL = "{no: {raise: {error: {type: 'https://x.test/no', status: 400, title: no}}}}";
    const undo = (path: string) =>
      `, compensate: [{refund: {call: http, with: {method: post, endpoint: '${origin}${path}', body: '\${ data }'}}}]`;
    const compensated = (path: string, more = '') =>
      `do: [${post('charge', path, more).replace('onFailure: deadLetter', `onFailure: deadLetter${undo(`${path}-undo`)}`)}, ${FAIL}]`;

    test('with an output is done, and undone with that output where the flow fails later', async () => {
      broken.add('/charge');
      const handle = await worker.start(compensated('/charge'), { n: 1 });
      await lettersOf(handle);
      await resolve(handle, { action: 'skip', output: { charge: 7 } });
      expect(await errorOf(handle)).toMatchObject({ compensation: { completed: 1, failed: [] } });
      expect(at('/charge-undo').map(({ body }) => JSON.parse(body) as Json)).toEqual([{ charge: 7 }]);
    });

    test('without an output was not done, and is not undone', async () => {
      broken.add('/uncharged');
      const handle = await worker.start(compensated('/uncharged'), { n: 1 });
      await lettersOf(handle);
      await resolve(handle, { action: 'skip' });
      expect(await errorOf(handle)).toMatchObject({ title: 'no' });
      expect(at('/uncharged-undo')).toEqual([]);
    });

    test('after it was done is undone once, with the output that was said', async () => {
      const handle = await worker.start(compensated('/done', ", output: { as: '${ data.none }' }"), { n: 1 });
      await lettersOf(handle);
      await resolve(handle, { action: 'skip', output: 'mended' });
      expect(await errorOf(handle)).toMatchObject({ compensation: { completed: 1 } });
      expect(at('/done-undo').map(({ body }) => body)).toEqual(['mended']);
    });

    test('exports what was said, and waits again where that cannot be exported', async () => {
      broken.add('/export');
      const handle = await worker.start(
        `do: [${post('a', '/export', ', export: { as: \'${ {"id": data.id} }\' }')}, {end: {set: '\${ context }'}}]`,
        { n: 1 },
      );
      await lettersOf(handle);
      await resolve(handle, { action: 'skip', output: { wrong: 1 } });
      const [letter] = await eventually(async () => {
        const letters = await lettersOf(handle);
        return letters[0]?.failedIn === 'output' ? letters : undefined;
      });
      expect(letter).toMatchObject({ error: { code: 'BLW_EXPR_FAILED' } });
      expect(await refusal(handle, { action: 'retry' })).toContain('the step is done');
      await resolve(handle, { action: 'skip', output: { id: 9 } });
      expect(await handle.result()).toEqual({ id: 9 });
      expect(at('/export')).toHaveLength(1);
    });

    test.each<[string, Json[], Json]>([
      ['with an output wins a race', ['by hand'], 'by hand'],
      ['without an output does not', [], 'late'],
    ])('%s', async (_, output, expected) => {
      const path = `/race${output.length}`;
      broken.add(path);
      const late = '{late: {do: [{w: {wait: PT2S}}, {s: {set: {x: late}, output: {as: data.x}}}]}}';
      const handle = await worker.start(`do: [{f: {fork: {compete: true, branches: [${post('a', path)}, ${late}]}}}]`, {
        n: 1,
      });
      await lettersOf(handle);
      const [said] = output;
      await resolve(handle, { action: 'skip', ...(said === undefined ? {} : { output: said }) });
      expect(await handle.result()).toBe(expected);
    });
  });

  test('is discarded: it fails, and the flow deals with it', async () => {
    broken.add('/discard');
    const flow = await worker.start(`do: [${post('a', '/discard')}]`, { n: 1 });
    await lettersOf(flow);
    await resolve(flow, { action: 'discard', comment: 'given up' });
    expect(await errorOf(flow)).toMatchObject({ code: 'BLW_HTTP_STATUS', instance: '/do/0/a' });
    const caught = await worker.start(
      `do: [{t: {try: [${post('a', '/discard')}], catch: {do: [{s: {set: {code: '\${ error.code }'}}}]}}}]`,
      { n: 1 },
    );
    await lettersOf(caught);
    await resolve(caught, { action: 'discard' });
    expect(await caught.result()).toEqual({ code: 'BLW_HTTP_STATUS' });
  });

  test('is left behind with onFailure: continue, and its error can be read', async () => {
    broken.add('/continue');
    const handle = await worker.start(
      `do: [{a: {call: http, metadata: {onFailure: continue}, with: {endpoint: '${origin}/continue', method: get}}}, {end: {set: {data: '\${ data }', code: '\${ steps.a.error.code }'}}}]`,
      { n: 1 },
    );
    expect(await handle.result()).toEqual({ data: { n: 1 }, code: 'BLW_HTTP_STATUS' });
    const { steps } = await handle.query<{ steps: JsonObject[] }>('progress');
    expect(steps[0]).toMatchObject({ status: 'failed', error: { code: 'BLW_HTTP_STATUS' } });
  });

  test("takes the document's default, but not where a try handles it", async () => {
    broken.add('/default');
    const call = `{call: http, with: {method: get, endpoint: '${origin}/default'}}`;
    const tasks = `do: [{t: {try: [{a: ${call}}], catch: {do: [{b: {set: {caught: true}}}]}}}, {c: ${call}}]`;
    const handle = await worker.start({
      document: {
        dsl: '1.0.3',
        namespace: 'test',
        name: 'default',
        version: '1.0.0',
        metadata: { onFailure: 'deadLetter' },
      },
      evaluate: { language: 'cel' },
      ...(JSON.parse(JSON.stringify(parse(tasks))) as JsonObject),
    });
    const [letter] = await lettersOf(handle);
    expect(letter).toMatchObject({ id: '/do/1/c', input: { caught: true } });
    await resolve(handle, { action: 'skip', output: 'ok' });
    expect(await handle.result()).toBe('ok');
  });

  test('asks people again', async () => {
    const handle = await worker.start(
      'do: [{ask: {call: human.approval, metadata: {onFailure: deadLetter}, with: {title: x, timeout: PT0.1S}, output: {as: data.decision}}}]',
    );
    const [letter] = await lettersOf(handle);
    expect(letter).toMatchObject({ block: 'human.approval', error: { code: 'BLW_APPROVAL_TIMEOUT' } });
    await resolve(handle, { action: 'retry', with: { timeout: 'PT60S' } });
    const approval = worker.client.workflow.getHandle(`${handle.workflowId}/ask`);
    await eventually(async () => {
      await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'bob' }] });
      return true;
    });
    expect(await handle.result()).toBe('approved');
  });
});

describe('several dead letters', () => {
  test('of branches and iterations are resolved one by one, by id', async () => {
    for (const n of [0, 1, 2]) broken.add(`/each${n}`);
    const handle = await worker.start(
      `do: [{each: {for: {in: '[0, 1, 2]'}, metadata: {concurrency: 3}, do: [{p: {call: http, metadata: {onFailure: deadLetter}, with: {method: get, endpoint: '\${ "${origin}/each" + string(item) }'}, output: {as: data.path}}}]}}]`,
    );
    const letters = await lettersOf(handle, 3);
    expect(letters.map(({ id }) => id).sort()).toEqual([0, 1, 2].map((index) => `/do/0/each/do/0/p[${index}]`));
    expect(await refusal(handle, { action: 'skip' })).toMatch(/BLW_DEAD_LETTER_UNKNOWN.*no id, expected one of/);
    expect(await refusal(handle, { id: '/do/9', action: 'skip' })).toContain('BLW_DEAD_LETTER_UNKNOWN');
    expect(await resolve(handle, { id: '/do/0/each/do/0/p[1]', action: 'skip', output: 'skipped' })).toMatchObject({
      left: 2,
    });
    expect(await statusOf(handle)).toBe('DeadLettered');
    expect(await refusal(handle, { id: '/do/0/each/do/0/p[1]', action: 'skip' })).toContain('BLW_DEAD_LETTER_UNKNOWN');
    for (const n of [0, 2]) {
      broken.delete(`/each${n}`);
      await resolve(handle, { id: `/do/0/each/do/0/p[${n}]`, action: 'retry' });
    }
    expect(await handle.result()).toEqual(['/each0', 'skipped', '/each2']);
  });

  test('go along when the flow continues as new beside them', async () => {
    broken.add('/long');
    const handle = await worker.start(
      `do: [{f: {fork: {branches: [${post('a', '/long', ', output: { as: data.path }')}, {loop: {input: {from: '[]'}, for: {in: 'range(30)'.size() > 0 ? [1] : [2]}, do: [{s: {set: x}}]}}]}}}]`
        .replace(
          "'range(30)'.size() > 0 ? [1] : [2]",
          `[${Array.from({ length: 30 }, (_, index) => index).join(', ')}]`,
        )
        .replace(
          '{s: {set: x}}',
          '{s: {call: fs.stat, with: {path: x, ifMissing: ignore}, metadata: {dispatch: queue}}}',
        ),
      { n: 5 },
    );
    const { runId } = await handle.describe();
    await eventually(async () => ((await handle.describe()).runId === runId ? undefined : true));
    const [letter] = await lettersOf(handle);
    expect(letter).toMatchObject({ id: '/do/0/f/fork/branches/0/a', input: { n: 5 }, retries: 0 });
    expect(await statusOf(handle)).toBe('DeadLettered');
    await progressWhen(
      handle,
      ({ steps }) => steps.some(({ id, status }) => id === '/do/0/f/fork/branches/1/loop' && status === 'completed'),
      30_000,
    );
    broken.delete('/long');
    await resolve(handle, { action: 'retry' });
    expect(await handle.result()).toMatchObject(['/long', expect.anything()]);
    expect(new Set(at('/long').map(({ key }) => key)).size).toBe(1);
    const step = '/do/0/f/fork/branches/0/a';
    const before = worker.client.workflow.getHandle(handle.workflowId, runId);
    const executions = [...(await executionsOf(before, step)), ...(await executionsOf(handle, step))];
    expect(executions).toEqual([executions[0], executions[0]]);
    expect(at('/long')).toHaveLength(2);
  }, 60_000);

  test('in a batch of a large loop wait in the workflow of the batch', async () => {
    broken.add('/batch');
    const handle = await worker.start(
      `do: [{each: {for: {in: '[0, 1, 2, 3]'}, metadata: {concurrency: 2, batchSize: 2}, do: [{p: {if: item == 2, call: http, metadata: {onFailure: deadLetter}, with: {method: get, endpoint: '${origin}/batch'}, output: {as: data.path}}}]}}]`,
    );
    const batch = await eventually(async () => {
      for await (const { workflowId, searchAttributes } of worker.client.workflow.list({
        query: `BeamlineStatus = 'DeadLettered' AND WorkflowType = 'runWindow'`,
      }))
        if (workflowId.startsWith(handle.workflowId) && searchAttributes !== undefined) return workflowId;
      return undefined;
    });
    broken.delete('/batch');
    await resolve(worker.client.workflow.getHandle(batch), { action: 'retry' });
    expect(await handle.result()).toEqual([null, null, '/batch', null]);
  });
});

describe('what a resolution may not do', () => {
  test.each<[string, Json, string]>([
    ['is no object', 'retry', 'expected an object'],
    ['has no action', {}, 'action: got null'],
    ['has an unknown action', { action: 'again' }, 'expected retry, skip, discard'],
    ['has an unknown key', { action: 'retry', args: {} }, 'unknown key "args"'],
    ['has an output for a retry', { action: 'retry', output: 1 }, 'output: belongs to the action skip'],
    ['has arguments for a skip', { action: 'skip', with: {} }, 'with: belongs to the action retry'],
    ['has arguments and an input', { action: 'retry', with: {}, input: 1 }, 'expected one of them'],
    ['has arguments that are no object', { action: 'retry', with: [] }, 'merge patch'],
    ['has an id that is no text', { action: 'retry', id: 7 }, 'id: expected text'],
    ['has a name that is too long', { action: 'skip', by: 'x'.repeat(201) }, 'by: got 201 characters'],
    ['is nested too deep', { action: 'skip', output: deep(600) }, 'nested deeper than 500 levels'],
    ['has a token that nobody checks', { action: 'skip', token: 'a.b.c.d.e' }, 'nobody checks it'],
  ])('one that %s is refused, and nothing changes', async (_, resolution, expected) => {
    const handle = await shared();
    expect(await refusal(handle, resolution)).toMatch(/^BLW_RESOLUTION_INVALID/);
    expect(await refusal(handle, resolution)).toContain(expected);
    expect(await lettersOf(handle)).toHaveLength(1);
  });

  let one: Promise<WorkflowHandle> | undefined;
  function shared(): Promise<WorkflowHandle> {
    broken.add('/refused');
    one ??= worker.start(`do: [${post('a', '/refused')}]`, { n: 1 });
    return one;
  }
  afterAll(async () => {
    await (await one)?.cancel();
  });

  test('a flow without dead letters says so', async () => {
    const handle = await worker.start('do: [{w: {wait: PT30S}}]');
    expect(await refusal(handle, { action: 'retry' })).toContain('no step of this flow is a dead letter');
    await handle.cancel();
  });

  test('a resolution that comes before the flow is known has an answer, also where the flow cannot run', async () => {
    const id = `early-${Date.now()}`;
    const start = worker.client.workflow.executeUpdateWithStart<() => Promise<Json>, ResolveAnswer, [Json]>('resolve', {
      args: [{ action: 'retry' }],
      startWorkflowOperation: new WithStartWorkflowOperation('runFlow', {
        workflowId: id,
        taskQueue: `${worker.queuePrefix}-io`,
        args: [{ flow: 'no/such:1.0.0' }],
        workflowIdConflictPolicy: 'FAIL',
      }),
    });
    await expect(start).rejects.toMatchObject({ cause: { type: 'BLW_DEAD_LETTER_UNKNOWN' } });
    expect(await errorOf(worker.client.workflow.getHandle(id))).toMatchObject({ code: 'BLW_FLOW_UNKNOWN' });
  });

  test('change a statement, but only its parameters', async () => {
    const sql = (text: string) => `call: sql.execute, with: {database: test, ${text}}`;
    await worker.run(`do: [{c: {${sql("statement: 'CREATE TABLE t (id INTEGER PRIMARY KEY)'")}}}]`);
    const insert = `do: [{a: {metadata: {onFailure: deadLetter}, ${sql("statement: 'INSERT INTO t VALUES (:id)', parameters: {id: '${ data }'}")}, output: {as: data.rowsAffected}}}]`;
    expect(await worker.run(insert, 1)).toBe(1);
    const handle = await worker.start(insert, 1);
    await lettersOf(handle);
    for (const patch of [{ statement: 'DROP TABLE t' }, { database: 'other' }, { statement: null }])
      expect(await refusal(handle, { action: 'retry', with: patch })).toContain('only the parameters');
    await resolve(handle, { action: 'retry', with: { parameters: { id: 2 } } });
    expect(await handle.result()).toBe(1);
  });

  test('send a secret elsewhere; it is in nothing that is shown', async () => {
    broken.add('/secret');
    const call = `call: http, metadata: {onFailure: deadLetter}, with: {method: post, endpoint: '${origin}/secret', headers: {authorization: '\${ "Bearer " + secrets.token }'}, body: {a: 1}}`;
    const handle = await worker.start(`use: {secrets: [token]}\ndo: [{a: {${call}, output: {as: data.path}}}]`);
    const [letter] = await lettersOf(handle);
    expect(letter?.with).toMatchObject({ headers: { authorization: 'Bearer ***' } });
    expect(await refusal(handle, { action: 'retry', with: { endpoint: { uri: `${origin}/other` } } })).toContain(
      'endpoint may not be changed',
    );
    const copied = { headers: { authorization: 'Bearer ***', more: '1' } };
    expect(await refusal(handle, { action: 'retry', with: copied })).toContain('"***" stands for a secret');
    const placeholder = /blw-secret-[0-9a-f-]{36}-0-/.exec(await historyText(handle))?.[0] ?? 'none';
    expect(placeholder).not.toBe('none');
    expect(await refusal(handle, { action: 'retry', with: { body: placeholder } })).toContain('stands for a secret');
    expect(await refusal(handle, { action: 'retry', with: { redirect: true } })).toContain(
      'redirect may not be changed',
    );
    broken.delete('/secret');
    await resolve(handle, { action: 'retry', with: { body: { a: 2 } } });
    expect(await handle.result()).toBe('/secret');
    expect(at('/secret').map(({ authorization }) => authorization)).toEqual(
      Array.from({ length: 2 }, () => `Bearer ${SECRET}`),
    );
    expect(await historyText(handle)).not.toContain(SECRET);
  });
});

test('a flow is cancelled, or its time runs out, while it has a dead letter', async () => {
  broken.add('/gone');
  const handle = await worker.start(`do: [${post('a', '/gone')}]`, { n: 1 });
  await lettersOf(handle);
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(await statusOf(handle)).toBe('Cancelled');
  const late = await worker.start(`timeout: {after: PT0.5S}\ndo: [${post('a', '/gone')}]`, { n: 1 });
  expect(await errorOf(late)).toMatchObject({ code: 'BLW_STEP_TIMEOUT' });
});
