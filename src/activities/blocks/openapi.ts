import type { Json, JsonObject } from '../../dsl/json';
import type { BlockExecutor } from '../block';
import type { HttpArguments } from '../http/call';
import { readInput } from '../openapi/check-input';
import { fetchDocument } from '../openapi/fetch-document';
import { findOperation } from '../openapi/find-operation';
import type { OpenApiDocument } from '../openapi/openapi-document';
import type { Operation } from '../openapi/operation';
import { writeBody } from '../openapi/write-body';
import { writeHeaders, writeUrl } from '../openapi/write-parameters';
import { httpRequest } from './http-request';

interface OpenApiArguments {
  readonly document: { readonly endpoint: HttpArguments['endpoint'] };
  readonly operationId: string;
  readonly parameters?: JsonObject;
  readonly authentication?: Json;
  readonly output?: Json;
  readonly redirect?: Json;
}

/**
 * Runs `call: openapi` (OWS dsl-reference, "OpenAPI Call"): makes the arguments of `call: http` of what the document says, and
 * runs that. Throws the codes of its spec; nothing but the document is asked for before all parameters have been found right.
 */
export const openapi: BlockExecutor = async (args, context) => {
  // The block's schema has been applied: this is its shape.
  const {
    document,
    operationId,
    parameters = {},
    authentication,
    output,
    redirect,
  } = args as unknown as OpenApiArguments;
  const source = await fetchDocument(document.endpoint, context);
  const operation = findOperation(source, operationId);
  const { uri, ...request } = writeRequest(source, operation, parameters);
  return httpRequest(
    {
      ...request,
      endpoint: { uri, ...given({ authentication }) },
      ...given({ output, redirect }),
    },
    context,
  );
};

function writeRequest(
  document: OpenApiDocument,
  operation: Operation,
  parameters: JsonObject,
): { uri: string; method: string; headers: JsonObject; body?: Json } {
  const { values, body, bodyPath } = readInput(operation, parameters);
  const uri = writeUrl(document, operation, values);
  const headers = writeHeaders(operation, values);
  const isGiven = (name: string): boolean => Object.keys(headers).some((key) => key.toLowerCase() === name);
  if (operation.accept !== undefined && !isGiven('accept')) headers.accept = operation.accept;
  if (operation.body === undefined || body === undefined) return { uri, method: operation.method, headers };
  const written = writeBody(operation.body, body, bodyPath);
  if (!isGiven('content-type')) headers['content-type'] = written.contentType;
  return { uri, method: operation.method, headers, body: written.body };
}

/** The properties that have a value. */
function given(properties: Readonly<Record<string, Json | undefined>>): JsonObject {
  return Object.fromEntries(
    Object.entries(properties).filter((entry): entry is [string, Json] => entry[1] !== undefined),
  );
}
