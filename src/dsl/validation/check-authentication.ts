import { hasExpression } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { shortText } from '../problems';
import { checkReference } from './check-reference';
import { checkSecretName } from './check-secrets';
import type { Checker, Path } from './checker';

const SCHEMES = ['basic', 'bearer', 'digest', 'oauth2', 'oidc'] as const;
type Scheme = (typeof SCHEMES)[number];

const GRANTS = [
  'authorization_code',
  'client_credentials',
  'password',
  'refresh_token',
  'urn:ietf:params:oauth:grant-type:token-exchange',
];
const CLIENT_METHODS = ['client_secret_basic', 'client_secret_post', 'client_secret_jwt', 'private_key_jwt', 'none'];
const ENCODINGS = ['application/x-www-form-urlencoded', 'application/json'];
const ENDPOINTS = ['token', 'revocation', 'introspection'];

/** A policy that is checked, and where it stands. */
interface PolicySite {
  readonly path: Path;
  /** `use` of the document. */
  readonly use: JsonObject;
  readonly checker: Checker;
}

/** An authentication policy of an endpoint: `use: NAME`, or one of the schemes (OWS dsl-reference, "Authentication"). */
export function checkAuthentication(value: Json, path: Path, use: JsonObject, checker: Checker): void {
  checkPolicy(value, ['use', ...SCHEMES], { path, use, checker });
}

/** A policy of `use.authentications`, which cannot be another one's name. */
export function checkReusableAuthentication(value: Json, path: Path, use: JsonObject, checker: Checker): void {
  checkPolicy(value, SCHEMES, { path, use, checker });
}

function checkPolicy(value: Json, kinds: readonly string[], site: PolicySite): void {
  const { path, use, checker } = site;
  const policy = checker.shaped(value, path, 'authentication', { optional: kinds });
  if (policy === undefined) return;
  const [kind = '', ...others] = Object.keys(policy);
  if (others.length > 0 || kind === '') {
    checker.report('BLW_VALUE_INVALID', path, `authentication: expected exactly one of ${kinds.join(', ')}`);
  } else if (kind === 'use') {
    const name = checker.text(policy.use, [...path, 'use'], 'authentication: use');
    if (name !== undefined) checkReference(name, 'authentications', [...path, 'use'], use, checker);
  } else if ((SCHEMES as readonly string[]).includes(kind)) {
    checkScheme(kind as Scheme, policy[kind], { ...site, path: [...path, kind] });
  }
}

function checkScheme(scheme: Scheme, value: Json | undefined, site: PolicySite): void {
  const { path, use, checker } = site;
  const what = `authentication: ${scheme}`;
  const properties = checker.object(value, path, what);
  if (properties === undefined) return;
  if (properties.use !== undefined) {
    checker.keys(properties, path, what, { required: ['use'] });
    const name = checker.text(properties.use, [...path, 'use'], `${scheme}: use`);
    if (name !== undefined) checkSecretName(name, [...path, 'use'], use, checker);
  } else if (scheme === 'oauth2' || scheme === 'oidc') {
    checkOAuth2(scheme, properties, site);
  } else {
    const required = scheme === 'bearer' ? ['token'] : ['username', 'password'];
    checker.keys(properties, path, what, { required });
    for (const key of required) checker.text(properties[key], [...path, key], `${scheme}: ${key}`);
  }
}

/** OWS dsl-reference, "OAUTH2 Authentication" and "OpenIdConnect Authentication". */
function checkOAuth2(scheme: 'oauth2' | 'oidc', properties: JsonObject, site: PolicySite): void {
  const { path, checker } = site;
  checker.keys(properties, path, `authentication: ${scheme}`, {
    required: ['authority', 'grant'],
    optional: [
      ...(scheme === 'oauth2' ? ['endpoints'] : []),
      ...['client', 'request', 'issuers', 'scopes', 'audiences', 'username', 'password', 'subject', 'actor'],
    ],
  });
  checkUri(properties.authority, scheme, { ...site, path: [...path, 'authority'] });
  for (const key of ['username', 'password']) checker.text(properties[key], [...path, key], `${scheme}: ${key}`);
  for (const key of ['issuers', 'scopes', 'audiences'])
    checkTexts(properties[key], `${scheme}: ${key}`, [...path, key], checker);
  checkTextsOf(properties.endpoints, 'endpoints', ENDPOINTS, site);
  checkTextsOf(properties.request, 'request', ['encoding'], site);
  if (isJsonObject(properties.request)) {
    checkChoice(properties.request.encoding, ENCODINGS, `${scheme}: request.encoding`, {
      ...site,
      path: [...path, 'request', 'encoding'],
    });
  }
  for (const key of ['subject', 'actor']) checkToken(properties[key], key, site);
  checkClient(properties.client, site);
  checkGrant(properties, scheme, site);
}

function checkUri(value: Json | undefined, scheme: string, { path, checker }: PolicySite): void {
  const text = checker.text(value, path, `${scheme}: authority`);
  if (text === undefined || hasExpression(text) || /^(?:https?:\/\/[^/]|\{)/i.test(text)) return;
  const expected = 'expected an absolute http or https URL, such as https://login.example.com/realms/shop';
  checker.report('BLW_VALUE_INVALID', path, `${scheme}: authority: got "${shortText(text)}", ${expected}`);
}

function checkTexts(value: Json | undefined, what: string, path: Path, checker: Checker): void {
  if (value === undefined) return;
  if (!Array.isArray(value)) checker.report('BLW_VALUE_INVALID', path, `${what}: expected a list of texts`);
  else for (const [index, item] of value.entries()) checker.text(item, [...path, index], what);
}

/** An object of texts under a key. */
function checkTextsOf(
  value: Json | undefined,
  key: string,
  keys: readonly string[],
  { path, checker }: PolicySite,
): void {
  if (value === undefined) return;
  const object = checker.shaped(value, [...path, key], `authentication: ${key}`, { optional: keys });
  for (const name of keys) checker.text(object?.[name], [...path, key, name], `${key}.${name}`);
}

/** One of a few words; an expression is left to run time. */
function checkChoice(
  value: Json | undefined,
  choices: readonly string[],
  what: string,
  { path, checker }: PolicySite,
): void {
  if (typeof value === 'string' && hasExpression(value)) return;
  checker.oneOf(value, path, what, choices);
}

function checkToken(value: Json | undefined, key: string, { path, checker }: PolicySite): void {
  if (value === undefined) return;
  const required = ['token', 'type'];
  const token = checker.shaped(value, [...path, key], `authentication: ${key}`, { required });
  for (const name of required) checker.text(token?.[name], [...path, key, name], `${key}.${name}`);
}

function checkClient(value: Json | undefined, site: PolicySite): void {
  const keys = ['id', 'secret', 'assertion', 'authentication'];
  checkTextsOf(value, 'client', keys, site);
  const client = isJsonObject(value) ? value : {};
  const path = [...site.path, ...(value === undefined ? [] : ['client'])];
  checkChoice(client.authentication, CLIENT_METHODS, 'client.authentication', {
    ...site,
    path: [...path, 'authentication'],
  });
  const { authentication: method = 'client_secret_post' } = client;
  if (method === 'none' || (typeof method === 'string' && hasExpression(method))) return;
  const needed = method === 'private_key_jwt' ? 'assertion' : 'secret';
  for (const key of ['id', needed]) {
    if (client[key] !== undefined) continue;
    const message = `client.${key} is missing; client.authentication ${shortText(String(method))} needs it (with "none" the client does not authenticate)`;
    site.checker.report('BLW_KEY_MISSING', path, message, 'key');
  }
}

function checkGrant(properties: JsonObject, scheme: string, site: PolicySite): void {
  const { path, checker } = site;
  const { grant } = properties;
  checkChoice(grant, GRANTS, `${scheme}: grant`, { ...site, path: [...path, 'grant'] });
  if (grant === 'authorization_code') {
    const message =
      'grant: authorization_code is not supported: it needs a person at a browser; use client_credentials, password, refresh_token or token exchange';
    checker.report('BLW_UNSUPPORTED', [...path, 'grant'], message);
  }
  const needed = grant === 'password' ? ['username', 'password'] : /token/.test(String(grant)) ? ['subject'] : [];
  for (const key of needed) {
    if (properties[key] === undefined)
      checker.report('BLW_KEY_MISSING', path, `${scheme}: grant ${shortText(String(grant))} needs "${key}"`, 'key');
  }
}
