import { spendCall } from './call-cost';
import { checkLiteralKeys, requireKey } from './map-keys';
import { costOfError } from './shared-evaluator';
import { type AstNode, visitNodes } from './syntax-tree';
import { keysWork, spend, spendEquality, workOf } from './work-limit';

type Evaluate = (evaluator: unknown, node: MeteredNode, context: unknown) => unknown;
type Handle = (first: unknown, ...rest: unknown[]) => unknown;

/** What the library keeps with a node: a macro's loop, and how a node is evaluated. */
interface MeteredNode extends AstNode {
  handle?: Handle;
  readonly meta: {
    readonly evaluate: Evaluate;
    readonly alternate?: MeteredNode & { readonly args: Loop };
  };
  setMeta(key: 'evaluate', value: Evaluate): unknown;
}

interface Loop {
  condition?: (accumulated: unknown) => boolean;
}

/** Operators whose work grows with their operands, and how it is spent. */
const SIZED_OPERATORS: Readonly<Record<string, (left: unknown, right: unknown) => void>> = {
  '+': (left, right) => spend(workOf(left) + workOf(right)),
  in: spendSearch,
  '==': spendEquality,
  '!=': spendEquality,
  '<': spendOrder,
  '<=': spendOrder,
  '>': spendOrder,
  '>=': spendOrder,
  '[]': (_, key) => requireKey(key),
};

/** An item in a list is compared with each; a key in a map is looked up. */
function spendSearch(item: unknown, items: unknown): void {
  if (Array.isArray(items)) {
    spend(items.length);
    const costs = typeof item === 'string' ? workOf(item) > 0 : typeof item === 'object' && item !== null;
    if (costs) for (const other of items) spendEquality(item, other);
  } else requireKey(item);
}

/** Texts are compared as far as they are alike, at worst to the end of the shorter one. */
function spendOrder(left: unknown, right: unknown): void {
  if (typeof left === 'string' && typeof right === 'string') spend(Math.min(workOf(left), workOf(right)));
}

/** Makes a node of a parsed expression spend what it costs. To be called once for each node, before the first evaluation. */
export function meter(node: AstNode): void {
  const { meta, op, args } = node as MeteredNode;
  const spendOperands = Object.hasOwn(SIZED_OPERATORS, op) ? SIZED_OPERATORS[op] : undefined;
  if (meta.alternate?.op === 'comprehension') meterLoop(meta.alternate, countNodes(node));
  else if (spendOperands !== undefined) meterHandle(node as MeteredNode, spendOperands);
  else if (op === '[?]') meterHandle(node as MeteredNode, (from, key) => spendMiss(node, from, key));
  else if (op === 'map') checkLiteralKeys(node);
  else if (op === 'call' || op === 'rcall') {
    const name = String((args as readonly unknown[])[0]);
    meterHandle(node as MeteredNode, (values) => spendCall(name, values as readonly unknown[]));
  }
}

/** Where the list has no such item, the library makes an error of it before it gives an absent optional. */
function spendMiss(node: AstNode, from: unknown, key: unknown): void {
  requireKey(key);
  if (!Array.isArray(from) || from[Number(key)] === undefined) spend(costOfError(node));
}

function countNodes(node: AstNode): number {
  let count = 0;
  visitNodes(node, () => {
    count += 1;
    return true;
  });
  return count;
}

/** The library asks a loop's condition before each round, and makes a list of a map's keys before the first. */
function meterLoop(comprehension: MeteredNode & { readonly args: Loop }, costOfRound: number): void {
  const loop = comprehension.args;
  const { condition } = loop;
  loop.condition = (accumulated) => {
    spend(costOfRound);
    return condition === undefined || condition(accumulated);
  };
  meterHandle(comprehension, (items) => spend(keysWork(items)));
}

/** The library chooses a node's `handle` when it checks types, which is before the first evaluation. */
function meterHandle(node: MeteredNode, spendBefore: Handle): void {
  const { evaluate } = node.meta;
  let metered: Handle | undefined;
  node.setMeta('evaluate', (evaluator, self, context) => {
    const { handle } = self;
    if (handle !== undefined && handle !== metered) {
      metered = (...args) => {
        // What an operand costs may take long to find out; where nothing is left, it is not asked.
        spend(0);
        spendBefore(...args);
        return handle(...args);
      };
      self.handle = metered;
    }
    return evaluate(evaluator, self, context);
  });
}
