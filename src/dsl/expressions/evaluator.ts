import { flowError } from '../errors';
import { describeJsonType, getOwn, isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import { type CompiledExpression, compileExpression, ExpressionError } from './cel';
import type { Template } from './template';
import { MAX_WORK, type WorkBudget } from './work-limit';

/**
 * The arguments of an expression (OWS dsl, "Runtime expression arguments") plus `data`, what it is evaluated on,
 * `steps`, and the variables of loops and catches.
 */
export type Variables = Record<string, unknown> & { readonly data: Json };

/** Evaluates templates and expressions of one flow; parses each expression once. Synchronous and deterministic. */
export class Evaluator {
  readonly #compiled = new Map<string, CompiledExpression>();
  readonly #budget: WorkBudget = { left: MAX_WORK };

  /** To be called where the flow waits: the work until then did not stall anybody for long. */
  renewBudget(): void {
    this.#budget.left = MAX_WORK;
  }

  /** Value of one expression. Throws BLW_EXPR_FAILED. */
  evaluate(expression: string, variables: Variables): Json {
    try {
      return this.#compile(expression)(variables, this.#budget);
    } catch (error) {
      if (!(error instanceof ExpressionError)) throw error;
      const where = error.offset === undefined ? '' : ` at character ${error.offset + 1}`;
      throw flowError('BLW_EXPR_FAILED', `\${ ${expression} }${where}: ${error.message}`, { cause: error });
    }
  }

  /** Value of an expression that must give true or false. Throws BLW_EXPR_FAILED for anything else. */
  evaluateCondition(expression: string, variables: Variables, field: string): boolean {
    const value = this.evaluate(expression, variables);
    if (typeof value === 'boolean') return value;
    throw flowError(
      'BLW_EXPR_FAILED',
      `${field}: \${ ${expression} } gave ${describeJsonType(value)}, expected true or false`,
    );
  }

  /** Value of a template: every expression in it evaluated, the rest as it stands. */
  render(template: Template, variables: Variables): Json {
    if ('value' in template) return template.value;
    if ('expr' in template) return this.evaluate(template.expr, variables);
    if ('text' in template) {
      return template.text
        .map((part) => (typeof part === 'string' ? part : toText(this.evaluate(part.expr, variables))))
        .join('');
    }
    if ('uri' in template) return renderUri(template.uri, variables.data);
    if ('list' in template) return template.list.map((item) => this.render(item, variables));
    const result: JsonObject = {};
    for (const [key, item] of template.map) setOwn(result, key, this.render(item, variables));
    return result;
  }

  #compile(expression: string): CompiledExpression {
    let compiled = this.#compiled.get(expression);
    if (compiled === undefined) {
      compiled = compileExpression(expression);
      this.#compiled.set(expression, compiled);
    }
    return compiled;
  }
}

/** A value as part of a longer text: text as it is, null as nothing, all else as JSON. */
function toText(value: Json): string {
  if (typeof value === 'string') return value;
  return value === null ? '' : JSON.stringify(value);
}

/** RFC 6570, simple string expansion; an absent variable is nothing (OWS, "URI Template"). */
function renderUri(parts: readonly (string | { readonly variable: string })[], data: Json): string {
  const source = isJsonObject(data) ? data : {};
  return parts
    .map((part) => (typeof part === 'string' ? part : encodeVariable(part.variable, getOwn(source, part.variable))))
    .join('');
}

function encodeVariable(name: string, value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  if (typeof value === 'object') {
    throw flowError(
      'BLW_EXPR_FAILED',
      `{${name}} in a URI: got ${describeJsonType(value)}, expected text, a number or a boolean`,
    );
  }
  return percentEncode(String(value)).replace(
    /[!'()*]/g,
    (char) => `%${char.charCodeAt(0).toString(16).toUpperCase()}`,
  );
}

function percentEncode(text: string): string {
  try {
    return encodeURIComponent(text);
  } catch (cause) {
    throw flowError('BLW_EXPR_FAILED', 'a variable in a URI holds half of a surrogate pair, which has no UTF-8 form', {
      cause,
    });
  }
}
