import { BLOCK_SPECS } from '../block-registry';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { contentBytes } from './describe-effect';
import { generateValue } from './generate-value';

/** Of content that there is none of. */
const NO_HASH = '0'.repeat(64);

/**
 * What a block would plausibly put out, made from the schema of its step's output where the author gives one, else from its own: the same
 * for the same arguments.
 */
export function generateOutput(block: string, args: JsonObject, schema?: Json): Json {
  if (block === 'http.request' || block === 'openapi.call') return httpOutput(args, schema);
  if (schema !== undefined) return generateValue(schema);
  const spec = BLOCK_SPECS.find(({ type }) => type === block);
  const output = generateValue(spec?.output);
  return isJsonObject(output) ? { ...output, ...knownOutput(block, args) } : output;
}

/** A schema describes the output as it is: the response, where that is asked for. */
function httpOutput({ output, method = 'get', endpoint }: JsonObject, schema: Json | undefined): Json {
  if (schema !== undefined) return generateValue(schema);
  if (output === 'raw') return '';
  if (output !== 'response') return {};
  const uri = isJsonObject(endpoint) ? String(endpoint.uri).replace(/[?#].*$/, '') : '';
  const request = { method: String(method).toUpperCase(), uri, headers: {} };
  return { request, statusCode: 200, headers: {}, content: {} };
}

/** What follows from the arguments. */
function knownOutput(block: string, args: JsonObject): JsonObject {
  switch (block) {
    case 'fs.put':
      return { path: args.path ?? '', size: contentBytes(args), sha256: NO_HASH };
    case 'fs.get':
      return { path: args.path ?? '', sha256: NO_HASH, content: args.as === 'json' ? {} : '' };
    case 'fs.stat':
      return { path: args.path ?? '', exists: true, sha256: NO_HASH };
    case 'fs.delete':
      return { path: args.path ?? '', deleted: true };
    case 'http.stream':
      return { path: args.to ?? '', statusCode: 200, sha256: NO_HASH };
    case 'sql.execute':
      return { rowsAffected: 1 };
    case 'sql.transaction':
      return { results: Array.isArray(args.statements) ? args.statements.map(() => ({ rowsAffected: 1 })) : [] };
    default:
      return {};
  }
}
