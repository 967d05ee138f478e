import { BLOCK_SPECS, findBlockByCall } from '../block-registry';
import type { BlockSpec } from '../block-spec';
import { hasExpression, isWholeExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, listNames, shortText } from '../problems';
import { checkAuthentication } from './check-authentication';
import { checkUriVariables } from './check-uri';
import type { Checker, Path } from './checker';
import { compileSchema, InvalidSchemaError, type SchemaCheck } from './json-schemas';

/** Calls that OWS defines and this project does not run yet. */
export const UNSUPPORTED_CALLS = ['grpc', 'asyncapi', 'mcp', 'a2a'];

/** Blocks whose `endpoint` may also be text, as OWS's HTTP call has it. */
const ENDPOINT_BLOCKS: ReadonlySet<string> = new Set(['http', 'http.stream']);

const argumentChecks = new Map<string, SchemaCheck>();

/** Checks arguments against the schema of a block, whose spec is part of the program. */
export function checkArguments(spec: BlockSpec, args: Json): ReturnType<SchemaCheck> {
  let check = argumentChecks.get(spec.call);
  if (check === undefined) {
    check = compileSchema(spec.arguments);
    argumentChecks.set(spec.call, check);
  }
  return check(args);
}

/** Checks `call` and `with`: the block exists, and its arguments fit its schema as far as they are literal. */
export function checkCall(task: JsonObject, path: Path, use: JsonObject, checker: Checker): void {
  const name = checker.text(task.call, [...path, 'call'], 'call');
  if (name === undefined) return;
  const spec = findBlockByCall(name);
  if (spec === undefined) {
    reportUnknownBlock(name, [...path, 'call'], checker);
    return;
  }
  const { with: args = {} } = task;
  const withPath = [...path, task.with === undefined ? 'call' : 'with'];
  if (!isJsonObject(args)) {
    checker.report('BLW_ARG_INVALID', withPath, `with: got ${describeJsonType(args)}, expected an object of arguments`);
    return;
  }
  const hasEndpoint = ENDPOINT_BLOCKS.has(name);
  const literal = hasEndpoint
    ? normalizeEndpoint(args, withPath, use, checker)
    : name === 'openapi'
      ? normalizeOpenApi(args, withPath, use, checker)
      : args;
  for (const violation of checkArguments(spec, literal)) {
    if (isLeftToRunTime(args, violation.path)) continue;
    const isKey = violation.key !== undefined;
    const at = [...withPath, ...violation.path, ...(isKey ? [violation.key] : [])];
    const argument = violation.path.length === 0 ? name : `${name}: ${shortText(violation.path.join('.'))}`;
    checker.report('BLW_ARG_INVALID', at, `${argument}: ${violation.message}`, isKey ? 'key' : 'value');
  }
  if (name === 'human.approval') checkApproval(args, withPath, checker);
  if (name === 'fs.put' && (args.content === undefined) === (args.base64 === undefined)) {
    checker.report('BLW_ARG_INVALID', withPath, 'fs.put: expected exactly one of content and base64');
  }
}

function reportUnknownBlock(name: string, path: Path, checker: Checker): void {
  if (UNSUPPORTED_CALLS.includes(name)) {
    checker.report('BLW_UNSUPPORTED', path, `call: ${name} is not supported yet`);
  } else {
    const known = BLOCK_SPECS.map((spec) => spec.call);
    const meant = name === 'http.request' ? 'http' : closestName(name, known);
    const advice = meant === undefined ? `there are: ${listNames(known)}` : `did you mean "${meant}"?`;
    checker.report('BLW_BLOCK_UNKNOWN', path, `call: there is no block "${shortText(name)}"; ${advice}`);
  }
}

/** Arguments with `endpoint` in its object form and without its authentication, which is checked here. */
function normalizeEndpoint(args: JsonObject, path: Path, use: JsonObject, checker: Checker): JsonObject {
  const { endpoint } = args;
  checkUriTemplate(endpoint, [...path, 'endpoint'], checker);
  if (typeof endpoint === 'string') return { ...args, endpoint: { uri: endpoint } };
  if (!isJsonObject(endpoint)) return args;
  const { authentication, ...rest } = endpoint;
  if (authentication !== undefined) {
    checkAuthentication(authentication, [...path, 'endpoint', 'authentication'], use, checker);
  }
  return { ...args, endpoint: rest };
}

/** As {@link normalizeEndpoint}, of the document; the call's own authentication is checked here, too. */
function normalizeOpenApi(args: JsonObject, path: Path, use: JsonObject, checker: Checker): JsonObject {
  const { authentication, ...rest } = args;
  if (authentication !== undefined) checkAuthentication(authentication, [...path, 'authentication'], use, checker);
  if (!isJsonObject(rest.document)) return rest;
  return { ...rest, document: normalizeEndpoint(rest.document, [...path, 'document'], use, checker) };
}

/** An endpoint: a URI template (OWS dsl-reference, "URI Template"), or an expression. */
function checkUriTemplate(endpoint: Json | undefined, path: Path, checker: Checker): void {
  if (isJsonObject(endpoint)) checkUriTemplate(endpoint.uri, [...path, 'uri'], checker);
  if (typeof endpoint !== 'string') return;
  if (hasExpression(endpoint)) {
    // OWS has a URI or an expression here, not text with expressions in it (schema, "endpoint").
    if (isWholeExpression(endpoint, checker.language ?? 'cel')) return;
    const message =
      'endpoint: expected a URI such as https://example.com/{id}, or one expression such as ${ data.base + "/orders" }';
    checker.report('BLW_ARG_INVALID', path, message);
    return;
  }
  if (!/^(?:https?:\/\/|\{)/i.test(endpoint)) {
    checker.report(
      'BLW_ARG_INVALID',
      path,
      `endpoint: got "${shortText(endpoint)}", expected an absolute http or https URL`,
    );
  }
  checkUriVariables(endpoint, path, checker, 'BLW_ARG_INVALID');
}

/** True where the value, or one around it, holds an expression: only run time knows what it will be. */
function isLeftToRunTime(args: JsonObject, path: readonly string[]): boolean {
  let value: Json | undefined = args;
  for (const segment of path) {
    if (typeof value !== 'object' || value === null) break;
    value = Array.isArray(value) ? value[Number(segment)] : value[segment];
  }
  return typeof value === 'string' && hasExpression(value);
}

function checkApproval(args: JsonObject, path: Path, checker: Checker): void {
  checker.duration(args.timeout, [...path, 'timeout'], 'human.approval: timeout');
  if (args.onTimeout !== undefined && args.timeout === undefined) {
    checker.report('BLW_ARG_INVALID', [...path, 'onTimeout'], 'human.approval: onTimeout needs a timeout', 'key');
  }
  if (isJsonObject(args.form) && !hasExpression(JSON.stringify(args.form))) {
    checkSchema(args.form, [...path, 'form'], 'human.approval: form', checker);
  }
}

/** Reports a JSON Schema that is not one. */
export function checkSchema(schema: Json, path: Path, what: string, checker: Checker): void {
  try {
    compileSchema(schema);
  } catch (error) {
    if (!(error instanceof InvalidSchemaError)) throw error;
    checker.report('BLW_SCHEMA_INVALID', [...path, ...error.path], `${what}: ${error.message}`);
  }
}
