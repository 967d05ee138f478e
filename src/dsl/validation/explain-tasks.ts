import { findBlockByCall } from '../block-registry';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName, listNames, shortText } from '../problems';
import { METADATA_KEYS } from './check-metadata';
import { habitOf, type KeyHabits, KIND_ALIASES, TASK_HABITS } from './key-habits';

/** What is said of a value that is no list of tasks. */
export function explainNoList(value: Json | undefined, what: string, kinds: readonly string[]): string {
  const expected = 'expected a list of tasks, each "- name: …"';
  if (!isJsonObject(value)) return `${what}: got ${describeJsonType(value)}, ${expected}`;
  const names = Object.keys(value);
  const advice = names.some((name) => kinds.includes(name))
    ? 'give the task a name: - NAME: { … }'
    : `put a dash before each name: ${names
        .slice(0, 3)
        .map((name) => `- ${shortText(name, 30)}: …`)
        .join(' ')}`;
  return `${what}: got an object, ${expected}${names.length === 0 ? '' : `; ${advice}`}`;
}

/** What is to be done about a task without a kind, and at which of its keys that is seen. */
export function kindAdvice(
  task: JsonObject,
  known: readonly string[],
  baseKeys: readonly string[],
): { readonly key?: string; readonly advice: string } {
  if (Object.hasOwn(task, 'while')) return { advice: 'a loop with `while` needs `for` as well' };
  if (Object.hasOwn(task, 'catch')) return { advice: '`catch` needs `try` beside it' };
  const keys = Object.keys(task).filter((key) => !baseKeys.includes(key));
  for (const key of keys) {
    if (findBlockByCall(key) !== undefined) return { key, advice: `write call: ${key}, and its arguments under with` };
    const habit = habitOf(key, KIND_ALIASES, known);
    if (habit !== undefined && 'advice' in habit) return { key, advice: habit.advice };
    const meant = habit?.meant ?? closestName(key, known);
    if (meant !== undefined) return { key, advice: `did you mean "${meant}"?` };
  }
  if (Object.hasOwn(task, 'with')) return { advice: 'a task with `with` needs `call` beside it, such as call: http' };
  return { advice: `it needs one of ${known.join(', ')}` };
}

/** Keys of `metadata` on the task itself, whatever its kind. */
const METADATA_ADVICE = Object.fromEntries(
  METADATA_KEYS.map((key) => [key.toLowerCase(), `write it under metadata: metadata: { ${key}: … }`]),
);

/** What others write for the keys of a call, and of tasks of other kinds; made once, since a document has thousands of tasks. */
export const CALL_HABITS: KeyHabits = { ...TASK_HABITS, advice: { ...METADATA_ADVICE, ...TASK_HABITS.advice } };
export const OTHER_HABITS: KeyHabits = {
  ...CALL_HABITS,
  advice: { ...CALL_HABITS.advice, with: '`with` belongs to `call` and to events' },
};

/** Arguments of a call that stand beside `with` instead of under it. */
export function strayArguments(task: JsonObject, taskKeys: readonly string[]): string[] {
  const spec = typeof task.call === 'string' ? findBlockByCall(task.call) : undefined;
  if (spec === undefined || !isJsonObject(spec.arguments.properties)) return [];
  const names = Object.keys(spec.arguments.properties);
  return Object.keys(task).filter((key) => names.includes(key) && !taskKeys.includes(key));
}

/** The task as it was meant, with those arguments under `with`. */
export function withStrayArguments(task: JsonObject, stray: readonly string[]): JsonObject {
  if (stray.length === 0 || (task.with !== undefined && !isJsonObject(task.with))) return task;
  const moved = Object.fromEntries(stray.map((key) => [key, task[key] ?? null]));
  return { ...task, with: { ...moved, ...(isJsonObject(task.with) ? task.with : {}) } };
}

/** What is said of an entry with several keys, or none, where a name is expected. */
export function explainEntry(
  keys: readonly string[],
  entry: JsonObject,
  { what, kinds }: { what: string; kinds: readonly string[] },
): string {
  const got = `${what}: got ${keys.length} key${keys.length === 1 ? '' : 's'}, expected one: the name of the ${what}`;
  const parts = what === 'case' ? ['when', 'then'] : [...kinds, 'with', 'if'];
  if (keys.length > 0 && keys.every((key) => parts.includes(key)))
    return `${got}; give it one: - NAME: { ${keys.map((key) => `${key}: …`).join(', ')} }`;
  const naming = ['name', 'id', 'taskReferenceName'].find((key) => typeof entry[key] === 'string');
  if (naming === undefined) return `${got} (is the text below it indented?)`;
  const name = shortText(
    String(entry[naming])
      .trim()
      .replace(/[^A-Za-z0-9]+(.)?/g, (_, next: string = '') => next.toUpperCase()),
  );
  const others = listNames(keys.filter((key) => key !== naming));
  return `${got}; write "- ${name === '' ? 'NAME' : name}:" for "- ${naming}: …", and the rest (${others}) below it, indented`;
}

/** What is said of a named entry that is no object: often a task without a name. */
export function entryAdvice(name: string, value: Json | undefined, kinds: readonly string[]): string {
  if (!kinds.includes(name)) return value === null ? ' (is the text below it indented?)' : '';
  return `; "${name}" is a kind of task: give the task a name, - NAME: { ${name}: … }`;
}
