import { createEnvironment, type ExpressionError, guarded, toExpressionError } from './cel';

/** Knows the functions and operators, and no variable. Never changed after it is made; each check extends a clone. */
const checkingEnvironment = createEnvironment(false);

/**
 * Checks an expression without data: does it parse, are its variables among those given, do operators and functions
 * exist for the types that can be known. Returns what is wrong, or undefined.
 */
export function checkExpression(expression: string, variables: Iterable<string>): ExpressionError | undefined {
  const environment = checkingEnvironment.clone();
  for (const variable of variables) environment.registerVariable(variable, 'dyn');
  const result = environment.check(expression);
  return result.error === undefined ? undefined : toExpressionError(expression, result.error);
}

/** What an expression reads that the planner must know of. */
export interface ExpressionReferences {
  /** Names under `steps`; `true` where some are computed. */
  readonly steps: readonly string[] | true;
  /** It reads a `definition` (of the workflow or of a task). */
  readonly definition: boolean;
}

/** Reads off an expression's syntax tree which steps and whether definitions are used. Throws {@link ExpressionError}. */
export function expressionReferences(expression: string): ExpressionReferences {
  const { ast } = guarded(expression, () => checkingEnvironment.parse(expression));
  const steps = new Set<string>();
  let isComputed = false;
  let definition = false;
  const visit = (node: unknown): void => {
    if (Array.isArray(node)) for (const item of node) visit(item);
    if (!isAstNode(node)) return;
    const { op, args } = node;
    if (op === 'id' && args === 'steps') isComputed = true;
    if (op === '.' || op === '.?' || op === '[]' || op === '[?]') {
      const [object, property] = args as [unknown, unknown];
      const name = isAstNode(property) && property.op === 'value' ? property.args : property;
      if (name === 'definition') definition = true;
      if (isAstNode(object) && object.op === 'id' && object.args === 'steps' && typeof name === 'string') {
        steps.add(name);
        return;
      }
    }
    visit(args);
  };
  visit(ast);
  return { steps: isComputed ? true : [...steps], definition };
}

function isAstNode(node: unknown): node is { op: string; args: unknown } {
  return typeof node === 'object' && node !== null && typeof (node as { op?: unknown }).op === 'string';
}
