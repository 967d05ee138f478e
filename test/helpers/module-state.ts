import { readFileSync } from 'node:fs';
import { dirname, join, relative, sep } from 'node:path';
import { parseSync } from '@swc/core';
import { projectRoot } from './project-root';

const COMPILED = join(projectRoot(), 'dist', 'src');

/** Calls that make what does not change, or what is as their arguments are. */
const MAKERS: readonly string[] = [
  'require',
  'defineQuery',
  'defineSearchAttributeKey',
  'defineSignal',
  'defineUpdate',
];

/** Methods that change what they are called on. */
const CHANGING: readonly string[] = [
  ...['set', 'add', 'delete', 'clear'],
  ...['push', 'pop', 'shift', 'unshift', 'splice', 'sort', 'reverse', 'fill', 'copyWithin'],
];

interface Node {
  readonly type: string;
  readonly [key: string]: unknown;
}

/** The scopes of a module, and of what it does not define. */
const [OWN, GLOBAL] = [...nodesOf(parse('const own = outer;'))].flatMap(({ ctxt, value }) =>
  typeof value === 'string' ? [ctxt] : [],
);

/** The file of a compiled module, which is named as in `workflows/drive`. */
export function fileOf(name: string): string {
  return join(COMPILED, `${name}.js`);
}

/** The code of a compiled module. */
export function codeOf(name: string): string {
  return readFileSync(fileOf(name), 'utf8');
}

/** Modules that these load with them, each with the one that loads it, and packages. */
export function importsOf(roots: readonly string[]) {
  const modules = new Map<string, string | undefined>(roots.map((name) => [name, undefined]));
  const packages = new Set<string>();
  for (const name of modules.keys()) {
    for (const node of nodesOf(parse(codeOf(name)))) {
      if (node.type !== 'CallExpression' || nameOf(node.callee) !== 'require') continue;
      const target = argumentsOf(node)[0]?.value;
      if (typeof target !== 'string') throw new Error(`${name} loads what only turns out when it runs`);
      const imported = relative(COMPILED, join(dirname(fileOf(name)), target))
        .split(sep)
        .join('/');
      if (!target.startsWith('.')) packages.add(target);
      else if (!modules.has(imported)) modules.set(imported, name);
    }
  }
  return { modules, packages };
}

/** `a < b < c`: c is on the list and imports b, which imports a. */
export function wayTo(name: string, modules: ReadonlyMap<string, string | undefined>): string {
  const importer = modules.get(name);
  return importer === undefined ? name : `${name} < ${wayTo(importer, modules)}`;
}

/** Names of a module under which something may change after it is loaded. In doubt it may; what only a call does to what it is given is not seen. */
export function stateOf(code: string): string[] {
  const program = parse(code);
  const imported = new Set<string>();
  const found = new Set<string>();
  for (const { names, value, isConstant } of definitionsOf(program)) {
    for (const name of names) {
      if (value?.type === 'CallExpression' && nameOf(value.callee) === 'require') imported.add(name);
      if (!isConstant || (value !== undefined && mayChange(value))) found.add(name);
    }
  }
  for (const node of nodesOf(program, isFunction)) {
    if (!isFunction(node)) continue;
    for (const inner of nodesOf(node)) {
      for (const { root, depth } of changesOf(inner)) {
        // `a_1.set()` is a function of another module.
        const isCall = imported.has(root.name) && depth < 2;
        if (root.scope === GLOBAL || (root.scope === OWN && !isCall)) found.add(root.name);
      }
    }
  }
  return [...found].sort();
}

/** What a module defines, or adds to its exports, while it is loaded. */
function definitionsOf(program: Node): { names: string[]; value?: Node | undefined; isConstant: boolean }[] {
  return (program.body as Node[]).flatMap((statement) => {
    if (statement.type === 'VariableDeclaration')
      return (statement.declarations as { id: Node; init: Node | null }[]).map(({ id, init }) => ({
        names: rootsOf(id).map(({ root }) => root.name),
        value: init ?? undefined,
        isConstant: statement.kind === 'const',
      }));
    if (/^(Class|Function)Declaration$/.test(statement.type))
      return [{ names: [nameOf(statement.identifier)], value: statement, isConstant: true }];
    const { left, right } = (statement.expression ?? {}) as { left?: Node; right?: Node };
    const [target] = left === undefined ? [] : rootsOf(left);
    if (left === undefined || target?.root.name !== 'exports') return [];
    return [{ names: [`exports.${nameOf(left)}`], value: right, isConstant: true }];
  });
}

/** True where a value, or something within it, can be changed and is likely to be. */
function mayChange(value: Node): boolean {
  // Nobody needs a constant that is empty.
  const items = value.elements ?? value.properties;
  if (Array.isArray(items) && items.length === 0) return true;
  return [...nodesOf(value, isFunction)].some((node) => {
    if (node.type === 'RegExpLiteral') return /[gy]/.test(String(node.flags));
    if (node.type === 'StaticBlock') return true;
    if (/^(Class|Private)Property$/.test(node.type)) return node.isStatic === true;
    if (node.type === 'NewExpression')
      return !(/^(Map|Set)$/.test(nameOf(node.callee)) && argumentsOf(node).length > 0);
    return node.type === 'CallExpression' && !MAKERS.includes(nameOf(node.callee));
  });
}

interface Changed {
  readonly root: { readonly name: string; readonly scope: unknown };
  readonly depth: number;
}

/** What a node changes: the variable at its root, and how many properties down. */
function changesOf(node: Node): Changed[] {
  if (node.type === 'AssignmentExpression') return rootsOf(node.left as Node);
  if (node.type === 'UpdateExpression') return rootsOf(node.argument as Node);
  if (node.type === 'UnaryExpression' && node.operator === 'delete') return rootsOf(node.argument as Node);
  if (node.type !== 'CallExpression') return [];
  const callee = node.callee as Node;
  const { object } = (callee.type === 'OptionalChainingExpression' ? callee.base : callee) as { object?: Node };
  const [first] = argumentsOf(node);
  if (object === undefined) return [];
  if (/^(Object|Reflect)$/.test(nameOf(object)) && /^(assign|define|delete|set)/.test(nameOf(callee)))
    return first === undefined ? [] : rootsOf(first);
  return CHANGING.includes(nameOf(callee)) ? rootsOf(object).map((root) => ({ ...root, depth: root.depth + 1 })) : [];
}

/** The variables that a target of an assignment is of: those of a pattern, or that of which it is a property. */
function rootsOf(target: Node, depth = 0): Changed[] {
  if (target.type === 'Identifier') return [{ root: { name: nameOf(target), scope: target.ctxt }, depth }];
  if (target.type === 'MemberExpression') return rootsOf(target.object as Node, depth + 1);
  if (target.type === 'AssignmentPatternProperty') return rootsOf(target.key as Node, depth);
  if (target.type === 'KeyValuePatternProperty') return rootsOf(target.value as Node, depth);
  const inner = [
    target.elements,
    target.properties,
    target.left,
    target.argument,
    target.expression,
    target.base,
  ].flat();
  return inner.flatMap((node) => (isNode(node) ? rootsOf(node, depth) : []));
}

/** The name of a variable, or the last of a member. */
function nameOf(value: unknown): string {
  if (!isNode(value)) return '';
  if (value.type === 'MemberExpression') return nameOf(value.property);
  if (value.type === 'ParenthesisExpression') return nameOf(value.expression);
  if (value.type === 'OptionalChainingExpression') return nameOf(value.base);
  if (value.type === 'SequenceExpression') return nameOf((value.expressions as Node[]).at(-1));
  return typeof value.value === 'string' ? value.value : '';
}

function argumentsOf({ arguments: all }: Node): Node[] {
  return ((all ?? []) as { expression: Node }[]).map(({ expression }) => expression);
}

function isFunction({ type, isStatic }: Node): boolean {
  // What an instance begins with is made with it.
  if (/^(Class|Private)Property$/.test(type)) return isStatic !== true;
  return /^(FunctionDeclaration|FunctionExpression|ArrowFunctionExpression|MethodProperty|ClassMethod|PrivateMethod|Constructor)$/.test(
    type,
  );
}

/** Nodes within a value, itself among them; not what is within those that are `closed`. */
function* nodesOf(value: unknown, isClosed: (node: Node) => boolean = () => false): Generator<Node> {
  if (typeof value !== 'object' || value === null) return;
  if (isNode(value)) yield value;
  if (isNode(value) && isClosed(value)) return;
  for (const item of Object.values(value)) yield* nodesOf(item, isClosed);
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null && 'type' in value && typeof value.type === 'string';
}

/** Identifiers say of which scope they are, `ctxt`: {@link OWN} and {@link GLOBAL}, or that of a function. */
function parse(code: string): Node {
  return parseSync(code, { syntax: 'ecmascript', target: 'es2022', isModule: false }) as unknown as Node;
}
