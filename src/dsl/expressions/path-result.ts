import type { Json } from '../json';
import { isAstNode } from './syntax-tree';
import { spend } from './work-limit';

/** Items of a list, and entries of a map, that a unit of work looks at (measured: 10 and 20 ns each). */
const ITEMS_PER_UNIT = 8;
const ENTRIES_PER_UNIT = 4;

/**
 * The variable that an expression begins with where it is nothing but a way into data: `data.order.items[0]`. Its value is a
 * part of that data as it stands, which is JSON already: making JSON of it anew would cost seconds for 100 MB.
 */
export function pathRoot(node: unknown): string | undefined {
  if (!isAstNode(node)) return undefined;
  const { op, args } = node;
  if (op === 'id') return typeof args === 'string' ? args : undefined;
  if ((op !== '.' && op !== '[]') || !Array.isArray(args)) return undefined;
  const [from, key] = args as unknown[];
  const isConstant = typeof key === 'string' || (isAstNode(key) && key.op === 'value');
  return isConstant ? pathRoot(from) : undefined;
}

/**
 * True for JSON that holds other values or is text, so that copying it may cost; nested at most `levels` deep. Spends what
 * looking at it takes: what a value holds twice is looked at twice, and a few steps double it many times.
 */
export function isPassedOn(value: unknown, levels: number): value is Json {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && isShallow(value, levels));
}

function isShallow(value: object, levels: number): boolean {
  if (levels < 0) return false;
  if (Array.isArray(value)) {
    spend(1 + value.length / ITEMS_PER_UNIT);
    for (const item of value) if (!isShallowItem(item, levels)) return false;
    return true;
  }
  // JSON has no inherited properties; `for in` makes no list of the keys.
  let count = 0;
  for (const key in value) {
    count += 1;
    if (!isShallowItem((value as Record<string, unknown>)[key], levels)) return false;
  }
  spend(1 + count / ENTRIES_PER_UNIT);
  return true;
}

function isShallowItem(item: unknown, levels: number): boolean {
  return typeof item !== 'object' || item === null || isShallow(item, levels - 1);
}
