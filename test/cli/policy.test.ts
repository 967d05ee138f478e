import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';

const EXAMPLE = join(__dirname, '..', '..', 'examples', 'policy.yaml');

const POLICY = `version: 1
identity:
  jwks: ./keys.json
  issuer: https://login.example.com/
  audience: beamline
  algorithms: [ES256]
tenants:
  acme:
    scopes:
      - sql:read:shop
      - flow:start
      - http:GET:api.example.com
      - blob:write:orders/*
      - blob:read:*
    quotas:
      concurrentSteps: 20
      cpuTime: { max: PT2H, window: P1D }
      blobBytes: 10GiB
    fairnessWeight: 2
    privateHosts: [inventory.internal:8080]
    approvers: { finance: [alice, bob] }
  globex: { scopes: [], priorityKey: 5 }
`;
const INVALID = `version: 1
tenants:
  acme:
    scopes:
      - htp:GET:api.example.com
    quota: {}
`;
const ODD = `version: 1
tenants:
  acme:
    scopes:
      - block:*
      - block:http.request
      - http:GTE:api.example.com
`;
const DIGEST = expect.stringMatching(/^sha256:[0-9a-f]{16}$/);

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-policy-'));
  writeFileSync(join(folder, 'good.yaml'), POLICY);
  writeFileSync(join(folder, 'keys.json'), '{"keys": [{"kty": "EC"}]}');
  writeFileSync(join(folder, 'keyless.yaml'), POLICY.replace('./keys.json', './nowhere/keys.json'));
  writeFileSync(join(folder, 'bad.yaml'), INVALID);
  writeFileSync(join(folder, 'odd.yaml'), ODD);
  writeFileSync(join(folder, 'none.yaml'), 'version: 1\ntenants: {}\n');
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const policy = (...args: string[]) => runInProcess(['policy', ...args], { cwd: folder });

describe('beamline policy check', () => {
  it('lists what else is wrong beside a key that is there twice', async () => {
    const text =
      'version: 1\ntenants:\n  acme: { scopes: [htp:GET:x], quota: {} }\n  acme: { scopes: [] }\n  beta: { scope: [] }\n';
    writeFileSync(join(folder, 'twice.yaml'), text);
    const { code, stdout } = await policy('check', 'twice.yaml');
    expect(code).toBe(2);
    expect(stdout.split('\n').slice(0, -1)).toEqual([
      expect.stringMatching(/^twice\.yaml:3:20 BLW_POLICY_INVALID scopes: got "htp:GET:x"/),
      expect.stringMatching(/^twice\.yaml:3:32 BLW_POLICY_INVALID .*quota/),
      expect.stringMatching(/^twice\.yaml:4:3 BLW_POLICY_INVALID "acme" is there already/),
      expect.stringMatching(/^twice\.yaml:5:11 BLW_POLICY_INVALID .*scope/),
      '4 problems in 1 file',
    ]);
  });

  it('does not guess at what a merge key would have brought', async () => {
    writeFileSync(join(folder, 'merge.yaml'), 'version: 1\ntenants:\n  a: &a { scopes: [] }\n  b: { <<: *a }\n');
    expect((await policy('check', 'merge.yaml')).stdout).toMatch(
      /^merge\.yaml:4:8 .* merge keys .*\n1 problem in 1 file\n$/,
    );
  });

  it('warns of a file of keys that is not there, and calls no address', async () => {
    const { code, stdout, stderr } = await policy('check', 'keyless.yaml');
    expect({ code, stdout }).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok: keyless\.yaml 2 tenants/) });
    expect(stderr).toBe(
      `keyless.yaml:3:9 warning: identity.jwks: no token can be verified with the keys in ${join(folder, 'nowhere', 'keys.json')}: there is no such file (at /identity/jwks)\n`,
    );
    writeFileSync(join(folder, 'address.yaml'), POLICY.replace('./keys.json', 'http://127.0.0.1:1/jwks'));
    expect(await policy('check', 'address.yaml')).toMatchObject({ code: 0, stderr: '' });
  });

  it('tells how many tenants a valid file has, and the digest that workers log', async () => {
    expect(await policy('check', 'good.yaml')).toEqual({
      code: 0,
      stdout: expect.stringMatching(/^ok: good\.yaml 2 tenants, sha256:[0-9a-f]{16}\n$/),
      stderr: '',
    });
  });

  it('lists every problem as file:line:column CODE message, and how many there are', async () => {
    expect(await policy('check', 'bad.yaml')).toEqual({
      code: 2,
      stdout: [
        'bad.yaml:5:9 BLW_POLICY_INVALID scopes: got "htp:GET:api.example.com", expected one of flow, block, resources, http, blob, sql, secret, approval and deadletter before the first colon; did you mean http:GET:api.example.com? (at /tenants/acme/scopes/0)',
        'bad.yaml:6:5 BLW_POLICY_INVALID "quota" is not known in tenant acme; did you mean "quotas"? (at /tenants/acme/quota)',
        '2 problems in 1 file',
        '',
      ].join('\n'),
      stderr: '',
    });
  });

  it('warns of what is probably not meant, and is done', async () => {
    const { code, stdout, stderr } = await policy('check', 'odd.yaml');
    expect({ code, stdout }).toEqual({ code: 0, stdout: expect.stringMatching(/^ok: odd\.yaml 1 tenant, /) });
    expect(stderr.split('\n')).toEqual([
      'odd.yaml:6:9 warning: block:http.request adds nothing to block:* (at /tenants/acme/scopes/1)',
      'odd.yaml:7:9 warning: http:GTE:api.example.com allows nothing: no request has the method GTE; did you mean GET? (at /tenants/acme/scopes/2)',
      '',
    ]);
  });

  it('prints one JSON object with --json', async () => {
    const good = await policy('check', 'odd.yaml', '--json');
    expect({ ...good, stdout: JSON.parse(good.stdout) }).toEqual({
      code: 0,
      stderr: '',
      stdout: {
        file: 'odd.yaml',
        valid: true,
        digest: DIGEST,
        tenants: 1,
        problems: [],
        warnings: [
          { line: 6, column: 9, path: '/tenants/acme/scopes/1', message: 'block:http.request adds nothing to block:*' },
          { line: 7, column: 9, path: '/tenants/acme/scopes/2', message: expect.stringContaining('GTE') },
        ],
      },
    });
    const bad = await policy('check', 'bad.yaml', '--json');
    expect(bad).toMatchObject({ code: 2, stderr: '' });
    expect(JSON.parse(bad.stdout)).toMatchObject({
      file: 'bad.yaml',
      valid: false,
      problems: [
        { code: 'BLW_POLICY_INVALID', line: 5, column: 9, path: '/tenants/acme/scopes/0' },
        { code: 'BLW_POLICY_INVALID', line: 6, column: 5, path: '/tenants/acme/quota' },
      ],
      warnings: [],
    });
  });

  it('reads standard input for -, as a program of its own', async () => {
    const good = await runCli(['policy', 'check', '-'], { stdin: POLICY, cwd: folder });
    expect(good).toMatchObject({ code: 0, stdout: expect.stringMatching(/^ok: <stdin> 2 tenants/), stderr: '' });
    const bad = await runCli(['policy', 'check', '-'], { stdin: '' });
    expect(bad).toMatchObject({
      code: 2,
      stdout: expect.stringMatching(/^<stdin>:1:1 BLW_POLICY_INVALID the file is empty/),
    });
  });

  it.each([
    ['missing.yaml', 'missing.yaml: there is no such file'],
    ['.', '.: is a folder, expected a file'],
  ])('says that %s cannot be read', async (file, message) => {
    const { code, stdout, stderr } = await policy('check', file);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${message} [BLW_USAGE]`);
  });

  it('shows no control characters of a file', async () => {
    const { stdout } = await runCli(['policy', 'check', '-'], {
      stdin: '{"version": 1, "tenants": {}, "\\u001b[31mred": 1}',
    });
    expect(stdout).toContain('red');
    expect(stdout).not.toContain('\u001b');
  });

  it('finds the example valid, without a warning', async () => {
    expect(await policy('check', EXAMPLE)).toMatchObject({ code: 0, stderr: '' });
    // Its comment says how to look at it.
    expect(readFileSync(EXAMPLE, 'utf8')).toContain('beamline policy show examples/policy.yaml --tenant shop');
  });
});

describe('beamline policy show', () => {
  it('lists the tenants, and how tokens are verified', async () => {
    const { code, stdout, stderr } = await policy('show', 'good.yaml');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'TENANT  SCOPES  WEIGHT  PRIORITY  QUOTAS',
      'acme    5       2       3         steps at once 20, CPU time 2 h 0 min in 24 h 0 min, blobs 10 GiB',
      'globex  0       1       5         none',
      '',
      'identity',
      `  keys             ${join(folder, 'keys.json')}`,
      '  issuer           https://login.example.com/',
      '  audience         beamline',
      '  algorithms       ES256',
      '  claims           tenant: tenant, scopes: scope, groups: groups',
      '  clock tolerance  30.0 s',
      '',
    ]);
  });

  it('says of a policy without tenants what that means', async () => {
    expect((await policy('show', 'none.yaml')).stdout).toBe('no tenant: nobody may do anything\n');
    expect((await policy('show', 'good.yaml', '--tenant', 'globex')).stdout).toContain(
      'globex: 0 scopes\n  no scope: the tenant may not do anything\n',
    );
  });

  it('shows all of one tenant, scopes by their kind', async () => {
    const { code, stdout, stderr } = await policy('show', 'good.yaml', '--tenant', 'acme');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout.split('\n')).toEqual([
      'acme: 5 scopes',
      '  flow       start',
      '  http       GET:api.example.com',
      '  blob       write:orders/*',
      '             read:*',
      '  sql        read:shop',
      'quotas',
      '  steps at once  20',
      '  CPU time       2 h 0 min in 24 h 0 min',
      '  blobs          10 GiB',
      'scheduling',
      '  fairness weight  2',
      '  priority         3',
      'private hosts',
      '  inventory.internal:8080',
      'approvers',
      '  finance  alice, bob',
      '',
    ]);
  });

  it('prints one JSON object with --json', async () => {
    const acme = {
      tenant: 'acme',
      scopes: ['sql:read:shop', 'flow:start', 'http:GET:api.example.com', 'blob:write:orders/*', 'blob:read:*'],
      quotas: { concurrentSteps: 20, cpuTime: { maxMs: 7_200_000, windowMs: 86_400_000 }, blobBytes: 10 * 1024 ** 3 },
      fairnessWeight: 2,
      privateHosts: ['inventory.internal:8080'],
      approvers: { finance: ['alice', 'bob'] },
    };
    const one = await policy('show', 'good.yaml', '--tenant', 'acme', '--json');
    expect(JSON.parse(one.stdout)).toEqual({ file: 'good.yaml', digest: DIGEST, ...acme });
    const all = await policy('show', 'good.yaml', '--json');
    expect(JSON.parse(all.stdout)).toEqual({
      file: 'good.yaml',
      digest: DIGEST,
      identity: {
        jwks: { file: join(folder, 'keys.json') },
        issuer: 'https://login.example.com/',
        audience: 'beamline',
        algorithms: ['ES256'],
        claims: { tenant: 'tenant', scopes: 'scope', groups: 'groups' },
        clockToleranceMs: 30_000,
      },
      tenants: [
        acme,
        { tenant: 'globex', scopes: [], quotas: {}, fairnessWeight: 1, priorityKey: 5, privateHosts: [] },
      ],
    });
  });

  it.each<[string, string, number, string]>([
    ['acme', 'http:GET:api.example.com', 0, 'yes: acme has http:GET:api.example.com'],
    ['acme', 'http:GET:api.example.com:8080', 0, 'yes: acme has http:GET:api.example.com'],
    ['acme', 'http:POST:api.example.com', 1, 'no: no scope of acme allows http:POST:api.example.com'],
    ['acme', 'blob:write:orders/1.json', 0, 'yes: acme has blob:write:orders/*'],
    ['acme', 'blob:write:*', 1, 'no: no scope of acme allows blob:write:*'],
    ['acme', 'sql:write:shop', 1, 'no: no scope of acme allows sql:write:shop'],
    ['globex', 'flow:start', 1, 'no: no scope of globex allows flow:start'],
    ['amce', 'flow:start', 1, 'no: the policy has no tenant "amce"; did you mean "acme"?'],
    ['nobody', 'flow:start', 1, 'no: the policy has no tenant "nobody"'],
  ])('answers whether %s may %s with exit code %d', async (tenant, scope, code, answer) => {
    const args = ['show', 'good.yaml', '--tenant', tenant, '--can', scope];
    expect(await policy(...args)).toEqual({ code, stdout: `${answer}\n`, stderr: '' });
    const { stdout } = await policy(...args, '--json');
    const by = /^yes: \w+ has (.+)$/.exec(answer)?.[1];
    expect(JSON.parse(stdout)).toEqual({ tenant, scope, allowed: code === 0, ...(by === undefined ? {} : { by }) });
  });

  it.each<[string[], string]>([
    [['good.yaml', '--can', 'flow:start'], '--can needs --tenant: whose policy is asked'],
    [
      ['good.yaml', '--tenant', 'acme', '--can', 'sql:reed:shop'],
      '--can: got "sql:reed:shop", expected sql:read:NAME or sql:write:NAME, such as sql:read:shop; did you mean sql:read:shop?',
    ],
    [['good.yaml', '--tenant', 'amce'], '--tenant: the policy has no tenant "amce"; did you mean "acme"?'],
  ])('refuses %j as bad usage', async (args, detail) => {
    const { code, stdout, stderr } = await policy('show', ...args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(`error: ${detail} [BLW_USAGE]`);
  });

  it('answers nothing from a file that is not valid', async () => {
    const { code, stdout, stderr } = await policy('show', 'bad.yaml', '--tenant', 'acme', '--can', 'flow:start');
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^bad\.yaml:5:9 BLW_POLICY_INVALID /);
  });
});

describe('beamline worker --policy', () => {
  it.each([
    ['missing.yaml', /missing\.yaml: there is no such file \[BLW_POLICY_INVALID\]/],
    ['bad.yaml', /the policy file has 2 problems:\n {2}.*bad\.yaml:5:9 BLW_POLICY_INVALID scopes/],
  ])('does not start with %s', async (file, message) => {
    const { code, stderr } = await runCli(['worker', '--address', '127.0.0.1:1', '--policy', file], { cwd: folder });
    expect(code).toBe(2);
    expect(stderr).toMatch(message);
  });
});
