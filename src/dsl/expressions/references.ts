import type { BatchItem, Variables } from './batch';
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

/** Only the variables that a batch in jq or JSONata may read, so that no others travel with it. */
export function variablesOf(items: readonly BatchItem[], variables: Variables): Variables {
  const names = new Set(
    items.flatMap((item) => [...expressionsOf(item)]).flatMap((text) => [...referencedVariables(text)]),
  );
  const read = Object.entries(variables).filter(([name]) => names.has(name));
  return { ...Object.fromEntries(read), data: variables.data };
}

function* expressionsOf(item: BatchItem): Generator<string> {
  if ('condition' in item) yield item.condition;
  else yield* templateExpressions(item.template);
}
