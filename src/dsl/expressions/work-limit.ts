import { type AstNode, visitNodes } from './syntax-tree';

/**
 * Work that expressions may still do, in units of about one node of a macro's body in one round, one item of a list, or 64
 * characters. Expressions run on the thread that all flows of a worker share, and cannot be interrupted there.
 */
export interface WorkBudget {
  left: number;
}

/** Some 1.5 s (measured: 0.05 to 0.08 µs a unit). Enough for each of 1,000 items to look at each of 1,000 others. */
export const MAX_WORK = 20_000_000;

/** Of these, what one result may hold: it stays in memory. */
export const MAX_RESULT_WORK = 1_000_000;

const CHARACTERS_PER_UNIT = 64;

/** The budget of the evaluation that runs; evaluations are synchronous and never nested. */
let current: WorkBudget = { left: MAX_WORK };

/** Evaluates on a budget. What goes beyond it throws an Error. */
export function withBudget<T>(budget: WorkBudget, evaluate: () => T): T {
  current = budget;
  return evaluate();
}

/** Makes a result on what is left of the running evaluation's budget, up to {@link MAX_RESULT_WORK}. */
export function withinResultSize<T>(make: () => T): T {
  const outer = current;
  const available = Math.min(outer.left, MAX_RESULT_WORK);
  const inner = { left: available };
  try {
    return withBudget(inner, make);
  } finally {
    outer.left -= available - inner.left;
  }
}

/** Takes units from the running evaluation's budget. */
export function spend(units: number): void {
  current.left -= units;
  if (current.left < 0) {
    throw new Error(
      'too much work for expressions without a wait in between; go over smaller lists, or leave it to a block',
    );
  }
}

/** Units that a value costs whoever goes through it. */
export function workOf(value: unknown): number {
  if (Array.isArray(value)) return value.length;
  return typeof value === 'string' ? Math.floor(value.length / CHARACTERS_PER_UNIT) : 0;
}

type Evaluate = (evaluator: unknown, node: MeteredNode, context: unknown) => unknown;
type Handle = (left: unknown, right: unknown, ...rest: unknown[]) => unknown;

/** What the library keeps with a node: a macro's loop, and how a node is evaluated. */
interface MeteredNode extends AstNode {
  handle?: Handle;
  readonly meta: {
    readonly evaluate: Evaluate;
    readonly alternate?: { readonly op: string; readonly args: { condition?: (accumulated: unknown) => boolean } };
  };
  setMeta(key: 'evaluate', value: Evaluate): unknown;
}

/** Operators whose work grows with their operands. */
const SIZED_OPERATORS = ['+', 'in', '==', '!='];

/** Makes a node of a parsed expression spend what it costs. To be called once for each node, before the first evaluation. */
export function meter(node: AstNode): void {
  const { meta, op } = node as MeteredNode;
  if (meta.alternate?.op === 'comprehension') meterRounds(meta.alternate.args, countNodes(node));
  else if (SIZED_OPERATORS.includes(op)) meterOperands(node as MeteredNode);
}

function countNodes(node: AstNode): number {
  let count = 0;
  visitNodes(node, () => {
    count += 1;
    return true;
  });
  return count;
}

/** The library asks a loop's condition before each round. */
function meterRounds(loop: { condition?: (accumulated: unknown) => boolean }, costOfRound: number): void {
  const { condition } = loop;
  loop.condition = (accumulated) => {
    spend(costOfRound);
    return condition === undefined || condition(accumulated);
  };
}

/** The library chooses a node's `handle` when it checks types, which is before the first evaluation. */
function meterOperands(node: MeteredNode): void {
  const { evaluate } = node.meta;
  let metered: Handle | undefined;
  node.setMeta('evaluate', (evaluator, self, context) => {
    const { handle } = self;
    if (handle !== undefined && handle !== metered) {
      metered = (left, right, ...rest) => {
        spend(workOf(left) + workOf(right));
        return handle(left, right, ...rest);
      };
      self.handle = metered;
    }
    return evaluate(evaluator, self, context);
  });
}
