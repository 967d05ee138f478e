import { UnsignedInt } from '@marcbachmann/cel-js/evaluator';
import { describeJsonType } from '../json';
import type { AstNode } from './syntax-tree';

interface MapNode extends AstNode {
  setMeta(key: 'evaluate', value: (evaluator: Runner, self: AstNode, context: unknown) => unknown): unknown;
}

interface Runner {
  run(node: AstNode, context: unknown): unknown;
}

/** Keys that the library leaves out of a literal. */
const LEFT_OUT: ReadonlySet<string> = new Set(['__proto__', 'constructor', 'prototype']);

/**
 * Throws for what is no key (CEL, "Maps": int, uint, bool or string; here double and null too). JavaScript would make text of
 * a list, which takes any time; and of a time, as the machine's zone has it.
 */
export function requireKey(key: unknown): unknown {
  if (typeof key !== 'object' || key === null || key instanceof UnsignedInt) return key;
  throw new Error(
    `a map has no keys that are ${Array.isArray(key) ? 'lists' : kindOf(key)}, expected text or a number`,
  );
}

function kindOf(key: object): string {
  if (key instanceof Uint8Array) return 'bytes';
  return key instanceof Date ? 'times' : `of the kind ${describeJsonType(key)}`;
}

/** Makes a map literal refuse what is no key, where a key is computed. */
export function checkLiteralKeys(node: AstNode): void {
  const entries = node.args as readonly (readonly [AstNode, AstNode])[];
  if (entries.every(([key]) => key.op === 'value')) return;
  (node as MapNode).setMeta('evaluate', (evaluator, _self, context) => {
    const map: Record<string, unknown> = {};
    for (const [key, value] of entries) {
      const name = String(requireKey(evaluator.run(key, context)));
      const held = evaluator.run(value, context);
      if (!LEFT_OUT.has(name)) map[name] = held;
    }
    return map;
  });
}
