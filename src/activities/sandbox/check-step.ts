import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { SCRIPT_BLOCK } from '../../dsl/script';
import { type Access, requireScope } from '../access/access';
import { needBlob, needDatabase, needHttp } from '../access/scopes';
import type { StepIdentity } from '../block';
import { BlockFailure } from '../block-failure';
import { encodeContent } from '../blocks/fs-put';
import { statementOf } from '../blocks/sql-arguments';
import { buildHttpCall, type HttpArguments } from '../http/call';
import { parseHttpUrl } from '../http/url';
import { parseBlobPath, parseListPrefix } from '../ports/blob-path';
import { requireScriptPool, scriptRequest } from '../script/script-job';
import { STAND_IN } from './stand-ins';

/**
 * Checks of a step what its block and its ports would before they reach anything: the form of URLs, headers, bodies and paths, what a script
 * is given, and the scopes that the arguments need. Throws as those do: BLW_HTTP_URL, BLW_FS_PATH, BLW_ARG_INVALID, BLW_SCRIPT_OUTPUT, BLW_SCOPE_DENIED.
 * What only the other side knows is not checked: addresses of hosts, redirects, statements of SQL, operations of OpenAPI documents; nor is the form of arguments
 * that hold a secret, which has a stand-in here.
 */
export function checkStep(blockType: string, args: JsonObject, step: StepIdentity): void {
  try {
    checkBlock(blockType, args, step);
  } catch (error) {
    if (!(error instanceof BlockFailure) || !isOfSecret(error, args)) throw error;
  }
}

/** What a secret would make of an argument nobody knows here: what is wrong with an argument counts where it holds none. */
function isOfSecret({ data: { code } }: BlockFailure, args: JsonObject): boolean {
  const { endpoint, document, path, to, prefix } = args;
  const checked: Readonly<Record<string, readonly unknown[]>> = {
    BLW_HTTP_URL: [withoutAuthentication(endpoint), withoutAuthentication(document)],
    BLW_FS_PATH: [path, to, prefix],
    BLW_ARG_INVALID: [args],
  };
  return code !== undefined && JSON.stringify(checked[code] ?? []).includes(STAND_IN);
}

/** Of an endpoint, what its URL is made of. */
function withoutAuthentication(endpoint: Json | undefined): Json | undefined {
  if (!isJsonObject(endpoint)) return endpoint;
  const { authentication: _, ...rest } = endpoint;
  return rest.endpoint === undefined ? rest : { ...rest, endpoint: withoutAuthentication(rest.endpoint) ?? null };
}

function checkBlock(blockType: string, args: JsonObject, step: StepIdentity): void {
  const { access } = step;
  switch (blockType) {
    case 'http.request':
      checkRequest(args, step);
      return;
    case 'http.stream':
      checkRequest(args, step);
      checkPath(args.to, 'write', access);
      return;
    case 'openapi.call':
      requireScope(access, needHttp('GET', parseHttpUrl(documentUri(args))));
      return;
    case 'fs.put':
      encodeContent(args);
      checkPath(args.path, 'write', access);
      return;
    case 'fs.delete':
      checkPath(args.path, 'write', access);
      return;
    case 'fs.get':
    case 'fs.stat':
      checkPath(args.path, 'read', access);
      return;
    case 'fs.list':
      checkPrefix(args.prefix, access);
      return;
    case 'sql.query':
    case 'sql.execute':
    case 'sql.transaction':
      checkStatements(blockType, args, access);
      return;
    case SCRIPT_BLOCK:
      requireScriptPool(step.dryRun?.resources);
      // Its memory is checked by who runs it.
      scriptRequest(args, 0);
      return;
    default:
      // A block that reaches nothing has its arguments checked against its schema, as every other.
      return;
  }
}

function checkRequest(args: JsonObject, step: StepIdentity): void {
  const { method, url } = buildHttpCall(args as unknown as HttpArguments, step);
  requireScope(step.access, needHttp(method, url));
}

function documentUri({ document }: JsonObject): string {
  const endpoint = isJsonObject(document) ? document.endpoint : undefined;
  return String(isJsonObject(endpoint) ? endpoint.uri : endpoint);
}

function checkPath(path: Json | undefined, use: 'read' | 'write', access: Access | undefined): void {
  requireScope(access, needBlob(use, String(path)));
  parseBlobPath(String(path));
}

function checkPrefix(prefix: Json | undefined, access: Access | undefined): void {
  const text = prefix === undefined ? '' : String(prefix);
  requireScope(access, needBlob('read', text, true));
  parseListPrefix(text);
}

function checkStatements(blockType: string, args: JsonObject, access: Access | undefined): void {
  requireScope(access, needDatabase(blockType === 'sql.query' ? 'read' : 'write', String(args.database)));
  const { statements } = args;
  if (!Array.isArray(statements)) statementOf(args);
  else for (const [index, statement] of statements.entries()) statementOf(statement, `statements.${index}`);
}
