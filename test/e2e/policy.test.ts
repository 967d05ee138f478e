import { randomBytes } from 'node:crypto';
import { mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { LogFields, Logger } from '../../src/worker/logger';
import { testTemporal } from '../helpers/temporal';
import { eventually, startTestWorker } from '../helpers/test-worker';

interface Line {
  readonly level: string;
  readonly message: string;
  readonly fields: LogFields;
}

describe('the policy file of a worker', () => {
  let folder: string;
  let file: string;
  let lines: Line[];
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'beamline-policy-'));
    file = join(folder, 'policy.yaml');
    lines = [];
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const logger: Logger = { log: (level, message, fields = {}) => lines.push({ level, message, fields }) };
  const logged = (isWanted: (line: Line) => boolean) => eventually(async () => lines.find(isWanted));
  const replace = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };

  it('is in force at the start, follows the file, and outlives a broken one', async () => {
    writeFileSync(file, 'version: 1\ntenants:\n  acme: { scopes: [flow:start] }\n  globex: { scopes: [] }\n');
    const worker = await startTestWorker({ policy: file }, testTemporal(), logger);
    try {
      const digest = expect.stringMatching(/^sha256:[0-9a-f]{16}$/);
      expect(lines.filter(({ message }) => message === 'policy in force')).toEqual([
        { level: 'info', message: 'policy in force', fields: { policy_file: file, digest, tenants: 2 } },
      ]);
      replace('version: 1\ntenants:\n  acme: { scopes: [] }\n  globex: { scope: [] }\n');
      const { message, fields } = await logged(({ level }) => level === 'error');
      expect(message).toBe('policy file not taken; the policy before stays in force');
      expect(fields).toEqual({
        part: 'policy',
        policy_file: file,
        error: `${file}:4:13 BLW_POLICY_INVALID "scope" is not known in tenant globex; did you mean "scopes"? (at /tenants/globex/scope)`,
      });
      replace('version: 1\ntenants:\n  acme: { scopes: [] }\n  initech: { scopes: [] }\n');
      const news = await logged(
        (line) => line.message === 'policy in force' && line.fields.tenants_added !== undefined,
      );
      expect(news.fields).toEqual({
        policy_file: file,
        digest,
        tenants: 2,
        tenants_added: 'initech',
        tenants_removed: 'globex',
        tenants_changed: 'acme',
        identity_changed: false,
      });
    } finally {
      await worker.stop();
    }
    // Nobody looks at the file any more, so nothing is left that could say something.
    expect(lines.filter(({ level }) => level === 'error')).toHaveLength(1);
  });

  it('makes the worker say which of its tenants have no key where others have', async () => {
    writeFileSync(
      file,
      'version: 1\ntenants:\n  acme: { scopes: [] }\n  globex: { scopes: [] }\n  initech: { scopes: [] }\n',
    );
    const keys = join(folder, 'keys.yaml');
    writeFileSync(keys, `acme: [{ id: k1, key: "${randomBytes(32).toString('base64')}" }]\n`, { mode: 0o600 });
    const worker = await startTestWorker({ policy: file, 'encryption-keys': keys }, testTemporal(), logger);
    await worker.stop();
    expect(lines.filter(({ level }) => level === 'warn')).toContainEqual({
      level: 'warn',
      message: 'tenants of the policy have no key in the file of --encryption-keys; what is theirs is not encrypted',
      fields: { tenants: 'globex, initech' },
    });
  });

  it('makes the worker say which databases and secrets are for tenants that it does not have', async () => {
    writeFileSync(file, 'version: 1\ntenants:\n  acme: { scopes: [] }\n');
    const databases = ['acme/shop', 'zed/shop', 'all'].map((name) => `${name}=sqlite:${join(folder, 'shop.db')}`);
    const secretFile = join(folder, 'secret');
    writeFileSync(secretFile, 'value');
    const secret = ['acme/key', 'zed/key'].map((name) => `${name}=file:${secretFile}`);
    const worker = await startTestWorker({ policy: file, database: databases, secret }, testTemporal(), logger);
    await worker.stop();
    expect(lines.filter(({ level }) => level === 'warn')).toContainEqual({
      level: 'warn',
      message: 'secrets of --secret are for tenants that the policy does not have; nobody can use them',
      fields: { secrets: 'zed/key' },
    });
    expect(lines.filter(({ level }) => level === 'warn')).toContainEqual({
      level: 'warn',
      message: 'databases of --database are for tenants that the policy does not have; nobody can use them',
      fields: { databases: 'zed/shop' },
    });
  });

  it('decides what steps may do, from the next step on after it changed', async () => {
    const policyWith = (...scopes: string[]) =>
      `version: 1\ntenants:\n  acme:\n    scopes: ${JSON.stringify(['flow:start', 'block:fs.*', 'resources:io', ...scopes])}\n`;
    writeFileSync(file, policyWith());
    const worker = await startTestWorker({ policy: file }, testTemporal(), logger);
    const flow = 'do: [{ put: { call: fs.put, with: { path: orders/1.txt, content: hello } } }]';
    const put = (tenant: string) => worker.run(flow, null, { tenant });
    const denied = (tenant: string) => worker.fail(flow, null, { tenant });
    const inForce = async (text: string) => {
      const before = lines.length;
      replace(text);
      await eventually(async () => lines.slice(before).find(({ message }) => message === 'policy in force'));
    };
    try {
      expect(await denied('acme')).toMatchObject({
        code: 'BLW_SCOPE_DENIED',
        data: { scope: 'blob:write:orders/1.txt' },
      });
      await inForce(policyWith('blob:write:orders/*'));
      expect(await put('acme')).toMatchObject({ path: 'orders/1.txt' });
      expect(await denied('globex')).toMatchObject({ code: 'BLW_TENANT_DENIED' });
      await inForce(policyWith('blob:write:invoices/*'));
      expect(await denied('acme')).toMatchObject({ code: 'BLW_SCOPE_DENIED' });
    } finally {
      await worker.stop();
    }
  });

  it('keeps the worker from starting where it is broken', async () => {
    writeFileSync(file, 'version: 1\n');
    await expect(startTestWorker({ policy: file }, testTemporal(), logger)).rejects.toMatchObject({
      data: { code: 'BLW_POLICY_INVALID', detail: expect.stringContaining('policy.yaml:1:1') },
    });
    expect(lines).toEqual([]);
  });
});
