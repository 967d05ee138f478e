import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type RunningCli, runCli, startCli } from '../helpers/cli';
import { LoopbackServers } from '../helpers/loopback';
import { childrenOf } from '../helpers/process-tree';

const FLOW = {
  document: { dsl: '1.0.3', namespace: 'test', name: 'dev', version: '1.0.0' },
  evaluate: { language: 'cel' },
  do: [
    { create: { call: 'sql.execute', with: { database: 'dev', statement: 'CREATE TABLE t (n INTEGER)' } } },
    { get: { call: 'http', with: { method: 'get', endpoint: '${ workflow.input.url }' } } },
  ],
};

/** A server that starts while others run takes a while. */
const START_MS = 60_000;

describe('beamline dev', () => {
  const servers = new LoopbackServers();
  let cwd: string;
  let port: number;
  let uiPort: number;
  const started: RunningCli[] = [];

  beforeEach(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-dev-'));
    port = await servers.closedPort();
    uiPort = await servers.closedPort();
  });
  afterEach(async () => {
    for (const cli of started.splice(0)) cli.kill();
    await servers.close();
    rmSync(cwd, { recursive: true, force: true });
  });

  const dev = (...args: string[]): RunningCli => {
    const cli = startCli(['dev', '--port', `${port}`, '--ui-port', `${uiPort}`, ...args], { cwd });
    started.push(cli);
    return cli;
  };

  it('refuses a database that another server is using', async () => {
    await dev().waitFor(/^ready$/m, { timeoutMs: START_MS });
    port = await servers.closedPort();
    uiPort = await servers.closedPort();
    const { code, stderr } = await runCli(['dev', '--port', `${port}`, '--ui-port', `${uiPort}`], { cwd });
    expect(code).toBe(2);
    expect(stderr).toMatch(/temporal\.db is in use by another Temporal server \(process \d+\); .* \[BLW_CONFIG\]/);
  });

  it('starts a server and a worker, says where they are, runs flows, and stops at Ctrl-C', async () => {
    const { origin } = await servers.http((_, response) => response.end('"pong"'));
    const cli = dev();
    await cli.waitFor(/^ready$/m, { timeoutMs: START_MS });
    const address = `127.0.0.1:${port}`;
    expect(cli.stdout()).toMatch(new RegExp(`^Temporal +${address}, namespace default$`, 'm'));
    expect(cli.stdout()).toMatch(new RegExp(`^UI +http://127.0.0.1:${uiPort}$`, 'm'));
    expect(cli.stdout()).toMatch(
      /^Task queues +beamline-io \(16\), beamline-cpu \(8\), beamline-gpu \(2\), beamline-sandbox \(8\)$/m,
    );
    expect(cli.stdout()).toMatch(/^Databases +dev \(SQLite, \.beamline\/dev\.db\)$/m);
    expect(cli.stdout()).toMatch(new RegExp(`  export TEMPORAL_ADDRESS=${address}\\n  node \\S*beamline\\.js run `));
    expect(cli.stdout()).toMatch(
      / workflow start --type runFlow --task-queue beamline-io --workflow-id hello-1 --input '\{"flow":/,
    );
    expect(cli.stdout()).toMatch(/\nready\n$/);

    const { code, stdout, stderr } = await runCli(['run', '-', '--input', JSON.stringify({ url: origin })], {
      cwd,
      stdin: JSON.stringify(FLOW),
      env: { TEMPORAL_ADDRESS: address },
    });
    expect({ code, stdout, stderr }).toMatchObject({ code: 0 });

    cli.child.kill('SIGINT');
    expect(await cli.exited).toMatchObject({ code: 0, stderr: 'stopping; Ctrl-C once more ends at once\n' });
    expect(readdirSync(join(cwd, '.beamline'))).toEqual(expect.arrayContaining(['blobs', 'dev.db', 'temporal.db']));
  }, 120_000);

  it('goes on without the Temporal settings of the user', async () => {
    const cli = startCli(['dev', '--port', `${port}`, '--ui-port', `${uiPort}`, '--pools', 'io'], {
      cwd,
      env: { TEMPORAL_ADDRESS: 'elsewhere:7233', TEMPORAL_NAMESPACE: 'theirs', TEMPORAL_API_KEY: 'secret' },
    });
    started.push(cli);
    await cli.waitFor(/^ready$/m, { timeoutMs: START_MS });
    expect(cli.stdout()).toContain(`export TEMPORAL_ADDRESS=127.0.0.1:${port}`);
    cli.child.kill('SIGTERM');
    expect((await cli.exited).code).toBe(0);
  }, 90_000);

  it.each([
    ['--port', () => port],
    ['--ui-port', () => uiPort],
  ])('says which flag to change where the port of %s is in use', async (flag, portOf) => {
    const { port: taken } = await servers.tcp(() => undefined);
    if (flag === '--port') port = taken;
    else uiPort = taken;
    const { code, stdout, stderr } = await dev().exited;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: port ${portOf()} on 127.0.0.1 is in use (${flag})`);
    expect(stderr).toContain('[BLW_CONFIG]');
    expect(existsSync(join(cwd, '.beamline'))).toBe(false);
  });

  it('checks the settings before it starts anything', async () => {
    const { code, stderr } = await dev('--io-pool-size', '0').exited;
    expect({ code, stderr }).toMatchObject({ code: 2, stderr: expect.stringContaining('--io-pool-size: got "0"') });
    expect(existsSync(join(cwd, '.beamline'))).toBe(false);
  });

  it('ends with 1 and says why where the server ends', async () => {
    const cli = dev('--pools', 'io');
    await cli.waitFor(/^ready$/m, { timeoutMs: START_MS });
    process.kill(serverOf(cli), 'SIGKILL');
    const { code, stderr } = await cli.exited;
    expect(code).toBe(1);
    expect(stderr).toMatch(/^error: the Temporal server ended \(signal SIGKILL\); its log is .*temporal\.log \[BLW_/m);
  }, 90_000);

  /** The server is a child of the watchdog, which is a child of the command. */
  function serverOf({ child }: RunningCli): number {
    const [server] = childrenOf(child.pid ?? -1).flatMap(childrenOf);
    if (server === undefined) throw new Error('the command has no server');
    return server;
  }
});

describe('beamline demo', () => {
  it('runs the example end to end, approves it, and leaves nothing behind', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'beamline-demo-test-'));
    try {
      const { code, stdout, stderr } = await runCli(['demo'], { env: { TMPDIR: folder } });
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
      expect(stdout).toMatch(/^✓ \/do\/0\/getOrder +http\.request +io +1 attempt/m);
      expect(stdout).toMatch(/^\? .*human\.approval +awaits approval /m);
      expect(stdout).toMatch(/^ +demo-approver reads "Order 4711 .*" and approves it$/m);
      expect(stdout).toMatch(/^Result\n\{\n {2}"orderId": "4711",\n {2}"confirmation": "C-4711-1",/m);
      expect(stdout).toMatch(
        /Temporal's UI was http:\/\/127\.0\.0\.1:\d+ and is gone with the demo; `npx beamline dev`/,
      );
      expect(stdout).not.toContain(folder);
      expect(readdirSync(folder)).toEqual([]);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  }, 120_000);

  it('stays up with --keep until Ctrl-C', async () => {
    const cli = startCli(['demo', '--keep']);
    try {
      await cli.waitFor(/Everything stays up until Ctrl-C\./, { timeoutMs: START_MS });
      const [, ui = ''] = /^Temporal's UI: (http\S+)$/m.exec(cli.stdout()) ?? [];
      expect((await fetch(ui)).status).toBe(200);
      const [, command = '', id = ''] =
        /^ {2}(\S+ workflow start --type runFlow --task-queue beamline-io --workflow-id (\S+) --address \S+ --input-file \S+)$/m.exec(
          cli.stdout(),
        ) ?? [];
      expect(execFileSync('sh', ['-c', command], { encoding: 'utf8' })).toContain(id);
      cli.child.kill('SIGINT');
      expect((await cli.exited).code).toBe(0);
      await expect(fetch(ui)).rejects.toThrow();
    } finally {
      cli.kill();
    }
  }, 120_000);
});
