import { resolve } from 'node:path';
import { isLoopbackName } from '../../activities/ports/address-policy';
import { parseDuration } from '../../dsl/durations';
import type { Json } from '../../dsl/json';
import { closestName, shortJson, shortText } from '../../dsl/problems';
import type { Checker, Shape } from '../../dsl/validation/checker';
import type { IdentityPolicy } from './policy';
import { PolicySection } from './policy-checker';

/** Signatures that a worker can verify without knowing how to make them (RFC 7518 section 3.1, RFC 8037, RFC 9864). */
export const TOKEN_ALGORITHMS: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

const DEFAULT_CLAIMS = { tenant: 'tenant', scopes: 'scope', groups: 'groups' } as const;
const DEFAULT_CLOCK_TOLERANCE_MS = 30_000;

/** "Usually no more than a few minutes" (RFC 7519 section 4.1.4). */
const MAX_CLOCK_TOLERANCE_MS = 600_000;

const IDENTITY_SHAPE: Shape = {
  required: ['jwks', 'issuer', 'audience'],
  optional: ['algorithms', 'claims', 'clockTolerance'],
  habits: {
    aliases: {
      jwksuri: 'jwks',
      jwksurl: 'jwks',
      keys: 'jwks',
      iss: 'issuer',
      aud: 'audience',
      algorithm: 'algorithms',
      algs: 'algorithms',
      leeway: 'clockTolerance',
      clockskew: 'clockTolerance',
    },
  },
  example: '{ jwks: ./jwks.json, issuer: https://login.example.com/, audience: beamline }',
};

const CLAIMS_SHAPE: Shape = {
  optional: ['tenant', 'scopes', 'groups'],
  habits: { advice: { sub: 'the person is always the claim sub', user: 'the person is always the claim sub' } },
  example: '{ tenant: tenant }',
};

/** How tokens are verified; a relative file is taken from `folder`. What is wrong is reported. */
export function readIdentity(
  value: Json | undefined,
  { checker, folder }: { checker: Checker; folder: string },
): IdentityPolicy | undefined {
  if (value === undefined) return undefined;
  const object = checker.shaped(value, ['identity'], 'identity', IDENTITY_SHAPE);
  if (object === undefined) return undefined;
  const section = new PolicySection(checker, object, ['identity'], 'identity.');
  return {
    jwks: readKeys(section, folder),
    issuer: section.text('issuer') ?? '',
    audience: section.text('audience') ?? '',
    algorithms: readAlgorithms(section),
    claims: readClaims(section),
    clockToleranceMs: readTolerance(section),
  };
}

function readKeys(section: PolicySection, folder: string): IdentityPolicy['jwks'] {
  const text = section.text('jwks') ?? '';
  if (!/^[a-z][a-z0-9+.-]+:/i.test(text)) return { file: resolve(folder, text) };
  const problem = explainKeysUrl(text);
  if (problem !== undefined) section.report('jwks', problem);
  return { url: text };
}

/** Keys that somebody between could replace would let him in, whoever he says that he is. */
function explainKeysUrl(text: string): string | undefined {
  if (!URL.canParse(text)) return `got "${shortText(text)}", expected a file or an https URL`;
  const { protocol, hostname, username, password } = new URL(text);
  if (username !== '' || password !== '') return 'got a URL with credentials in it, expected one without';
  if (protocol === 'https:' || (protocol === 'http:' && isLoopback(hostname))) return undefined;
  if (protocol === 'http:') return `got "${shortText(text)}", expected https; http is for loopback hosts only`;
  if (protocol === 'file:') return `got "${shortText(text)}", expected the path of a file, without file://`;
  return `got "${shortText(text)}", expected a file or an https URL`;
}

function isLoopback(hostname: string): boolean {
  return isLoopbackName(hostname) || hostname === '[::1]' || /^127(?:\.\d+){3}$/.test(hostname);
}

function readAlgorithms(section: PolicySection): readonly string[] {
  const items = section.list('algorithms', TOKEN_ALGORITHMS.length, '[ES256, EdDSA]');
  if (items === undefined) return TOKEN_ALGORITHMS;
  if (items.length === 0) section.report('algorithms', 'got an empty list, expected at least one, such as ES256');
  const names: string[] = [];
  items.forEach((item, index) => {
    if (typeof item === 'string' && TOKEN_ALGORITHMS.includes(item)) names.push(item);
    else {
      const path = [...section.path, 'algorithms', index];
      section.checker.report('BLW_VALUE_INVALID', path, `identity.algorithms: ${explainAlgorithm(item)}`);
    }
  });
  return names;
}

function explainAlgorithm(item: Json): string {
  const expected = `expected one of ${TOKEN_ALGORITHMS.join(', ')}`;
  const name = typeof item === 'string' ? item : '';
  if (/^none$/i.test(name)) return `got "${name}", ${expected}; a token without a signature proves nothing`;
  if (/^hs/i.test(name)) {
    return `got ${shortJson(item)}, ${expected}; with a shared key every worker could make tokens`;
  }
  const meant = closestName(name, TOKEN_ALGORITHMS);
  return `got ${shortJson(item)}, ${expected}${meant === undefined ? '' : `; did you mean ${meant}?`}`;
}

function readClaims(section: PolicySection): IdentityPolicy['claims'] {
  const value = section.value('claims');
  if (value === undefined) return DEFAULT_CLAIMS;
  const path = [...section.path, 'claims'];
  const object = section.checker.shaped(value, path, 'identity.claims', CLAIMS_SHAPE);
  if (object === undefined) return DEFAULT_CLAIMS;
  const claims = new PolicySection(section.checker, object, path, 'identity.claims.');
  return {
    tenant: claims.text('tenant') ?? DEFAULT_CLAIMS.tenant,
    scopes: claims.text('scopes') ?? DEFAULT_CLAIMS.scopes,
    groups: claims.text('groups') ?? DEFAULT_CLAIMS.groups,
  };
}

function readTolerance(section: PolicySection): number {
  const value = section.value('clockTolerance');
  if (value === undefined) return DEFAULT_CLOCK_TOLERANCE_MS;
  section.checker.literalDuration(value, [...section.path, 'clockTolerance'], 'identity.clockTolerance', 0);
  const parsed = parseDuration(value);
  if (!('ms' in parsed)) return 0;
  if (parsed.ms > MAX_CLOCK_TOLERANCE_MS)
    section.report('clockTolerance', `got ${shortJson(value)}, expected at most PT10M`);
  return parsed.ms;
}
