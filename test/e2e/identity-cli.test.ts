import { randomUUID } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import type { ApprovalState } from '../../src/dsl/approval';
import type { Json, JsonObject } from '../../src/dsl/json';
import { flowText } from '../helpers/catalog-folder';
import { runInProcess } from '../helpers/cli-in-process';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { testTemporal } from '../helpers/temporal';
import { eventually } from '../helpers/test-worker';

let acme: IdentityWorker;
let folder: string;
beforeAll(async () => {
  acme = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES), tenantPolicy('globex', ALL_SCOPES)]);
  folder = mkdtempSync(join(tmpdir(), 'beamline-cli-'));
  writeFileSync(
    join(folder, 'ask.yaml'),
    flowText('test/ask:1.0.0', 'do:\n  - ask: { call: human.approval, with: { title: Sure? } }'),
  );
  writeFileSync(
    join(folder, 'who.yaml'),
    flowText('test/who:1.0.0', "do:\n  - who: { set: { tenant: '${ runtime.metadata.tenant }', got: '${ data }' } }"),
  );
});
afterAll(async () => {
  await acme.stop();
  rmSync(folder, { recursive: true, force: true });
});

const connection = () => ['--address', testTemporal().address, '--namespace', testTemporal().namespace];
const cli = (args: readonly string[], env: NodeJS.ProcessEnv = {}) => runInProcess(args, { cwd: folder, env });
const asWhom = async (claims?: JsonObject) => [
  ...['--token-file', await acme.identity.tokenFile(claims)],
  ...['--seal-key', acme.identity.sealKeyFile],
];
const run = async (file: string, rest: readonly string[], env?: NodeJS.ProcessEnv) =>
  cli(['run', file, '--json', '--queue-prefix', acme.worker.queuePrefix, ...rest, ...connection()], env);

describe('beamline run', () => {
  test('starts a flow for the tenant of the token', async () => {
    const { code, stdout } = await run('who.yaml', [...(await asWhom({ tenant: 'globex' })), '--input', '{"n": 1}']);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'Completed', output: { tenant: 'globex', got: { n: 1 } } });
  });

  test('takes token and key from the environment', async () => {
    const env = { BEAMLINE_TOKEN: await acme.identity.token(), BEAMLINE_SEAL_KEY: acme.identity.sealKeyFile };
    const { code, stdout } = await run('who.yaml', ['--tenant', 'acme'], env);
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({ code: 0, output: { tenant: 'acme' } });
  });

  test('says what the workers refuse', async () => {
    const { code, stdout } = await run('who.yaml', [...(await asWhom()), '--tenant', 'globex']);
    expect({ code, ...(JSON.parse(stdout) as object) }).toMatchObject({
      code: 1,
      error: { code: 'BLW_TENANT_DENIED' },
    });
    expect(JSON.parse((await run('who.yaml', [])).stdout)).toMatchObject({ error: { code: 'BLW_TOKEN_REQUIRED' } });
  });

  test('never sends a token that is not sealed, and never prints one', async () => {
    const token = await acme.identity.token();
    const { code, stdout, stderr } = await run('who.yaml', [], { BEAMLINE_TOKEN: token });
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining('a token needs --seal-key FILE') });
    expect(stdout + stderr).not.toContain(token.slice(0, 20));
    writeFileSync(join(folder, 'secret.txt'), 'hunter2');
    const wrong = await run('who.yaml', ['--token-file', 'secret.txt', '--seal-key', acme.identity.sealKeyFile]);
    expect(wrong).toMatchObject({ code: 2, stderr: expect.stringContaining('secret.txt: is not a token') });
    expect(wrong.stdout + wrong.stderr).not.toContain('hunter2');
  });
});

/** Starts a flow that asks, with the command. */
async function ask(): Promise<WorkflowHandle> {
  const id = `ask-${randomUUID()}`;
  expect(await run('ask.yaml', [...(await asWhom({ sub: 'rita' })), '--id', id, '--detach'])).toMatchObject({
    code: 0,
  });
  const approval = acme.worker.client.workflow.getHandle(`${id}/ask`);
  await eventually(() => approval.query<ApprovalState>('state'));
  return acme.worker.client.workflow.getHandle(id);
}

describe('beamline approvals', () => {
  test.each([
    ['approve', 'approved', 'ask'],
    ['reject', 'rejected', ''],
  ])('%s decides as the person of the token', async (command, decision, step) => {
    const flow = await ask();
    const id = step === '' ? flow.workflowId : `${flow.workflowId}/${step}`;
    const decided = await cli([
      'approvals',
      command,
      id,
      '--comment',
      'ok',
      ...(await asWhom({ sub: 'bob' })),
      ...connection(),
    ]);
    expect(decided).toMatchObject({ code: 0, stdout: `${decision}: "Sure?"\n` });
    expect(await flow.result()).toMatchObject({ decision, decisions: [{ by: 'bob', comment: 'ok' }] });
  });

  test('tells that a token is needed, and who may not decide', async () => {
    const flow = await ask();
    const bare = await cli(['approvals', 'approve', flow.workflowId, '--by', 'bob', ...connection()]);
    expect(bare).toMatchObject({ code: 1, stderr: expect.stringContaining('BLW_TOKEN_REQUIRED') });
    const own = await cli([
      'approvals',
      'approve',
      flow.workflowId,
      ...(await asWhom({ sub: 'rita' })),
      ...connection(),
    ]);
    expect(own).toMatchObject({ code: 1, stderr: expect.stringContaining('BLW_APPROVAL_DENIED') });
    const shown = await cli(['approvals', 'show', flow.workflowId, '--json', ...connection()]);
    expect(JSON.parse(shown.stdout)).toMatchObject({ needsToken: true, requestedBy: 'rita' });
    await flow.terminate();
  });
});

describe('beamline token', () => {
  test('makes keys that only the workers can read, and overwrites none', async () => {
    const { code, stdout } = await cli(['token', 'keygen', '--out', 'keys']);
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringContaining('keys/auth-key.json') });
    const [secret, open] = ['auth-key.json', 'seal-key.json'].map((name) => join(folder, 'keys', name)) as [
      string,
      string,
    ];
    expect(statSync(secret).mode & 0o777).toBe(0o600);
    expect(readFileSync(open, 'utf8')).not.toContain('"d"');
    const before = readFileSync(secret, 'utf8');
    expect(await cli(['token', 'keygen', '--out', 'keys'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('is there already'),
    });
    expect(readFileSync(secret, 'utf8')).toBe(before);
  });

  test('shows what is in a token, and not the token', async () => {
    const file = await acme.identity.tokenFile({ exp: 1_900_000_000 });
    const { code, stdout } = await cli(['token', 'show', '--token-file', file]);
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({
      header: { alg: 'ES256' },
      claims: { sub: 'alice', tenant: 'acme' },
      times: { exp: '2030-03-17T17:46:40.000Z' },
    });
    expect(stdout).not.toContain('eyJ');
    expect(await cli(['token', 'show'])).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('there is no token'),
    });
  });

  test('seals one for a start from elsewhere', async () => {
    const id = `sealed-${randomUUID()}`;
    const args = ['token', 'seal', ...(await asWhom()), '--for', id, '--flow', 'who.yaml', '--input', '[1]'];
    const { stdout } = await cli([...args, '--json']);
    expect(await (await acme.send(JSON.parse(stdout) as Json, { workflowId: id })).result()).toEqual({
      tenant: 'acme',
      got: [1],
    });
    expect((await cli(args)).stdout).toMatch(/^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+\n$/);
  });

  test('seals one for a decision from elsewhere', async () => {
    const flow = await ask();
    const args = ['--approval', flow.workflowId, '--decision', 'approved', '--comment', 'fine', '--json'];
    const { stdout } = await cli(['token', 'seal', ...(await asWhom({ sub: 'bob' })), ...args, ...connection()]);
    const approval = acme.worker.client.workflow.getHandle(`${flow.workflowId}/ask`);
    await approval.executeUpdate('decide', { args: [JSON.parse(stdout)] });
    expect(await flow.result()).toMatchObject({ decisions: [{ by: 'bob', comment: 'fine' }] });
  });

  test.each<[string, string[], string]>([
    ['nothing to seal for', [], 'expected --for ID and --flow FLOW'],
    ['a decision that is none', ['--approval', 'x', '--decision', 'maybe'], 'maybe'],
    ['an approval without a decision', ['--approval', 'x'], '--approval: needs --decision'],
    ['both', ['--approval', 'x', '--for', 'y'], 'cannot be used with'],
  ])('refuses %s', async (_, args, detail) => {
    const { code, stderr } = await cli(['token', 'seal', ...(await asWhom()), ...args]);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(detail) });
  });
});
