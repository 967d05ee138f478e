import type { ExpressionError } from '../expressions/cel';
import { closestName, listNames, shortText } from '../problems';
import { explainCelFunction, explainCelSyntax } from './cel-habits';
import type { Readable } from './rewrite-path';
import { rewritePath } from './rewrite-path';

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

/** What the library says, and what people usually meant. */
export function explainExpressionError(error: ExpressionError, readable: Readable): string {
  const { message, expression, offset = 0 } = error;
  const unknown = /^Unknown variable: (\w+)/.exec(message)?.[1];
  if (unknown !== undefined) return explainUnknownVariable(unknown, { expression, offset }, readable);
  const call = /^found no matching overload for '(.*)'$/s.exec(message)?.[1];
  if (call !== undefined) return explainCelFunction(call);
  const habit = explainCelSyntax({ message, expression, offset }, readable);
  if (habit !== undefined) return habit;
  if (/^no such overload: .*\b(int|double|uint|string)\b/.test(message)) {
    return `${message}; convert one side with int(…), double(…) or string(…)`;
  }
  if (/^Ternary branches must have the same type/.test(message))
    return `${message}; where both are meant, wrap one: dyn(…)`;
  if (/requires bool operands|condition must be bool/.test(message))
    return `${message}; there is no truthiness: compare it, such as data.name != "" or data.count > 0`;
  return message;
}

/** Words for true, false and null of other languages. */
const CONSTANTS: ReadonlyMap<string, string> = new Map([
  ...['yes', 'on', 'True', 'TRUE', 'Yes'].map((word) => [word, 'true'] as const),
  ...['no', 'off', 'False', 'FALSE', 'No'].map((word) => [word, 'false'] as const),
  ...['undefined', 'none', 'None', 'nil', 'Null', 'NULL'].map((word) => [word, 'null'] as const),
]);

/** Names that other systems have everywhere. */
const ELSEWHERE: ReadonlyMap<string, string> = new Map([
  ['env', 'there are no environment variables here; give the value as input, or a credential as one of use.secrets'],
  [
    'vars',
    'there are no global variables here; give the value as input, or `set` it in a step and read steps.NAME.output',
  ],
  [
    'variables',
    'there are no global variables here; give the value as input, or `set` it in a step and read steps.NAME.output',
  ],
  ['item', '`item` exists only inside of a `for`'],
  ['index', '`index` exists only inside of a `for`'],
  ['error', '`error` exists only in a `catch`'],
  ['this', 'what an expression is evaluated on is `data`'],
  ['self', 'what an expression is evaluated on is `data`'],
]);

function explainUnknownVariable(
  name: string,
  { expression, offset }: { expression: string; offset: number },
  readable: Readable,
): string {
  const { variables } = readable;
  const reason = NOT_THERE.get(name);
  if (reason !== undefined) return reason;
  const unknown = `"${shortText(name)}" is not known here`;
  const constant = CONSTANTS.get(name);
  if (constant !== undefined) return `${unknown}; write ${constant}, or in quotes for text`;
  const [path = name] = /^[\w$]+(?:\.[A-Za-z_]\w*)*/.exec(expression.slice(offset, offset + 200)) ?? [];
  const dashed =
    expression.charAt(offset - 1) === '-' ? /[\w.]+$/.exec(expression.slice(0, offset - 1))?.[0] : undefined;
  const meant = closestName(name, variables);
  if (meant === undefined && dashed?.includes('.') === true) {
    const at = dashed.lastIndexOf('.');
    return `${unknown}; a name with - is written in brackets: ${dashed.slice(0, at)}["${dashed.slice(at + 1)}-${shortText(name)}"]`;
  }
  const rewritten = rewritePath(path, readable);
  if (rewritten !== undefined && !variables.includes(name)) return `${unknown}; write ${rewritten}`;
  if (meant !== undefined) return `${unknown}; did you mean "${meant}"?`;
  const elsewhere = ELSEWHERE.get(name);
  if (elsewhere !== undefined) return `${unknown}: ${elsewhere}`;
  const advice =
    expression === name ? `for text write "${shortText(name)}" in quotes, for a property` : 'for a property';
  return `${unknown}; there are: ${listNames(variables)}; ${advice} of the data write data.${shortText(name)}`;
}
