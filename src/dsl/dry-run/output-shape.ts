import { BLOCK_SPECS } from '../block-registry';
import { describeJsonType, getOwn, hasJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { adviseName, listNames, shortJson, shortText } from '../problems';
import { SCRIPT_BLOCK } from '../script';

/** Where a value is not what it should be, and why. */
export interface ShapeProblem {
  readonly path: readonly (string | number)[];
  readonly message: string;
}

/** An argument of a step by its path; `computed`: only an expression will tell. */
type FindArgument = (...path: readonly string[]) => { value: Json | undefined } | 'computed';

const TEXT: JsonObject = { type: 'string' };

const HTTP_RESPONSE: JsonObject = {
  type: 'object',
  properties: {
    request: { type: 'object', properties: { method: TEXT, uri: TEXT, headers: { type: 'object' } } },
    statusCode: { type: 'integer' },
    headers: { type: 'object' },
    content: {},
  },
};

const SCRIPT_OUTPUTS: Readonly<Record<string, JsonObject>> = {
  stdout: TEXT,
  stderr: TEXT,
  code: { type: 'integer' },
  none: { type: 'null' },
  all: { type: 'object', properties: { code: { type: 'integer' }, stdout: TEXT, stderr: TEXT } },
};

/**
 * JSON Schema of what a block puts out, as its arguments make it: `type`, `properties` and `items`, no more. Undefined: it may be
 * anything, or arguments that decide it are expressions.
 */
export function outputShape(block: string, find: FindArgument): JsonObject | undefined {
  switch (block) {
    case 'http.request':
    case 'openapi.call': {
      const form = textOf(find('output'));
      return form === 'raw' ? TEXT : form === 'response' ? HTTP_RESPONSE : undefined;
    }
    case SCRIPT_BLOCK: {
      const process = find('process');
      const isFunction = process !== 'computed' && process.value === undefined;
      return isFunction ? undefined : SCRIPT_OUTPUTS[textOf(find('process', 'return'), 'stdout') ?? ''];
    }
    case 'fs.get':
      return withContent(specOutput(block), textOf(find('as'), 'text'));
    default:
      return specOutput(block);
  }
}

/** The text of an argument, or what stands for it where it is absent; undefined where it is computed, or no text. */
function textOf(found: ReturnType<FindArgument>, usual?: string): string | undefined {
  if (found === 'computed') return undefined;
  const { value = usual } = found;
  return typeof value === 'string' ? value : undefined;
}

function specOutput(block: string): JsonObject | undefined {
  const output = BLOCK_SPECS.find(({ type }) => type === block)?.output;
  return output?.type === undefined ? undefined : output;
}

function withContent(output: JsonObject | undefined, form: string | undefined): JsonObject | undefined {
  if (output === undefined || (form !== 'text' && form !== 'base64')) return output;
  return { ...output, properties: { ...(output.properties as JsonObject), content: TEXT } };
}

/**
 * The first way in which a value is not of a shape: another type, or a key that there is never. What is absent may be: who mocks a step
 * need not say what nobody reads.
 */
export function shapeProblem(
  value: Json,
  shape: Json | undefined,
  path: ShapeProblem['path'] = [],
): ShapeProblem | undefined {
  if (!isJsonObject(shape)) return undefined;
  const { type, properties, items } = shape;
  if (typeof type === 'string' && !hasJsonType(value, type))
    return { path, message: `got ${gotText(value)}, expected ${expectedText(type, properties)}` };
  if (Array.isArray(value)) return firstProblem(value.entries(), () => items, path);
  if (!isJsonObject(value) || !isJsonObject(properties)) return undefined;
  const known = Object.keys(properties);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined)
    return { path: [...path, unknown], message: `"${shortText(unknown)}" is not known; ${adviseName(unknown, known)}` };
  return firstProblem(Object.entries(value), (key) => getOwn(properties, String(key)), path);
}

function firstProblem(
  entries: Iterable<readonly [string | number, Json]>,
  shapeOf: (key: string | number) => Json | undefined,
  path: ShapeProblem['path'],
): ShapeProblem | undefined {
  for (const [key, item] of entries) {
    const problem = shapeProblem(item, shapeOf(key), [...path, key]);
    if (problem !== undefined) return problem;
  }
  return undefined;
}

function gotText(value: Json): string {
  return typeof value === 'object' && value !== null ? describeJsonType(value) : shortJson(value);
}

const TYPES: Readonly<Record<string, string>> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'an array',
  object: 'an object',
  null: 'null',
};

function expectedText(type: string, properties: Json | undefined): string {
  const keys = type === 'object' && isJsonObject(properties) ? Object.keys(properties) : [];
  return `${TYPES[type] ?? type}${keys.length === 0 ? '' : ` with ${listNames(keys)}`}`;
}
