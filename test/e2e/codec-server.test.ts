import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { readKeyRing } from '../../src/worker/encryption-keys';
import { connectClient } from '../../src/worker/temporal-connection';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { type RunningCli, runCli, startCli } from '../helpers/cli';
import { familyOf, rawText, readable } from '../helpers/raw-history';
import { testTemporal } from '../helpers/temporal';
import { eventually, flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

const MARK = 'PLAIN-4d1b';
const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const keyFile = join(folder, 'keys.yaml');
let worker: TestWorker;
let server: RunningCli;
let endpoint: string;
let temporalCli: string;

beforeAll(async () => {
  const { stdout } = await runCli(['codec', 'keygen']);
  expect(stdout).toMatch(/^[A-Za-z0-9+/]{43}=\n$/);
  writeFileSync(join(folder, 'acme.key'), stdout);
  writeFileSync(keyFile, 'acme:\n  - { id: a1, key: file:./acme.key }\n');
  worker = await startTestWorker({ 'encryption-keys': keyFile });
  temporalCli = await findTemporal({ log: () => undefined, canInstall: false });
  const blobRoot = join(worker.folder, 'blobs');
  server = startCli(['codec-server', '--port', '0', '--encryption-keys', keyFile, '--blob-root', blobRoot]);
  await server.waitFor(/codec server at (\S+)/, { stream: 'stderr' });
  endpoint = /codec server at (\S+)/.exec(server.stderr())?.[1] ?? '';
});
afterAll(async () => {
  server.child.kill('SIGTERM');
  expect(await server.exited).toMatchObject({ code: 0 });
  expect(server.stdout()).toContain('"route":"decode"');
  expect(server.stdout()).not.toContain(MARK);
  await worker.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function temporal(...args: string[]): Promise<string> {
  const { address, namespace } = testTemporal();
  const where = ['--address', address, '--namespace', namespace, '--output', 'json'];
  const { stdout } = await promisify(execFile)(temporalCli, [...args, ...where], { maxBuffer: 1 << 26 });
  return stdout;
}

/** A beamline command against the test's server, with the keys. */
function beamline(...args: string[]) {
  const { address } = testTemporal();
  return runCli([...args, '--address', address, '--encryption-keys', keyFile], { cwd: folder });
}

const data = () => ['--blob-root', join(worker.folder, 'blobs')];
const queue = () => ['--queue-prefix', worker.queuePrefix];

function write(name: string, text: string): string {
  const file = join(folder, `${name}.yaml`);
  writeFileSync(
    file,
    JSON.stringify({ ...flowOf(text), document: { dsl: '1.0.3', namespace: 'enc', name, version: '1.0.0' } }),
  );
  return file;
}

const ECHO = "do: [{ s: { set: { got: '${ data }' } } }]";

test('Temporal’s tool starts flows that are encrypted, and shows them', async () => {
  const workflowId = `flow-${randomUUID()}`;
  const start = [
    'workflow',
    'start',
    '--type',
    'runFlow',
    '--workflow-id',
    workflowId,
    '--task-queue',
    `${worker.queuePrefix}-io`,
  ];
  const input = JSON.stringify({ flow: flowOf(ECHO), input: { say: MARK }, tenant: 'acme' });
  await temporal(...start, '--input', input, '--codec-endpoint', `${endpoint}/acme`);
  const inClear = async (...args: string[]) =>
    readable(JSON.parse(await temporal(...args, '--workflow-id', workflowId, '--codec-endpoint', endpoint)));
  // Waits for the end.
  const result = await temporal(
    'workflow',
    'result',
    '--workflow-id',
    workflowId,
    '--codec-endpoint',
    `${endpoint}/acme`,
  );
  expect(JSON.parse(result)).toMatchObject({ result: { got: { say: MARK } } });
  expect(await inClear('workflow', 'show')).toContain(`"say":"${MARK}"`);
  expect(await inClear('workflow', 'describe')).toContain(MARK);
  expect(await inClear('workflow', 'query', '--name', 'progress')).toContain('"status":"Completed"');
  // Without the server all that is not readable.
  for (const args of [['show'], ['describe'], ['query', '--name', 'progress']]) {
    const text = readable(JSON.parse(await temporal('workflow', ...args, '--workflow-id', workflowId)));
    expect(text).not.toContain(MARK);
    expect(text).not.toContain('"status":"Completed"');
  }
  expect(await rawText(worker.client, workflowId)).not.toContain(MARK);
});

test('Temporal’s tool sees errors and large payloads in clear text', async () => {
  const { client, close } = await connectClient({
    ...testTemporal(),
    keys: readKeyRing(keyFile, {}),
    tenant: 'acme',
    blobRoot: join(worker.folder, 'blobs'),
  });
  const handle = await client.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `flow-${randomUUID()}`,
    args: [
      {
        flow: flowOf(`do: [{ s: { raise: { error: { type: t, status: 400, detail: 'what ${MARK} is' } } } }]`),
        input: { large: `${MARK}${'x'.repeat(300_000)}` },
        tenant: 'acme',
      },
    ],
  });
  await handle.result().catch(() => undefined);
  await close();
  const show = ['workflow', 'show', '--workflow-id', handle.workflowId];
  const clear = readable(JSON.parse(await temporal(...show, '--codec-endpoint', endpoint)));
  expect(clear).toContain(`what ${MARK} is`);
  expect(clear).toContain(`${MARK}xxx`);
  const sealed = readable(JSON.parse(await temporal(...show)));
  expect(sealed).not.toContain(MARK);
  expect(sealed).toContain('Encoded failure');
});

test('Temporal’s tool signals and updates, encrypted', async () => {
  const file = write('hear', 'do: [{hear: {listen: {to: {all: [{with: {type: one}}, {with: {type: two}}]}}}}]');
  const started = await beamline('run', file, '--tenant', 'acme', '--detach', '--json', ...queue(), ...data());
  const { workflowId } = JSON.parse(started.stdout) as { workflowId: string };
  const event = (type: string) => JSON.stringify({ specversion: '1.0', id: type, source: '/s', type, data: MARK });
  const to = ['--workflow-id', workflowId, '--name', 'event', '--codec-endpoint', `${endpoint}/acme`];
  await temporal('workflow', 'signal', ...to, '--input', event('one'));
  const answer = await temporal('workflow', 'update', 'execute', ...to, '--input', event('two'));
  expect(answer).toContain('"id": "two"');
  expect(await temporal('workflow', 'result', '--workflow-id', workflowId, '--codec-endpoint', endpoint)).toContain(
    MARK,
  );
  expect(await rawText(worker.client, workflowId)).not.toContain(MARK);
});

test('our commands start, follow, decide, draw and emit, encrypted', async () => {
  const file = write(
    'ask',
    `do:
  - ask: { call: human.approval, with: { title: 'Right?', description: '\${ workflow.input.say }' } }
  - hear: { listen: { to: { one: { with: { type: answer } } } } }
  - end: { set: { said: '\${ workflow.input.say }', heard: '\${ data }' } }`,
  );
  const input = JSON.stringify({ say: MARK });
  const workflowId = `ask-${randomUUID()}`;
  const running = startCli(
    [
      'run',
      file,
      '--input',
      input,
      '--tenant',
      'acme',
      '--id',
      workflowId,
      '--encryption-keys',
      keyFile,
      '--address',
      testTemporal().address,
      ...queue(),
      ...data(),
    ],
    { cwd: folder },
  );
  await running.waitFor(/approvals approve .* --encryption-keys \S*keys.yaml/, { stream: 'stderr' });
  const listed = await beamline('approvals', 'list', '--tenant', 'acme', '--json', ...data());
  expect(listed.stdout).toContain(MARK);
  expect((await beamline('approvals', 'show', workflowId, ...data())).stdout).toContain(MARK);
  const approved = await beamline('approvals', 'approve', workflowId, '--by', 'ann', '--comment', MARK, ...data());
  expect(approved).toMatchObject({ code: 0 });
  await progressWhen(worker.client.workflow.getHandle(workflowId), ({ steps }) =>
    steps.some(({ status }) => status === 'listening'),
  );
  expect((await beamline('graph', '--run', workflowId, ...data())).stdout).toContain('flowchart');
  const emitted = await beamline(
    'emit',
    '--type',
    'answer',
    '--source',
    '/s',
    '--data',
    JSON.stringify(MARK),
    '--tenant',
    'acme',
    ...queue(),
  );
  expect(emitted).toMatchObject({ code: 0, stdout: expect.stringContaining('1 receiver') });
  const { code, stdout } = await running.exited;
  expect(code).toBe(0);
  expect(JSON.parse(stdout)).toEqual({ said: MARK, heard: [MARK] });
  for (const id of [...(await familyOf(worker.client, workflowId)), `${worker.queuePrefix}-events:acme`]) {
    const text = await rawText(worker.client, id);
    expect(text).toContain('binary/encrypted');
    expect(text).not.toContain(MARK);
  }
  // An event to the one flow, of whichever tenant it is.
  const hear = await beamline(
    'run',
    write('one', 'do: [{hear: {listen: {to: {one: {with: {type: x}}}}}}]'),
    '--tenant',
    'acme',
    '--detach',
    '--json',
    ...queue(),
    ...data(),
  );
  const one = (JSON.parse(hear.stdout) as { workflowId: string }).workflowId;
  await progressWhen(worker.client.workflow.getHandle(one), ({ steps }) => steps.length > 0);
  expect(
    await beamline('emit', '--type', 'x', '--source', '/s', '--data', JSON.stringify(MARK), '--flow', one),
  ).toMatchObject({ code: 0 });
  await eventually(async () =>
    (await worker.client.workflow.getHandle(one).describe()).status.name === 'COMPLETED' ? true : undefined,
  );
  expect(await rawText(worker.client, one)).not.toContain(MARK);
});

test('a command without the keys says what it needs, and exits as the flow ended', async () => {
  const file = write('end', ECHO);
  const args = ['--tenant', 'acme', '--address', testTemporal().address, ...queue(), ...data()];
  const { code, stderr } = await runCli(['run', file, ...args], { cwd: folder });
  expect(code).toBe(0);
  expect(stderr).toContain('is encrypted with the key "a1", which is not here; give it with --encryption-keys FILE');
});

test('what is deployed is encrypted, and so are its runs', async () => {
  for (const [name, schedule] of [
    ['nightly', "schedule: { cron: '0 3 1 1 *' }"],
    ['again', 'schedule: { after: { hours: 1 } }'],
  ] as const) {
    const file = write(name, `${schedule}\n${ECHO}`);
    const input = JSON.stringify({ say: MARK });
    const deployed = await beamline('deploy', file, '--tenant', 'acme', '--input', input, ...queue());
    expect(deployed).toMatchObject({ code: 0, stdout: expect.stringMatching(/^created/) });
    const again = await beamline('deploy', file, '--tenant', 'acme', '--input', input, ...queue());
    expect(again.stdout).toMatch(/^unchanged/);
  }
  const schedule = worker.client.schedule.getHandle('beamline:acme:enc/nightly');
  await schedule.trigger();
  const { stdout } = await beamline('deploy', 'list', '--tenant', 'acme', '--json');
  expect(JSON.parse(stdout)).toMatchObject({
    deployments: [{ flow: 'enc/again:1.0.0' }, { flow: 'enc/nightly:1.0.0' }],
  });
  expect(await temporal('schedule', 'describe', '--schedule-id', 'beamline:acme:enc/nightly')).not.toContain(MARK);
  const runs = await eventually(async () => {
    const found: string[] = [];
    for await (const { workflowId } of worker.client.workflow.list({ query: "WorkflowId STARTS_WITH 'acme/enc/'" }))
      found.push(workflowId);
    return found.length >= 2 ? found : undefined;
  });
  for (const id of [...runs, 'beamline:acme:enc/again']) {
    if (id.startsWith('acme/'))
      expect(await worker.client.workflow.getHandle(id).result()).toEqual({ got: { say: MARK } });
    const text = await rawText(worker.client, id);
    expect(text).toContain('binary/encrypted');
    expect(text).not.toContain(MARK);
  }
  for (const name of ['nightly', 'again'])
    await beamline('deploy', `enc/${name}`, '--delete', '--tenant', 'acme', ...queue());
});

test.each([
  ['no keys', ['--port', '0'], '--encryption-keys is missing'],
  [
    'an address that others reach, without a token',
    ['--host', '0.0.0.0', '--encryption-keys', 'keys.yaml'],
    'others than this machine could read everything',
  ],
  [
    'an origin with a path',
    ['--ui-origin', 'https://x.test/ui', '--encryption-keys', 'keys.yaml'],
    'Expected scheme, host and port',
  ],
])('the server refuses %s', async (_, args, message) => {
  const { code, stderr } = await runCli(['codec-server', ...args], { cwd: folder });
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});
