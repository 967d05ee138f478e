import { createHash } from 'node:crypto';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils';
import { Worker } from '@temporalio/worker';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { replayDataConverter } from '../../src/worker/data-converter';
import { WORKFLOW_BUNDLE } from '../../src/worker/package-files';
import { connectClient } from '../../src/worker/temporal-connection';
import { runCli } from '../helpers/cli';
import { testTemporal } from '../helpers/temporal';
import { errorOf, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

const MIB = 1_048_576;

jest.setTimeout(60_000);

let worker: TestWorker;
beforeAll(async () => {
  worker = await startTestWorker({ 'cpu-pool-size': '1' });
});
afterAll(() => worker.stop());

const objects = () => join(worker.folder, 'blobs', 'payloads', 'objects');

/** Files of the payload store's contents, with their sizes. */
function contents(): { file: string; size: number }[] {
  return readdirSync(objects(), { recursive: true, encoding: 'utf8' })
    .map((name) => join(objects(), name))
    .filter((file) => statSync(file).isFile())
    .map((file) => ({ file, size: statSync(file).size }));
}

async function historySizeOf(handle: WorkflowHandle): Promise<number> {
  return Number((await handle.describe()).raw.workflowExecutionInfo?.historySizeBytes);
}

async function failedTasks(handle: WorkflowHandle): Promise<number> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).filter(({ workflowTaskFailedEventAttributes: failed }) => failed != null).length;
}

/** JSON of about so many bytes. */
function records(bytes: number): JsonObject[] {
  return Array.from({ length: Math.ceil(bytes / 60) }, (_, id) => ({ id, name: `customer ${id}`, tags: ['a', 'ü'] }));
}

/** A loopback server that answers with a text of so many bytes. */
async function textServer(bytes: number): Promise<{ url: string; sha256: string; close(): void }> {
  const text = Buffer.alloc(bytes, 'Beamline carries large values. ');
  const server = createServer((_, response) => response.setHeader('content-type', 'text/plain').end(text));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/`,
    sha256: createHash('sha256').update(text).digest('hex'),
    close: () => server.close(),
  };
}

test('takes 5 MB of JSON as input, passes it through steps and gives it back, with a small history', async () => {
  const input = { customers: records(5 * MIB) };
  const handle = await worker.start(
    `
do:
  - keep: { call: fs.put, with: { path: customers.json, content: "\${ data.customers }" } }
  - read: { call: fs.get, with: { path: customers.json, as: json }, output: { as: data.content } }
output: { as: '{"customers": data}' }
`,
    input,
  );
  expect(await handle.result()).toEqual(input);
  expect(await historySizeOf(handle)).toBeLessThan(20_000);
  expect(await failedTasks(handle)).toBe(0);
});

test('the command line sends 5 MB and prints them, where it has the blob root; else it says what to do', async () => {
  const [flow, input] = [join(worker.folder, 'echo.json'), join(worker.folder, 'input.json')];
  writeFileSync(flow, JSON.stringify(flowOf('do: [{a: {set: {all: "${ data }"}}}]')));
  writeFileSync(input, JSON.stringify(records(5 * MIB)));
  const { address, namespace } = testTemporal();
  const target = ['--queue-prefix', worker.queuePrefix, '--address', address, '--namespace', namespace, '--json'];
  const run = (...more: string[]) => runCli(['run', flow, '--input', `@${input}`, ...target, ...more]);

  const done = await run('--blob-root', join(worker.folder, 'blobs'));
  expect(done).toMatchObject({ code: 0 });
  expect(JSON.parse(done.stdout)).toMatchObject({ status: 'Completed', output: { all: records(5 * MIB) } });

  const lost = await run('--blob-root', join(worker.folder, 'nowhere'));
  expect(JSON.parse(lost.stdout)).toMatchObject({ status: 'NotStarted', error: { code: 'BLW_PAYLOAD_STORE' } });
  expect(lost.stderr).toContain(join(worker.folder, 'nowhere', 'payloads'));
  expect(lost.stderr).toContain('--blob-root');
});

test('takes 100 MB from an HTTP answer to a blob and back', async () => {
  const server = await textServer(100 * MIB - 1_000);
  const flow = flowOf(`
do:
  - fetch: { call: http, with: { method: get, endpoint: "${server.url}" }, metadata: { timeout: PT2M } }
  - keep: { call: fs.put, with: { path: big.txt, content: "\${ data }" }, metadata: { timeout: PT2M } }
  - read: { call: fs.get, with: { path: big.txt }, output: { as: data.content }, metadata: { timeout: PT2M } }
  - stat: { call: fs.stat, with: { path: big.txt }, output: { as: data.sha256 } }
`);
  const handle = await worker.client.workflow.start(RUN_FLOW, {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `large-${worker.queuePrefix}`,
    args: [{ flow }],
    workflowTaskTimeout: '60 s',
  });
  expect(await handle.result()).toBe(server.sha256);
  expect(await historySizeOf(handle)).toBeLessThan(20_000);
  server.close();
});

test('passes large values to processes of their own and back', async () => {
  const text = 'ü'.repeat(2 * MIB);
  const onCpu = 'metadata: { resources: cpu }';
  expect(
    await worker.run(
      `
do:
  - keep: { call: fs.put, with: { path: cpu.txt, content: "\${ data.text }" }, ${onCpu} }
  - read: { call: fs.get, with: { path: cpu.txt }, output: { as: data.content }, ${onCpu} }
`,
      { text },
    ),
  ).toBe(text);
});

test('writes equal payloads once', async () => {
  const input = { same: 'once '.repeat(200_000) };
  const sized = () => contents().filter(({ size }) => size > 1_000_000 && size < 1_001_000);
  const flow = 'do: [{a: {set: "${ data.same }"}}]';
  await worker.run(flow, input);
  const before = sized().length;
  const [first] = sized();
  expect(before).toBeGreaterThan(0);
  const inode = statSync(first?.file ?? '').ino;
  await worker.run(flow, input);
  expect(sized()).toHaveLength(before);
  expect(statSync(first?.file ?? '').ino).toBe(inode);
});

test('keeps payloads of up to 256 KiB in the history', async () => {
  const before = contents().length;
  const handle = await worker.start('do: [{a: {set: "${ data }"}}]', 'x'.repeat(200_000));
  await handle.result();
  expect(contents()).toHaveLength(before);
});

test('plans of thousands of tasks work', async () => {
  const tasks = Array.from(
    { length: 4_000 },
    (_, n) => `{t${n}: {set: {n: ${n}, note: "\${ string(data.?n.orValue(0)) }"}}}`,
  );
  expect(await worker.run(`do: [${tasks.join(', ')}]`)).toEqual({ n: 3_999, note: '3998' });
});

describe('a claim that cannot be redeemed', () => {
  const text = (mark: string) => mark.repeat(300_000 / mark.length);
  /** Waits for an approval while it holds the input, so that there is time to lose things. */
  const WAITING = 'do: [{ask: {call: human.approval, with: {title: Go on?}}}, {give: {set: "${ workflow.input }"}}]';

  /** Sends a start whose only argument is the payload. */
  async function startRaw(id: string, payload: { metadata: Record<string, Uint8Array>; data: Uint8Array }) {
    const { client } = worker;
    await client.workflowService.startWorkflowExecution({
      namespace: testTemporal().namespace,
      workflowId: id,
      requestId: id,
      workflowType: { name: 'runFlow' },
      taskQueue: { name: `${worker.queuePrefix}-io` },
      input: { payloads: [payload] },
    });
    return client.workflow.getHandle(id);
  }

  /** The claim that the start of a flow has in its history. */
  async function claimOf(handle: WorkflowHandle) {
    const { events } = await handle.fetchHistory();
    const payload = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0];
    if (payload?.data == null || payload.metadata == null) throw new Error('no payload');
    return { data: payload.data, metadata: payload.metadata };
  }

  function lose({ data }: { data: Uint8Array }): void {
    const { sha256 } = JSON.parse(Buffer.from(data).toString()) as { sha256: string };
    rmSync(join(objects(), sha256.slice(0, 2), sha256));
  }

  test('was copied from another flow: the flow fails, and the worker goes on', async () => {
    const owner = await worker.start(WAITING, text('secret '));
    const copied = await startRaw(`${owner.workflowId}-thief`, await claimOf(owner));
    expect(await errorOf(copied)).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
    expect(await failedTasks(copied)).toBe(0);
    await owner.terminate();
    expect(await worker.run('do: [{a: {set: {n: 1}}}]')).toEqual({ n: 1 });
  });

  test.each([
    ['is not JSON', 'no JSON'],
    ['has no signature', JSON.stringify({ sha256: 'a'.repeat(64), size: 300_000, encoding: 'json/plain' })],
  ])('%s', async (what, data) => {
    const handle = await startRaw(`made-up-${what}-${worker.queuePrefix}`, {
      metadata: { encoding: Buffer.from('beamline/claim-check') },
      data: Buffer.from(data),
    });
    expect(await errorOf(handle)).toMatchObject({ code: 'BLW_PAYLOAD_DENIED' });
    expect(await failedTasks(handle)).toBe(0);
  });

  test('is missing: the flow fails with the code, not its workflow task for ever, and replays like that', async () => {
    const handle = await worker.start(WAITING, text('gone '));
    await handle.terminate();
    const claim = await claimOf(handle);
    lose(claim);
    const again = await startRaw(handle.workflowId, claim);
    expect(await errorOf(again)).toMatchObject({ code: 'BLW_PAYLOAD_MISSING' });
    expect(await failedTasks(again)).toBe(0);
    await expect(replay(again)).resolves.toBeUndefined();
  });

  test('is missing when a flow is replayed that had read it: the replay fails and says why', async () => {
    const handle = await worker.start('do: [{a: {set: "${ 1 }"}}]', text('read before '));
    await handle.result();
    await expect(replay(handle)).resolves.toBeUndefined();
    lose(await claimOf(handle));
    await expect(replay(handle)).rejects.toThrow(/BLW_PAYLOAD_MISSING/);
  });

  test('is missing for a client: the error names the store', async () => {
    const handle = await worker.start('do: [{a: {set: "${ data }"}}]', text('result '));
    await handle.result();
    const elsewhere = await connectClient({ ...testTemporal(), blobRoot: join(worker.folder, 'elsewhere') });
    const error = await elsewhere.client.workflow
      .getHandle(handle.workflowId)
      .result()
      .catch((thrown: unknown) => thrown);
    await elsewhere.close();
    expect(error).toMatchObject({ data: { code: 'BLW_PAYLOAD_STORE' } });
    expect(String(error)).toContain(join(worker.folder, 'elsewhere', 'payloads'));
  });

  async function replay(handle: WorkflowHandle): Promise<void> {
    const history = historyFromJSON(JSON.parse(historyToJSON(await handle.fetchHistory())));
    const dataConverter = replayDataConverter({ blobRoot: join(worker.folder, 'blobs') });
    await Worker.runReplayHistory(
      { workflowBundle: { codePath: WORKFLOW_BUNDLE }, dataConverter },
      history,
      handle.workflowId,
    );
  }
});
