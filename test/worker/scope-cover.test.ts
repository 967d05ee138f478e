import { explainScope } from '../../src/activities/access/scopes';
import { findWarnings } from '../../src/worker/policy/policy-warnings';
import { covers, findAllowing } from '../../src/worker/policy/scope-cover';
import { policyOf, tenantText } from './policy-text';

describe('whether scopes allow something', () => {
  it.each<[asked: string, by: string]>([
    ['flow:start', 'flow:start'],
    ['block:sql.query', 'block:sql.*'],
    ['block:openapi', 'block:*'],
    ['resources:gpu', 'resources:*'],
    ['http:GET:api.example.com', 'http:GET:api.example.com'],
    ['http:GET:API.Example.com.', 'http:GET:api.example.com'],
    ['http:GET:api.example.com:9000', 'http:GET:api.example.com'],
    ['http:PUT:a.b.example.com', 'http:*:*.example.com'],
    ['http:GET:shop.example.org', 'http:GET:shop.example.org:443'],
    ['http:GET:web.example.org:80', 'http:GET:web.example.org:80'],
    ['http:GET:*.b.example.com', 'http:*:*.example.com'],
    ['blob:read:orders/1.json', 'blob:read:orders/*'],
    ['blob:read:orders/*', 'blob:read:orders/*'],
    ['blob:read:orders/2026/*', 'blob:read:orders/*'],
    ['sql:read:shop', 'sql:write:shop'],
    ['secret:token', 'secret:token'],
    ['approval:decide', 'approval:*'],
    ['deadletter:resolve', 'deadletter:resolve'],
  ])('%s is allowed by %s', (asked, by) => {
    const scopes = ['blob:write:x', 'sql:read:other', by];
    expect(explainScope(asked)).toBeUndefined();
    expect(findAllowing(scopes, asked)).toBe(by);
  });

  it.each<[asked: string, granted: string]>([
    ['block:sql.query', 'block:fs.*'],
    ['block:*', 'block:sql.*'],
    ['http:POST:api.example.com', 'http:GET:*'],
    ['http:GET:example.com', 'http:GET:*.example.com'],
    ['http:GET:badexample.com', 'http:GET:*.example.com'],
    ['http:GET:*', 'http:GET:*.example.com'],
    ['http:GET:127.0.0.1', 'http:GET:*.0.0.1'],
    ['http:GET:web.example.org', 'http:GET:web.example.org:80'],
    ['http:GET:*.example.com', 'http:GET:*.example.com:8443'],
    ['http:*:api.example.com', 'http:GET:api.example.com'],
    ['blob:read:orders2/1.json', 'blob:read:orders/*'],
    ['blob:read:*', 'blob:read:orders/*'],
    ['blob:read:orders/1.json', 'blob:write:orders/*'],
    ['sql:write:shop', 'sql:read:*'],
    ['sql:read:*', 'sql:write:shop'],
    ['secret:*', 'secret:token'],
    ['deadletter:resolve', 'approval:*'],
  ])('%s is not allowed by %s', (asked, granted) => {
    expect(explainScope(asked)).toBeUndefined();
    expect(findAllowing([granted], asked)).toBeUndefined();
  });

  const hosts = ['*', 'a.com', '*.a.com', 'b.a.com', '*.b.a.com', 'A.com', 'xa.com', '[::1]', '127.0.0.1', '*.0.0.1'];
  const paths = ['*', 'a*', 'a/*', 'a/b', 'a', 'a/b/*', 'b'];
  const all = [
    ...[
      'flow:start',
      'approval:*',
      'approval:request',
      'approval:decide',
      'deadletter:resolve',
      'secret:*',
      'secret:a',
    ],
    ...['block:*', 'block:fs.*', 'block:fs.put', 'block:sql.*', 'block:openapi', 'resources:*', 'resources:io'],
    ...['*', 'GET', 'PUT'].flatMap((method) =>
      hosts.flatMap((host) => ['', ':80', ':443', ':8443'].map((port) => `http:${method}:${host}${port}`)),
    ),
    ...['read', 'write'].flatMap((use) => paths.map((path) => `blob:${use}:${path}`)),
    ...['read', 'write'].flatMap((use) => ['*', 'a', 'b'].map((name) => `sql:${use}:${name}`)),
  ];
  const isAllowed = (granted: string, asked: string) => findAllowing([granted], asked) !== undefined;

  it('is the same whether a scope without wildcards is compared or asked for', () => {
    // A host without a port is asked for at that of https, and compared at all ports.
    const concrete = all.filter((scope) => !scope.includes('*') && (!scope.startsWith('http:') || /:\d+$/.test(scope)));
    const different = concrete.flatMap((asked) =>
      all
        .filter((granted) => isAllowed(granted, asked) !== (granted === asked || covers(granted, asked)))
        .map((granted) => `${asked} by ${granted}`),
    );
    expect(concrete.length).toBeGreaterThan(30);
    expect(different).toEqual([]);
  });

  it('is never more than a wider scope allows', () => {
    const pairs = all.flatMap((wide) =>
      all.filter((narrow) => covers(wide, narrow)).map((narrow) => [wide, narrow] as const),
    );
    expect(pairs.length).toBeGreaterThan(300);
    const lost = pairs.flatMap(([wide, narrow]) =>
      all
        .filter((asked) => isAllowed(narrow, asked) && !isAllowed(wide, asked))
        .map((asked) => `${asked} by ${narrow}, not by ${wide}`),
    );
    expect(lost).toEqual([]);
  });
});

describe('warnings', () => {
  const warningsOf = (scopes: readonly string[]) => {
    const text = tenantText('').replace('[flow:start]', JSON.stringify(scopes));
    return findWarnings(policyOf(text)).map(({ path, message }) => `${path.at(-1)} ${message}`);
  };

  it.each<[string[], string[]]>([
    [
      ['flow:start', 'block:*', 'resources:io', 'http:*:*', 'blob:read:*', 'blob:write:a/*', 'sql:read:a', 'secret:a'],
      [],
    ],
    [['flow:start', 'flow:start'], ['1 flow:start is there already']],
    [['block:sql.query', 'block:sql.*'], ['0 block:sql.query adds nothing to block:sql.*']],
    [['http:GET:*', 'http:GET:a.com:8080'], ['1 http:GET:a.com:8080 adds nothing to http:GET:*']],
    [['sql:read:shop', 'sql:write:shop'], ['0 sql:read:shop adds nothing to sql:write:shop']],
    [['blob:read:a/b', 'blob:read:a*'], ['0 blob:read:a/b adds nothing to blob:read:a*']],
    [
      ['block:http.reqest'],
      ['0 block:http.reqest allows nothing: there is no block http.reqest; did you mean http.request?'],
    ],
    [['block:sq.*'], ['0 block:sq.* allows nothing: there is no block sq.*; did you mean sql.*?']],
    [['http:GTE:a.com'], ['0 http:GTE:a.com allows nothing: no request has the method GTE; did you mean GET?']],
    [['http:GET:a.com:70000'], ['0 http:GET:a.com:70000 allows nothing: there is no port 70000']],
    [
      ['http:GET:*.bücher.example'],
      ['0 http:GET:*.bücher.example allows nothing: in requests the host bücher.example is xn--bcher-kva.example'],
    ],
    [['http:GET:127.1'], ['0 http:GET:127.1 allows nothing: in requests the host 127.1 is 127.0.0.1']],
    [
      ['blob:read:/orders/*'],
      ['0 blob:read:/orders/* allows nothing: no blob has such a path; it is relative, without . and .. segments'],
    ],
    [
      ['blob:write:../x'],
      ['0 blob:write:../x allows nothing: no blob has such a path; it is relative, without . and .. segments'],
    ],
  ])('of %j are %j', (scopes, warnings) => {
    expect(warningsOf(scopes)).toEqual(warnings);
  });

  it('take bounded work', () => {
    const scopes = Array.from({ length: 1_000 }, (_, index) => `blob:read:${index}/*`);
    const tenants = Array.from({ length: 100 }, (_, index) => `  t${index}: { scopes: *all }\n`).join('');
    const text = `version: 1\ntenants:\n  a: { scopes: &all ${JSON.stringify(scopes)} }\n${tenants}`;
    expect(findWarnings(policyOf(text))).toEqual([]);
    expect(
      findWarnings(
        policyOf(text.replaceAll('blob:read', 'block:x.y #').replaceAll(/block:x.y #:\d+\/\*/g, 'block:x.y')),
      ),
    ).toHaveLength(200);
  });
});
