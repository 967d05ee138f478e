import { analyzeExpression, type ExpressionAnalysis, type StepProperty } from '../expressions/check';
import { type ForeignLanguage, foreignReferences, foreignStepProperties } from '../expressions/foreign-references';
import type { ExpressionLanguage } from '../expressions/language';
import { hasExpression, type StringPart, splitString } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json } from '../json';
import { closestName, listNames, shortText } from '../problems';
import type { SecretChecker } from './check-secrets';
import type { Checker, Path } from './checker';
import { explainExpressionError } from './explain-expression-error';
import { explainForeignError, misreadInput } from './explain-foreign-error';
import {
  constantProblem,
  describeWanted,
  type KnownValue,
  knownValue,
  typeProblem,
  type Wanted,
  wantedBy,
} from './expression-types';
import { explainBarePath, explainForeignTemplate, explainPathKey, findForeignTemplate } from './foreign-templates';
import { quoteProblem } from './quote-problem';
import { type Readable, rewritePath } from './rewrite-path';
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
  readonly scope: Scope;
}

/** What jq says of an expression, in words for authors. */
export function explainJqError({ expression, variables, scope }: UncheckedExpression, verdict: string): string {
  const readable: Readable = { language: 'jq', variables, steps: { has: (name) => hasStep(scope, name) } };
  return quoteProblem(expression, explainForeignError(expression, { message: verdict }, readable));
}

/** Longest expression in jq or JSONata; CEL's own parser bounds those in CEL. */
const MAX_EXPRESSION_LENGTH = 100_000;

/** Checks the expressions of a document; counts them, to know whether its language matters. */
export class ExpressionChecker {
  expressionCount = 0;
  /** What expressions in CEL will give, as far as that is known. */
  readonly #values = new Map<string, KnownValue>();
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
    const wanted = wantedBy(what);
    if (typeof value !== 'string' || value.trim() === '') {
      const got = typeof value === 'string' ? 'empty text' : describeJsonType(value);
      const message = `${what}: got ${got}, expected ${typeof value === 'boolean' ? 'an expression; put it in quotes' : describeWanted(wanted, this.language)}`;
      this.checker.report('BLW_VALUE_INVALID', site.path, message);
      return;
    }
    const source = value.trim();
    const { parts, unclosedAt } = splitString(source, this.language ?? 'cel');
    const [only] = parts;
    // In jq and JSONata "${" may be text within an expression that is written without it.
    const mayHoldText = this.language !== 'cel' && !source.startsWith('${');
    if (unclosedAt !== undefined && !mayHoldText) this.unclosed(site.path);
    else if (parts.length === 1 && only !== undefined && 'expr' in only) this.check(only.expr, site, { what, wanted });
    else if (!mayHoldText && hasExpression(value)) this.severalParts(what, site.path);
    else this.check(source, site, { what, wanted });
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
    else if (isJsonObject(value))
      for (const key of Object.keys(value)) this.property(key, value[key], below(site, key));
  }

  private property(key: string, value: Json | undefined, site: ExpressionSite): void {
    const readable = key.endsWith('.$') ? this.readable(site) : undefined;
    const problem = readable === undefined ? undefined : explainPathKey(key, value, readable);
    if (problem === undefined) this.template(value, site);
    else this.checker.report('BLW_EXPR_SYNTAX', site.path, problem, 'key');
  }

  private string(value: string, site: ExpressionSite): void {
    const { parts, unclosedAt } = splitString(value, this.language ?? 'cel');
    if (unclosedAt !== undefined) this.unclosed(site.path);
    else this.literal(parts, site);
    for (const part of parts) if ('expr' in part) this.check(part.expr, site);
  }

  /** Text that would go out as it stands, though an expression was meant. */
  private literal(parts: readonly StringPart[], site: ExpressionSite): void {
    const [only] = parts;
    for (const part of parts) {
      const template = 'text' in part ? findForeignTemplate(part.text) : undefined;
      const readable = template === undefined ? undefined : this.readable(site);
      if (template === undefined || readable === undefined) continue;
      this.checker.report('BLW_EXPR_SYNTAX', site.path, explainForeignTemplate(template, site.path, readable));
      return;
    }
    if (parts.length !== 1 || only === undefined || !('text' in only) || !/^(?:\$|steps\.|workflow\.)/.test(only.text))
      return;
    const readable = this.readable(site);
    const problem = readable === undefined ? undefined : explainBarePath(only.text, readable);
    if (problem !== undefined) this.checker.report('BLW_EXPR_SYNTAX', site.path, problem);
  }

  private readable(site: ExpressionSite): Readable | undefined {
    return this.language === undefined ? undefined : readableAt(site, this.language);
  }

  /** What an expression in CEL that has been checked gives: its value where it reads nothing, else a sample of its type. */
  valueOf(expression: string): KnownValue | undefined {
    return this.#values.get(expression);
  }

  private check(expression: string, site: ExpressionSite, field?: { what: string; wanted: Wanted }): void {
    this.expressionCount += 1;
    const { path, takesSecrets = false } = site;
    if (!this.secrets.expression(expression, path, takesSecrets) || this.language === undefined) return;
    const problem =
      expression === ''
        ? '${ } is empty; write an expression into it'
        : this.language === 'cel'
          ? this.checkCel(expression, site, field)
          : (this.checkForeign(expression, this.language, site) ?? constantProblem(expression, field, this.language));
    if (problem !== undefined) this.checker.report('BLW_EXPR_SYNTAX', site.path, problem);
  }

  /** Reports unknown steps; returns what else is wrong. */
  private checkCel(
    expression: string,
    site: ExpressionSite,
    field?: { what: string; wanted: Wanted },
  ): string | undefined {
    const variables = variablesAt(site.scope, site.place);
    const analysis = analyzeExpression(expression, [...variables, 'secrets']);
    if ('error' in analysis) {
      const { offset } = analysis.error;
      const readable = readableAt(site, 'cel');
      return quoteProblem(expression, explainExpressionError(analysis.error, readable), offset);
    }
    this.checkSteps(analysis.references.steps, 'steps', site);
    this.checkProperties(analysis.properties, 'steps', site);
    this.remember(expression, analysis);
    if (field === undefined) return undefined;
    return (
      typeProblem(expression, analysis, field, 'cel') ?? templateProblem(expression, analysis, readableAt(site, 'cel'))
    );
  }

  private remember(expression: string, analysis: ExpressionAnalysis): void {
    if (this.#values.has(expression)) return;
    const known = knownValue(expression, analysis);
    if (known !== undefined) this.#values.set(expression, known);
  }

  private checkForeign(expression: string, language: ForeignLanguage, site: ExpressionSite): string | undefined {
    if (expression.length > MAX_EXPRESSION_LENGTH)
      return `an expression has ${expression.length} characters, at most ${MAX_EXPRESSION_LENGTH} are allowed`;
    const variables = [...variablesAt(site.scope, site.place).filter((name) => name !== 'data'), 'secrets'];
    if (language === 'jsonata') {
      // Loaded where a flow has any: a worker whose flows have none does without.
      const { checkJsonata } = require('./check-jsonata') as typeof import('./check-jsonata');
      const problem = checkJsonata(expression, variables);
      if (problem !== undefined) {
        const reason = explainForeignError(expression, problem, readableAt(site, language));
        return quoteProblem(expression, reason, problem.offset);
      }
    } else {
      const problem = misreadInput(expression);
      if (problem !== undefined) return problem;
      this.unchecked.push({ expression, path: site.path, variables, scope: site.scope });
    }
    this.checkSteps(foreignReferences(expression, language).steps, '$steps', site);
    this.checkProperties(foreignStepProperties(expression, language), '$steps', site);
    return undefined;
  }

  private checkSteps(steps: readonly string[] | true, argument: string, { scope, path }: ExpressionSite): void {
    if (steps === true) return;
    for (const step of steps) if (!hasStep(scope, step)) this.unknownStep(step, { argument, scope, path });
  }

  /** All that there is of a step is its output, and the error of one that the flow goes on without. */
  private checkProperties(
    properties: readonly StepProperty[],
    argument: string,
    { scope, path }: ExpressionSite,
  ): void {
    for (const { step, property } of properties) {
      if (property === 'output' || !hasStep(scope, step)) continue;
      if (property === 'error' && this.checker.steps.mayHaveError(step, path)) continue;
      const name = `${argument}.${shortText(step)}`;
      const isOutput = /^(?:outputs?|results?|response|value|data)$/i.test(property);
      const meant = `${name}.output${isOutput ? '' : `.${shortText(property)}`}`;
      const message = `${name}.${shortText(property)}: a step has nothing but "output"; write ${meant}`;
      this.checker.report('BLW_STEP_UNKNOWN', path, message);
    }
  }

  private unknownStep(step: string, { argument, scope, path }: { argument: string; scope: Scope; path: Path }): void {
    const known = [...new Set(stepsIn(scope))];
    const meant = closestName(step, known);
    const reason = this.checker.steps.whyNotReadable(step, path);
    const advice =
      reason !== undefined || meant === undefined
        ? `in scope: ${listNames(known)}${reason === undefined ? '' : `; ${reason}`}`
        : `did you mean "${meant}"?`;
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
  cel: '"${" is never closed; write ${ … }. Is there a " #" in it, which begins a comment in YAML where the text has no quotes?',
  jq: '"${" is never closed; write ${ … }. Is there a quote that is not closed, or a # that begins a comment?',
  jsonata: '"${" is never closed; write ${ … }. Is there a quote, or a pattern between slashes, that is not closed?',
};

function below(site: ExpressionSite, key: string | number): ExpressionSite {
  return { ...site, path: [...site.path, key] };
}

/** What a message may propose to read at a place. */
function readableAt({ scope, place }: Pick<ExpressionSite, 'scope' | 'place'>, language: ExpressionLanguage): Readable {
  return { language, variables: variablesAt(scope, place), steps: { has: (name) => hasStep(scope, name) } };
}

/** A comparison of texts in which a template was to be filled in: it reads nothing, so it always gives the same. */
function templateProblem(
  expression: string,
  { isConstant }: ExpressionAnalysis,
  readable: Readable,
): string | undefined {
  const template = isConstant ? findForeignTemplate(expression) : undefined;
  if (template === undefined) return undefined;
  const meant = rewritePath(template.inside, readable, { isData: true });
  const advice = meant === undefined ? 'write the expression itself' : `write ${meant} in its place, without quotes`;
  return quoteProblem(expression, `"${shortText(template.whole)}" is not replaced; ${advice}`);
}
