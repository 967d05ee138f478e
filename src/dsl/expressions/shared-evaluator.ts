import type { Environment } from '@marcbachmann/cel-js/evaluator';
import type { AstNode } from './syntax-tree';
import { spend } from './work-limit';

/** What the library evaluates with: one for each environment, handed to each node. */
interface LibraryEvaluator {
  run(node: AstNode, context: unknown): unknown;
  debugType(value: unknown): unknown;
  debugTypeDeep(value: unknown): unknown;
  tryEval(node: AstNode, context: unknown): unknown;
}

/** What an error takes to be made, and each character of its expression: the library draws where it was (measured: 9 µs, 15 ns). */
const COST_OF_ERROR = 120;
const CHARACTERS_PER_UNIT = 4;

/**
 * Keeps the library from two things that nobody meters. It takes the type of an operand from what is first in it, at any
 * depth: that lists all keys of a large map, and each type that it meets stays in memory for ever. And it swallows errors
 * in `||`, `&&`, `all` and `exists`, which cost a hundred times what a node does; that of a spent budget is one of them.
 */
export function boundEvaluator(environment: Environment): void {
  const probe = environment.parse('true');
  let evaluator: LibraryEvaluator | undefined;
  (probe.ast as unknown as { setMeta(key: string, value: unknown): void }).setMeta(
    'evaluate',
    (given: LibraryEvaluator) => {
      evaluator = given;
      return true;
    },
  );
  probe({});
  if (evaluator !== undefined) bound(evaluator);
}

function bound(evaluator: LibraryEvaluator): void {
  evaluator.debugTypeDeep = (value) => evaluator.debugType(value);
  evaluator.tryEval = (node, context) => {
    try {
      return evaluator.run(node, context);
    } catch (error) {
      spend(costOfError(node));
      return error;
    }
  };
}

/** Units that a failure of a node costs where the expression goes on. */
export function costOfError(node: AstNode): number {
  const { input = '' } = node as { input?: string };
  return COST_OF_ERROR + Math.floor(input.length / CHARACTERS_PER_UNIT);
}
