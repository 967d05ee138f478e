import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { JsonObject } from '../../src/dsl/json';
import { runCli, startCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
const servers = new LoopbackServers();
let worker: TestWorker;

beforeAll(async () => {
  const { stdout } = await runCli(['codec', 'keygen']);
  writeFileSync(join(folder, 'acme.key'), stdout, { mode: 0o600 });
  writeFileSync(join(folder, 'keys.yaml'), 'acme: [{ id: k1, key: file:./acme.key }]\n');
  worker = await startTestWorker({ 'encryption-keys': join(folder, 'keys.yaml') });
});
afterAll(async () => {
  await worker.stop();
  await servers.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Runs a flow of the tenant acme without its key. */
function run(id: string, tasks: string, ...args: string[]) {
  const file = join(folder, `${id}.yaml`);
  writeFileSync(file, `document: { dsl: '1.0.3', namespace: enc, name: ${id}, version: '1.0.0' }\ndo: [${tasks}]\n`);
  const { address, namespace } = testTemporal();
  const where = ['--address', address, '--namespace', namespace, '--queue-prefix', worker.queuePrefix];
  return runCli(['run', file, '--tenant', 'acme', '--id', `${worker.queuePrefix}-${id}`, ...where, ...args], {
    cwd: folder,
  });
}

test('without the key, run says that the flow runs and that it has completed, and exits with 0', async () => {
  const gate = await new Gate().open(servers);
  const flow = `{ one: { call: http, with: { method: get, endpoint: '${gate.url}' } } }`;
  const running = run('held', flow);
  await gate.holds(1);
  gate.let();
  const { code, stdout, stderr } = await running;
  expect({ code, stdout }).toEqual({ code: 0, stdout: '' });
  expect(stderr).toMatch(
    /warning: the flow has completed, but its output cannot be read here: a payload of the tenant "acme" .* "k1", .* \[BLW_PAYLOAD_KEY\]$/m,
  );
  expect(stderr).toMatch(/^ {2}with the key: +.* codec-server --encryption-keys FILE$/m);
  expect(stderr).toMatch(
    /^ {2}and then: +temporal workflow result -w \S+-held --address \S+ --namespace \S+ --codec-endpoint http:/m,
  );
  expect(stderr).not.toMatch(/Flows wait and go on/);
});

test('says so as soon as it sees that it cannot read the steps', async () => {
  const { code, stderr } = await run('slow', '{ one: { wait: PT2S } }');
  expect(code).toBe(0);
  expect(stderr.match(/^the flow runs, but its steps cannot be shown here.*$/gm)).toEqual([
    expect.stringMatching(/, and its input was sent as it is, without encryption: a payload of the tenant "acme" /),
  ]);
  expect(stderr).toMatch(
    /^ {2}with the key: +.* graph --run \S+-slow --address \S+ --namespace \S+ --encryption-keys FILE$/m,
  );
});

test('exits with 1 where the flow has failed, and knows no more', async () => {
  const raise = "{ bad: { raise: { error: { type: 'https://x.test/e', status: 409, detail: WHY } } } }";
  const { code, stdout, stderr } = await run('failing', raise, '--json');
  expect({ code, json: JSON.parse(stdout) }).toMatchObject({
    code: 1,
    json: { status: 'Failed', error: { code: 'BLW_PAYLOAD_KEY' } },
  });
  expect(stderr).toMatch(/error: the flow has failed, but why cannot be read here: /);
  expect(stderr).not.toContain('WHY');
});

test('with the key there is nothing of all that', async () => {
  const keys = ['--encryption-keys', 'keys.yaml'];
  const { code, stdout, stderr } = await run('readable', '{ one: { set: { a: 1 } } }', ...keys);
  expect({ code, stdout: JSON.parse(stdout) }).toEqual({ code: 0, stdout: { a: 1 } });
  expect(stderr).not.toMatch(/warning|cannot/);
});

test('with keys of others only, run says that what it sends is not encrypted', async () => {
  writeFileSync(join(folder, 'globex.yaml'), 'globex: [{ id: k1, key: file:./acme.key }]\n', { mode: 0o600 });
  const keys = ['--encryption-keys', 'globex.yaml', '--detach'];
  const { code, stderr } = await run('readable-input', '{ one: { set: { a: 1 } } }', ...keys);
  expect(code).toBe(0);
  expect(stderr).toMatch(
    /^warning: the file of --encryption-keys has no key for the tenant "acme": what is sent is not encrypted$/m,
  );
});

test.each([
  ['emit', ['emit', '--type', 't', '--source', '/s']],
  ['deploy', ['deploy', 'scheduled.yaml']],
])('so does %s', async (_, args) => {
  writeFileSync(join(folder, 'globex.yaml'), 'globex: [{ id: k1, key: file:./acme.key }]\n', { mode: 0o600 });
  writeFileSync(
    join(folder, 'scheduled.yaml'),
    "document: { dsl: '1.0.3', namespace: enc, name: scheduled, version: '1.0.0' }\nschedule: { every: { days: 300 } }\ndo: [{ a: { set: { b: 1 } } }]\n",
  );
  const { address, namespace } = testTemporal();
  const where = ['--address', address, '--namespace', namespace, '--queue-prefix', worker.queuePrefix];
  const given = ['--tenant', 'initech', '--encryption-keys', 'globex.yaml'];
  const { code, stderr } = await runInProcess([...args, ...given, ...where], { cwd: folder });
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr:
      'warning: the file of --encryption-keys has no key for the tenant "initech": what is sent is not encrypted\n',
  });
  if (args[0] === 'deploy') await runInProcess([...args, '--delete', ...given, ...where], { cwd: folder });
});

test('run says that the workers fail for want of a key, where they do', async () => {
  const without = await startTestWorker();
  const file = join(folder, 'stuck.yaml');
  writeFileSync(
    file,
    "document: { dsl: '1.0.3', namespace: enc, name: stuck, version: '1.0.0' }\ndo: [{ a: { set: { b: 1 } } }]\n",
  );
  const { address, namespace } = testTemporal();
  const where = ['--address', address, '--namespace', namespace, '--queue-prefix', without.queuePrefix];
  const who = ['--tenant', 'acme', '--encryption-keys', 'keys.yaml', '--id', without.queuePrefix];
  const cli = startCli(['run', file, ...who, ...where], { cwd: folder });
  try {
    const fails =
      /^the workers of \S+-io cannot go on with the flow: its workflow task fails \(attempt \d+\), and Temporal tries it again; a payload of the tenant "acme" is encrypted with the key "k1", which is not here; .*$/m;
    await cli.waitFor(fails, { stream: 'stderr', timeoutMs: 40_000 });
    expect(cli.stderr()).not.toMatch(/do not answer|no worker polls/);
  } finally {
    cli.kill();
    await without.client.workflow.getHandle(without.queuePrefix).terminate();
    await without.stop();
  }
}, 60_000);

describe('lists, without the key', () => {
  const where = () => ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
  const command = (...args: string[]) => runInProcess([...args, '--tenant', tenant, ...where()], { cwd: folder });
  /** One of its own, so that lists have only what the tests made. */
  const tenant = `t${randomUUID().slice(0, 8)}`;
  const document = (name: string, rest: string) =>
    writeFileSync(
      join(folder, `${name}.yaml`),
      `document: { dsl: '1.0.3', namespace: enc, name: ${name}, version: '1.0.0' }\n${rest}\n`,
    );
  let host: TestWorker;
  let own: string[];
  beforeAll(async () => {
    writeFileSync(join(folder, 'own.yaml'), `${tenant}: [{ id: k1, key: file:./acme.key }]\n`, { mode: 0o600 });
    host = await startTestWorker({ 'encryption-keys': join(folder, 'own.yaml') });
    own = ['--encryption-keys', 'own.yaml', '--queue-prefix', host.queuePrefix];
  });
  afterAll(() => host.stop());

  test('deploy list shows what Temporal knows of schedules and chains, and why not the rest', async () => {
    document('timed', 'schedule: { every: { days: 300 } }\ndo: [{ a: { set: { b: 1 } } }]');
    document('chained', 'schedule: { after: { days: 300 } }\ndo: [{ a: { set: { b: 1 } } }]');
    document('readable', 'schedule: { every: { days: 200 } }\ndo: [{ a: { set: { b: 1 } } }]');
    try {
      expect(await command('deploy', 'timed.yaml', 'chained.yaml', ...own)).toMatchObject({ code: 0 });
      expect(await command('deploy', 'readable.yaml', '--queue-prefix', host.queuePrefix)).toMatchObject({ code: 0 });
      const { stdout } = await eventually(async () => {
        const listed = await command('deploy', 'list');
        if (listed.code !== 0) throw new Error(listed.stderr);
        const hasMemo = /BLW_PAYLOAD_KEY/.test(listed.stderr);
        return hasMemo && listed.stdout.includes('chained') ? listed : undefined;
      });
      expect(stdout).toMatch(/:enc\/timed +enc\/timed:1\.0\.0 +every \S.* +\d{4}-\S+Z +active$/m);
      expect(stdout).toMatch(/:enc\/readable +enc\/readable:1\.0\.0 +every \S.* +\d{4}-\S+Z +active$/m);
      const { deployments } = await eventually(async () => {
        const json = JSON.parse((await command('deploy', 'list', '--json')).stdout) as { deployments: JsonObject[] };
        return json.deployments.filter(({ error }) => error !== undefined).length === 2 ? json : undefined;
      });
      expect(deployments).toMatchObject([
        { kind: 'repeat', tenant, flow: 'enc/chained', when: '?', error: { code: 'BLW_PAYLOAD_KEY' } },
        { kind: 'schedule', flow: 'enc/readable:1.0.0', isPaused: false },
        { kind: 'schedule', tenant, flow: 'enc/timed:1.0.0', isPaused: false, error: { code: 'BLW_PAYLOAD_KEY' } },
      ]);
      const readable = await command('deploy', 'list', '--encryption-keys', 'own.yaml');
      expect(readable).toMatchObject({ code: 0, stderr: '' });
      expect(readable.stdout).not.toContain('?');
    } finally {
      await command('deploy', 'timed.yaml', 'chained.yaml', 'readable.yaml', '--delete', ...own);
    }
  });

  test('dlq list shows whose they are, and why not the rest', async () => {
    document('parked', 'do: [{ a: { call: fs.get, metadata: { onFailure: deadLetter }, with: { path: none } } }]');
    const id = `${host.queuePrefix}-parked`;
    expect(await command('run', 'parked.yaml', '--id', id, '--detach', ...own)).toMatchObject({ code: 0 });
    try {
      const { stdout, stderr } = await eventually(async () => {
        const listed = await command('dlq', 'list');
        return listed.stdout.includes('enc/parked') && listed.stderr !== '' ? listed : undefined;
      });
      expect(stdout).toContain('(cannot be read: BLW_PAYLOAD_KEY)');
      expect(stderr).toMatch(/^warning: not everything can be read here: .* \[BLW_PAYLOAD_KEY\]$/m);
      const json = JSON.parse((await command('dlq', 'list', '--json')).stdout) as JsonObject;
      expect(json).toMatchObject({ deadLetters: [{ workflowId: id, tenant, error: { code: 'BLW_PAYLOAD_KEY' } }] });
      expect((await command('dlq', 'list', '--encryption-keys', 'own.yaml')).stdout).toContain('BLW_FS_NOT_FOUND');
    } finally {
      const discard = ['dlq', 'discard', id, '--by', 'ann', '--encryption-keys', 'own.yaml', ...where()];
      expect(await runInProcess(discard, { cwd: folder })).toMatchObject({ code: 0 });
    }
  });

  test('approvals list shows whose they are, and why not the rest', async () => {
    document('asking', 'do: [{ ask: { call: human.approval, with: { title: Right? } } }]');
    const started = await command('run', 'asking.yaml', '--id', `${host.queuePrefix}-ask`, '--detach', ...own);
    expect(started).toMatchObject({ code: 0 });
    try {
      const { stdout, stderr } = await eventually(async () => {
        const listed = await command('approvals', 'list');
        return listed.stdout.includes('enc/asking') && listed.stderr !== '' ? listed : undefined;
      });
      expect(stdout).toMatch(
        new RegExp(`-ask/ask +\\(cannot be read: BLW_PAYLOAD_KEY\\) +enc/asking:1\\.0\\.0 +${tenant} +`, 'm'),
      );
      expect(stderr).toMatch(
        /^warning: not everything can be read here: a payload of the tenant .* \[BLW_PAYLOAD_KEY\]$/m,
      );
      expect(JSON.parse((await command('approvals', 'list', '--json')).stdout)).toMatchObject({
        approvals: [
          { flow: 'enc/asking:1.0.0', tenant, requestedAt: expect.any(String), error: { code: 'BLW_PAYLOAD_KEY' } },
        ],
      });
      expect((await command('approvals', 'list', '--encryption-keys', 'own.yaml')).stdout).toContain('Right?');
    } finally {
      await host.client.workflow.getHandle(`${host.queuePrefix}-ask`).terminate();
    }
  });
});
