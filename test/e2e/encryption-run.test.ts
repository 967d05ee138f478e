import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../helpers/cli';
import { Gate } from '../helpers/gate';
import { LoopbackServers } from '../helpers/loopback';
import { testTemporal } from '../helpers/temporal';
import { startTestWorker, type TestWorker } from '../helpers/test-worker';

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
