import type { Environment } from '@marcbachmann/cel-js/evaluator';
import { messageOf } from '../errors';
import { linearRegExp } from '../regular-expression';
import { createEnvironment, ExpressionError, guarded, LINEAR_MATCHES, parseExpression, toExpressionError } from './cel';
import { isAstNode, visitNodes } from './syntax-tree';

/** Knows the functions and operators, and no variable. Never changed after it is made; others are made from it. */
const checkingEnvironment = createEnvironment(false);

/** What an expression reads that the planner must know of. */
export interface ExpressionReferences {
  /** Names under `steps`; `true` where some are computed. */
  readonly steps: readonly string[] | true;
  /** It reads a `definition` (of the workflow or of a task). */
  readonly definition: boolean;
}

/** `steps.<step>.<property>` */
export interface StepProperty {
  readonly step: string;
  readonly property: string;
}

/** What is known of an expression without data. */
export interface ExpressionAnalysis {
  readonly references: ExpressionReferences;
  /** What is read of steps that are named. */
  readonly properties: readonly StepProperty[];
  /** CEL's type of the value: `dyn` where only data tells. */
  readonly type: string;
  /** It reads no variable at all. */
  readonly isConstant: boolean;
}

/**
 * Checks an expression without data: does it parse, are its variables among those given, do operators and functions
 * exist for the types that can be known. Returns what is wrong, or undefined.
 */
export function checkExpression(expression: string, variables: readonly string[]): ExpressionError | undefined {
  const result = analyzeExpression(expression, variables);
  return 'error' in result ? result.error : undefined;
}

/** Reads off an expression's syntax tree which steps and whether definitions are used. Throws {@link ExpressionError}. */
export function expressionReferences(expression: string): ExpressionReferences {
  const { ast } = guarded(expression, () => parseExpression(checkingEnvironment, expression));
  return referencesOf(ast);
}

/** Names that an expression reads, those that its macros make among them. Throws {@link ExpressionError}. */
export function expressionVariables(expression: string): ReadonlySet<string> {
  const { ast } = guarded(expression, () => parseExpression(checkingEnvironment, expression));
  const names = new Set<string>();
  visitNodes(ast, ({ op, args }) => {
    if (op === 'id') names.add(String(args));
    return true;
  });
  return names;
}

/** Both in one: what is wrong with an expression, or what it refers to. */
export function analyzeExpression(
  expression: string,
  variables: readonly string[],
): { readonly error: ExpressionError } | ExpressionAnalysis {
  try {
    const parsed = parseExpression(environmentWith(variables), expression);
    const references = referencesOf(parsed.ast);
    const { error, type = 'dyn' } = parsed.check();
    if (error !== undefined) throw error;
    refuseLostKeys(expression, parsed.ast);
    refuseComments(expression);
    refuseBadPatterns(expression, parsed.ast);
    const { ast } = parsed;
    return { references, properties: stepProperties(ast), type, isConstant: readsNothing(ast) };
  } catch (error) {
    return { error: toExpressionError(expression, error) };
  }
}

/** Environments by their variables; a document has few different ones, and making one takes as long as 20 expressions. */
const environments = new Map<string, Environment>();
const MAX_ENVIRONMENTS = 200;

function environmentWith(variables: readonly string[]): Environment {
  const names = [...new Set(variables)];
  const key = names.join(' ');
  let environment = environments.get(key);
  if (environment === undefined) {
    environment = checkingEnvironment.clone();
    for (const name of names) environment.registerVariable(name, 'dyn');
    // Authors choose the names of variables: the cache must not grow with them.
    if (environments.size >= MAX_ENVIRONMENTS) environments.clear();
    environments.set(key, environment);
  }
  return environment;
}

/** True where a name can be an expression's variable: CEL keeps some for itself, such as `in`, `int` and `size`. */
export function canBeVariable(name: string): boolean {
  const result = analyzeExpression(name, [name]);
  return !('error' in result) && checkExpression(name, []) !== undefined;
}

function referencesOf(ast: unknown): ExpressionReferences {
  const steps = new Set<string>();
  let isComputed = false;
  let definition = false;
  visitNodes(ast, ({ op, args }) => {
    if (op === 'id' && args === 'steps') isComputed = true;
    if (!ACCESS.includes(op)) return true;
    const [object] = args as [unknown, unknown];
    const name = propertyOf(args);
    if (name === 'definition') definition = true;
    if (!isSteps(object) || typeof name !== 'string') return true;
    steps.add(name);
    return false;
  });
  return { steps: isComputed ? true : [...steps], definition };
}

function stepProperties(ast: unknown): StepProperty[] {
  const properties: StepProperty[] = [];
  visitNodes(ast, ({ op, args }) => {
    const step = ACCESS.includes(op) ? stepOf((args as [unknown])[0]) : undefined;
    const property = propertyOf(args);
    if (step !== undefined && typeof property === 'string') properties.push({ step, property });
    return true;
  });
  return properties;
}

const ACCESS: readonly string[] = ['.', '.?', '[]', '[?]'];

/** The name in `a.name` and `a["name"]`. */
function propertyOf(args: unknown): unknown {
  const [, property] = Array.isArray(args) ? args : [];
  return isAstNode(property) && property.op === 'value' ? property.args : property;
}

function isSteps(node: unknown): boolean {
  return isAstNode(node) && node.op === 'id' && node.args === 'steps';
}

/** The step in `steps.name`. */
function stepOf(node: unknown): string | undefined {
  if (!isAstNode(node) || !ACCESS.includes(node.op)) return undefined;
  const name = propertyOf(node.args);
  return isSteps((node.args as [unknown])[0]) && typeof name === 'string' ? name : undefined;
}

/** True where there is no name in it, neither a variable nor one that a macro makes. */
function readsNothing(ast: unknown): boolean {
  let isConstant = true;
  visitNodes(ast, ({ op }) => {
    if (op === 'id') isConstant = false;
    return isConstant;
  });
  return isConstant;
}

/** The library leaves these keys out of the maps that it makes, without a word. */
const LOST_KEYS: readonly unknown[] = ['__proto__', 'constructor', 'prototype'];

function refuseLostKeys(expression: string, ast: unknown): void {
  visitNodes(ast, ({ op, args }) => {
    for (const [key] of op === 'map' ? (args as [unknown, unknown][]) : []) {
      if (!isAstNode(key) || key.op !== 'value' || !LOST_KEYS.includes(key.args)) continue;
      throw new ExpressionError(`an expression cannot make a key "${String(key.args)}"`, expression, key.pos);
    }
    return true;
  });
}

/** Comments are CEL, but nobody writes one in a flow: jq's `a // b` would mean `a`, without a word. */
function refuseComments(expression: string): void {
  const offset = withoutStrings(expression).indexOf('//');
  if (offset === -1) return;
  throw new ExpressionError(
    '// begins a comment; for a value that may be absent write a.?b.orValue(c)',
    expression,
    offset,
  );
}

/** The expression with the content of its strings blanked, so that offsets stay. */
function withoutStrings(expression: string): string {
  const string = /("""|'''|"|')(?:\\[\s\S]|(?!\1)[\s\S])*\1/g;
  return expression.replace(string, (text) => ' '.repeat(text.length));
}

/** A pattern that stands in the expression is checked before anything runs. */
function refuseBadPatterns(expression: string, ast: unknown): void {
  visitNodes(ast, ({ op, args }) => {
    const [name, , operands] = op === 'rcall' ? (args as [string, unknown, unknown[]]) : [];
    const pattern = operands?.[0];
    if (name !== LINEAR_MATCHES || !isAstNode(pattern) || pattern.op !== 'value' || typeof pattern.args !== 'string')
      return true;
    try {
      linearRegExp(pattern.args);
    } catch (error) {
      const reason = messageOf(error);
      throw new ExpressionError(`matches(): ${reason}; patterns are of RE2's syntax`, expression, pattern.pos);
    }
    return true;
  });
}
