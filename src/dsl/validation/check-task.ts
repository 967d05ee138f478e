import { findBlockByCall } from '../block-registry';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { isScriptTask, withoutCode } from '../script';
import { checkCache } from './check-cache';
import { checkCall } from './check-call';
import type { CheckContext, Siblings, TaskSite } from './check-context';
import { checkDirective, checkFor, checkFork, checkRaise, checkSwitch, checkTry } from './check-control';
import { checkEmit, checkListen } from './check-events';
import type { ExpressionSite } from './check-expressions';
import { checkFunctionCall, isFunctionCall } from './check-function';
import { checkMetadata, refuseActivityMetadata, refuseForeignMetadata } from './check-metadata';
import { checkMock } from './check-mock';
import { checkRun } from './check-run';
import { checkTimeout, checkTransformation } from './check-transformation';
import type { Checker, Path, Shape } from './checker';
import {
  CALL_HABITS,
  explainNoList,
  kindAdvice,
  OTHER_HABITS,
  strayArguments,
  withStrayArguments,
} from './explain-tasks';
import { type NamedEntry, readNamedEntry } from './named-entries';
import { innerScope, type Place, ROOT_SCOPE, type Scope, withVariables } from './scope';

/** Deepest nesting of tasks. */
const MAX_TASK_DEPTH = 50;

/** Keys that every task may have. */
export const BASE_KEYS: readonly string[] = ['if', 'input', 'output', 'export', 'timeout', 'then', 'metadata'];

/** The kinds of task, each with the keys that it has beside those of every task. */
export const TASK_KINDS: Readonly<Record<string, Shape>> = {
  call: { required: ['call'], optional: ['with'] },
  do: { required: ['do'] },
  emit: { required: ['emit'] },
  for: { required: ['for', 'do'], optional: ['while'] },
  fork: { required: ['fork'] },
  listen: { required: ['listen'], optional: ['foreach'] },
  raise: { required: ['raise'] },
  run: { required: ['run'] },
  set: { required: ['set'] },
  switch: { required: ['switch'] },
  try: { required: ['try', 'catch'] },
  wait: { required: ['wait'] },
};

const ENTRY = { what: 'task', kinds: Object.keys(TASK_KINDS) };

/** Checks a list of tasks; `scope` is that of the list's surroundings. */
export function checkTaskList(
  {
    value,
    path,
    scope,
    areBranches = false,
  }: { value: Json | undefined; path: Path; scope: Scope; areBranches?: boolean },
  context: CheckContext,
): void {
  const { checker } = context;
  const what = String(path.at(-1));
  if (!Array.isArray(value)) {
    checker.report('BLW_VALUE_INVALID', path, explainNoList(value, what, Object.keys(TASK_KINDS)));
    return;
  }
  if (value.length === 0)
    checker.report('BLW_VALUE_INVALID', path, `${what}: the list is empty, expected at least one task`);
  if (path.length > MAX_TASK_DEPTH * 3) {
    checker.report('BLW_DOC_TOO_LARGE', path, `tasks are nested deeper than ${MAX_TASK_DEPTH} levels`);
    return;
  }
  const entries = value.flatMap((item, index) => readNamedEntry(item, [...path, index], ENTRY, checker));
  const siblings: Siblings = { names: new Set(entries.map(({ name }) => name)), areBranches };
  reportDuplicates(entries, checker);
  // Where the list goes back, any of its steps may have run before any other; else only those above have.
  const visible = hasWayBack(entries) ? new Set(siblings.names) : new Set<string>();
  const listScope: Scope = { ...scope, steps: visible, outer: scope };
  for (const { name, value: task, path: taskPath } of entries) {
    // What a branch puts out is seen after the fork, not by the other branches.
    const taskScope = areBranches ? innerScope(scope, []) : listScope;
    const checkList: TaskSite['checkList'] = (list) => checkTaskList(list, context);
    checkTask({ task, path: taskPath, scope: taskScope, siblings, context, checkList });
    visible.add(name);
  }
}

/** True where some step may go on at itself or at one above it. */
function hasWayBack(entries: readonly NamedEntry[]): boolean {
  const indexes = new Map(entries.map(({ name }, index) => [name, index]));
  return entries.some(({ value }, index) =>
    targetsOf(value).some((target) => (indexes.get(target) ?? index + 1) <= index),
  );
}

/** Everywhere that a task may say where to go on. */
function targetsOf(task: JsonObject): string[] {
  const cases = Array.isArray(task.switch)
    ? task.switch.filter(isJsonObject).flatMap((item) => Object.values(item))
    : [];
  return [task, task.catch, ...cases].flatMap((place) => {
    const then = isJsonObject(place) ? place.then : undefined;
    return typeof then === 'string' ? [then] : [];
  });
}

function reportDuplicates(entries: readonly NamedEntry[], checker: Checker): void {
  const seen = new Set<string>();
  for (const { name, path } of entries) {
    if (seen.has(name)) {
      const message = `there is a step "${name}" in this list already; rename one`;
      checker.report('BLW_NAME_DUPLICATE', path, message, 'key');
    }
    seen.add(name);
  }
}

/** Checks a task that stands alone, the definition of a function: it sees no steps and no variables. */
export function checkDefinition({ task, path, context }: Pick<TaskSite, 'task' | 'path' | 'context'>): void {
  const checkList: TaskSite['checkList'] = (list) => checkTaskList(list, context);
  const siblings: Siblings = { names: new Set(), areBranches: false };
  checkTask({ task, path, scope: ROOT_SCOPE, siblings, context, checkList });
}

function checkTask(site: TaskSite): void {
  const { task, path, context } = site;
  const kind = kindOf(task, path, context.checker);
  checkBase(site);
  if (kind === undefined) return;
  const { required = [], optional = [] } = TASK_KINDS[kind] ?? {};
  const known = [...required, ...optional, ...BASE_KEYS];
  const stray = reportStrayArguments(site, known);
  context.checker.keys(task, path, `a ${kind} task`, {
    required,
    optional: [...optional, ...BASE_KEYS],
    habits: kind === 'call' ? CALL_HABITS : OTHER_HABITS,
    reported: stray,
  });
  refuseForeignMetadata(task.metadata, [...path, 'metadata'], isScriptTask(task) ? 'call' : kind, context.checker);
  if (required.every((key) => task[key] !== undefined))
    checkKind(kind, { ...site, task: withStrayArguments(task, stray) });
  checkCompensate(site);
  checkMock(kind, site);
}

/** Arguments beside `with` are one mistake, however many they are. */
function reportStrayArguments({ task, path, context }: TaskSite, known: readonly string[]): string[] {
  const stray = strayArguments(task, known);
  const [first] = stray;
  if (first === undefined) return [];
  const names = stray.map((key) => `"${key}"`).join(', ');
  const message = `${names}: arguments of ${String(task.call)} belong under with: with: { ${stray.map((key) => `${key}: …`).join(', ')} }`;
  context.checker.report('BLW_KEY_UNKNOWN', [...path, first], message, 'key');
  return stray;
}

/** `metadata.compensate`: tasks that undo this one. They see its output, and the error that the flow fails with. */
function checkCompensate({ task, path, scope, context, checkList }: TaskSite): void {
  const { metadata } = task;
  if (!isJsonObject(metadata) || metadata.compensate === undefined) return;
  const listPath = [...path, 'metadata', 'compensate'];
  if (path.includes('compensate') && path.at(path.lastIndexOf('compensate') - 1) === 'metadata') {
    context.checker.report('BLW_UNSUPPORTED', listPath, 'compensate: what undoes a step is not undone itself', 'key');
    return;
  }
  const own = String(path.at(-1));
  checkList({ value: metadata.compensate, path: listPath, scope: withVariables(innerScope(scope, [own]), 'error') });
}

function kindOf(task: JsonObject, path: Path, checker: Checker): string | undefined {
  const kinds = Object.keys(TASK_KINDS).filter(
    (kind) => task[kind] !== undefined && !(kind === 'do' && task.for !== undefined),
  );
  const [kind, ...others] = kinds;
  if (kind !== undefined && others.length === 0) return kind;
  if (kind === undefined) {
    const { key, advice } = kindAdvice(task, Object.keys(TASK_KINDS), BASE_KEYS);
    const at = key === undefined ? path : [...path, key];
    checker.report('BLW_TASK_UNKNOWN', at, `the task has no kind; ${advice}`, 'key');
  } else {
    checker.report('BLW_TASK_UNKNOWN', path, `the task has several kinds (${kinds.join(', ')}), expected one`, 'key');
  }
  return undefined;
}

function checkBase({ task, path, scope, siblings, context }: TaskSite): void {
  const { checker, expressions, use } = context;
  const site = (place: Place, ...keys: string[]): ExpressionSite => ({ path: [...path, ...keys], scope, place });
  expressions.expression(task.if, 'if', site('taskInput', 'if'));
  const input: ExpressionSite = { ...site('taskInput', 'input'), takesSecrets: takesSecrets(task) };
  checkTransformation(task.input, 'from', input, context);
  checkTransformation(task.output, 'as', site('taskOutput', 'output'), context);
  checkTransformation(task.export, 'as', site('export', 'export'), context);
  checkTimeout(task.timeout, [...path, 'timeout'], use, checker);
  if (isJsonObject(task.timeout)) expressions.template(task.timeout, site('definition', 'timeout'));
  checkDirective(task.then, [...path, 'then'], siblings, checker);
  checkMetadata(task.metadata, [...path, 'metadata'], checker, expressions, site('definition'));
}

/** Only the activity of a step can put a secret in. */
function takesSecrets(task: JsonObject): boolean {
  const { call } = task;
  return isScriptTask(task) || (typeof call === 'string' && findBlockByCall(call)?.kind === 'activity');
}

/** The arguments without the code of a script, which has `${ }` of its own. */
function evaluated({ call, with: args }: JsonObject, { language = 'cel' }: Checker): Json | undefined {
  return isJsonObject(args) ? withoutCode(String(call), args, language) : args;
}

function checkKind(kind: string, site: TaskSite): void {
  const { task, path, scope, context, checkList } = site;
  const { checker, expressions, use } = context;
  const expressionSite = (key: string): ExpressionSite => ({ path: [...path, key], scope, place: 'definition' });
  switch (kind) {
    case 'call':
      expressions.template(evaluated(task, checker), { ...expressionSite('with'), takesSecrets: takesSecrets(task) });
      if (isFunctionCall(task.call, use)) {
        checkFunctionCall(site);
        break;
      }
      checkCall(site);
      checkCache(site);
      refuseActivityMetadata(task, path, checker);
      if (isJsonObject(task.with)) expressions.secrets.call(task, evaluated(task, checker) as JsonObject, path);
      break;
    case 'do':
      checkList({ value: task.do, path: [...path, 'do'], scope });
      break;
    case 'set':
      if (isJsonObject(task.set) && Object.keys(task.set).length === 0)
        checker.report('BLW_VALUE_INVALID', [...path, 'set'], 'set: the object is empty, expected at least one key');
      expressions.expressionOrObject(task.set, 'set', expressionSite('set'));
      break;
    case 'wait':
      checker.duration(task.wait, [...path, 'wait'], 'wait');
      expressions.template(task.wait, expressionSite('wait'));
      break;
    case 'emit':
      checkEmit(site);
      break;
    case 'listen':
      checkListen(site);
      break;
    case 'raise':
      checkRaise(site);
      break;
    case 'run':
      checkRun(site);
      break;
    case 'switch':
      checkSwitch(site);
      break;
    case 'for':
      checkFor(site);
      break;
    case 'fork':
      checkFork(site);
      break;
    case 'try':
      checkTry(site);
      break;
  }
}
