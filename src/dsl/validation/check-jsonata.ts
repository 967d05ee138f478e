import jsonata from 'jsonata';
import { messageOf } from '../errors';
import { linearRegExp } from '../regular-expression';

/** What is wrong with an expression, and where; offsets from 0. */
export interface JsonataProblem {
  readonly message: string;
  readonly offset?: number;
  /** A variable that is not there. */
  readonly unknownVariable?: string;
}

/** JSONata's own functions (jsonata 2.2), which are variables, too. */
const FUNCTIONS: ReadonlySet<string> = new Set(
  `abs append assert average base64decode base64encode boolean ceil clone contains count decodeUrl decodeUrlComponent
   distinct each encodeUrl encodeUrlComponent error exists filter floor formatBase formatInteger formatNumber fromMillis
   join keys length lookup lowercase map match max merge millis min not now number pad parseInteger power random reduce
   replace reverse round shuffle sift single sort split spread sqrt string substring substringAfter substringBefore sum
   toMillis trim type uppercase zip`.split(/\s+/),
);

/** A node of JSONata's syntax tree, as far as it is read here. */
interface Node {
  readonly type?: unknown;
  readonly value?: unknown;
  readonly position?: unknown;
  readonly [key: string]: unknown;
}

/**
 * Checks the syntax of a JSONata expression, its patterns, and that the variables it reads are given or its own: JSONata
 * itself takes an unknown one for nothing, without a word. Returns the first problem, or undefined.
 */
export function checkJsonata(expression: string, variables: readonly string[]): JsonataProblem | undefined {
  try {
    const nodes = [...nodesOf(jsonata(expression).ast())];
    return unknownVariable(nodes, variables) ?? bareFunction(nodes) ?? badPattern(nodes);
  } catch (error) {
    return toProblem(error);
  }
}

/** Without recursion: the depth of the tree is the author's. */
function* nodesOf(root: unknown): Generator<Node> {
  const left: unknown[] = [root];
  while (left.length > 0) {
    const value = left.pop();
    if (typeof value !== 'object' || value === null || value instanceof RegExp) continue;
    if (!Array.isArray(value)) yield value as Node;
    left.push(...Object.values(value));
  }
}

function unknownVariable(nodes: readonly Node[], variables: readonly string[]): JsonataProblem | undefined {
  const known = new Set([...variables, ...ownVariables(nodes)]);
  const unknown = nodes
    .filter(({ type, value }) => type === 'variable' && typeof value === 'string' && !['', '$'].includes(value))
    .filter(({ value }) => !known.has(String(value)) && !FUNCTIONS.has(String(value)))
    .sort((left, right) => Number(left.position) - Number(right.position))
    .at(0);
  if (unknown === undefined) return undefined;
  const name = String(unknown.value);
  const offset = Math.max(0, Number(unknown.position) - name.length - 1);
  if (name === 'eval') return { message: '$eval is not available: it would make data into code', offset };
  return { message: `$${name} is not known here`, offset, unknownVariable: name };
}

/** What the expression binds itself: `$x := …`, parameters of functions, `@$x` and `#$i`. */
function* ownVariables(nodes: readonly Node[]): Generator<string> {
  for (const { type, lhs, arguments: parameters, focus, index } of nodes) {
    if (type === 'bind') yield String((lhs as Node).value);
    if (type === 'lambda' && Array.isArray(parameters))
      for (const { value } of parameters as Node[]) yield String(value);
    if (typeof focus === 'string') yield focus;
    if (typeof index === 'string') yield index;
  }
}

/** A call of one of JSONata's functions without its dollar: a property of the data, which no data can call. */
function bareFunction(nodes: readonly Node[]): JsonataProblem | undefined {
  for (const { type, procedure, position } of nodes) {
    const { type: kind, steps } = (procedure ?? {}) as Node;
    if (type !== 'function' || kind !== 'path' || !Array.isArray(steps) || steps.length !== 1) continue;
    const { type: step, value } = steps[0] as Node;
    if (step !== 'name' || typeof value !== 'string' || !(FUNCTIONS.has(value) || FOREIGN_FUNCTIONS.has(value)))
      continue;
    const meant = FOREIGN_FUNCTIONS.get(value) ?? value;
    const offset = Math.max(0, Number(position) - 1 - value.length);
    return { message: `${value}() is no function; write $${meant}(…)`, offset };
  }
  return undefined;
}

/** Functions of CEL and jq, and what JSONata has for them. */
const FOREIGN_FUNCTIONS: ReadonlyMap<string, string> = new Map([
  ['size', 'count'],
  ['len', 'count'],
  ['has', 'exists'],
  ['upper', 'uppercase'],
  ['lower', 'lowercase'],
  ['int', 'number'],
  ['double', 'number'],
  ['select', 'filter'],
  ['add', 'sum'],
  ['tostring', 'string'],
  ['tonumber', 'number'],
]);

function badPattern(nodes: readonly Node[]): JsonataProblem | undefined {
  for (const { type, value, position } of nodes) {
    if (type !== 'regex' || !(value instanceof RegExp)) continue;
    try {
      linearRegExp(value.source);
    } catch (error) {
      const reason = messageOf(error);
      const offset = Math.max(0, Number(position) - value.source.length - 2);
      return { message: `/${value.source}/: ${reason}; patterns are of RE2's syntax`, offset };
    }
  }
  return undefined;
}

function toProblem(error: unknown): JsonataProblem {
  if (error instanceof RangeError) return { message: 'it is nested too deeply' };
  if (error instanceof SyntaxError) return { message: error.message };
  const { message, position, token } = error as { message?: unknown; position?: unknown; token?: unknown };
  const text = typeof message === 'string' ? message : String(error);
  if (typeof position !== 'number') return { message: text };
  // JSONata's positions are behind the token.
  const length = typeof token === 'string' && token !== '(end)' ? token.length : 0;
  return { message: text, offset: Math.max(0, position - length) };
}
