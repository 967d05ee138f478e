import { type Access, requireScope } from '../../src/activities/access/access';
import { explainScope, needHttp } from '../../src/activities/access/scopes';
import type { BlockFailure } from '../../src/activities/block-failure';
import { SCOPE_CASES } from '../attacks/scopes';

const access = (scopes: readonly string[], tokenScopes?: readonly string[]): Access => ({
  tenant: 'acme',
  scopes,
  privateHosts: [],
  ...(tokenScopes === undefined ? {} : { tokenScopes }),
});

function verdict(granted: Access, need: (typeof SCOPE_CASES)[number]['need']): string {
  try {
    requireScope(granted, need);
    return 'allowed';
  } catch (error) {
    return (error as BlockFailure).data.code ?? String(error);
  }
}

test.each(
  SCOPE_CASES.map(
    ({ granted, need, isAllowed }) =>
      [need.scope, granted.join(' '), isAllowed ? 'allowed' : 'BLW_SCOPE_DENIED', { granted, need }] as const,
  ),
)('%s with [%s]: %s', (_scope, _granted, expected, { granted, need }) => {
  expect(verdict(access(granted), need)).toBe(expected);
  // A token only narrows: it gives nothing that the policy does not, and takes what it does not name.
  expect(verdict(access(granted, granted), need)).toBe(expected);
  expect(verdict(access([], granted), need)).toBe('BLW_SCOPE_DENIED');
  expect(verdict(access(granted, []), need)).toBe('BLW_SCOPE_DENIED');
});

test('a denial names the scope, who lacks it and nothing else', () => {
  const need = needHttp('POST', new URL('https://api.example.com:8443/secret/path?token=x'));
  expect(() => requireScope(access(['http:GET:api.example.com', 'secret:hidden']), need)).toThrow(
    expect.objectContaining({
      message: "the scope http:POST:api.example.com:8443 is needed and the tenant's policy does not give it",
      data: expect.objectContaining({ status: 403, data: { scope: 'http:POST:api.example.com:8443' } }),
      options: expect.objectContaining({ retryable: false }),
    }),
  );
  expect(() => requireScope(access(['http:*:*'], []), need)).toThrow('the token does not give it');
});

test('without a policy everything is allowed', () => {
  expect(() => requireScope(undefined, needHttp('GET', new URL('http://a/')))).not.toThrow();
});

test.each([
  'flow:start',
  'block:*',
  'block:sql.*',
  'block:http.request',
  'resources:gpu',
  'http:*:*',
  'http:GET:*.example.com:8443',
  'http:GET:[::1]:80',
  'blob:read:*',
  'blob:write:orders/*',
  'blob:read:a/b.json',
  'sql:read:*',
  'sql:write:shop',
  'secret:shopLogin',
  'approval:decide',
  'deadletter:resolve',
])('%s is a scope', (text) => {
  expect(explainScope(text)).toBeUndefined();
});

test.each([
  '',
  '*',
  'flow',
  'flow:*',
  'block:',
  'block:sql',
  'block:*.query',
  'resources:disk',
  'http:GET',
  'http:get:a.example',
  'http:GET:https://a.example/',
  'http:GET:a.*.example',
  'http:GET:a@b',
  'blob:read',
  'blob:read:',
  'blob:delete:*',
  'blob:read:*/x',
  'sql:shop',
  'sql:read:',
  'sql:read:a b',
  'secret:',
  'secret:a:b',
  'approval:approve',
  'deadletter:*',
  'deadletter:skip',
  'Block:*',
])('"%s" is none, and is told what to write', (text) => {
  expect(explainScope(text)).toMatch(/^expected /);
});
