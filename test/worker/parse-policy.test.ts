import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { parse } from 'yaml';
import { MAX_PROBLEMS } from '../../src/dsl/problems';
import { TOKEN_ALGORITHMS } from '../../src/worker/policy/read-identity';
import { findAllowing } from '../../src/worker/policy/scope-cover';
import { FULL_POLICY, policyOf, policyProblems, tenantText } from './policy-text';

describe('a policy file', () => {
  it('is read with every key', () => {
    const { identity, tenants } = policyOf(FULL_POLICY);
    expect(identity).toEqual({
      jwks: { file: '/etc/beamline/keys/jwks.json' },
      issuer: 'https://login.example.com/',
      audience: 'beamline',
      algorithms: ['ES256', 'EdDSA'],
      claims: { tenant: 'org', scopes: 'permissions', groups: 'roles' },
      clockToleranceMs: 10_000,
    });
    expect([...tenants.keys()]).toEqual(['acme', 'globex']);
    expect(tenants.get('acme')).toEqual({
      name: 'acme',
      scopes: [
        'flow:start',
        'block:*',
        'resources:io',
        'http:GET:api.example.com',
        'http:*:*.example.com:8443',
        'blob:read:*',
        'blob:write:orders/*',
        'sql:read:shop',
        'secret:shopLogin',
        'approval:*',
      ],
      quotas: {
        concurrentSteps: 20,
        stepsPerSecond: 0.5,
        cpuTime: { maxMs: 7_200_000, windowMs: 86_400_000 },
        memoryMb: 512,
        blobBytes: 10 * 1024 ** 3,
        flows: 1_000,
      },
      fairnessWeight: 2,
      priorityKey: 3,
      privateHosts: ['inventory.internal:8080', '[::1]:9000'],
      approvers: new Map([
        ['finance', ['alice', 'bob']],
        ['legal', []],
      ]),
    });
  });

  it('gives nothing that it does not say', () => {
    expect(policyOf('version: 1\ntenants: {}\n')).toEqual({ tenants: new Map() });
    expect(policyOf(FULL_POLICY).tenants.get('globex')).toEqual({
      name: 'globex',
      scopes: [],
      quotas: {},
      privateHosts: [],
    });
  });

  it('has defaults for how tokens are verified, without symmetric keys', () => {
    const { identity } = policyOf(
      'version: 1\nidentity: { jwks: https://login.example.com/keys, issuer: i, audience: a }\ntenants: {}\n',
    );
    expect(identity).toEqual({
      jwks: { url: 'https://login.example.com/keys' },
      issuer: 'i',
      audience: 'a',
      algorithms: TOKEN_ALGORITHMS,
      claims: { tenant: 'tenant', scopes: 'scope', groups: 'groups' },
      clockToleranceMs: 30_000,
    });
    expect(TOKEN_ALGORITHMS.filter((name) => !/^(?:RS|PS|ES)\d{3}$|^Ed/.test(name))).toEqual([]);
  });

  it.each(['http://127.0.0.1:8080/keys', 'http://localhost/keys', 'http://[::1]/keys', 'https://10.0.0.1/keys'])(
    'takes keys from %s',
    (jwks) => {
      const { identity } = policyOf(`version: 1\nidentity: { jwks: '${jwks}', issuer: i, audience: a }\ntenants: {}\n`);
      expect(identity?.jwks).toEqual({ url: jwks });
    },
  );

  it.each<[string, number]>([
    ['1', 1],
    ['500MB', 500_000_000],
    ['1.5KiB', 1_536],
    ['2 TiB', 2 * 1024 ** 4],
    ['7B', 7],
  ])('takes %s for blobBytes', (text, bytes) => {
    const { tenants } = policyOf(tenantText(`quotas: { blobBytes: ${text} }`));
    expect(tenants.get('acme')?.quotas).toEqual({ blobBytes: bytes });
  });

  it('may be JSON, with a byte order mark, and without a line end behind its brace', () => {
    const json = JSON.stringify({ version: 1, tenants: { acme: { scopes: ['flow:start'] } } });
    expect(policyOf(`\uFEFF${json}`).tenants.get('acme')?.scopes).toEqual(['flow:start']);
  });

  it('may use anchors', () => {
    const text =
      'version: 1\ntenants:\n  a: { scopes: &base [flow:start, block:*] }\n  b: { scopes: *base, priorityKey: 4 }\n';
    expect(policyOf(text).tenants.get('b')?.scopes).toEqual(['flow:start', 'block:*']);
  });

  it('of the examples lets the tenant run the example', () => {
    const { tenants } = policyOf(readFileSync(join(__dirname, '..', '..', 'examples', 'policy.yaml'), 'utf8'));
    const scopes = tenants.get('shop')?.scopes ?? [];
    const needed = [
      ...['flow:start', 'resources:io', 'http:GET:127.0.0.1:8080', 'http:POST:127.0.0.1:8080', 'approval:request'],
      ...['block:http.request', 'block:fs.put', 'block:fs.get', 'block:sql.query', 'block:sql.execute'],
      ...['block:human.approval', 'blob:write:receipts/1.json', 'blob:read:receipts/1.json'],
      ...['sql:read:orders', 'sql:write:orders'],
    ];
    expect(needed.filter((scope) => findAllowing(scopes, scope) === undefined)).toEqual([]);
    expect(findAllowing(scopes, 'approval:decide')).toBeUndefined();
  });
});

const identityText = (rest: string) =>
  `version: 1\nidentity:\n  jwks: ./keys.json\n  issuer: i\n  audience: a\n${rest.replace(/^/gm, '  ')}\ntenants: {}\n`;

describe('a bad policy file', () => {
  it.each<[string, string, string]>([
    ['an empty file', '', '1:1 BLW_POLICY_INVALID the file is empty, expected version: 1 and tenants'],
    ['only comments', '# nothing\n', '1:1 BLW_POLICY_INVALID the file is empty'],
    ['text', 'allow all\n', '1:1 BLW_POLICY_INVALID the policy: got a string, expected an object'],
    ['a list', '- flow:start\n', '1:1 BLW_POLICY_INVALID the policy: got an array, expected an object'],
    ['no version', 'tenants: {}\n', '1:1 BLW_POLICY_INVALID the policy needs "version"'],
    ['no tenants', 'version: 1\n', '1:1 BLW_POLICY_INVALID the policy needs "tenants"'],
    [
      'tenants without a value',
      'version: 1\ntenants:\n',
      '2:9 BLW_POLICY_INVALID tenants: got null, expected an object',
    ],
    ['another version', 'version: 2\ntenants: {}\n', '1:10 BLW_POLICY_INVALID version: got 2, expected 1'],
    [
      'a version as text',
      "version: '1'\ntenants: {}\n",
      '1:10 BLW_POLICY_INVALID version: got "1", expected 1; write it',
    ],
    [
      'an unknown key',
      'version: 1\ntenant: {}\n',
      '2:1 BLW_POLICY_INVALID "tenant" is not known in the policy; did you mean "tenants"?',
    ],
    ['two documents', 'version: 1\ntenants: {}\n---\nversion: 1\n', '3:1 BLW_POLICY_INVALID '],
    [
      'a key twice',
      'version: 1\ntenants:\n  a: { scopes: [] }\n  a: { scopes: [flow:start] }\n',
      '4:3 BLW_POLICY_INVALID "a" is there already',
    ],
    ['a tab as indentation', 'version: 1\ntenants:\n\ta: {}\n', '3:1 BLW_POLICY_INVALID '],
    [
      'a merge key',
      'version: 1\ntenants:\n  a: &a { scopes: [] }\n  b: { <<: *a }\n',
      '4:8 BLW_POLICY_INVALID merge keys (<<)',
    ],
    ['an alias without an anchor', 'version: 1\ntenants: *all\n', '2:10 BLW_POLICY_INVALID *all: there is no anchor'],
    [
      'a file that ends within a line',
      'version: 1\ntenants:\n  a:\n    scopes:\n      - http:*:*.example.com',
      '5:29 BLW_POLICY_INVALID the file ends within a line; if it is complete, end it with a line end',
    ],
    [
      'a name that is no name of a tenant',
      'version: 1\ntenants: { a b: { scopes: [] } }\n',
      '2:12 BLW_POLICY_INVALID tenants: got the name "a b", expected 1 to 63 letters, digits',
    ],
    [
      'the name __proto__',
      'version: 1\ntenants: { __proto__: { scopes: [] } }\n',
      '2:12 BLW_POLICY_INVALID tenants: got the name "__proto__"',
    ],
    [
      'a tenant without anything',
      'version: 1\ntenants:\n  acme:\n',
      '3:8 BLW_POLICY_INVALID tenant acme: got null, expected an object such as { scopes: [flow:start, block:*] }',
    ],
    [
      'a tenant without scopes',
      'version: 1\ntenants:\n  acme: { priorityKey: 1 }\n',
      '3:3 BLW_POLICY_INVALID tenant acme needs "scopes"',
    ],
    [
      'another word for scopes',
      'version: 1\ntenants:\n  acme: { permissions: [] }\n',
      '3:11 BLW_POLICY_INVALID "permissions" is not known in tenant acme; did you mean "scopes"?',
    ],
    [
      'scopes as text',
      'version: 1\ntenants:\n  acme: { scopes: flow:start }\n',
      '3:19 BLW_POLICY_INVALID scopes: got a string, expected a list such as [flow:start, block:*]',
    ],
    [
      'more scopes than are looked through',
      `version: 1\ntenants:\n  acme:\n    scopes: [${'flow:start, '.repeat(1_001)}]\n`,
      '4:13 BLW_POLICY_INVALID scopes: got 1001 items, expected at most 1000',
    ],
    [
      'a weight of nothing',
      tenantText('fairnessWeight: 0'),
      '5:21 BLW_POLICY_INVALID fairnessWeight: got 0, expected a number',
    ],
    [
      'a weight as text',
      tenantText('fairnessWeight: "2"'),
      '5:21 BLW_POLICY_INVALID fairnessWeight: got "2", expected a number from 0.001 to 1000; write it without quotes',
    ],
    [
      'another priority',
      tenantText('priorityKey: 6'),
      '5:18 BLW_POLICY_INVALID priorityKey: got 6, expected a whole number from 1 to 5',
    ],
    [
      'a URL as a host',
      tenantText('privateHosts: [http://a]'),
      '5:20 BLW_POLICY_INVALID privateHosts: got "http://a", expected HOST or HOST:PORT',
    ],
    [
      'all hosts',
      tenantText("privateHosts: ['*']"),
      '5:20 BLW_POLICY_INVALID privateHosts: got "*", expected HOST or HOST:PORT',
    ],
    [
      'a host with a password',
      tenantText("privateHosts: ['u:secret@a']"),
      '5:20 BLW_POLICY_INVALID privateHosts: got text with an @, expected HOST',
    ],
    [
      'a group with one person',
      tenantText('approvers: { finance: alice }'),
      '5:27 BLW_POLICY_INVALID approvers.finance: got a string, expected a list such as [alice, bob]',
    ],
    [
      'a person who is a number',
      tenantText('approvers: { finance: [7] }'),
      "5:28 BLW_POLICY_INVALID approvers.finance: got a number, expected a person's name; put it in quotes",
    ],
    [
      'an unknown quota',
      tenantText('quotas: { stepPerSecond: 1 }'),
      '5:15 BLW_POLICY_INVALID "stepPerSecond" is not known in quotas; did you mean "stepsPerSecond"?',
    ],
    [
      'a quota of nothing',
      tenantText('quotas: { flows: 0 }'),
      '5:22 BLW_POLICY_INVALID quotas.flows: got 0, expected a whole number from 1',
    ],
    [
      'a negative rate',
      tenantText('quotas: { stepsPerSecond: -1 }'),
      '5:31 BLW_POLICY_INVALID quotas.stepsPerSecond: got -1, expected a number from 0.01',
    ],
    [
      'no number',
      tenantText('quotas: { stepsPerSecond: .nan }'),
      '5:31 BLW_POLICY_INVALID JSON has no number such as .nan',
    ],
    [
      'too little memory',
      tenantText('quotas: { memoryMb: 1 }'),
      '5:25 BLW_POLICY_INVALID quotas.memoryMb: got 1, expected a whole number from 64 to 1048576',
    ],
    [
      'a duration in words',
      tenantText('quotas: { cpuTime: { max: 2h, window: P1D } }'),
      '5:31 BLW_POLICY_INVALID quotas.cpuTime.max: got "2h", expected ISO 8601 such as PT30S, PT1H30M or P2D; write PT2H',
    ],
    [
      'CPU time without a window',
      tenantText('quotas: { cpuTime: { max: PT2H } }'),
      '5:15 BLW_POLICY_INVALID quotas.cpuTime needs "window"',
    ],
    [
      'CPU time of nothing',
      tenantText('quotas: { cpuTime: { max: PT0S, window: P1D } }'),
      '5:31 BLW_POLICY_INVALID quotas.cpuTime.max: expected at least 1 ms',
    ],
    [
      'bytes in lower case',
      tenantText('quotas: { blobBytes: 10gib }'),
      '5:26 BLW_POLICY_INVALID quotas.blobBytes: got "10gib", expected bytes as a number, or text such as 500MB or 10GiB; did you mean 10GiB?',
    ],
    [
      'bytes in quotes',
      tenantText("quotas: { blobBytes: '500' }"),
      '5:26 BLW_POLICY_INVALID quotas.blobBytes: got "500", expected bytes as a number, or text such as 500MB or 10GiB; write a number without quotes',
    ],
    [
      'half a byte',
      tenantText('quotas: { blobBytes: 0.5 }'),
      '5:26 BLW_POLICY_INVALID quotas.blobBytes: got 0.5, expected a whole number of bytes',
    ],
    [
      'more bytes than there are',
      tenantText('quotas: { blobBytes: 9999999TiB }'),
      '5:26 BLW_POLICY_INVALID quotas.blobBytes: got "9999999TiB", expected a whole number',
    ],
    [
      'keys over http',
      identityText('').replace('./keys.json', 'http://login.example.com/keys'),
      '3:9 BLW_POLICY_INVALID identity.jwks: got "http://login.example.com/keys", expected https; http is for loopback hosts only',
    ],
    [
      'keys at a host that looks like loopback',
      identityText('').replace('./keys.json', 'http://127.0.0.1.example.com/'),
      '3:9 BLW_POLICY_INVALID identity.jwks: got "http://127.0.0.1.example.com/", expected https',
    ],
    [
      'keys with a password',
      identityText('').replace('./keys.json', 'https://u:secret@login.example.com/'),
      '3:9 BLW_POLICY_INVALID identity.jwks: got a URL with credentials in it, expected one without',
    ],
    [
      'keys at a file URL',
      identityText('').replace('./keys.json', 'file:///keys.json'),
      '3:9 BLW_POLICY_INVALID identity.jwks: got "file:///keys.json", expected the path of a file',
    ],
    [
      'a shared key',
      identityText('algorithms: [HS256]'),
      '6:16 BLW_POLICY_INVALID identity.algorithms: got "HS256", expected one of RS256',
    ],
    [
      'no signature',
      identityText('algorithms: [None]'),
      '6:16 BLW_POLICY_INVALID identity.algorithms: got "None", expected one of RS256',
    ],
    ['no algorithm', identityText('algorithms: []'), '6:15 BLW_POLICY_INVALID identity.algorithms: got an empty list'],
    [
      'a misspelled algorithm',
      identityText('algorithms: [ES265]'),
      '6:16 BLW_POLICY_INVALID identity.algorithms: got "ES265", expected one of RS256',
    ],
    [
      'a claim for the person',
      identityText('claims: { sub: email }'),
      '6:13 BLW_POLICY_INVALID "sub" is not known in identity.claims; the person is always the claim sub',
    ],
    [
      'clocks hours apart',
      identityText('clockTolerance: PT2H'),
      '6:19 BLW_POLICY_INVALID identity.clockTolerance: got "PT2H", expected at most PT10M',
    ],
    [
      'identity without an audience',
      'version: 1\nidentity: { jwks: a, issuer: b }\ntenants: {}\n',
      '2:1 BLW_POLICY_INVALID identity needs "audience"',
    ],
  ])('%s', (_what, text, problem) => {
    const problems = policyProblems(text);
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain(problem);
    expect(problems[0]).not.toContain('secret@');
  });

  it.each<[string, string, string]>([
    ['flow:strat', 'expected flow:start', 'flow:start'],
    ['htp:GET:a.example.com', 'expected one of flow, block,', 'http:GET:a.example.com'],
    ['http:get:a.example.com', 'expected http:METHOD:HOST', 'http:GET:a.example.com'],
    ['http:GET:https://a.example.com/x', 'expected http:METHOD:HOST', 'http:GET:a.example.com'],
    ['block:http', 'expected block:TYPE', 'block:http.request'],
    ['resources:cpus', 'expected resources:io', 'resources:cpu'],
    ['blob:raed:orders/*', 'expected blob:read:PATH', 'blob:read:orders/*'],
    ['blob:read:orders/**', 'expected blob:read:PATH', 'blob:read:orders/*'],
    ['database:read:shop', 'expected one of flow, block,', 'sql:read:shop'],
    ['sql:reads:shop', 'expected sql:read:NAME', 'sql:read:shop'],
    ['secrets:token', 'expected one of flow, block,', 'secret:token'],
    ['approval:decied', 'expected approval:request', 'approval:decide'],
    ['deadletters:resolve', 'expected one of flow, block,', 'deadletter:resolve'],
    ['deadletter:resolv', 'expected deadletter:resolve', 'deadletter:resolve'],
    ['Flow:Start', 'expected one of flow, block,', 'flow:start'],
  ])('with the scope %s proposes another', (scope, expected, meant) => {
    const [problem = '', ...others] = policyProblems(tenantText('').replace('flow:start', `"${scope}"`));
    expect(others).toEqual([]);
    expect(problem).toContain(`4:14 BLW_POLICY_INVALID scopes: got "${scope}", ${expected}`);
    expect(problem).toMatch(new RegExp(`; did you mean ${meant.replace(/[*.?]/g, '\\$&')}\\?$`));
  });

  it.each([
    ['"*"', 'got "*", expected one of flow, block'],
    ['everything', 'got "everything", expected one of flow, block'],
    ['"flow:*"', 'got "flow:*", expected flow:start'],
    ['http:GET', 'got "http:GET", expected http:METHOD:HOST'],
    ['{ flow: start }', 'got an object, expected text such as flow:start; write flow:start without a blank'],
    ['7', 'got a number, expected text such as flow:start'],
    ['null', 'got null, expected text such as flow:start'],
    ['[flow:start]', 'got an array, expected text such as flow:start'],
  ])('with the scope %s proposes nothing wider', (scope, message) => {
    const [problem = '', ...others] = policyProblems(tenantText('').replace('flow:start', scope));
    expect(others).toEqual([]);
    expect(problem).toContain(`4:14 BLW_POLICY_INVALID scopes: ${message}`);
    expect(problem).not.toContain('did you mean');
  });

  it('is told all that is wrong at once, in the order of the text', () => {
    const text = `${tenantText('quotas: { flows: x }\npriorityKey: 9').replace('flow:start', 'flow:stop, blok:*')}other: 1\n`;
    expect(policyProblems(text).map((line) => line.split(' ', 1)[0])).toEqual(['4:14', '4:25', '5:22', '6:18', '7:1']);
  });

  const bomb = Array.from({ length: 30 }, (_, index) =>
    index === 0
      ? 'a0: &a0 [x, x]'
      : `a${index}: &a${index} [${Array(9)
          .fill(`*a${index - 1}`)
          .join(', ')}]`,
  ).join('\n');

  it.each<[string, string]>([
    ['10 MB', `version: 1 # ${'x'.repeat(10_000_000)}\n`],
    ['an alias bomb', `${bomb}\n`],
    ['10,000 brackets', `version: ${'['.repeat(10_000)}\n`],
    ['deep indentation', Array.from({ length: 1_200 }, (_, depth) => `${' '.repeat(depth)}a:`).join('\n')],
    ['a million line ends', '\n'.repeat(999_999)],
  ])('is refused as too large: %s', (_what, text) => {
    expect(policyProblems(text)).toEqual([expect.stringContaining('BLW_POLICY_INVALID the document is too large')]);
  });

  it('is refused where it is no text', () => {
    const latin = Buffer.from('version: 1\ntenants: { a: { scopes: [secret:schl\xfcssel] } }\n', 'latin1');
    expect(policyProblems(latin)).toEqual(['1:1 BLW_POLICY_INVALID the file is not UTF-8 text; save it as UTF-8']);
    expect(policyProblems(Buffer.from(FULL_POLICY, 'utf16le'))).not.toEqual([]);
    expect(policyProblems(Buffer.alloc(4_096))).not.toEqual([]);
  });

  it('makes no more problems than a report lists', () => {
    const problems = policyProblems(
      `version: 1\ntenants:\n${Array.from({ length: 5_000 }, (_, n) => `  t${n}: 1\n`).join('')}`,
    );
    expect(problems).toHaveLength(MAX_PROBLEMS);
  });
});

describe('a policy file that was damaged', () => {
  const scopesOf = (text: string): Map<string, readonly string[]> | undefined => {
    if (policyProblems(text).length > 0) return undefined;
    return new Map([...policyOf(text).tenants.values()].map(({ name, scopes }) => [name, scopes]));
  };
  const full = scopesOf(FULL_POLICY) ?? new Map<string, readonly string[]>();

  it('gives no tenant a scope that it did not have, wherever it was cut off', () => {
    let valid = 0;
    for (let length = 0; length < FULL_POLICY.length; length += 1) {
      const cut = scopesOf(FULL_POLICY.slice(0, length));
      if (cut === undefined) continue;
      valid += 1;
      for (const [name, scopes] of cut) expect(full.get(name)).toEqual(expect.arrayContaining([...scopes]));
    }
    // After most of the lines of the first tenant it is a policy again.
    expect(valid).toBeGreaterThan(15);
  });

  const place = fc.nat({ max: FULL_POLICY.length });
  const piece = fc.constantFrom(
    ...[
      '- ',
      ': ',
      ', ',
      '[',
      ']',
      '{',
      '}',
      '&a ',
      '*a',
      '<<: *a',
      '!!str ',
      '|\n',
      '>\n',
      "'",
      '"',
      '#',
      ' #',
      '---\n',
    ],
    ...[
      '\n',
      ' ',
      '  ',
      '\t',
      '*',
      ':',
      '~',
      '\\',
      '? ',
      'block:*',
      '- block:*\n',
      'acme',
      'scopes',
      '\u0000',
      '\uFEFF',
    ],
  );
  /** Beginnings of the lines. */
  const line = fc.constantFrom(...[...FULL_POLICY.matchAll(/^(?=.)/gm)].map(({ index }) => index));
  const lineLength = (at: number) => FULL_POLICY.indexOf('\n', at) + 1 - at;
  const edit = fc.oneof(
    line.map((at) => ({ at, remove: lineLength(at), insert: '' })),
    fc.tuple(line, line).map(([at, from]) => ({
      at,
      remove: 0,
      insert: FULL_POLICY.slice(from, from + lineLength(from)),
    })),
    fc.record({ at: place, remove: fc.nat({ max: 40 }), insert: fc.constant('') }),
    fc.record({ at: place, remove: fc.nat({ max: 2 }), insert: piece }),
    fc.tuple(place, place, fc.nat({ max: 60 })).map(([at, from, length]) => ({
      at,
      remove: 0,
      insert: FULL_POLICY.slice(from, from + length),
    })),
  );

  it('gives a tenant the scopes that its text has for it, and no others, whatever was edited', () => {
    let valid = 0;
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 3 }), (edits) => {
        const text = edits.reduce(
          (now, { at, remove, insert }) => now.slice(0, at) + insert + now.slice(at + remove),
          FULL_POLICY,
        );
        const scopes = scopesOf(text);
        if (scopes === undefined) return;
        valid += 1;
        // Another reader of the same text.
        const { tenants } = parse(text) as { tenants: Record<string, { scopes: unknown }> };
        expect(Object.fromEntries(scopes)).toEqual(
          Object.fromEntries(Object.entries(tenants).map(([name, tenant]) => [name, tenant.scopes])),
        );
        // Behind a backslash in quotes, text may be written in other ways than it reads.
        if (text.includes('\\')) return;
        const bare = (words: string) => words.replace(/\s+/g, ' ').replace(/['"]/g, '');
        for (const scope of [...scopes.values()].flat()) expect(bare(text)).toContain(bare(scope));
      }),
      { numRuns: Number(process.env.POLICY_RUNS ?? 2_000) },
    );
    // About one in ten.
    expect(valid).toBeGreaterThan(50);
  });
});
