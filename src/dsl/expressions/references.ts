import type { BatchItem, Variables } from './batch';
import type { ExpressionLanguage } from './language';
import { templateExpressions } from './template';

/** A variable of jq or JSONata. */
const DOLLAR_NAME = /\$([A-Za-z_]\w*)/g;

/**
 * Names of the variables that an expression in jq or JSONata may read: every `$name` in its text, also those that it
 * defines itself.
 */
export function referencedVariables(expression: string): ReadonlySet<string> {
  return new Set([...expression.matchAll(DOLLAR_NAME)].map(([, name = '']) => name));
}

/** In CEL a variable is a word like any other. */
const WORD = /[A-Za-z_]\w*/g;

/** Only the variables that a batch may read, so that no others travel with it. */
export function variablesOf(
  language: ExpressionLanguage,
  items: readonly BatchItem[],
  variables: Variables,
): Variables {
  const namesIn = language === 'cel' ? (text: string) => text.match(WORD) ?? [] : referencedVariables;
  const names = new Set(items.flatMap((item) => [...expressionsOf(item)]).flatMap((text) => [...namesIn(text)]));
  const read = Object.entries(variables).filter(([name]) => names.has(name));
  return { ...Object.fromEntries(read), data: variables.data };
}

function* expressionsOf(item: BatchItem): Generator<string> {
  if ('condition' in item) yield item.condition;
  else yield* templateExpressions(item.template);
}
