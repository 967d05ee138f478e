import { analyzeExpression } from '../expressions/check';
import { type ForeignLanguage, foreignReferences } from '../expressions/foreign-references';
import type { ExpressionLanguage } from '../expressions/language';
import { hasExpression, splitString } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json } from '../json';
import { closestName, listNames, shortText } from '../problems';
import { checkJsonata } from './check-jsonata';
import type { SecretChecker } from './check-secrets';
import type { Checker, Path } from './checker';
import { explainExpressionError } from './explain-expression-error';
import { explainForeignError } from './explain-foreign-error';
import { hasStep, type Place, type Scope, stepsIn, variablesAt } from './scope';

/** Where an expression stands: its path, the names in scope, and the arguments it has there. */
export interface ExpressionSite {
  readonly path: Path;
  readonly scope: Scope;
  readonly place: Place;
  /** A secret may stand there. */
  readonly takesSecrets?: boolean;
}

/** An expression in jq, whose syntax only jq itself can check, and the variables that it may use. */
export interface UncheckedExpression {
  readonly expression: string;
  readonly path: Path;
  readonly variables: readonly string[];
}

/** Longest expression in jq or JSONata; CEL's own parser bounds those in CEL. */
const MAX_EXPRESSION_LENGTH = 100_000;

/** Checks the expressions of a document; counts them, to know whether its language matters. */
export class ExpressionChecker {
  expressionCount = 0;
  /** What is left to be checked by jq. */
  readonly unchecked: UncheckedExpression[] = [];

  constructor(
    private readonly checker: Checker,
    /** Undefined where it is none that runs here: expressions are counted, not read. */
    private readonly language: ExpressionLanguage | undefined,
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
    const source = value.trim();
    const { parts, unclosedAt } = splitString(source, this.language ?? 'cel');
    const [only] = parts;
    // In jq and JSONata "${" may be text within an expression that is written without it.
    const mayHoldText = this.language !== 'cel' && !source.startsWith('${');
    if (unclosedAt !== undefined && !mayHoldText) this.unclosed(site.path);
    else if (parts.length === 1 && only !== undefined && 'expr' in only) this.check(only.expr, site);
    else if (!mayHoldText && hasExpression(value)) this.severalParts(what, site.path);
    else this.check(source, site);
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
    const { parts, unclosedAt } = splitString(value, this.language ?? 'cel');
    if (unclosedAt !== undefined) this.unclosed(site.path);
    for (const part of parts) if ('expr' in part) this.check(part.expr, site);
  }

  private check(expression: string, site: ExpressionSite): void {
    this.expressionCount += 1;
    const { path, takesSecrets = false } = site;
    if (!this.secrets.expression(expression, path, takesSecrets) || this.language === undefined) return;
    const problem =
      expression === ''
        ? '${ } is empty; write an expression into it'
        : this.language === 'cel'
          ? this.checkCel(expression, site)
          : this.checkForeign(expression, this.language, site);
    if (problem !== undefined) this.checker.report('BLW_EXPR_SYNTAX', site.path, problem);
  }

  /** Reports unknown steps; returns what else is wrong. */
  private checkCel(expression: string, site: ExpressionSite): string | undefined {
    const variables = variablesAt(site.scope, site.place);
    const analysis = analyzeExpression(expression, [...variables, 'secrets']);
    if ('error' in analysis) {
      const { offset } = analysis.error;
      return quoteProblem(expression, explainExpressionError(analysis.error, variables), offset);
    }
    this.checkSteps(analysis.references.steps, 'steps', site);
    return undefined;
  }

  private checkForeign(expression: string, language: ForeignLanguage, site: ExpressionSite): string | undefined {
    if (expression.length > MAX_EXPRESSION_LENGTH)
      return `an expression has ${expression.length} characters, at most ${MAX_EXPRESSION_LENGTH} are allowed`;
    const variables = [...variablesAt(site.scope, site.place).filter((name) => name !== 'data'), 'secrets'];
    if (language === 'jsonata') {
      const problem = checkJsonata(expression, variables);
      if (problem !== undefined) {
        const reason = explainForeignError(expression, problem.message, { language, variables });
        return quoteProblem(expression, reason, problem.offset);
      }
    } else this.unchecked.push({ expression, path: site.path, variables });
    this.checkSteps(foreignReferences(expression, language).steps, '$steps', site);
    return undefined;
  }

  private checkSteps(steps: readonly string[] | true, argument: string, { scope, path }: ExpressionSite): void {
    if (steps === true) return;
    for (const step of steps) if (!hasStep(scope, step)) this.unknownStep(step, { argument, scope, path });
  }

  private unknownStep(step: string, { argument, scope, path }: { argument: string; scope: Scope; path: Path }): void {
    const known = [...new Set(stepsIn(scope))];
    const meant = closestName(step, known);
    const advice = meant === undefined ? `in scope: ${listNames(known)}` : `did you mean "${meant}"?`;
    const message = `${argument}.${shortText(step)}: there is no such step in scope; ${advice}`;
    this.checker.report('BLW_STEP_UNKNOWN', path, message);
  }

  private unclosed(path: Path): void {
    this.expressionCount += 1;
    // In a language that is not known here quotes and comments may be other ones, so the brace may be there.
    if (this.language !== undefined) this.checker.report('BLW_EXPR_SYNTAX', path, UNCLOSED[this.language]);
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

const UNCLOSED: Record<ExpressionLanguage, string> = {
  cel: '"${" is never closed; write ${ … }',
  jq: '"${" is never closed; write ${ … }. Is there a quote that is not closed, or a # that begins a comment?',
  jsonata: '"${" is never closed; write ${ … }. Is there a quote, or a pattern between slashes, that is not closed?',
};

/** A problem of an expression, with its text and the place in it; `offset` from 0. */
export function quoteProblem(expression: string, reason: string, offset?: number): string {
  const where = offset === undefined ? '' : ` at character ${offset + 1}`;
  return `\${ ${shortText(expression, 200)} }${where}: ${reason}`;
}

function below(site: ExpressionSite, key: string | number): ExpressionSite {
  return { ...site, path: [...site.path, key] };
}
