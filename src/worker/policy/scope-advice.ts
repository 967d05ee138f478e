import { explainScope, type Scope } from '../../activities/access/scopes';
import { BLOCK_SPECS } from '../../dsl/block-registry';
import { RESOURCE_CLASSES } from '../../dsl/block-spec';
import { closestName } from '../../dsl/problems';

/** What a scope may begin with, in the order of the documentation. */
export const SCOPE_KINDS = [
  'flow',
  'block',
  'resources',
  'http',
  'blob',
  'sql',
  'secret',
  'approval',
  'deadletter',
] as const;

/** Methods of RFC 9110 and RFC 5789, as requests have them. */
export const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/** Types of the blocks there are, and their families. */
export const BLOCK_TYPES: readonly string[] = BLOCK_SPECS.map(({ type }) => type);

/** What others call the kinds. */
const KIND_HABITS: ReadonlyMap<string, (typeof SCOPE_KINDS)[number]> = new Map([
  ['db', 'sql'],
  ['database', 'sql'],
  ['fs', 'blob'],
  ['file', 'blob'],
  ['host', 'http'],
  ['step', 'block'],
  ['script', 'block'],
  ['pool', 'resources'],
  ['dlq', 'deadletter'],
]);

/** The scope that was probably meant by text that is none; undefined where that cannot be told. */
export function meantScope(text: string): Scope | undefined {
  const [kind = '', ...rest] = text.replace(/\s+/g, '').split(':');
  const meantKind = KIND_HABITS.get(kind.toLowerCase()) ?? closestName(kind, SCOPE_KINDS);
  if (meantKind === undefined) return undefined;
  const meant = `${meantKind}:${meantValue(meantKind, rest)}`;
  return meant !== text && explainScope(meant) === undefined ? meant : undefined;
}

function meantValue(kind: string, rest: readonly string[]): string {
  const [first = '', ...more] = rest;
  const value = rest.join(':');
  const second = more.join(':');
  switch (kind) {
    case 'flow':
      return closest(value, ['start']);
    case 'block':
      return meantBlock(value);
    case 'resources':
      return closest(value, RESOURCE_CLASSES);
    case 'http':
      return `${first === '*' ? first : closest(first, HTTP_METHODS)}:${hostOf(second)}`;
    case 'blob':
      return `${closest(first, ['read', 'write'])}:${second.replace(/\/?\*\*$/, '/*').replace(/^\/+/, '')}`;
    case 'sql':
      return `${closest(first, ['read', 'write'])}:${second}`;
    case 'approval':
      return closest(value, ['request', 'decide']);
    case 'deadletter':
      return closest(value, ['resolve']);
    default:
      return value;
  }
}

/** A block by its type, or by what flows call it: `http` is `http.request`. */
function meantBlock(value: string): string {
  const byCall = BLOCK_SPECS.find(({ call }) => call === value)?.type;
  const families = BLOCK_TYPES.map((type) => `${type.split('.', 1)}.*`);
  return byCall ?? closest(value, [...BLOCK_TYPES, ...families]);
}

/** Of a URL, host and port. */
function hostOf(text: string): string {
  return text.replace(/^[a-z]+:\/\//i, '').replace(/\/.*$/, '');
}

function closest(word: string, known: readonly string[]): string {
  return closestName(word, known) ?? word;
}
