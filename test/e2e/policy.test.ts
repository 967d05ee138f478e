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

  it('keeps the worker from starting where it is broken', async () => {
    writeFileSync(file, 'version: 1\n');
    await expect(startTestWorker({ policy: file }, testTemporal(), logger)).rejects.toMatchObject({
      data: { code: 'BLW_POLICY_INVALID', detail: expect.stringContaining('policy.yaml:1:1') },
    });
    expect(lines).toEqual([]);
  });
});
