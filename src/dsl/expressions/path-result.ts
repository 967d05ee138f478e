import type { Json } from '../json';
import { isAstNode } from './syntax-tree';

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

/** True for JSON that holds other values or is text, so that copying it may cost; nested at most `levels` deep. */
export function isPassedOn(value: unknown, levels: number): value is Json {
  return typeof value === 'string' || (typeof value === 'object' && value !== null && isShallow(value, levels));
}

function isShallow(value: object, levels: number): boolean {
  if (levels < 0) return false;
  if (Array.isArray(value)) {
    for (const item of value) if (!isShallowItem(item, levels)) return false;
    return true;
  }
  // JSON has no inherited properties; `for in` makes no list of the keys.
  for (const key in value) if (!isShallowItem((value as Record<string, unknown>)[key], levels)) return false;
  return true;
}

function isShallowItem(item: unknown, levels: number): boolean {
  return typeof item !== 'object' || item === null || isShallow(item, levels - 1);
}
