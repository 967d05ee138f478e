import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectClient } from '../../src/worker/temporal-connection';
import { type RunningCli, runCli, startCli } from '../helpers/cli';
import { AUDIENCE, ISSUER, makeIdentity, type TestIdentity } from '../helpers/identity';
import { LoopbackServers } from '../helpers/loopback';

const START_MS = 60_000;

/** What the example needs. */
const SCOPES = ['flow:start', 'block:fs.*', 'resources:io', 'blob:read:*', 'blob:write:*'];

describe('what beamline dev says to do next', () => {
  const servers = new LoopbackServers();
  let cwd: string;
  let port: number;
  let cli: RunningCli | undefined;
  let identity: TestIdentity;

  beforeAll(async () => {
    identity = await makeIdentity();
  });
  afterAll(() => identity.close());
  beforeEach(async () => {
    cwd = mkdtempSync(join(tmpdir(), 'beamline-guide-'));
    port = await servers.closedPort();
  });
  afterEach(async () => {
    cli?.kill();
    await cli?.exited;
    await servers.close();
    rmSync(cwd, { recursive: true, force: true });
  });

  const write = (name: string, value: unknown) =>
    writeFileSync(join(cwd, name), typeof value === 'string' ? value : `${JSON.stringify(value)}\n`);

  /** What `dev` prints, once it is ready. */
  const dev = async (...args: string[]): Promise<string> => {
    cli = startCli(
      ['dev', '--port', `${port}`, '--ui-port', `${await servers.closedPort()}`, '--pools', 'io', ...args],
      {
        cwd,
      },
    );
    await cli.waitFor(/^ready$/m, { timeoutMs: START_MS });
    return cli.stdout();
  };

  /** Pastes the commands into a shell that stops at the first that fails. */
  const paste = (text: string) => {
    const commands = text.split('\n').flatMap((line) => /^ {2}(\S.*)$/.exec(line)?.[1] ?? []);
    const { status, stdout, stderr } = spawnSync('bash', ['-c', ['set -eo pipefail', ...commands].join('\n')], {
      cwd,
      encoding: 'utf8',
      env: { PATH: process.env.PATH, HOME: cwd },
    });
    return { status, stdout, stderr, commands };
  };

  const startedByTemporal = async (): Promise<unknown> => {
    const { client, close } = await connectClient({ address: `127.0.0.1:${port}` });
    try {
      return await client.workflow.getHandle('hello-1').result();
    } finally {
      await close();
    }
  };

  it('names databases with their tenants, and runs without a policy', async () => {
    const text = await dev(
      '--database',
      'acme/shop=sqlite:./shop.db',
      '--database',
      'all=postgres://u:pw@db.example/x',
      '--prometheus-endpoint',
      '0',
      '--pools',
      'io,sandbox',
    );
    expect(text).toMatch(/^Metrics +http:\/\/127\.0\.0\.1:\d+\/metrics; health at \/readyz and \/status$/m);
    expect(text).toMatch(/^Databases +acme\/shop \(SQLite, shop\.db\), all \(PostgreSQL\)$/m);
    expect(text).not.toContain('pw');
    const { status, stdout, stderr } = paste(text);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: expect.stringContaining('"Hello Ada!"') });
    // It is tried first.
    expect(stdout).toMatch(/^dry run of examples\/hello:1\.0\.0/);
    expect(await startedByTemporal()).toEqual({ message: 'Hello' });
  }, 120_000);

  it('names a tenant of the policy that may run the example', async () => {
    write('policy.json', { version: 1, tenants: { none: { scopes: [] }, acme: { scopes: SCOPES } } });
    const text = await dev('--policy', 'policy.json', '--blob-root', 'my blobs', '--queue-prefix', 'mine');
    const { status, stdout, stderr, commands } = paste(text);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: expect.stringContaining('"Hello Ada!"') });
    expect(commands[1]).toMatch(/ --tenant acme --queue-prefix mine --blob-root 'my blobs'$/);
    expect(await startedByTemporal()).toEqual({ message: 'Hello' });
  }, 120_000);

  it('has a smaller flow where nobody may run the example, and says where nobody may start any', async () => {
    write('policy.json', { version: 1, tenants: { acme: { scopes: ['flow:start'] } } });
    const { status, stdout, stderr } = paste(await dev('--policy', 'policy.json'));
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: expect.stringContaining('"Hello"') });
    expect(await startedByTemporal()).toEqual({ message: 'Hello' });
    cli?.child.kill('SIGINT');
    await cli?.exited;
    write('policy.json', { version: 1, tenants: { acme: { scopes: ['block:*'] } } });
    const text = await dev('--policy', 'policy.json');
    expect(text).toMatch(/^No tenant of the policy may start flows: .* policy show policy\.json\)\.$/m);
    expect(paste(text)).toMatchObject({ status: 0 });
  }, 180_000);

  it('has the token, the sealing key and the encryption keys in the commands', async () => {
    const jwks = identity.jwksFile;
    write('policy.json', {
      version: 1,
      identity: { jwks, issuer: ISSUER, audience: AUDIENCE },
      tenants: { acme: { scopes: SCOPES } },
    });
    write('acme.key', (await runCli(['codec', 'keygen'])).stdout);
    write('keys.yaml', { acme: [{ id: 'k1', key: 'file:./acme.key' }] });
    const auth = ['--auth', 'jwt', '--policy', 'policy.json', '--auth-key', identity.authKeyFile];
    const text = await dev(...auth, '--encryption-keys', 'keys.yaml');
    expect(text).toContain(
      `Put a token of ${ISSUER} for the audience ${AUDIENCE} and the tenant acme into token.jwt. Then, in another terminal:`,
    );
    write('token.jwt', await identity.token());
    const { status, stdout, stderr } = paste(text);
    expect({ status, stdout, stderr }).toMatchObject({ status: 0, stdout: expect.stringContaining('"Hello Ada!"') });
  }, 120_000);
});
