import { analyzeExpression } from '../expressions/check';
import { hasExpression, splitString } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json } from '../json';
import { closestName, listNames, shortText } from '../problems';
import type { SecretChecker } from './check-secrets';
import type { Checker, Path } from './checker';
import { explainExpressionError } from './explain-expression-error';
import { hasStep, type Place, type Scope, stepsIn, variablesAt } from './scope';

/** Where an expression stands: its path, the names in scope, and the arguments it has there. */
export interface ExpressionSite {
  readonly path: Path;
  readonly scope: Scope;
  readonly place: Place;
  /** A secret may stand there. */
  readonly takesSecrets?: boolean;
}

/** Checks the expressions of a document; counts them, to know whether its language matters. */
export class ExpressionChecker {
  expressionCount = 0;

  constructor(
    private readonly checker: Checker,
    /** False where the document's language is not CEL: expressions are counted, not read. */
    private readonly isCel: boolean,
    readonly secrets: SecretChecker,
  ) {}

  /** A field that is an expression as a whole, with or without `${ }`. */
  expression(value: Json | undefined, what: string, site: ExpressionSite): void {
    if (value === undefined) return;
    if (typeof value !== 'string' || value.trim() === '') {
      const got = typeof value === 'string' ? 'empty text' : describeJsonType(value);
      const quote = typeof value === 'boolean' || typeof value === 'number' ? '; put it in quotes' : '';
      this.checker.report('BLW_VALUE_INVALID', site.path, `${what}: got ${got}, expected an expression${quote}`);
      return;
    }
    const { parts, unclosedAt } = splitString(value.trim());
    const [only] = parts;
    if (unclosedAt !== undefined) this.unclosed(site.path);
    else if (parts.length === 1 && only !== undefined && 'expr' in only) this.check(only.expr, site);
    else if (this.isCel && hasExpression(value)) this.severalParts(what, site.path);
    else this.check(value.trim(), site);
  }

  /** An expression or an object of templates: `input.from`, `output.as`, `export.as`, `set`. */
  expressionOrObject(value: Json | undefined, what: string, site: ExpressionSite): void {
    if (isJsonObject(value)) this.template(value, site);
    else this.expression(value, `${what}${typeof value === 'string' ? '' : ' (or an object)'}`, site);
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

  private check(expression: string, { path, scope, place, takesSecrets = false }: ExpressionSite): void {
    this.expressionCount += 1;
    if (!this.secrets.expression(expression, path, takesSecrets) || !this.isCel) return;
    if (expression === '') {
      this.checker.report('BLW_EXPR_SYNTAX', path, '${ } is empty; write an expression into it');
      return;
    }
    const variables = variablesAt(scope, place);
    const analysis = analyzeExpression(expression, [...variables, 'secrets']);
    if ('error' in analysis) {
      const { offset } = analysis.error;
      const where = offset === undefined ? '' : ` at character ${offset + 1}`;
      const reason = explainExpressionError(analysis.error, variables);
      this.checker.report('BLW_EXPR_SYNTAX', path, `\${ ${shortText(expression, 200)} }${where}: ${reason}`);
      return;
    }
    const { steps } = analysis.references;
    if (steps !== true) for (const step of steps) if (!hasStep(scope, step)) this.unknownStep(step, scope, path);
  }

  private unknownStep(step: string, scope: Scope, path: Path): void {
    const known = [...new Set(stepsIn(scope))];
    const meant = closestName(step, known);
    const advice = meant === undefined ? `in scope: ${listNames(known)}` : `did you mean "${meant}"?`;
    const message = `steps.${shortText(step)}: there is no such step in scope; ${advice}`;
    this.checker.report('BLW_STEP_UNKNOWN', path, message);
  }

  private unclosed(path: Path): void {
    this.expressionCount += 1;
    // In another language quotes and comments may be other ones, so the brace may be there.
    if (this.isCel) this.checker.report('BLW_EXPR_SYNTAX', path, '"${" is never closed; write ${ … }');
  }

  private severalParts(what: string, path: Path): void {
    this.expressionCount += 1;
    this.checker.report(
      'BLW_EXPR_SYNTAX',
      path,
      `${what}: all of it is one expression; write one \${ … } around it, or none`,
    );
  }
}

function below(site: ExpressionSite, key: string | number): ExpressionSite {
  return { ...site, path: [...site.path, key] };
}
