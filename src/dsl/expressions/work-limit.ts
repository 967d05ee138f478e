/**
 * Work that expressions may still do, in units of about one node of a macro's body in one round, one item of a list, or 64
 * characters. Expressions run on the thread that all flows of a worker share, and cannot be interrupted there.
 */
export interface WorkBudget {
  left: number;
  /** Of it, what one result may hold; default {@link MAX_RESULT_WORK}. */
  readonly forResult?: number;
}

/**
 * What a workflow evaluates itself between two waits: some 0.15 s (measured: 0.05 to 0.08 µs a unit). Enough for each of 500
 * items to look at each of 500 others.
 */
export const INLINE_WORK = 2_000_000;

/** The same where nobody else can be asked to evaluate: some 1.5 s. */
export const MAX_WORK = 20_000_000;

/** Of these, what one result may hold: it stays in memory. Enough for a text of 100 MiB, the most that a flow's value has. */
export const MAX_RESULT_WORK = 1_700_000;

/** The same outside of the workflow: some 25 MB of JSON in small objects, and all of the 100 MB that a flow may have in texts. */
export const MAX_OUTSIDE_RESULT_WORK = 5_000_000;

const CHARACTERS_PER_UNIT = 64;

/** Bytes that a unit of work copies or compares; their memory counts too. */
const BYTES_PER_UNIT = 16;

/** The budget of the evaluation that runs; evaluations are synchronous and never nested. */
let current: WorkBudget = { left: MAX_WORK };

/** Evaluates on a budget. What goes beyond it throws an Error. */
export function withBudget<T>(budget: WorkBudget, evaluate: () => T): T {
  current = budget;
  return evaluate();
}

/** Makes a result on what is left of the running evaluation's budget, up to `forResult`; a larger one exhausts it. */
export function withinResultSize<T>(make: () => T): T {
  const outer = current;
  const available = Math.min(outer.left, outer.forResult ?? MAX_RESULT_WORK);
  const inner = { left: available };
  try {
    return withBudget(inner, make);
  } finally {
    outer.left = inner.left < 0 ? -1 : outer.left - (available - inner.left);
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
  if (typeof value === 'string') return Math.floor(value.length / CHARACTERS_PER_UNIT);
  if (value instanceof Uint8Array) return Math.floor(value.length / BYTES_PER_UNIT);
  return Array.isArray(value) ? value.length : keysWork(value);
}

/** What listing the keys of a map takes for each, where it has many (measured: 0.25 µs). */
const UNITS_PER_KEY = 4;

/** Units that listing the keys of a map costs; 0 for whatever is no map. */
export function keysWork(value: unknown): number {
  if (value instanceof Map) return UNITS_PER_KEY * value.size;
  return isPlainObject(value) ? UNITS_PER_KEY * Object.keys(value).length : 0;
}

/** Data is of plain objects; what has a class of its own is no map. */
export function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // Data from outside of the workflow's isolate has another Object.prototype; both have no prototype themselves.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Spends what comparing two values takes: goes through both as far as they are alike, which it returns. */
export function spendEquality(left: unknown, right: unknown): boolean {
  spend(1);
  if (left === right) {
    if (typeof left === 'string') spend(workOf(left));
    return true;
  }
  if (typeof left === 'string' && typeof right === 'string') {
    if (left.length === right.length) spend(workOf(left));
    return false;
  }
  if (Array.isArray(left) && Array.isArray(right)) {
    return left.length === right.length && left.every((item, index) => spendEquality(item, right[index]));
  }
  if (left instanceof Uint8Array && right instanceof Uint8Array) {
    if (left.length === right.length) spend(workOf(left));
    return true;
  }
  const isMapped = (value: unknown) => value instanceof Map || isPlainObject(value);
  if (!isMapped(left) || !isMapped(right)) return true;
  spend(keysWork(left) + keysWork(right));
  return keysOf(left).every((key) => spendEquality(entryOf(left, key), entryOf(right, key)));
}

function keysOf(map: unknown): unknown[] {
  return map instanceof Map ? [...map.keys()] : Object.keys(map as object);
}

function entryOf(map: unknown, key: unknown): unknown {
  return map instanceof Map ? map.get(key) : (map as Record<string, unknown>)[String(key)];
}
