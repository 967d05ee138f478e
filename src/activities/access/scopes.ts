import { isIP } from 'node:net';
import { normalizeHost } from '../ports/address-policy';

/**
 * A scope as people write it, in a policy or in a token:
 *
 * | scope | allows |
 * | --- | --- |
 * | `flow:start` | to start flows |
 * | `block:TYPE` | steps of a block: `block:http.request`, `block:sql.*`, `block:*` |
 * | `resources:CLASS` | steps of a resource class: `io`, `cpu`, `gpu`, `*` |
 * | `http:METHOD:HOST` | requests: `http:GET:api.example.com`, `http:*:*.example.com:8443`, `http:*:*` |
 * | `blob:read:PATH`, `blob:write:PATH` | blobs: a path, or all below one: `blob:read:orders/*`, `blob:write:*` |
 * | `sql:read:NAME`, `sql:write:NAME` | a database, or `*`; who may write may read |
 * | `secret:NAME` | a secret, or `*` |
 * | `approval:request`, `approval:decide` | to ask for decisions, to decide |
 * | `deadletter:resolve` | to say what becomes of dead letters |
 *
 * Whatever is not allowed is denied.
 */
export type Scope = string;

/** What a step, a start, a decision or a resolution needs; the text is a scope that would allow it. */
export interface Need {
  readonly scope: Scope;
  /** True where this scope, of those that are granted, allows it. */
  allowedBy(scope: Scope): boolean;
}

const METHOD = /^[A-Z]{1,20}$/;
const HOST = /^(?:\*|(?:\*\.)?[^\s:/?#@\\[\]*%]+|\[[0-9a-f:.]+\])(?::\d{1,5})?$/i;
const WORD = /^[^\s:*]+$/;

/** Host in lower case, and port, of the last part of a scope of kind http. */
export function hostAndPort(place: string): [host: string, port: string | undefined] {
  const [, host = place, port] = /^(\[[^\]]*\]|[^:]*)(?::(\d+))?$/.exec(place) ?? [];
  return [host.toLowerCase(), port];
}

/** A scope taken apart: `value` is all behind the kind, `first` and `second` are its halves. */
export function partsOf(scope: Scope): {
  readonly kind: string;
  readonly value: string;
  readonly first: string;
  readonly second: string;
} {
  const [kind = '', ...rest] = scope.split(':');
  const [first = '', ...more] = rest;
  return { kind, value: rest.join(':'), first, second: more.join(':') };
}

/** Says what is wrong with a scope; undefined where nothing is. */
export function explainScope(text: string): string | undefined {
  const { kind, value, first, second } = partsOf(text);
  switch (kind) {
    case 'flow':
      return value === 'start' ? undefined : 'expected flow:start';
    case 'block':
      return /^(?:\*|[a-z]+\.\*|[a-z]+\.[a-z]+|openapi)$/i.test(value)
        ? undefined
        : 'expected block:TYPE, such as block:http.request, block:sql.* or block:*';
    case 'resources':
      return ['io', 'cpu', 'gpu', '*'].includes(value) ? undefined : 'expected resources:io, :cpu, :gpu or :*';
    case 'http':
      return (first === '*' || METHOD.test(first)) && HOST.test(second)
        ? undefined
        : 'expected http:METHOD:HOST, such as http:GET:api.example.com, http:*:*.example.com or http:*:*';
    case 'blob':
      return (first === 'read' || first === 'write') && second !== '' && !second.slice(0, -1).includes('*')
        ? undefined
        : 'expected blob:read:PATH or blob:write:PATH, where PATH may end in *, such as blob:read:orders/*';
    case 'sql':
      return (first === 'read' || first === 'write') && (second === '*' || WORD.test(second))
        ? undefined
        : 'expected sql:read:NAME or sql:write:NAME, such as sql:read:shop';
    case 'secret':
      return value === '*' || WORD.test(value) ? undefined : 'expected secret:NAME or secret:*';
    case 'approval':
      return ['request', 'decide', '*'].includes(value)
        ? undefined
        : 'expected approval:request, approval:decide or approval:*';
    case 'deadletter':
      return value === 'resolve' ? undefined : 'expected deadletter:resolve';
    default:
      return 'expected one of flow, block, resources, http, blob, sql, secret, approval and deadletter before the first colon';
  }
}

/** A word that has to be there, or a `*`: flows, resource classes, secrets, approvals, dead letters. */
export function needWord(kind: 'flow' | 'resources' | 'secret' | 'approval' | 'deadletter', value: string): Need {
  const scope = `${kind}:${value}`;
  return { scope, allowedBy: (granted) => granted === scope || granted === `${kind}:*` };
}

export function needBlock(type: string): Need {
  const [family = ''] = type.split('.', 1);
  const allowing = new Set([`block:${type}`, `block:${family}.*`, 'block:*']);
  return { scope: `block:${type}`, allowedBy: (granted) => allowing.has(granted) };
}

/** `port` is the URL's; that of its scheme is left out of the text. */
export function needHttp(method: string, url: URL): Need {
  const host = normalizeHost(url.hostname);
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return {
    scope: `http:${method}:${host}${url.port === '' ? '' : `:${port}`}`,
    allowedBy: (granted) => {
      const [, grantedMethod = '', place = ''] = /^http:([^:]+):(.+)$/s.exec(granted) ?? [];
      if (grantedMethod !== '*' && grantedMethod !== method) return false;
      const [pattern, grantedPort] = hostAndPort(place);
      return (grantedPort === undefined || grantedPort === port) && matchesHost(pattern, host);
    },
  };
}

/**
 * `*.example.com` is every name below example.com, not example.com itself, as in certificates (RFC 6125) but at any depth. An address is
 * below no name.
 */
function matchesHost(pattern: string, host: string): boolean {
  if (pattern === '*') return true;
  if (pattern.startsWith('*.'))
    return isIP(host) === 0 && host.endsWith(pattern.slice(1)) && host.length >= pattern.length;
  return pattern === host;
}

/** `path` is a blob's, or the prefix of a list where `isPrefix`. */
export function needBlob(use: 'read' | 'write', path: string, isPrefix = false): Need {
  const kind = `blob:${use}:`;
  return {
    scope: `${kind}${path}${isPrefix ? '*' : ''}`,
    allowedBy: (granted) => {
      if (!granted.startsWith(kind)) return false;
      const pattern = granted.slice(kind.length);
      return pattern.endsWith('*') ? path.startsWith(pattern.slice(0, -1)) : !isPrefix && pattern === path;
    },
  };
}

/** Who may write may read: a write can hand rows back. */
export function needDatabase(use: 'read' | 'write', name: string): Need {
  const uses = use === 'read' ? ['read', 'write'] : ['write'];
  const allowing = new Set(uses.flatMap((granted) => [`sql:${granted}:${name}`, `sql:${granted}:*`]));
  return { scope: `sql:${use}:${name}`, allowedBy: (granted) => allowing.has(granted) };
}
