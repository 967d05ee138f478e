import { spendCall } from './call-cost';
import { type AstNode, isAstNode, visitNodes } from './syntax-tree';
import { keysWork, spend, spendEquality, workOf } from './work-limit';

type Evaluate = (evaluator: unknown, node: MeteredNode, context: unknown) => unknown;
type Handle = (first: unknown, ...rest: unknown[]) => unknown;

/** What the library keeps with a node: a macro's loop, and how a node is evaluated. */
interface MeteredNode extends AstNode {
  handle?: Handle;
  readonly meta: {
    readonly evaluate: Evaluate;
    readonly alternate?: { readonly op: string; readonly args: Loop };
  };
  setMeta(key: 'evaluate', value: Evaluate): unknown;
}

interface Loop {
  condition?: (accumulated: unknown) => boolean;
  readonly iterable: unknown;
}

/** Operators whose work grows with their operands, and how it is spent. */
const SIZED_OPERATORS: Readonly<Record<string, (left: unknown, right: unknown) => void>> = {
  '+': (left, right) => spend(workOf(left) + workOf(right)),
  in: spendSearch,
  '==': spendEquality,
  '!=': spendEquality,
};

/** An item in a list is compared with each; a key in a map is looked up. */
function spendSearch(item: unknown, items: unknown): void {
  if (!Array.isArray(items)) return;
  spend(items.length);
  if (typeof item === 'object' && item !== null) for (const other of items) spendEquality(item, other);
}

/** Makes a node of a parsed expression spend what it costs. To be called once for each node, before the first evaluation. */
export function meter(node: AstNode): void {
  const { meta, op, args } = node as MeteredNode;
  const spendOperands = Object.hasOwn(SIZED_OPERATORS, op) ? SIZED_OPERATORS[op] : undefined;
  if (meta.alternate?.op === 'comprehension') meterLoop(meta.alternate.args, countNodes(node));
  else if (spendOperands !== undefined) meterHandle(node as MeteredNode, spendOperands);
  else if (op === 'call' || op === 'rcall') {
    const name = String((args as readonly unknown[])[0]);
    meterHandle(node as MeteredNode, (values) => spendCall(name, values as readonly unknown[]));
  }
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
function meterLoop(loop: Loop, costOfRound: number): void {
  const { condition, iterable } = loop;
  loop.condition = (accumulated) => {
    spend(costOfRound);
    return condition === undefined || condition(accumulated);
  };
  if (!isAstNode(iterable)) return;
  const node = iterable as MeteredNode;
  const { evaluate } = node.meta;
  node.setMeta('evaluate', (evaluator, self, context) => {
    const value = evaluate(evaluator, self, context);
    spend(keysWork(value));
    return value;
  });
}

/** The library chooses a node's `handle` when it checks types, which is before the first evaluation. */
function meterHandle(node: MeteredNode, spendBefore: Handle): void {
  const { evaluate } = node.meta;
  let metered: Handle | undefined;
  node.setMeta('evaluate', (evaluator, self, context) => {
    const { handle } = self;
    if (handle !== undefined && handle !== metered) {
      metered = (...args) => {
        spendBefore(...args);
        return handle(...args);
      };
      self.handle = metered;
    }
    return evaluate(evaluator, self, context);
  });
}
