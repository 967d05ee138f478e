import { flowError } from '../errors';
import { describeJsonType, isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import type { ExpressionLanguage } from './language';
import type { Template } from './template';
import { renderUri } from './uri-template';

/**
 * The arguments of an expression (OWS dsl, "Runtime expression arguments") plus `data`, what it is evaluated on,
 * `steps`, and the variables of loops and catches. Under CEL's names: jq and JSONata write them with a dollar.
 */
export type Variables = Record<string, unknown> & { readonly data: Json };

/** One thing that a batch evaluates; its value is found under its name in the result. */
export type BatchItem =
  | {
      readonly name: string;
      readonly template: Template;
      /** Variables that the value becomes for the items after this one, e.g. `input` and `data`. */
      readonly bind?: readonly string[];
    }
  | {
      readonly name: string;
      /** An expression that must give true or false. */
      readonly condition: string;
      /** The field of the document, for messages. */
      readonly field: string;
      /** The batch ends where the condition has this value. */
      readonly stopIf?: boolean;
    };

/** Expressions of one step that are evaluated together, in their order. */
export interface Batch {
  readonly items: readonly BatchItem[];
  readonly variables: Variables;
}

/** What a local activity is asked for: the expressions of one step. */
export interface ExpressionRequest extends Batch {
  readonly language: ExpressionLanguage;
}

/** Values by the names of the items; those after the item that ended the batch are absent. */
export type BatchValues = Readonly<Record<string, Json>>;

/** One expression to evaluate, asked for by {@link evaluateBatch}. */
export interface Evaluation {
  readonly expression: string;
  readonly variables: Variables;
}

/**
 * Evaluates a batch, asking for the value of one expression at a time: the same walk serves CEL, which is evaluated at
 * once in the workflow, and the languages that run in a thread of their own. Throws BLW_EXPR_FAILED.
 */
export function* evaluateBatch({ items, variables }: Batch): Generator<Evaluation, BatchValues, Json> {
  const values: JsonObject = {};
  let scope = variables;
  for (const item of items) {
    if ('condition' in item) {
      const holds = yield* condition(item, scope);
      values[item.name] = holds;
      if (holds === item.stopIf) break;
    } else {
      const value = yield* render(item.template, scope);
      values[item.name] = value;
      for (const name of item.bind ?? []) scope = { ...scope, [name]: value };
    }
  }
  return values;
}

function* condition(
  item: { readonly condition: string; readonly field: string },
  variables: Variables,
): Generator<Evaluation, boolean, Json> {
  const value = yield { expression: item.condition, variables };
  if (typeof value === 'boolean') return value;
  throw flowError(
    'BLW_EXPR_FAILED',
    `${item.field}: \${ ${item.condition} } gave ${describeJsonType(value)}, expected true or false`,
  );
}

/** Value of a template: every expression in it evaluated, the rest as it stands. */
function* render(template: Template, variables: Variables): Generator<Evaluation, Json, Json> {
  if ('value' in template) return template.value;
  if ('expr' in template) return yield { expression: template.expr, variables };
  if ('text' in template) {
    let text = '';
    for (const part of template.text) {
      text += typeof part === 'string' ? part : toText(yield { expression: part.expr, variables });
    }
    return text;
  }
  if ('uri' in template) return renderUri(template.uri, variables.data);
  if ('list' in template) {
    const list: Json[] = [];
    for (const item of template.list) list.push(yield* render(item, variables));
    return list;
  }
  const result: JsonObject = {};
  for (const [key, item] of template.map) setOwn(result, key, yield* render(item, variables));
  return result;
}

/** A value as part of a longer text: text as it is, null as nothing, all else as JSON. */
function toText(value: Json): string {
  if (typeof value === 'string') return value;
  return value === null ? '' : JSON.stringify(value);
}

/** The value of an item that must have been evaluated; a missing one is a defect of this program. */
export function requireValue(values: BatchValues, name: string): Json {
  const value = values[name];
  if (value === undefined) throw new Error(`no value "${name}" was evaluated`);
  return value;
}

/** As {@link requireValue}, for what must be an object. Throws BLW_ARG_INVALID. */
export function requireObject(values: BatchValues, name: string): JsonObject {
  const value = requireValue(values, name);
  if (isJsonObject(value)) return value;
  throw flowError('BLW_ARG_INVALID', `${name}: got ${describeJsonType(value)}, expected an object`);
}
