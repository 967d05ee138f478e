import { expressionReferences } from '../expressions/check';
import { foreignReferences } from '../expressions/foreign-references';
import type { ExpressionLanguage } from '../expressions/language';
import { type Template, templateExpressions } from '../expressions/template';

/** All expressions of a plan, by a walk over it: fields named after expressions, and templates. */
export function collectReferences(
  plan: object,
  language: ExpressionLanguage,
): { steps: readonly string[] | true; definition: boolean; hasExpressions: boolean } {
  const steps = new Set<string>();
  let hasExpressions = false;
  let isComputed = false;
  let definition = false;
  for (const expression of planExpressions(plan)) {
    hasExpressions = true;
    const references = language === 'cel' ? expressionReferences(expression) : foreignReferences(expression, language);
    if (references.steps === true) isComputed = true;
    else for (const step of references.steps) steps.add(step);
    definition ||= references.definition;
  }
  return { steps: isComputed || [...steps].sort(), definition, hasExpressions };
}

const EXPRESSION_FIELDS = new Set(['if', 'while', 'when', 'exceptWhen']);
/** Data of the document, in which nothing is an expression whatever it looks like. */
const DATA_FIELDS = new Set(['schema', 'errorsWith', 'literal']);
const TEMPLATE_FORMS = ['value', 'expr', 'text', 'uri', 'list', 'map'];

/** Every expression in a part of a plan. */
export function* planExpressions(node: unknown): Generator<string> {
  if (typeof node !== 'object' || node === null) return;
  const keys = Object.keys(node);
  if (keys.length === 1 && TEMPLATE_FORMS.includes(keys[0] ?? '')) {
    yield* templateExpressions(node as Template);
    return;
  }
  for (const [key, value] of Object.entries(node)) {
    if (EXPRESSION_FIELDS.has(key) && typeof value === 'string') yield value;
    else if (!DATA_FIELDS.has(key)) yield* planExpressions(value);
  }
}
