import { type Document, isMap, isScalar, isSeq, type Pair, type Scalar, type YAMLMap } from 'yaml';
import { BASE_KEYS, TASK_KINDS } from '../validation/check-task';

/**
 * Keys of a document: the specification's order, but that what all of it is read by comes right after its name, and what is
 * short (when it runs, how long) before the steps.
 */
export const DOCUMENT_ORDER: readonly string[] = [
  'document',
  'evaluate',
  'input',
  'use',
  'timeout',
  'schedule',
  'do',
  'output',
];

/** Keys of `document`, as the specification lists them. */
const HEADER_ORDER: readonly string[] = ['dsl', 'namespace', 'name', 'version', 'title', 'summary', 'tags', 'metadata'];

const BEFORE_KIND = ['if', 'input'];

/** A kind of task that is part of another one comes after it: `for`, `while`, `do`. */
const KIND_KEYS = Object.values(TASK_KINDS)
  .sort((left, right) => (right.required?.length ?? 0) - (left.required?.length ?? 0))
  .flatMap(({ required = [], optional = [] }) => {
    const [kind, ...others] = required;
    return kind === undefined ? [] : [kind, ...optional, ...others];
  });

/** Keys of a task in the order of its life: whether it runs, on what, what it does, and what becomes of it. */
export const TASK_ORDER: readonly string[] = [
  ...BEFORE_KIND,
  ...new Set(KIND_KEYS),
  ...BASE_KEYS.filter((key) => !BEFORE_KIND.includes(key)),
];

/** Puts the keys of a flow, of its header and of all its tasks in order. Unknown keys come last, as they were. */
export function putInOrder(tree: Document.Parsed): void {
  const root = tree.contents;
  if (!isMap(root)) return;
  keepHeading(tree, sortKeys(root, DOCUMENT_ORDER));
  const header = root.get('document', true);
  if (isMap(header)) sortKeys(header, HEADER_ORDER);
  const functions = valueAt(root, 'use', 'functions');
  if (isMap(functions)) for (const { value } of functions.items) orderTask(value);
  orderTasks(root.get('do', true));
}

function orderTasks(list: unknown): void {
  if (!isSeq(list)) return;
  for (const item of list.items) if (isMap(item)) for (const { value } of item.items) orderTask(value);
}

function orderTask(task: unknown): void {
  if (!isMap(task)) return;
  sortKeys(task, TASK_ORDER);
  for (const path of LISTS_OF_TASKS) orderTasks(valueAt(task, ...path));
}

/** Where a task has tasks. */
const LISTS_OF_TASKS = [
  ['do'],
  ['try'],
  ['catch', 'do'],
  ['fork', 'branches'],
  ['foreach', 'do'],
  ['metadata', 'compensate'],
] as const;

function valueAt(map: YAMLMap, ...path: readonly string[]): unknown {
  return path.reduce<unknown>((node, key) => (isMap(node) ? node.get(key, true) : undefined), map);
}

/** Returns the key that was the first one, where it is not any more. */
function sortKeys(map: YAMLMap, order: readonly string[]): Scalar | undefined {
  const [before] = map.items;
  const rank = ({ key }: Pair): number => {
    const index = order.indexOf(isScalar(key) ? String(key.value) : '');
    return index === -1 ? order.length : index;
  };
  // Stable: keys of one rank stay as they are.
  map.items.sort((left, right) => rank(left) - rank(right));
  const [first] = map.items;
  if (first === before || !isScalar(before?.key) || !isScalar(first?.key)) return undefined;
  first.key.spaceBefore = false;
  // The library gives what stands above the first key to the map.
  before.key.commentBefore = joinComments(map.commentBefore, before.key.commentBefore);
  map.commentBefore = null;
  return before.key;
}

/** What stands at the top of a document is about all of it (a licence, the line for editors), and stays there. */
function keepHeading(tree: Document.Parsed, before: Scalar | undefined): void {
  if (!before?.commentBefore) return;
  tree.commentBefore = joinComments(tree.commentBefore, before.commentBefore, '\n\n');
  before.commentBefore = null;
}

function joinComments(
  first: string | null | undefined,
  second: string | null | undefined,
  between = '\n',
): string | null {
  return first && second ? `${first}${between}${second}` : (first ?? second ?? null);
}
