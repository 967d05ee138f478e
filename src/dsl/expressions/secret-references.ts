import type { SecretPath } from '../secrets';
import { createEnvironment, ExpressionError, guarded, parseExpression } from './cel';
import type { ExpressionLanguage } from './language';
import { type AstNode, isAstNode } from './syntax-tree';

/** The secrets that an expression reads. */
export interface SecretReferences {
  readonly paths: readonly SecretPath[];
  /** A way of reading them that cannot work, in words that follow "secrets". */
  readonly problem?: string;
}

const NONE: SecretReferences = { paths: [] };
const BY_NAME = 'are read by their names, such as secrets.token, never as a whole and never by a computed name';
const OPAQUE =
  'are put in when the step runs, so an expression cannot look into one; it may hand it on, alone or joined with + to text';

/**
 * Finds the secrets that an expression reads, by their names in its text: their values are not known when it is evaluated.
 * An expression that does not parse reads none.
 */
export function secretReferences(expression: string, language: ExpressionLanguage): SecretReferences {
  if (!expression.includes('secrets')) return NONE;
  return language === 'cel' ? celReferences(expression) : dollarReferences(expression);
}

const environment = createEnvironment(true);

function celReferences(expression: string): SecretReferences {
  try {
    const { ast } = guarded(expression, () => parseExpression(environment, expression));
    const visit = new SecretVisit();
    visit.node(ast, true);
    return { paths: visit.paths, ...(visit.problem === undefined ? {} : { problem: visit.problem }) };
  } catch (error) {
    if (error instanceof ExpressionError) return NONE;
    throw error;
  }
}

const MEMBER = new Set(['.', '.?', '[]', '[?]']);
/** Calls that hand their arguments on as they are. */
const HANDING_ON = new Set(['string', 'has']);

/** A walk over CEL's syntax tree. */
class SecretVisit {
  readonly paths: SecretPath[] = [];
  problem: string | undefined;

  /** `isHandedOn`: the value of the node goes into the result as it is, alone or as a part of text. */
  node(node: unknown, isHandedOn: boolean): void {
    if (Array.isArray(node)) for (const item of node) this.node(item, isHandedOn);
    if (!isAstNode(node)) return;
    const path = pathOf(node);
    if (path !== undefined) this.found(path, isHandedOn);
    else this.inside(node, isHandedOn);
  }

  private found(path: SecretPath | 'computed', isHandedOn: boolean): void {
    if (path === 'computed' || path.length === 0) this.problem ??= BY_NAME;
    else this.paths.push(path);
    if (!isHandedOn) this.problem ??= OPAQUE;
  }

  private inside({ op, args }: AstNode, isHandedOn: boolean): void {
    if (op === '+' || op === 'list') this.node(args, isHandedOn);
    else if (op === '?:') {
      const [condition, ...branches] = args as unknown[];
      this.node(condition, false);
      this.node(branches, isHandedOn);
    } else if (op === 'map') {
      for (const [key, value] of args as [unknown, unknown][]) {
        this.node(key, false);
        this.node(value, isHandedOn);
      }
    } else if (op === 'call') {
      const [name, operands] = args as [string, unknown];
      this.node(operands, isHandedOn && HANDING_ON.has(name));
    } else if (op === 'rcall') {
      const [name, receiver, operands] = args as [string, unknown, unknown];
      this.node(receiver, isHandedOn && name === 'orValue');
      this.node(operands, isHandedOn && (name === 'orValue' || name === 'map'));
    } else this.node(args, false);
  }
}

/** The path of `secrets.a.b`; undefined where the node is something else. */
function pathOf({ op, args }: AstNode): SecretPath | 'computed' | undefined {
  if (op === 'id') return args === 'secrets' ? [] : undefined;
  if (!MEMBER.has(op)) return undefined;
  const [object, property] = args as [unknown, unknown];
  const path = isAstNode(object) ? pathOf(object) : undefined;
  if (path === undefined || path === 'computed') return path;
  const name = isAstNode(property) && property.op === 'value' ? property.args : property;
  return typeof name === 'string' ? [...path, name] : 'computed';
}

/** `$secrets`, and one step of a path in jq (`.a`, `."a"`, `["a"]`) or JSONata (`.a`, `` .`a` ``). */
const DOLLAR_SECRETS = /\$secrets(?!\w)/g;
const PATH_STEP = /^\s*(?:\.\s*([A-Za-z_]\w*)|\.?\s*\[\s*"([^"\\]*)"\s*\]|\.\s*"([^"\\]*)"|\.\s*`([^`]*)`)/;

/** By its text: also where it stands inside of a string, since jq's strings may hold expressions. */
function dollarReferences(expression: string): SecretReferences {
  const paths = [...expression.matchAll(DOLLAR_SECRETS)].map(({ 0: name, index }) =>
    dollarPath(expression.slice(index + name.length)),
  );
  const whole = paths.some((path) => path.length === 0);
  return { paths: paths.filter((path) => path.length > 0), ...(whole ? { problem: BY_NAME } : {}) };
}

function dollarPath(rest: string): SecretPath {
  const match = PATH_STEP.exec(rest);
  if (match === null) return [];
  const [text, ...names] = match;
  return [names.find((name) => name !== undefined) ?? '', ...dollarPath(rest.slice(text.length))];
}
