import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { appendFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FlowError } from '../../src/dsl/errors';
import type { PolicySource } from '../../src/worker/policy/policy';
import { createPolicySource, type PolicyNews } from '../../src/worker/policy/policy-source';
import { tenantText } from './policy-text';

type Happened = { readonly news: PolicyNews; readonly error?: undefined } | { readonly error: FlowError };

/** What a source tells, one thing after the other. */
class Told {
  readonly #happened: Happened[] = [];
  #wake: () => void = () => undefined;

  readonly events = {
    onChange: (news: PolicyNews) => this.#add({ news }),
    onError: (error: FlowError) => this.#add({ error }),
  };

  #add(what: Happened): void {
    this.#happened.push(what);
    this.#wake();
  }

  /** The next thing that is told, whenever that is. */
  async next(): Promise<Happened> {
    for (;;) {
      const first = this.#happened.shift();
      if (first !== undefined) return first;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async change() {
    const next = await this.next();
    if (next.error !== undefined) throw next.error;
    return next.news.change;
  }

  async error(): Promise<string> {
    const next = await this.next();
    if (next.error === undefined) throw new Error(`expected an error, the policy ${next.news.digest} came into force`);
    expect(next.error.data.code).toBe('BLW_POLICY_INVALID');
    return next.error.message;
  }
}

const NOTHING = { added: [], removed: [], changed: [], isIdentityChanged: false };
const TWO = `${tenantText('priorityKey: 2')}  globex: { scopes: [block:*] }\n`;

describe('a policy file that is watched', () => {
  let folder: string;
  let file: string;
  let told: Told;
  let source: PolicySource | undefined;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'beamline-policy-'));
    file = join(folder, 'policy.yaml');
    told = new Told();
  });
  afterEach(async () => {
    await source?.close();
    source = undefined;
    rmSync(folder, { recursive: true, force: true });
  });

  const replace = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  const watch = async (text: string): Promise<PolicySource> => {
    writeFileSync(file, text);
    source = await createPolicySource(file, told.events, { pollMs: 5, settleMs: 5 });
    const first = await told.next();
    expect(first.error === undefined && first.news.change).toBeUndefined();
    return source;
  };
  /** Resolves when a source that looks ten times less often has seen a change: the other has looked at its file meanwhile. */
  const severalLooks = async () => {
    const other = join(folder, 'other.yaml');
    writeFileSync(other, TWO);
    const toldOfOther = new Told();
    const slow = await createPolicySource(other, toldOfOther.events, { pollMs: 50, settleMs: 50 });
    await toldOfOther.next();
    writeFileSync(other, tenantText(''));
    await toldOfOther.next();
    await slow.close();
  };
  const tenantsOf = ({ current }: PolicySource) => [...(current.call(source)?.tenants.keys() ?? [])];

  it('is in force at the start', async () => {
    writeFileSync(file, TWO);
    source = await createPolicySource(file, told.events, { settleMs: 5 });
    const { news } = (await told.next()) as { news: PolicyNews };
    expect(news).toEqual({ digest: expect.stringMatching(/^sha256:[0-9a-f]{16}$/), policy: source.current() });
    expect(tenantsOf(source)).toEqual(['acme', 'globex']);
  });

  it('is taken when another is renamed into its place, with what changed', async () => {
    const policy = await watch(TWO);
    const before = policy.current();
    replace(`${tenantText('priorityKey: 1')}  initech: { scopes: [] }\n`);
    expect(await told.change()).toEqual({
      added: ['initech'],
      removed: ['globex'],
      changed: ['acme'],
      isIdentityChanged: false,
    });
    expect(tenantsOf(policy)).toEqual(['acme', 'initech']);
    // Whoever holds the policy of before has it whole.
    expect([...(before?.tenants.keys() ?? [])]).toEqual(['acme', 'globex']);
  });

  it('is taken when it is written in place, of the same length too', async () => {
    const policy = await watch(tenantText('priorityKey: 2'));
    writeFileSync(file, tenantText('priorityKey: 3'));
    expect(await told.change()).toEqual({ ...NOTHING, changed: ['acme'] });
    expect(policy.current()?.tenants.get('acme')?.priorityKey).toBe(3);
  });

  it('is taken when the link to it leads elsewhere, as in volumes of Kubernetes', async () => {
    for (const [name, text] of [
      ['1', tenantText('priorityKey: 1')],
      ['2', TWO],
    ] as const) {
      mkdirSync(join(folder, name));
      writeFileSync(join(folder, name, 'policy.yaml'), text);
    }
    symlinkSync('1', join(folder, 'data'));
    file = join(folder, 'data', 'policy.yaml');
    source = await createPolicySource(file, told.events, { pollMs: 5, settleMs: 5 });
    await told.next();
    symlinkSync('2', join(folder, 'data.new'));
    renameSync(join(folder, 'data.new'), join(folder, 'data'));
    expect(await told.change()).toEqual({ ...NOTHING, added: ['globex'], changed: ['acme'] });
  });

  it('tells of comments that changed, with nothing else', async () => {
    await watch(TWO);
    replace(`# reviewed\n${TWO}`);
    expect(await told.change()).toEqual(NOTHING);
  });

  it('tells that the identity changed', async () => {
    await watch(TWO);
    replace(`${TWO}identity: { jwks: ./keys.json, issuer: i, audience: a }\n`);
    expect(await told.change()).toEqual({ ...NOTHING, isIdentityChanged: true });
  });

  it('stays in force while the file is broken, which is told once, and until it is mended', async () => {
    const policy = await watch(TWO);
    const before = policy.current();
    replace('version: 1\ntenants: { acme: { scopes: [everything] } }\n');
    expect(await told.error()).toMatch(
      /^.*policy\.yaml:2:29 BLW_POLICY_INVALID scopes: got "everything", expected .* \(at \/tenants\/acme\/scopes\/0\)$/,
    );
    expect(policy.current()).toBe(before);
    // The same once more is not told once more: what comes next is told next.
    replace('version: 1\ntenants: { acme: { scopes: [everything] } }\n');
    await severalLooks();
    utimesSync(file, new Date(), new Date());
    await severalLooks();
    replace('');
    expect(await told.error()).toMatch(/policy\.yaml:1:1 BLW_POLICY_INVALID the file is empty/);
    expect(policy.current()).toBe(before);
    replace(TWO);
    expect(await told.change()).toEqual(NOTHING);
    expect(policy.current()).toEqual(before);
  });

  it('tells once that the file is missing, however often it is looked for', async () => {
    await watch(TWO);
    unlinkSync(file);
    expect(await told.error()).toMatch(/there is no such file$/);
    await severalLooks();
    replace(tenantText(''));
    expect(await told.change()).toEqual({ ...NOTHING, removed: ['globex'], changed: ['acme'] });
  });

  it('tells the first of many problems, and how many there are', async () => {
    await watch(TWO);
    replace(`version: 1\ntenants:\n${Array.from({ length: 50 }, (_, index) => `  t${index}: 1\n`).join('')}`);
    const lines = (await told.error()).split('\n');
    expect(lines).toHaveLength(22);
    expect(lines[0]).toBe('the policy file has 50 problems:');
    expect(lines[21]).toBe('and 30 more problems');
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['deleted', (path) => unlinkSync(path), /policy\.yaml: there is no such file$/],
    [
      'a folder',
      (path) => {
        unlinkSync(path);
        mkdirSync(path);
      },
      /policy\.yaml: is a folder, expected a file$/,
    ],
    ['a link to itself', (path) => replaceByLink(path), /policy\.yaml: cannot be read \(ELOOP\)$/],
    [
      'enormous',
      (path) => writeFileSync(path, Buffer.alloc(10_000_000, '#')),
      /has 10000000 bytes, expected at most 4000000$/,
    ],
    ['cut off', (path) => writeFileSync(path, TWO.slice(0, -3)), /BLW_POLICY_INVALID /],
  ])('stays in force while the file is %s', async (_what, spoil, message) => {
    const policy = await watch(TWO);
    const before = policy.current();
    spoil(file);
    expect(await told.error()).toMatch(message);
    expect(policy.current()).toBe(before);
    rmSync(file, { recursive: true, force: true });
    const next = `${TWO}  initech: { scopes: [] }\n`;
    replace(next);
    // Between the two it may have been seen missing.
    const first = await told.next();
    const change = first.error === undefined ? first.news.change : await told.change();
    expect(change).toEqual({ ...NOTHING, added: ['initech'] });
  });

  const itAsUser = process.getuid?.() === 0 ? it.skip : it;
  itAsUser('stays in force while the file may not be read', async () => {
    await watch(TWO);
    chmodSync(file, 0);
    expect(await told.error()).toMatch(/policy\.yaml: may not be read by this user$/);
    chmodSync(file, 0o600);
    expect(await told.change()).toEqual(NOTHING);
  });

  it('is not taken while it is being written', async () => {
    writeFileSync(file, tenantText(''));
    // Long enough that no pause between two writes of this process is taken for the end.
    source = await createPolicySource(file, told.events, { pollMs: 1, settleMs: 1_500 });
    await told.next();
    writeFileSync(file, tenantText(''));
    for (let index = 0; index < 200; index += 1) await appendFile(file, `  t${index}: { scopes: [block:*] }\n`);
    const change = await told.change();
    expect(change?.added).toHaveLength(200);
  });

  it('is waited for at the start while it is being written', async () => {
    writeFileSync(file, 'version: 1\ntenants:\n  acme:\n    scopes: [flow:start]\n');
    const starting = createPolicySource(file, told.events, { pollMs: 5, settleMs: 1_500 });
    await appendFile(file, '    quotas: { concurrentSteps: 1 }\n');
    source = await starting;
    expect(source.current()?.tenants.get('acme')?.quotas).toEqual({ concurrentSteps: 1 });
  });

  it.each<[string, (file: string) => void, RegExp]>([
    ['is missing', () => undefined, /policy\.yaml: there is no such file$/],
    ['is a folder', (path) => mkdirSync(path), /policy\.yaml: is a folder, expected a file$/],
    [
      'is no policy',
      (path) => writeFileSync(path, 'tenants: {}\n'),
      /policy\.yaml:1:1 BLW_POLICY_INVALID the policy needs "version"/,
    ],
  ])('keeps the worker from starting where it %s', async (_what, make, message) => {
    make(file);
    const starting = createPolicySource(file, told.events, { settleMs: 5 });
    await expect(starting).rejects.toThrow(message);
    await expect(starting).rejects.toBeInstanceOf(FlowError);
  });

  it('is left alone once the source is closed', async () => {
    const policy = await watch(TWO);
    replace(tenantText(''));
    await policy.close();
    await policy.close();
    expect(tenantsOf(policy)).toEqual(['acme', 'globex']);
  });

  it('keeps no process alive', () => {
    writeFileSync(file, TWO);
    const entry = join(__dirname, '..', '..', 'dist', 'src', 'worker', 'policy', 'policy-source.js');
    expect(existsSync(entry)).toBe(true);
    const script = `require(${JSON.stringify(entry)}).createPolicySource(${JSON.stringify(file)}, { onChange: () => console.log('in force'), onError: () => undefined });`;
    const { status, signal, stdout } = spawnSync(process.execPath, ['-e', script], {
      encoding: 'utf8',
      timeout: 20_000,
    });
    expect({ status, signal, stdout }).toEqual({ status: 0, signal: null, stdout: 'in force\n' });
  });
});

function replaceByLink(path: string): void {
  unlinkSync(path);
  symlinkSync(path, path);
}
