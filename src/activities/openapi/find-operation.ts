import { isJsonObject, type Json, type JsonObject } from '../../dsl/json';
import { closestName, listNames, shortText } from '../../dsl/problems';
import { compileSchema, InvalidSchemaError, type SchemaCheck } from '../../dsl/validation/json-schemas';
import type { BlockFailure } from '../block-failure';
import { dereference, type OpenApiDocument, objectOf, textOf } from './openapi-document';
import type { Operation, OperationDescription } from './operation';
import { badOperation, type OperationSite } from './operation-site';
import { readOpenApi3 } from './read-openapi-3';
import { readSwagger2 } from './read-swagger-2';
import { RequestSchemas } from './request-schema';

/** `trace` is left out: clients do not send it (Fetch, "forbidden method"). */
const METHODS = ['get', 'put', 'post', 'delete', 'options', 'head', 'patch'];

/** Largest schema that is checked here, in schemas inside of it: compiling takes 0.8 ms for each, in which the worker stands still. */
const MAX_SCHEMAS = 500;

/** Operations of one document that are kept, since compiled schemas take much memory. */
const MAX_KEPT = 100;

/**
 * The operation of that name, read once per document. Throws BLW_OPENAPI_OPERATION where there is none, or it cannot be
 * called, and BLW_OPENAPI_DOCUMENT where the document is at fault; neither is retried.
 */
export function findOperation(document: OpenApiDocument, operationId: string): Operation {
  const known = document.operations.get(operationId);
  if (known !== undefined) return known;
  const site = findSite(document, operationId);
  const description = document.version === '2.0' ? readSwagger2(site) : readOpenApi3(site);
  const operation = { ...description, ...compileChecks(document, description) };
  if (document.operations.size >= MAX_KEPT) document.operations.clear();
  document.operations.set(operationId, operation);
  return operation;
}

function findSite(document: OpenApiDocument, operationId: string): OperationSite {
  const names: string[] = [];
  const found: OperationSite[] = [];
  for (const [path, item] of Object.entries(objectOf(document.root.paths))) {
    // A path's reference that leads nowhere is no matter of the other paths.
    if (!path.startsWith('/') || !isJsonObject(item)) continue;
    const pathItem =
      typeof item.$ref === 'string' && !item.$ref.startsWith('#') ? item : objectOf(dereference(document, item));
    for (const method of METHODS) {
      const operation = objectOf(pathItem[method]);
      const name = textOf(operation.operationId);
      if (name !== undefined) names.push(name);
      if (name === operationId) found.push({ document, operationId, path, method, pathItem, operation });
    }
  }
  const [site, second] = found;
  if (site === undefined) throw unknownOperation(document, operationId, names);
  if (second === undefined) return site;
  throw badOperation(document, `got the operationId "${shortText(operationId)}" twice, expected it once`);
}

function unknownOperation(document: OpenApiDocument, operationId: string, names: readonly string[]): BlockFailure {
  const meant = closestName(operationId, names);
  const advice = meant === undefined ? `there are: ${listNames(names)}` : `did you mean "${meant}"?`;
  return badOperation(document, `there is no operation "${shortText(operationId)}"; ${advice}`);
}

function compileChecks(
  document: OpenApiDocument,
  { parameters, body, operationId }: OperationDescription,
): Pick<Operation, 'checkParameters' | 'checkBody'> {
  const schemas = new RequestSchemas(document);
  const properties = Object.fromEntries(parameters.map(({ key, schema }) => [key, schemas.convert(schema)]));
  const required = parameters.filter((parameter) => parameter.required).map(({ key }) => key);
  const checkParameters = compileCheck(document, operationId, schemas, { type: 'object', properties, required });
  if (body === undefined) return { checkParameters, checkBody: () => [] };
  const bodySchemas = new RequestSchemas(document, body.kind === 'multipart');
  const root = bodySchemas.convert(body.schema);
  return { checkParameters, checkBody: compileCheck(document, operationId, bodySchemas, { allOf: [root] }) };
}

function compileCheck(
  document: OpenApiDocument,
  operationId: string,
  schemas: RequestSchemas,
  schema: JsonObject,
): SchemaCheck {
  const whole = schemas.enclose(schema);
  if (schemas.size > MAX_SCHEMAS) return () => [];
  try {
    return compileSchema(whole as Json);
  } catch (error) {
    if (!(error instanceof InvalidSchemaError)) throw error;
    throw badOperation(document, `the schemas of "${shortText(operationId)}" cannot be used: ${error.message}`);
  }
}
