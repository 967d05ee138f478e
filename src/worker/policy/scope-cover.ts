import { isIP } from 'node:net';
import {
  hostAndPort,
  type Need,
  needBlob,
  needBlock,
  needDatabase,
  needHttp,
  needWord,
  partsOf,
  type Scope,
} from '../../activities/access/scopes';

/**
 * The first of `scopes` that allows what is asked for, itself written as a scope. It is decided as for a step; a wildcard is
 * allowed where one scope allows all of it. A host without a port is asked for at the port of https.
 */
export function findAllowing(scopes: readonly Scope[], asked: Scope): Scope | undefined {
  const need = needOf(asked);
  return scopes.find((scope) => need?.allowedBy(scope) ?? (scope === asked || covers(scope, asked)));
}

/** What a scope without a wildcard stands for; undefined for one with a wildcard, and for a host that no URL can have. */
function needOf(asked: Scope): Need | undefined {
  if (asked.includes('*')) return undefined;
  const { kind, first, second, value } = partsOf(asked);
  switch (kind) {
    case 'flow':
    case 'resources':
    case 'secret':
    case 'approval':
    case 'deadletter':
      return needWord(kind, value);
    case 'block':
      return needBlock(value);
    case 'http': {
      const url = `${second.endsWith(':80') ? 'http' : 'https'}://${second}/`;
      return URL.canParse(url) ? needHttp(first, new URL(url)) : undefined;
    }
    case 'blob':
      return needBlob(first === 'write' ? 'write' : 'read', second);
    case 'sql':
      return needDatabase(first === 'write' ? 'write' : 'read', second);
    default:
      return undefined;
  }
}

/** True where everything that `narrow` allows `wide`, another scope, allows too. Both are well-formed. */
export function covers(wide: Scope, narrow: Scope): boolean {
  const left = partsOf(wide);
  const right = partsOf(narrow);
  if (wide === narrow || left.kind !== right.kind) return false;
  switch (left.kind) {
    case 'block':
      return left.value === '*' || (left.value.endsWith('.*') && right.value.startsWith(left.value.slice(0, -1)));
    case 'http':
      return (left.first === '*' || left.first === right.first) && coversHost(left.second, right.second);
    case 'blob':
      return (
        left.first === right.first && left.second.endsWith('*') && right.second.startsWith(left.second.slice(0, -1))
      );
    case 'sql':
      return (
        (left.first === right.first || left.first === 'write') && (left.second === '*' || left.second === right.second)
      );
    default:
      return left.value === '*';
  }
}

function coversHost(wide: string, narrow: string): boolean {
  const [host, port] = hostAndPort(wide);
  const [otherHost, otherPort] = hostAndPort(narrow);
  if (port !== undefined && port !== otherPort) return false;
  if (host === '*' || host === otherHost) return true;
  const isBelow = otherHost.endsWith(host.slice(1)) && otherHost.length >= host.length;
  return host.startsWith('*.') && isBelow && isIP(otherHost) === 0;
}
