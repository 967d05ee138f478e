import { checkExpression, expressionReferences } from '../expressions/check';
import { splitString } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json } from '../json';
import { closestName } from '../problems';
import type { Checker, Path } from './checker';
import { type Place, type Scope, variablesAt } from './scope';

/** Where an expression stands: its path, the names in scope, and the arguments it has there. */
export interface ExpressionSite {
  readonly path: Path;
  readonly scope: Scope;
  readonly place: Place;
}

/** Checks the expressions of a document; counts them, to know whether its language matters. */
export class ExpressionChecker {
  expressionCount = 0;

  constructor(
    private readonly checker: Checker,
    /** False where the document's language is not CEL: expressions are counted, not read. */
    private readonly isCel: boolean,
  ) {}

  /** A field that is an expression as a whole, with or without `${ }`. */
  expression(value: Json | undefined, what: string, site: ExpressionSite): void {
    if (value === undefined) return;
    if (typeof value !== 'string' || value.trim() === '') {
      this.checker.report(
        'BLW_VALUE_INVALID',
        site.path,
        `${what}: got ${describeJsonType(value)}, expected an expression`,
      );
      return;
    }
    const { parts, unclosedAt } = splitString(value.trim());
    const [only] = parts;
    if (unclosedAt !== undefined) this.unclosed(site.path);
    else if (parts.length === 1 && only !== undefined && 'expr' in only) this.check(only.expr, site);
    else this.check(value.trim(), site);
  }

  /** An expression or an object of templates: `input.from`, `output.as`, `export.as`, `set`. */
  expressionOrObject(value: Json | undefined, what: string, site: ExpressionSite): void {
    if (isJsonObject(value)) this.template(value, site);
    else this.expression(value, what, site);
  }

  /** A value with expressions in its strings, at any depth. */
  template(value: Json | undefined, site: ExpressionSite): void {
    if (typeof value === 'string') this.string(value, site);
    else if (Array.isArray(value)) for (const [index, item] of value.entries()) this.template(item, below(site, index));
    else if (isJsonObject(value)) for (const key of Object.keys(value)) this.template(value[key], below(site, key));
  }

  private string(value: string, site: ExpressionSite): void {
    const { parts, unclosedAt } = splitString(value);
    if (unclosedAt !== undefined) this.unclosed(site.path);
    for (const part of parts) if ('expr' in part) this.check(part.expr, site);
  }

  private check(expression: string, { path, scope, place }: ExpressionSite): void {
    this.expressionCount += 1;
    if (!this.isCel) return;
    const variables = variablesAt(scope, place);
    const error = checkExpression(expression, variables);
    if (error !== undefined) {
      const where = error.offset === undefined ? '' : ` at character ${error.offset + 1}`;
      this.checker.report('BLW_EXPR_SYNTAX', path, `\${ ${expression} }${where}: ${explain(error.message, variables)}`);
      return;
    }
    const { steps } = expressionReferences(expression);
    if (steps === true) return;
    for (const step of steps.filter((name) => !scope.steps.includes(name))) {
      const meant = closestName(step, scope.steps);
      const advice = meant === undefined ? `in scope: ${scope.steps.join(', ') || 'none'}` : `did you mean "${meant}"?`;
      this.checker.report('BLW_STEP_UNKNOWN', path, `steps.${step}: there is no such step in scope; ${advice}`);
    }
  }

  private unclosed(path: Path): void {
    this.checker.report('BLW_EXPR_SYNTAX', path, '"${" is never closed; write ${ … }');
  }
}

function below(site: ExpressionSite, key: string | number): ExpressionSite {
  return { ...site, path: [...site.path, key] };
}

const NOT_THERE: Record<string, string> = {
  secrets: 'secrets are not supported yet',
  authorization: '`authorization` is not supported yet',
  input: '`input` (the transformed input) exists only after `input.from`; use `data`',
  output: '`output` exists only in `export.as`; use `data`',
};

/** The library's message, with what people usually meant. */
function explain(message: string, variables: readonly string[]): string {
  const unknown = /^Unknown variable: (\w+)/.exec(message)?.[1];
  if (unknown === undefined) {
    return /^Unexpected (character: \$|token: DOT)/.test(message)
      ? `${message}; this looks like jq, but the flow is in CEL: write data.name or context.name`
      : message;
  }
  const known = NOT_THERE[unknown];
  if (known !== undefined) return known;
  const meant = closestName(unknown, variables);
  return `"${unknown}" is not known here; ${meant === undefined ? `there are: ${variables.join(', ')}` : `did you mean "${meant}"?`}`;
}
