import {
  type Need,
  needBlob,
  needBlock,
  needDatabase,
  needHttp,
  needWord,
  type Scope,
} from '../../src/activities/access/scopes';

/** What somebody has, what he tries, and whether it may work. */
export interface ScopeCase {
  readonly granted: readonly Scope[];
  readonly need: Need;
  readonly isAllowed: boolean;
}

const http = (method: string, url: string): Need => needHttp(method, new URL(url));
const denied = (granted: Scope[], ...needs: Need[]): ScopeCase[] =>
  needs.map((need) => ({ granted, need, isAllowed: false }));
const allowed = (granted: Scope[], ...needs: Need[]): ScopeCase[] =>
  needs.map((need) => ({ granted, need, isAllowed: true }));

/** Attempts to get more out of a scope than it says, and what it does allow. */
export const SCOPE_CASES: readonly ScopeCase[] = [
  // Nothing is granted by nothing, nor by what is no scope.
  ...denied(
    [],
    needWord('flow', 'start'),
    needBlock('http.request'),
    needWord('secret', 'a'),
    needDatabase('read', 'a'),
  ),
  ...denied(
    ['*', '', 'all', 'block', 'block:', 'BLOCK:*', ' block:*', 'http:*'],
    needBlock('fs.put'),
    http('GET', 'http://a/'),
  ),

  ...allowed(['block:*'], needBlock('sql.query'), needBlock('http.request')),
  ...allowed(['block:sql.*'], needBlock('sql.query'), needBlock('sql.transaction')),
  ...denied(['block:sql.*'], needBlock('http.request'), needBlock('sqlx.query'), needBlock('fs.sql.query')),
  ...allowed(['block:script.run'], needBlock('script.run')),
  ...denied(['block:script', 'block:run', 'block:sql.*', 'block:http.*', 'resources:cpu'], needBlock('script.run')),
  ...allowed(['block:sql.query'], needBlock('sql.query')),
  ...denied(['block:sql.query', 'block:sql', 'block:sql.'], needBlock('sql.execute'), needBlock('sql.query2')),

  ...allowed(['resources:io', 'resources:cpu'], needWord('resources', 'io'), needWord('resources', 'cpu')),
  ...denied(['resources:io', 'resources:cpu'], needWord('resources', 'gpu')),

  // Hosts.
  ...allowed(['http:*:*'], http('GET', 'https://a.example/'), http('DELETE', 'http://10.0.0.1:8080/x')),
  ...allowed(
    ['http:GET:api.example.com'],
    http('GET', 'https://api.example.com/x'),
    http('GET', 'https://API.EXAMPLE.COM/x'),
    http('GET', 'https://api.example.com./x'),
    http('GET', 'http://api.example.com:8080/'),
  ),
  ...denied(
    ['http:GET:api.example.com'],
    http('POST', 'https://api.example.com/'),
    http('HEAD', 'https://api.example.com/'),
    http('GET', 'https://api.example.com.evil.example/'),
    http('GET', 'https://evil-api.example.com/'),
    http('GET', 'https://x.api.example.com/'),
    http('GET', 'https://example.com/'),
    http('GET', 'https://api.example.com@evil.example/'),
    http('GET', 'https://evil.example/api.example.com'),
    http('GET', 'https://evil.example/?http:GET:api.example.com'),
    http('GET', 'https://evil.example#api.example.com'),
    http('GET', 'https://api\u3002example\u3002com.evil.example/'),
    http('GET', 'https://\u0430pi.example.com/'),
  ),
  ...allowed(
    ['http:*:*.example.com'],
    http('GET', 'https://a.example.com/'),
    http('PUT', 'https://a.b.example.com:8443/'),
  ),
  ...denied(
    ['http:*:*.example.com'],
    http('GET', 'https://example.com/'),
    http('GET', 'https://badexample.com/'),
    http('GET', 'https://example.com.evil.example/'),
    http('GET', 'https://a.example.com.evil.example/'),
    http('GET', 'https://a.example.org/'),
  ),
  ...allowed(
    ['http:GET:api.example.com:8443', 'http:GET:[::1]:8080', 'http:GET:10.0.0.5'],
    http('GET', 'https://api.example.com:8443/'),
    http('GET', 'http://[::1]:8080/'),
    http('GET', 'http://[0:0:0:0:0:0:0:1]:8080/'),
    http('GET', 'http://10.0.0.5:99/'),
    http('GET', 'http://0x0a000005/'),
  ),
  ...denied(
    ['http:GET:api.example.com:8443', 'http:GET:[::1]:8080', 'http:GET:10.0.0.5'],
    http('GET', 'https://api.example.com/'),
    http('GET', 'https://api.example.com:84430/'.replace('84430', '8444')),
    http('GET', 'http://[::1]/'),
    http('GET', 'http://[::2]:8080/'),
    http('GET', 'http://10.0.0.50/'),
    http('GET', 'http://110.0.0.5/'),
  ),
  ...denied(['http:GET:*.0.0.1', 'http:GET:*.1'], http('GET', 'http://127.0.0.1/'), http('GET', 'http://10.0.0.1/')),
  ...allowed(['http:GET:a.example:443'], http('GET', 'https://a.example/')),
  ...denied(['http:GET:a.example:443'], http('GET', 'http://a.example/')),

  // Blobs.
  ...allowed(
    ['blob:read:orders/*', 'blob:write:reports/today.json'],
    needBlob('read', 'orders/1.json'),
    needBlob('read', 'orders/2026/1.json'),
    needBlob('read', 'orders/', true),
    needBlob('read', 'orders/2026', true),
    needBlob('write', 'reports/today.json'),
  ),
  ...denied(
    ['blob:read:orders/*', 'blob:write:reports/today.json'],
    needBlob('write', 'orders/1.json'),
    needBlob('read', 'reports/today.json'),
    needBlob('read', 'orders-secret/1.json'),
    needBlob('read', 'orders'),
    needBlob('read', 'Orders/1.json'),
    needBlob('read', 'order', true),
    needBlob('read', '', true),
    needBlob('read', '/orders/1.json'),
    needBlob('write', 'reports/today.json.bak'),
    needBlob('write', 'reports/', true),
  ),
  ...allowed(['blob:read:*'], needBlob('read', 'a'), needBlob('read', '', true)),
  ...denied(['blob:read:*'], needBlob('write', 'a')),
  ...denied(['blob:read:a'], needBlob('read', 'a', true), needBlob('read', 'ab')),

  // Databases: who may write may read, and not the other way round.
  ...allowed(['sql:read:shop'], needDatabase('read', 'shop')),
  ...denied(
    ['sql:read:shop'],
    needDatabase('write', 'shop'),
    needDatabase('read', 'shop2'),
    needDatabase('read', 'Shop'),
  ),
  ...allowed(['sql:write:shop'], needDatabase('write', 'shop'), needDatabase('read', 'shop')),
  ...allowed(['sql:read:*'], needDatabase('read', 'any')),
  ...denied(['sql:read:*'], needDatabase('write', 'any')),

  ...allowed(
    ['secret:token', 'approval:*', 'flow:start'],
    needWord('secret', 'token'),
    needWord('approval', 'decide'),
    needWord('flow', 'start'),
  ),
  ...denied(
    ['secret:token', 'approval:request'],
    needWord('secret', 'token2'),
    needWord('secret', 'Token'),
    needWord('secret', '*'),
    needWord('approval', 'decide'),
    needWord('flow', 'start'),
  ),
];
