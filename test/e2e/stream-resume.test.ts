import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { connectClient } from '../../src/worker/temporal-connection';
import { type LoopbackServer, LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { eventually, flowOf } from '../helpers/test-worker';
import { WorkerProcesses } from '../helpers/worker-process';

const SIZE = 3_000_000;
const FIRST = 1_000_000;
const CONTENT = randomBytes(SIZE);
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');

const processes = new WorkerProcesses();
const servers = new LoopbackServers();
let folder: string;
let prefix: string;
let client: Client;
let disconnect: () => Promise<void>;
/** Sends the first part, and no more; whoever asks for the rest gets it. */
let server: LoopbackServer;

beforeAll(async () => {
  ({ client, close: disconnect } = await connectClient(testTemporal()));
});
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  prefix = `resume-${randomUUID()}`;
  server = await servers.http((request, response) => {
    const [, first] = /^bytes=(\d+)-$/.exec(request.headers.range ?? '') ?? [];
    const start = Number(first ?? 0);
    const headers = { etag: '"v1"', 'content-length': SIZE - start };
    if (first === undefined) response.writeHead(200, headers).write(CONTENT.subarray(0, FIRST));
    else {
      const range = { 'content-range': `bytes ${start}-${SIZE - 1}/${SIZE}` };
      response.writeHead(206, { ...headers, ...range }).end(CONTENT.subarray(start));
    }
  });
});
afterEach(async () => {
  await processes.killAll();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});
afterAll(() => disconnect());

const startWorker = (pools = 'io'): Promise<ChildProcess> => {
  const flags = ['--pools', pools, '--queue-prefix', prefix, '--blob-root', join(folder, 'blobs')];
  return processes.start([...flags, '--allow-host', '127.0.0.1', '--shutdown-grace', '0']);
};

const start = (metadata: string): Promise<WorkflowHandle> => {
  const step = `{call: http.stream, metadata: {heartbeat: PT2S, retry: {initialInterval: PT0.1S}${metadata}}, with: {endpoint: "${server.origin}/big", to: big, sha256: ${SHA256}}}`;
  const options = { taskQueue: `${prefix}-io`, workflowId: `resume-${randomUUID()}` };
  return client.workflow.start('runFlow', { ...options, args: [{ flow: flowOf(`do: [{get: ${step}}]`) }] });
};

/** All that the server sends for now is on the disk. */
const isStored = () =>
  eventually(async () => {
    const temporary = join(folder, 'blobs', 'default=t', 'temporary');
    if (!existsSync(temporary)) return undefined;
    return readdirSync(temporary).some((name) => lstatSync(join(temporary, name)).size === FIRST) || undefined;
  });

/** Temporal knows of it. */
const isReported = (handle: WorkflowHandle) =>
  eventually(async () => {
    const [activity] = (await handle.describe()).raw.pendingActivities ?? [];
    const details = activity?.heartbeatDetails?.payloads?.map(({ data }) => Buffer.from(data ?? []).toString()) ?? [];
    return details.some((text) => text.includes(`"bytes":${FIRST}`)) || undefined;
  });

test.each([
  ['killed', 'SIGKILL', 'cpu', ', resources: cpu'],
  // What has come since the last report is reported, too.
  ['asked to end', 'SIGTERM', 'io', ''],
  ['asked to end, and runs the block in a process of its own', 'SIGTERM', 'cpu', ', resources: cpu'],
] as const)(
  'a stream whose worker is %s goes on on the next one where it was',
  async (_, signal, pools, metadata) => {
    // Runs the flow, and is left alone.
    if (pools !== 'io') await startWorker();
    const worker = await startWorker(pools);
    const handle = await start(metadata);
    await isStored();
    if (signal === 'SIGKILL') await isReported(handle);
    worker.kill(signal);
    await once(worker, 'exit');
    await startWorker(pools);
    expect(await handle.result()).toMatchObject({ size: SIZE, sha256: SHA256, statusCode: 200 });
    expect(server.requests.map(({ headers }) => headers.range)).toEqual([undefined, `bytes=${FIRST}-`]);
    expect(readdirSync(join(folder, 'blobs', 'default=t', 'temporary'))).toEqual([]);
  },
  60_000,
);
