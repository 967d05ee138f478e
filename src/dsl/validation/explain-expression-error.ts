import type { ExpressionError } from '../expressions/cel';
import { closestName, listNames, shortText } from '../problems';

/** Variables of OWS that a place does not have, or that are not supported. In CEL's names. */
export const NOT_THERE: ReadonlyMap<string, string> = new Map([
  [
    'authorization',
    '`authorization` is not supported: its parameter is a credential, which would stay readable in the history',
  ],
  ['context', '`context` exists only in steps and in the output of the flow; use `data` or `workflow.input`'],
  ['input', '`input` (the transformed input) exists only after `input.from` of a step; use `data`'],
  ['output', '`output` exists only in `export.as`; use `data`'],
  ['task', '`task` exists only in steps'],
  ['steps', '`steps` exists only in steps and in the output of the flow'],
]);

const BRACKETS: ReadonlyMap<string, string> = new Map([
  ['RPAREN', '")"'],
  ['RBRACKET', '"]"'],
  ['RBRACE', '"}"'],
]);

/** What the library says, and what people usually meant. */
export function explainExpressionError({ message }: ExpressionError, variables: readonly string[]): string {
  const unknown = /^Unknown variable: (\w+)/.exec(message)?.[1];
  if (unknown !== undefined) return explainUnknownVariable(unknown, variables);
  const call = /^found no matching overload for '(.*)'$/.exec(message)?.[1];
  if (call !== undefined) return `there is no function ${shortText(call)}; see the name and the types of its arguments`;
  if (/^Unexpected (character: \$|token: DOT)/.test(message)) {
    return `${message}; this looks like jq, but the flow is in CEL: write data.name or context.name`;
  }
  const awaited = /^Expected (\w+), got EOF$/.exec(message)?.[1];
  if (message === 'Unexpected token: EOF' || awaited === 'IDENTIFIER') return 'it ends too early';
  if (awaited !== undefined) return `it ends too early, expected ${BRACKETS.get(awaited) ?? awaited}`;
  if (/^Expected IDENTIFIER, got (IN|NULL|BOOLEAN)$/.test(message)) {
    return `${message}; a key that is a word of CEL is written in brackets: data["in"]`;
  }
  if (/^no such overload: .*\b(int|double|uint|string)\b/.test(message)) {
    return `${message}; convert one side with int(…), double(…) or string(…)`;
  }
  return message;
}

function explainUnknownVariable(name: string, variables: readonly string[]): string {
  const reason = NOT_THERE.get(name);
  if (reason !== undefined) return reason;
  const meant = closestName(name, variables);
  return `"${shortText(name)}" is not known here; ${meant === undefined ? `there are: ${listNames(variables)}` : `did you mean "${meant}"?`}`;
}
