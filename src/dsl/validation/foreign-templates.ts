import { shortText } from '../problems';
import type { Path } from './checker';
import { type Readable, rewritePath } from './rewrite-path';

/** `{{ … }}` without braces in it; bounded, so that a search takes linear time. */
const TEMPLATE = /\{\{([^{}]{1,500})\}\}/g;

/**
 * A name, alone or followed by what goes on with it (a path, an index, a call, a filter, an operator, a word), or Go's dot alone. What
 * begins otherwise (`{{1,2}}`, `{{a,b}}`, `{{#each}}`, `{{"x"}}`) is text.
 */
const EXPRESSION = /^[-~=]?\s*(?:\.|[.$]?[A-Za-z_][\w-]*(?:[.[(|?\s].*)?)$/s;

/** The first `{{ … }}` of a text that looks like an expression of another template language. */
export function findForeignTemplate(text: string): { readonly whole: string; readonly inside: string } | undefined {
  if (!text.includes('{{')) return undefined;
  for (const [whole, content = ''] of text.matchAll(TEMPLATE)) {
    const inside = content.replace(/-\s*$/, '').trim();
    if (EXPRESSION.test(inside)) return { whole, inside: inside.replace(/^[-~=]\s*/, '') };
  }
  return undefined;
}

/** What to write for a `{{ … }}`, and how to have the braces themselves. */
export function explainForeignTemplate(
  { whole, inside }: { readonly whole: string; readonly inside: string },
  path: Path,
  readable: Readable,
): string {
  const shown = shortText(whole);
  const literal = `for the braces themselves write \${ "${shown.replace(/["\\]/g, '\\$&')}" }`;
  const [, property] = /^[.$]?(?:data\.)?([A-Za-z_]\w*)$/.exec(inside) ?? [];
  if (isEndpoint(path)) {
    const advice =
      property === undefined
        ? 'all of it is one ${ … }'
        : `a property of the data is {${property}} there, all else one \${ … }`;
    return `"${shown}" is not replaced in a URI: ${advice}`;
  }
  const meant = inside === '.' ? rootOf(readable) : rewritePath(inside, readable, { isData: true });
  const write = meant === undefined ? `an expression stands in \${ … } here` : `for its value write \${ ${meant} }`;
  return `"${shown}" is not replaced, it is text: ${write}; ${literal}`;
}

function isEndpoint(path: Path): boolean {
  return path.at(-1) === 'endpoint' || (path.at(-1) === 'uri' && path.at(-2) === 'endpoint');
}

function rootOf({ language }: Readable): string {
  return { cel: 'data', jq: '.', jsonata: '$' }[language];
}

/** A text that is nothing but the path of something that may be read there, without `${ }` around it. */
const DOLLAR_PATH = /^\$([A-Za-z_]\w*)(?:\.[A-Za-z_][\w-]*|\[\d+\])+$/;
const STEP_PATH = /^steps\.([A-Za-z_]\w*)\.outputs?(?:\.[A-Za-z_][\w-]*|\[\d+\])*$/;
const INPUT_PATH = /^workflow\.input(?:\.[A-Za-z_][\w-]*|\[\d+\])+$/;

/** What is said of a text that is a path and was meant to be read: `$input.id`, `steps.fetch.output`, `workflow.input.id`. */
export function explainBarePath(text: string, readable: Readable): string | undefined {
  if (text.length > 300) return undefined;
  const name = DOLLAR_PATH.exec(text)?.[1];
  const step = STEP_PATH.exec(text)?.[1];
  const isPath =
    (name !== undefined && readable.variables.includes(name)) ||
    (step !== undefined && readable.steps.has(step)) ||
    INPUT_PATH.test(text);
  const meant = isPath ? rewritePath(text, readable) : undefined;
  if (meant === undefined) return undefined;
  return `"${shortText(text)}" is text: for its value write \${ ${meant} }; for the text itself write \${ "${text}" }`;
}

/** A key of Step Functions, `"id.$": "$.id"`, whose value is a path. */
export function explainPathKey(key: string, value: unknown, readable: Readable): string | undefined {
  if (!key.endsWith('.$') || key.length > 100 || typeof value !== 'string' || !value.startsWith('$')) return undefined;
  const meant = rewritePath(value, readable) ?? '…';
  return `"${key}" is not read as in Step Functions; write ${key.slice(0, -2)}: \${ ${meant} }`;
}
