import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { NativeConnection } from '@temporalio/worker';
import type { AuthConfig } from '../../../src/worker/config';
import { generateAuthKey } from '../../../src/worker/identity/auth-key';
import { prepareGate } from '../../../src/worker/identity/create-gate';
import { isLoopbackAddress } from '../../../src/worker/identity/loopback-address';
import { createOpenGate } from '../../../src/worker/identity/open-gate';
import { identityPolicy, policySource, tenantPolicy } from '../../helpers/identity';
import { startTestWorker } from '../../helpers/test-worker';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-gate-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const LOOPBACK = '127.0.0.1:7233';
/** Nothing is asked of it. */
const NO_CONNECTION = {} as NativeConnection;
const NONE: AuthConfig = { mode: 'none', trustsNetwork: false };

async function prepare(auth: AuthConfig, { address = LOOPBACK, policy = policySource(undefined, []) } = {}) {
  const lines: string[] = [];
  const logger = { log: (level: string, message: string) => void lines.push(`${level}: ${message}`) };
  return { make: await prepareGate(auth, { address, policy, logger }), lines };
}

test.each([
  '127.0.0.1:7233',
  '127.8.8.8:1',
  'localhost:7233',
  'LOCALHOST:7233',
  '[::1]:7233',
  '[::ffff:127.0.0.1]:7233',
])('%s is this machine', (address) => expect(isLoopbackAddress(address)).toBe(true));

test.each([
  '10.0.0.5:7233',
  '0.0.0.0:7233',
  'temporal:7233',
  '[::]:7233',
  '[::ffff:10.0.0.5]:7233',
  'localhost.example.com:7233',
  '127.0.0.1.nip.io:7233',
  '2130706433:7233',
])('%s is not, as far as anybody can tell', (address) => expect(isLoopbackAddress(address)).toBe(false));

describe('without authentication', () => {
  test('says so loudly on this machine', async () => {
    const { make, lines } = await prepare(NONE);
    expect(lines).toEqual([]);
    make(NO_CONNECTION, 'default');
    expect(lines).toEqual([
      expect.stringMatching(/^warn: no authentication .* as any tenant, and approve in any name$/),
    ]);
  });

  test('does not start beyond this machine, and says what to do', async () => {
    await expect(prepare(NONE, { address: 'temporal.internal:7233' })).rejects.toMatchObject({
      data: {
        code: 'BLW_CONFIG',
        detail: expect.stringMatching(
          /temporal\.internal:7233.*--auth jwt --policy FILE --auth-key FILE.*--trust-network yes/,
        ),
      },
    });
    const { make, lines } = await prepare({ ...NONE, trustsNetwork: true }, { address: 'temporal.internal:7233' });
    make(NO_CONNECTION, 'default');
    expect(lines).toHaveLength(1);
  });

  test('a worker does not even connect then', async () => {
    const target = { address: '192.0.2.1:7233', namespace: 'default' };
    await expect(startTestWorker({}, target)).rejects.toMatchObject({ data: { code: 'BLW_CONFIG' } });
  });

  const at = { workflowId: 'x', runId: 'r', firstRunId: 'r', startedAt: 0 };
  const start = { flow: 'a/b:1.0.0', input: null, tenant: 'acme' };

  test('takes the tenant that is sent, and what a policy says of it still counts', async () => {
    const policy = policySource(undefined, [tenantPolicy('acme', ['flow:start']), tenantPolicy('weak', ['block:*'])]);
    const gate = createOpenGate(policy);
    expect(await gate.admitStart(start, { tenant: 'acme' }, at)).toMatchObject({ tenant: 'acme' });
    const denied = (tenant: string | undefined) => gate.admitStart(start, { tenant }, at);
    await expect(denied('weak')).rejects.toMatchObject({ data: { code: 'BLW_SCOPE_DENIED' } });
    await expect(denied('globex')).rejects.toMatchObject({ data: { code: 'BLW_TENANT_DENIED' } });
    await expect(denied(undefined)).rejects.toMatchObject({ data: { code: 'BLW_TENANT_DENIED' } });
  });

  test('everything is allowed where there is no policy', async () => {
    const gate = createOpenGate({ current: () => undefined, close: async () => undefined });
    expect(await gate.admitStart(start, { tenant: undefined }, at)).toEqual({ tenant: 'default' });
  });
});

describe('with tokens', () => {
  const keyFile = () => join(folder, 'auth-key.json');
  const jwksFile = () => join(folder, 'jwks.json');
  const policyWith = (file: string) => policySource(identityPolicy({ file }), []);
  const policy = policyWith('nowhere.json');
  beforeEach(() => writeFileSync(jwksFile(), JSON.stringify({ keys: [{ kty: 'EC' }] })));
  const jwt = (): AuthConfig => ({ mode: 'jwt', keyFile: keyFile() });

  test('needs a policy that says whose', async () => {
    const refused = { data: { code: 'BLW_CONFIG', detail: expect.stringContaining('needs --policy FILE') } };
    await expect(prepare(jwt())).rejects.toMatchObject(refused);
  });

  test('needs the key', async () => {
    await expect(prepare(jwt(), { policy })).rejects.toMatchObject({
      data: { code: 'BLW_CONFIG', detail: expect.stringContaining('ENOENT') },
    });
  });

  test('may be anywhere, and warns of a key that everybody can read', async () => {
    writeFileSync(keyFile(), JSON.stringify((await generateAuthKey()).privateSet), { mode: 0o600 });
    const policy = policyWith(jwksFile());
    expect(await prepare(jwt(), { policy, address: 'temporal.internal:7233' })).toMatchObject({ lines: [] });
    chmodSync(keyFile(), 0o644);
    expect((await prepare(jwt(), { policy })).lines).toEqual([expect.stringContaining('--auth-key')]);
  });

  test.each([
    ['that is not there', undefined, 'there is no such file'],
    ['that is no JSON', '{"secret', 'it is not JSON'],
    ['that is something else', '{}', 'expected a JWKS, {"keys": […]}'],
    ['without a public key', '{"keys": [{"kty": "oct", "k": "AAAA"}]}', 'there is no public key in it'],
  ])('warns at the start of a file of keys %s', async (_, text, reason) => {
    writeFileSync(keyFile(), JSON.stringify((await generateAuthKey()).privateSet), { mode: 0o600 });
    if (text === undefined) rmSync(jwksFile());
    else writeFileSync(jwksFile(), text);
    const { lines } = await prepare(jwt(), { policy: policyWith(jwksFile()) });
    expect(lines).toEqual([
      `warn: identity.jwks: no token can be verified with the keys in ${jwksFile()}: ${reason}; nobody can start a flow or decide until that is mended`,
    ]);
  });

  test('does not call an address at the start', async () => {
    writeFileSync(keyFile(), JSON.stringify((await generateAuthKey()).privateSet), { mode: 0o600 });
    const url = 'http://127.0.0.1:1/jwks';
    expect((await prepare(jwt(), { policy: policySource(identityPolicy({ url }), []) })).lines).toEqual([]);
  });
});
