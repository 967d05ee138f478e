import { BLOCK_SPECS, findBlockByCall } from '../block-registry';
import type { BlockSpec, ResourceClass } from '../block-spec';
import { parseDuration } from '../durations';
import { hasExpression, isWholeExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { localUseOf } from '../local-step';
import { closestName, listNames, shortJson, shortText } from '../problems';
import { MAX_SCRIPT_CPU_MS, SCRIPT_BLOCK } from '../script';
import { checkAuthentication } from './check-authentication';
import type { CheckContext, TaskSite } from './check-context';
import { refuseOtherPools } from './check-metadata';
import { checkUriVariables } from './check-uri';
import type { Checker, Path } from './checker';
import { explainArguments, type KnownArguments, knownArguments, type ToldViolation } from './explain-arguments';
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

/** Checks `call` and `with`: the block exists, and its arguments fit its schema as far as they are known now. */
export function checkCall({ task, path, context }: TaskSite): void {
  const { checker, expressions } = context;
  const name = checker.text(task.call, [...path, 'call'], 'call', CALL);
  if (name === undefined) return;
  const spec = findBlockByCall(name);
  if (spec === undefined) {
    reportUnknownBlock(name, [...path, 'call'], checker);
    return;
  }
  const { with: args = {} } = task;
  const withPath = [...path, task.with === undefined ? 'call' : 'with'];
  if (!isJsonObject(args)) {
    checker.report(
      'BLW_ARG_INVALID',
      withPath,
      `with: got ${describeJsonType(args)}, expected an object of arguments${args === null ? ' (is the text below it indented?)' : ''}`,
    );
    return;
  }
  const known = knownArguments(args, expressions);
  const literal = hasEndpoint(name)
    ? normalizeEndpoint(args, known.args, withPath, context)
    : name === 'openapi'
      ? normalizeOpenApi(args, known.args, withPath, context)
      : known.args;
  const violations = explainArguments(checkArguments(spec, literal), { call: name, args, known });
  const isTimed = name === SCRIPT_BLOCK || name === 'human.approval';
  const isTimeoutTold = isTimed && reportTimeout(name, args, { known, path: withPath, checker });
  for (const { path: at, message, key } of violations) {
    if (isTimeoutTold && at[0] === 'timeout') continue;
    const isKey = key !== undefined;
    const place = [...withPath, ...at, ...(isKey ? [key] : [])];
    const argument = at.length === 0 ? name : `${name}: ${shortText(at.join('.'))}`;
    checker.report('BLW_ARG_INVALID', place, `${argument}: ${message}`, isKey ? 'key' : 'value');
  }
  refuseLocalDispatch(spec, task, args, { path, checker });
  if (name === SCRIPT_BLOCK) refuseOtherPools(task, path, checker);
  if (name === SCRIPT_BLOCK) checkScriptCall(args, known, withPath, checker);
  if (name === 'human.approval') checkApproval(args, withPath, checker);
  if (name.startsWith('sql.')) checkStatements(name, args, withPath, checker);
  if (name === 'fs.put' && !hasContent(args, violations)) {
    checker.report('BLW_ARG_INVALID', withPath, 'fs.put: expected exactly one of content and base64');
  }
}

const CALL = { regex: /./s, expected: 'the name of a block, such as http' };

/** Reports a step that is to run in place and may not. A method that is an expression is looked at when the step runs. */
function refuseLocalDispatch(
  spec: BlockSpec,
  { metadata }: JsonObject,
  args: JsonObject,
  { path, checker }: { path: Path; checker: Checker },
): void {
  if (!isJsonObject(metadata) || metadata.dispatch !== 'local' || spec.kind !== 'activity') return;
  const { resources = spec.resources, idempotent = spec.idempotent } = metadata;
  const { method = 'GET' } = args;
  const isKnown = typeof method === 'string' && !hasExpression(method);
  const candidate = { block: spec.type, resources: resources as ResourceClass, idempotent: idempotent === true };
  const use = localUseOf(candidate, isKnown ? { method } : {});
  if (typeof use === 'string') return;
  const message = `metadata.dispatch: local is not for a step that ${use.refusal}; write queue, or remove it`;
  checker.report('BLW_UNSUPPORTED', [...path, 'metadata', 'dispatch'], message);
}

function hasEndpoint(call: string): boolean {
  return ENDPOINT_BLOCKS.has(call);
}

/** An unknown argument that was meant for the content has been reported. */
function hasContent(args: JsonObject, violations: readonly ToldViolation[]): boolean {
  if (violations.some(({ meant }) => meant === 'content' || meant === 'base64')) return true;
  return (args.content === undefined) !== (args.base64 === undefined);
}

function reportUnknownBlock(name: string, path: Path, checker: Checker): void {
  if (UNSUPPORTED_CALLS.includes(name)) {
    checker.report('BLW_UNSUPPORTED', path, `call: ${name} is not supported yet`);
  } else {
    const known = BLOCK_SPECS.map((spec) => spec.call);
    const meant = callMeant(name, known);
    const advice = meant === undefined ? `there are: ${listNames(known)}` : `did you mean "${meant}"?`;
    checker.report('BLW_BLOCK_UNKNOWN', path, `call: there is no block "${shortText(name)}"; ${advice}`);
  }
}

/** What others call a block. */
const CALL_ALIASES: ReadonlyMap<string, string> = new Map([
  ...[
    'http.request',
    'https',
    'rest',
    'request',
    'fetch',
    'curl',
    'get',
    'post',
    'webhook',
    'io.kestra.plugin.core.http.request',
  ].map((name) => [name, 'http'] as const),
  ...['sql', 'query', 'postgres', 'postgresql', 'sqlite', 'database', 'jdbc'].map(
    (name) => [name, 'sql.query'] as const,
  ),
  ...['approval', 'human', 'manual', 'approve', 'humantask', 'user.task'].map(
    (name) => [name, 'human.approval'] as const,
  ),
  ...['fs.read', 'file.read', 'readfile'].map((name) => [name, 'fs.get'] as const),
  ...['fs.write', 'file.write', 'writefile'].map((name) => [name, 'fs.put'] as const),
  ...['fs.remove', 'fs.rm', 'fs.unlink'].map((name) => [name, 'fs.delete'] as const),
  ...['fs.ls', 'fs.dir'].map((name) => [name, 'fs.list'] as const),
  ['download', 'http.stream'],
  ...['script', 'js', 'javascript', 'code', 'eval', 'function'].map((name) => [name, 'script.run'] as const),
]);

function callMeant(name: string, known: readonly string[]): string | undefined {
  return CALL_ALIASES.get(name.toLowerCase()) ?? closestName(name, known);
}

/** Arguments with `endpoint` in its object form and without its authentication, which is checked here. */
function normalizeEndpoint(args: JsonObject, known: JsonObject, path: Path, context: CheckContext): JsonObject {
  const { use, checker } = context;
  checkUriTemplate(args.endpoint, [...path, 'endpoint'], checker);
  const { endpoint } = known;
  if (typeof endpoint === 'string') return { ...known, endpoint: { uri: endpoint } };
  if (!isJsonObject(endpoint)) return known;
  const { authentication, ...rest } = endpoint;
  const given = isJsonObject(args.endpoint) ? args.endpoint.authentication : undefined;
  if (authentication !== undefined && given !== undefined) {
    checkAuthentication(given, [...path, 'endpoint', 'authentication'], use, checker);
  }
  return { ...known, endpoint: rest };
}

/** As {@link normalizeEndpoint}, of the document; the call's own authentication is checked here, too. */
function normalizeOpenApi(args: JsonObject, known: JsonObject, path: Path, context: CheckContext): JsonObject {
  const { use, checker } = context;
  const { authentication, ...rest } = known;
  if (args.authentication !== undefined)
    checkAuthentication(args.authentication, [...path, 'authentication'], use, checker);
  if (!isJsonObject(rest.document) || !isJsonObject(args.document)) return rest;
  const document = normalizeEndpoint(args.document, rest.document, [...path, 'document'], context);
  return { ...rest, document };
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
    const meant = /^[\w-]+(?:\.[\w-]+)+(?::\d+)?(?:\/|$)/.test(endpoint)
      ? `, such as https://${shortText(endpoint)}`
      : '';
    const message = `endpoint: got "${shortText(endpoint)}", expected an absolute http or https URL${meant}`;
    checker.report('BLW_ARG_INVALID', path, message);
  }
  checkUriVariables(endpoint, path, checker, 'BLW_ARG_INVALID');
}

/** SQL is what stands in the document: where data could become part of it, whoever gives the data could run statements. */
function checkStatements(call: string, args: JsonObject, path: Path, checker: Checker): void {
  const { statement, statements } = args;
  const items = Array.isArray(statements) ? [...statements.entries()] : [];
  const places: (readonly [Path, Json | undefined])[] = [
    [['statement'], statement],
    [['statements'], statements],
    ...items.flatMap(([index, item]): (readonly [Path, Json | undefined])[] => [
      [['statements', index], item],
      [['statements', index, 'statement'], isJsonObject(item) ? item.statement : undefined],
    ]),
  ];
  for (const [at, value] of places) {
    if (typeof value !== 'string' || !hasExpression(value)) continue;
    const message =
      `${call}: ${at.join('.')}: got an expression, expected SQL as it is to be run; ` +
      'pass data as parameters: `:name` in the statement, and `parameters: { name: ${ … } }`';
    checker.report('BLW_ARG_INVALID', [...path, ...at], message);
  }
}

/** What the schema of scripts does not say, and the worker would refuse (script-job.ts). */
function checkScriptCall(args: JsonObject, known: KnownArguments, path: Path, checker: Checker): void {
  const { timeout } = known.args;
  const parsed = timeout === undefined ? undefined : parseDuration(timeout);
  if (parsed !== undefined && 'ms' in parsed && (parsed.ms <= 0 || parsed.ms > MAX_SCRIPT_CPU_MS)) {
    const message = `${SCRIPT_BLOCK}: timeout: got ${shortJson(timeout)}, expected more than nothing and at most 5 minutes (PT5M)`;
    checker.report('BLW_ARG_INVALID', [...path, 'timeout'], message);
  }
  if (args.process !== undefined && args.input !== undefined) {
    const message = `${SCRIPT_BLOCK}: input: a process has none, give it stdin; remove input or process`;
    checker.report('BLW_ARG_INVALID', [...path, 'input'], message, 'key');
  }
}

/** True where something is wrong with it, which says more than the schema does. */
function reportTimeout(
  call: string,
  args: JsonObject,
  { known, path, checker }: { known: KnownArguments; path: Path; checker: Checker },
): boolean {
  if (typeof known.args.timeout !== typeof args.timeout) return false;
  const before = checker.problems.length;
  checker.duration(known.args.timeout, [...path, 'timeout'], `${call}: timeout`);
  return checker.problems.length > before;
}

function checkApproval(args: JsonObject, path: Path, checker: Checker): void {
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
