/** Languages of expressions (`evaluate.language`); OWS's default is jq (dsl, "Runtime Expressions"). */
export const EXPRESSION_LANGUAGES = ['cel', 'jq', 'jsonata'] as const;

/** CEL is evaluated in the workflow, the others in a local activity of the worker. */
export type ExpressionLanguage = (typeof EXPRESSION_LANGUAGES)[number];

/** True where a name is that of a language. */
export function isExpressionLanguage(name: string): name is ExpressionLanguage {
  return (EXPRESSION_LANGUAGES as readonly string[]).includes(name);
}
