import type { Scope } from '../../activities/access/scopes';
import { hostAndPort, partsOf } from '../../activities/access/scopes';
import { parseBlobPath, parseListPrefix } from '../../activities/ports/blob-path';
import { closestName, MAX_PROBLEMS, type Problem, shortText } from '../../dsl/problems';
import type { Policy } from './policy';
import { BLOCK_TYPES, HTTP_METHODS } from './scope-advice';
import { covers } from './scope-cover';

/** Something in a valid policy that is probably not meant. */
export interface PolicyWarning {
  readonly path: Problem['path'];
  readonly message: string;
}

/** Pairs of scopes that are compared at most: a hostile file could else take minutes. */
const MAX_COMPARED = 1_000_000;

/** Scopes that are there twice, that another one covers, or that never allow anything; the first 200. */
export function findWarnings(policy: Policy): readonly PolicyWarning[] {
  const warnings: PolicyWarning[] = [];
  let left = MAX_COMPARED;
  for (const { name, scopes } of policy.tenants.values()) {
    const isCompared = scopes.length ** 2 <= left;
    if (isCompared) left -= scopes.length ** 2;
    for (const [index, scope] of scopes.entries()) {
      const message = (isCompared ? explainSurplus(scopes, index) : undefined) ?? explainFutile(scope);
      if (message !== undefined) warnings.push({ path: ['tenants', name, 'scopes', index], message });
      if (warnings.length === MAX_PROBLEMS) return warnings;
    }
  }
  return warnings;
}

function explainSurplus(scopes: readonly Scope[], index: number): string | undefined {
  const scope = scopes[index] ?? '';
  if (scopes.indexOf(scope) < index) return `${shortText(scope)} is there already`;
  const wide = scopes.find((other) => covers(other, scope));
  return wide === undefined ? undefined : `${shortText(scope)} adds nothing to ${shortText(wide)}`;
}

function explainFutile(scope: Scope): string | undefined {
  const { kind, value, first, second } = partsOf(scope);
  const reason = kind === 'block' ? noBlock(value) : kind === 'http' ? noRequest(first, second) : noBlob(kind, second);
  return reason === undefined ? undefined : `${shortText(scope)} allows nothing: ${reason}`;
}

function noBlock(type: string): string | undefined {
  const families = BLOCK_TYPES.map((known) => `${known.split('.', 1)}.*`);
  const known = ['*', ...BLOCK_TYPES, ...families];
  return known.includes(type) ? undefined : `there is no block ${shortText(type)}${didYouMean(type, known)}`;
}

function noRequest(method: string, place: string): string | undefined {
  const methods: readonly string[] = ['*', ...HTTP_METHODS];
  if (!methods.includes(method)) return `no request has the method ${method}${didYouMean(method, methods)}`;
  const [host, port] = hostAndPort(place);
  if (port !== undefined && (Number(port) < 1 || Number(port) > 65_535)) return `there is no port ${port}`;
  if (host === '*') return undefined;
  const plain = host.replace(/^\*\./, '');
  const url = `http://${plain}/`;
  const inUrls = URL.canParse(url) ? new URL(url).hostname.replace(/\.$/, '') : undefined;
  if (inUrls === undefined) return `${shortText(plain)} is no host`;
  return inUrls === plain ? undefined : `in requests the host ${shortText(plain)} is ${shortText(inUrls)}`;
}

function noBlob(kind: string, path: string): string | undefined {
  if (kind !== 'blob') return undefined;
  try {
    if (path.endsWith('*')) parseListPrefix(path.slice(0, -1));
    else parseBlobPath(path);
    return undefined;
  } catch {
    return 'no blob has such a path; it is relative, without . and .. segments';
  }
}

function didYouMean(word: string, known: readonly string[]): string {
  const meant = closestName(word, known);
  return meant === undefined ? '' : `; did you mean ${meant}?`;
}
