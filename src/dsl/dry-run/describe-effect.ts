import { getOwn, isJsonObject, type Json, type JsonObject } from '../json';
import { shortText } from '../problems';

/** Longest line. */
const MAX_LENGTH = 300;

/** What a step would have done, in words: `would send POST https://api.example.com/orders with 2 headers and a body of 14 bytes`. */
export function describeEffect(block: string, args: JsonObject): string {
  return shortText(`would ${effectOf(block, args).replace(/\s+/g, ' ')}`, MAX_LENGTH);
}

function effectOf(block: string, args: JsonObject): string {
  switch (block) {
    case 'http.request':
      return `send ${requestOf(args)}`;
    case 'http.stream':
      return `send ${requestOf(args)} and write the answer to blob ${text(args.to)}`;
    case 'openapi.call':
      return `fetch the OpenAPI document ${urlOf(isJsonObject(args.document) ? args.document : {})} and call its operation ${text(args.operationId)}`;
    case 'fs.put':
      return `write ${bytesOf(args)} to blob ${text(args.path)}`;
    case 'fs.get':
      return `read blob ${text(args.path)}`;
    case 'fs.stat':
      return `look at blob ${text(args.path)}`;
    case 'fs.list':
      return `list the blobs that begin with ${JSON.stringify(args.prefix ?? '')}`;
    case 'fs.delete':
      return `delete blob ${text(args.path)}`;
    case 'sql.query':
      return `read from database ${text(args.database)} by ${text(args.statement)}`;
    case 'sql.execute':
      return `run 1 statement on database ${text(args.database)}: ${text(args.statement)}`;
    case 'sql.transaction':
      return `run ${countOf(args.statements, 'statement')} in one transaction on database ${text(args.database)}`;
    case 'script.run':
      return `run a script of ${countOf(text(args.code).trimEnd().split('\n'), 'line')}`;
    case 'human.approval':
      return `ask ${deciders(args.assignees)} for approval: ${text(args.title)}`;
    default:
      return `run ${block}`;
  }
}

function requestOf(args: JsonObject): string {
  const { method = 'get', headers, body, query } = args;
  const parts = [
    ...(isJsonObject(headers) && Object.keys(headers).length > 0 ? [countOf(Object.keys(headers), 'header')] : []),
    ...(isJsonObject(query) && Object.keys(query).length > 0 ? [countOf(Object.keys(query), 'query parameter')] : []),
    ...(body === undefined ? [] : [`a body of ${countBytes(sizeOf(body))}`]),
  ];
  return `${String(method).toUpperCase()} ${urlOf(args)}${parts.length === 0 ? '' : ` with ${listed(parts)}`}`;
}

/** Without the query, which may hold a secret. */
function urlOf({ endpoint }: JsonObject): string {
  const uri = isJsonObject(endpoint) ? getOwn(endpoint, 'uri') : endpoint;
  return text(uri)
    .replace(/[?#].*$/, '')
    .replace(/\/\/[^/@]*@/, '//');
}

/** Bytes that `fs.put` would write. */
export function contentBytes({ content, base64 }: JsonObject): number {
  return typeof base64 === 'string' ? Math.floor((base64.replace(/=+$/, '').length * 3) / 4) : sizeOf(content);
}

function bytesOf(args: JsonObject): string {
  return countBytes(contentBytes(args));
}

function countBytes(size: number): string {
  return size === 1 ? '1 byte' : `${size} bytes`;
}

/** In UTF-8; of what is no text, of its JSON. */
function sizeOf(value: Json | undefined): number {
  return new TextEncoder().encode(typeof value === 'string' ? value : (JSON.stringify(value) ?? '')).length;
}

function deciders(assignees: Json | undefined): string {
  if (!isJsonObject(assignees)) return 'anybody';
  const names = (key: string): string[] => {
    const list = assignees[key];
    return Array.isArray(list) ? list.map(String) : [];
  };
  const groups = names('groups').map((group) => `group ${group}`);
  return listed([...groups, ...names('users')]) || 'anybody';
}

function listed(parts: readonly string[]): string {
  return parts.length < 2 ? (parts[0] ?? '') : `${parts.slice(0, -1).join(', ')} and ${parts.at(-1)}`;
}

function countOf(list: Json | readonly string[] | undefined, noun: string): string {
  const count = Array.isArray(list) ? list.length : 0;
  return `${count} ${noun}${count === 1 ? '' : 's'}`;
}

function text(value: Json | undefined): string {
  return typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
}
