import { findBlockByCall } from '../block-registry';
import { unsupportedEndpoint } from '../catalog/catalog-folder';
import type { FoundFunction, NotFound } from '../catalog/library';
import { DEFAULT_CATALOG, type FunctionReference, parseFunctionReference } from '../catalog/references';
import { hasExpression } from '../expressions/template';
import { describeJsonType, getOwn, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, shortText, toJsonPointer } from '../problems';
import type { CheckContext, TaskSite } from './check-context';
import { refuseForeignMetadata } from './check-metadata';
import type { Checker, Path } from './checker';
import { compileSchema, InvalidSchemaError } from './json-schemas';
import { MAX_FUNCTION_CALLS, MAX_FUNCTION_DEPTH, MAX_FUNCTIONS } from './resolution';

/** Calls that OWS itself defines (dsl-reference, "Call"): no function may take their names. */
const RESERVED_CALLS: ReadonlySet<string> = new Set(['asyncapi', 'grpc', 'http', 'openapi', 'a2a', 'mcp']);

/** True where a call means a function, of `use.functions` or of a catalog, and not a block. */
export function isFunctionCall(call: Json | undefined, use: JsonObject): call is string {
  if (typeof call !== 'string' || isReserved(call)) return false;
  return /@|^[a-z]+:\/\//i.test(call) || inlineFunction(call, use) !== undefined;
}

function isReserved(name: string): boolean {
  return RESERVED_CALLS.has(name) || findBlockByCall(name) !== undefined;
}

function inlineFunction(name: string, use: JsonObject): Json | undefined {
  return isJsonObject(use.functions) ? getOwn(use.functions, name) : undefined;
}

/** Checks the definitions of `use.functions` (OWS dsl-reference, "Use": tasks by name). */
export function checkFunctions(context: CheckContext): void {
  const { checker, use } = context;
  if (use.functions === undefined) return;
  const functions = checker.object(use.functions, ['use', 'functions'], 'use.functions');
  for (const [name, definition] of Object.entries(functions ?? {})) {
    const path = ['use', 'functions', name];
    if (isReserved(name)) {
      const message = `use.functions: "${name}" is a call that is there already; take another name`;
      checker.report('BLW_NAME_DUPLICATE', path, message, 'key');
    }
    if (/[@:/]/.test(name)) {
      checker.report('BLW_VALUE_INVALID', path, 'use.functions: a name has no "@", ":" and "/"', 'key');
    }
    const task = checker.object(definition, path, `function "${shortText(name)}"`);
    context.resolution.define(name);
    if (task !== undefined) context.checkDefinition({ task, path, context: { ...context, caller: name } });
  }
}

/** Checks `use.catalogs` (OWS dsl-reference, "Catalog"): folders of the worker's catalog. */
export function checkCatalogs({ checker, use }: CheckContext): void {
  if (use.catalogs === undefined) return;
  const catalogs = checker.object(use.catalogs, ['use', 'catalogs'], 'use.catalogs');
  for (const [name, value] of Object.entries(catalogs ?? {})) {
    const path = ['use', 'catalogs', name];
    const catalog = checker.shaped(value, path, `catalog "${shortText(name)}"`, { required: ['endpoint'] });
    if (catalog?.endpoint !== undefined) checkEndpoint(catalog.endpoint, [...path, 'endpoint'], checker);
  }
}

function checkEndpoint(value: Json, path: Path, checker: Checker): void {
  if (isJsonObject(value) && value.authentication !== undefined) {
    const message = 'catalog: authentication is not supported; catalogs are folders of the worker';
    checker.report('BLW_UNSUPPORTED', [...path, 'authentication'], message, 'key');
    return;
  }
  const endpoint = endpointOf(value);
  if (endpoint === undefined) {
    const got = describeJsonType(value);
    const message = `catalog: endpoint: got ${got}, expected a file: URL or a path below the worker's catalog`;
    checker.report('BLW_VALUE_INVALID', path, message);
    return;
  }
  if (hasExpression(endpoint)) {
    const message = 'catalog: endpoint: expected no expression; catalogs are read before the flow starts';
    checker.report('BLW_VALUE_INVALID', path, message);
    return;
  }
  const unsupported = unsupportedEndpoint(endpoint);
  if (unsupported !== undefined) checker.report(unsupported.code, path, unsupported.message);
}

function endpointOf(value: Json | undefined): string | undefined {
  const uri = isJsonObject(value) ? value.uri : value;
  return typeof uri === 'string' && uri !== '' ? uri : undefined;
}

/** Checks a call of a function; a cataloged one is looked up and checked as well. */
export function checkFunctionCall(site: TaskSite): void {
  const { task, path, context } = site;
  const { checker, use, resolution } = context;
  const name = String(task.call);
  refuseForeignMetadata(task.metadata, [...path, 'metadata'], 'function call', checker);
  if (task.with !== undefined) checker.object(task.with, [...path, 'with'], 'with');
  const inline = inlineFunction(name, use);
  if (inline !== undefined) {
    resolution.addCall(context.caller, name);
    checkInput(task, path, inline, checker);
    return;
  }
  const found = findCataloged(name, context);
  if (found === undefined) return;
  if ('code' in found) {
    checker.report(found.code, [...path, 'call'], `call: ${found.message}`);
    return;
  }
  const { reference, definition, source } = found;
  const identity = `${source}@${reference.catalog}`;
  resolution.addCall(context.caller, identity);
  checkInput(task, path, definition, checker);
  if (resolution.define(identity)) checkCataloged(found, identity, { path: [...path, 'call'], context });
}

/** Looks a function up; undefined where there is no catalog at hand. */
function findCataloged(
  call: string,
  { library, use, resolution }: Pick<CheckContext, 'library' | 'use' | 'resolution'>,
): (FoundFunction & { reference: FunctionReference }) | NotFound | undefined {
  const reference = parseFunctionReference(call);
  if ('problem' in reference) {
    if (!/^[a-z]+:\/\//i.test(call)) return { code: 'BLW_VALUE_INVALID', message: reference.problem };
    const message = `functions by URL are not supported yet (got "${shortText(call)}"); copy it into a catalog and write name:version@catalog`;
    return { code: 'BLW_UNSUPPORTED', message };
  }
  const { name, version, catalog } = reference;
  const catalogs = isJsonObject(use.catalogs) ? use.catalogs : {};
  const defined = getOwn(catalogs, catalog);
  if (defined === undefined && catalog !== DEFAULT_CATALOG) {
    const meant = closestName(catalog, [...Object.keys(catalogs), DEFAULT_CATALOG]);
    const advice = meant === undefined ? 'define it there' : `did you mean "${meant}"?`;
    return { code: 'BLW_REF_UNKNOWN', message: `use.catalogs has no "${shortText(catalog)}"; ${advice}` };
  }
  const endpoint = isJsonObject(defined) ? endpointOf(defined.endpoint) : undefined;
  // What is wrong with the catalog has been reported there.
  if (defined !== undefined && (endpoint === undefined || unsupportedEndpoint(endpoint) !== undefined))
    return undefined;
  if (library === undefined) {
    resolution.leaveOpen(`function ${call}`);
    return undefined;
  }
  const found = library.findFunction({ name, version, ...(endpoint === undefined ? {} : { endpoint }) });
  return 'code' in found ? found : { ...found, reference };
}

/** Checks the definition of a cataloged function. Its problems are reported at the call, since it stands in another file. */
function checkCataloged(
  { definition, source, reference }: FoundFunction & { reference: FunctionReference },
  identity: string,
  { path, context }: { path: Path; context: CheckContext },
): void {
  const { checker, expressions } = context;
  const before = checker.problems.length;
  const uncheckedBefore = expressions.unchecked.length;
  const name = `${reference.name}:${reference.version}`;
  try {
    // A cataloged function knows nothing of the flow that calls it, neither its components nor its catalogs; but the
    // flow says which secrets are read on its behalf.
    const { secrets } = context.use;
    const use: JsonObject = secrets === undefined ? {} : { secrets };
    context.checkDefinition({ task: definition, path: [], context: { ...context, use, caller: identity } });
  } finally {
    const unchecked = expressions.unchecked.splice(uncheckedBefore);
    expressions.unchecked.push(...unchecked.map((expression) => ({ ...expression, path })));
    for (const { code, path: inner, message } of checker.problems.splice(before)) {
      const where = inner.length === 0 ? '' : ` ${toJsonPointer(inner)}`;
      checker.problems.push({ code, path, message: `function ${name} (${source}${where}): ${message}` });
    }
  }
}

/** Arguments without expressions are known now, and so is whether they fit the function's input. */
function checkInput(task: JsonObject, path: Path, definition: Json, checker: Checker): void {
  const input = isJsonObject(definition) && isJsonObject(definition.input) ? definition.input : {};
  const schema = isJsonObject(input.schema) ? input.schema.document : undefined;
  const args = task.with ?? {};
  if (schema === undefined || !isJsonObject(args) || hasExpression(JSON.stringify(args))) return;
  for (const { path: at, message } of violationsOf(schema, args)) {
    const argument = [String(task.call), ...at].join(': ');
    checker.report(
      'BLW_ARG_INVALID',
      [...path, ...(task.with === undefined ? ['call'] : ['with', ...at])],
      `${argument}: ${message}`,
    );
  }
}

function violationsOf(schema: Json, data: Json): ReturnType<ReturnType<typeof compileSchema>> {
  try {
    return compileSchema(schema)(data);
  } catch (error) {
    // A schema that is none is reported where the function is defined.
    if (error instanceof InvalidSchemaError) return [];
    throw error;
  }
}

/** Reports functions that never end calling each other, and those that come to too much. After all else was checked. */
export function checkFunctionSizes({ checker, resolution, use }: CheckContext): void {
  if (resolution.functionCount > MAX_FUNCTIONS) {
    checker.report('BLW_DOC_TOO_LARGE', [], `the flow has more than ${MAX_FUNCTIONS} functions`);
    return;
  }
  const circle = resolution.findCircle();
  if (circle !== undefined) {
    const message = `functions call each other in a circle: ${circle.map((name) => shortText(name)).join(', ')}`;
    const [first = ''] = circle;
    const path = inlineFunction(first, use) === undefined ? [] : ['use', 'functions', first];
    checker.report('BLW_FUNCTION_RECURSIVE', path, message, 'key');
    return;
  }
  const { calls, depth } = resolution.measure();
  if (calls > MAX_FUNCTION_CALLS || depth > MAX_FUNCTION_DEPTH) {
    const message = `the functions come to ${calls} calls, ${depth} levels deep; expected at most ${MAX_FUNCTION_CALLS} and ${MAX_FUNCTION_DEPTH}`;
    checker.report('BLW_DOC_TOO_LARGE', [], message);
  }
}
