import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { closestName } from '../problems';
import { checkCall } from './check-call';
import type { CheckContext } from './check-context';
import type { ExpressionSite } from './check-expressions';
import { checkMetadata } from './check-metadata';
import { checkTimeout, checkTransformation } from './check-transformation';
import { checkError, checkReference, checkRetryPolicy } from './check-use';
import type { Checker, Path } from './checker';
import { type Place, RESERVED_VARIABLES, type Scope } from './scope';

/** Deepest nesting of tasks. */
const MAX_TASK_DEPTH = 50;

const BASE_KEYS = ['if', 'input', 'output', 'export', 'timeout', 'then', 'metadata'];

/** The kinds of task, each with the keys that it has beside those of every task. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  call: ['call', 'with'],
  do: ['do'],
  for: ['for', 'while', 'do'],
  fork: ['fork'],
  raise: ['raise'],
  set: ['set'],
  switch: ['switch'],
  try: ['try', 'catch'],
  wait: ['wait'],
};

const UNSUPPORTED_KINDS = ['emit', 'listen', 'run'];

const DIRECTIVES = ['continue', 'exit', 'end'];

/** Checks a list of tasks; `scope` is that of the list's surroundings. */
export function checkTaskList(value: Json | undefined, path: Path, scope: Scope, context: CheckContext): void {
  const { checker } = context;
  if (!Array.isArray(value)) {
    checker.report(
      'BLW_VALUE_INVALID',
      path,
      `${String(path.at(-1))}: got ${describeJsonType(value)}, expected a list of tasks, each "- name: …"`,
    );
    return;
  }
  if (value.length === 0)
    checker.report('BLW_VALUE_INVALID', path, `${String(path.at(-1))}: the list is empty, expected at least one task`);
  if (path.length > MAX_TASK_DEPTH * 3) {
    checker.report('BLW_DOC_TOO_LARGE', path, `tasks are nested deeper than ${MAX_TASK_DEPTH} levels`);
    return;
  }
  const entries = value.flatMap((item, index) => readEntry(item, [...path, index], checker));
  const names = entries.map((entry) => entry.name);
  const inner: Scope = { ...scope, steps: [...scope.steps, ...names] };
  for (const [index, { name, task, path: taskPath }] of entries.entries()) {
    if (names.indexOf(name) !== index) {
      checker.report(
        'BLW_NAME_DUPLICATE',
        taskPath,
        `there is a step "${name}" in this list already; rename one`,
        'key',
      );
    }
    checkTask(task, taskPath, inner, names, context);
  }
}

interface Entry {
  readonly name: string;
  readonly task: JsonObject;
  readonly path: Path;
}

function readEntry(item: Json, path: Path, checker: Checker): Entry[] {
  const entry = checker.object(item, path, 'task');
  if (entry === undefined) return [];
  const [name, ...others] = Object.keys(entry);
  if (name === undefined || others.length > 0) {
    checker.report(
      'BLW_VALUE_INVALID',
      path,
      `task: got ${others.length + (name === undefined ? 0 : 1)} keys, expected one: the name of the task (is the text below it indented?)`,
    );
    return [];
  }
  if (name === '' || name.length > 128) {
    checker.report('BLW_VALUE_INVALID', [...path, name], 'task: the name must have 1 to 128 characters', 'key');
  }
  const task = checker.object(entry[name], [...path, name], `task "${name}"`);
  return task === undefined ? [] : [{ name, task, path: [...path, name] }];
}

/** Checks one task; `siblings` are the names that its `then` may point to. */
function checkTask(
  task: JsonObject,
  path: Path,
  scope: Scope,
  siblings: readonly string[],
  context: CheckContext,
): void {
  const kind = kindOf(task, path, context.checker);
  checkBase(task, path, scope, siblings, context);
  if (kind === undefined) return;
  context.checker.keys(task, path, `a ${kind} task`, { optional: [...(KINDS[kind] ?? []), ...BASE_KEYS] });
  checkKind(kind, task, path, scope, siblings, context);
}

function kindOf(task: JsonObject, path: Path, checker: Checker): string | undefined {
  const unsupported = UNSUPPORTED_KINDS.find((kind) => task[kind] !== undefined);
  if (unsupported !== undefined) {
    checker.report('BLW_UNSUPPORTED', [...path, unsupported], `${unsupported} tasks are not supported yet`, 'key');
    return undefined;
  }
  const kinds = Object.keys(KINDS).filter(
    (kind) => task[kind] !== undefined && !(kind === 'do' && task.for !== undefined),
  );
  const [kind, ...others] = kinds;
  if (kind !== undefined && others.length === 0) return kind;
  const known = Object.keys(KINDS).join(', ');
  if (kind === undefined) {
    const slip = Object.keys(task)
      .filter((key) => !BASE_KEYS.includes(key))
      .map((key) => closestName(key, Object.keys(KINDS)))
      .find((meant) => meant !== undefined);
    checker.report(
      'BLW_TASK_UNKNOWN',
      path,
      `the task has no kind; ${slip === undefined ? `it needs one of ${known}` : `did you mean "${slip}"?`}`,
      'key',
    );
  } else {
    checker.report('BLW_TASK_UNKNOWN', path, `the task has several kinds (${kinds.join(', ')}), expected one`, 'key');
  }
  return undefined;
}

function checkBase(
  task: JsonObject,
  path: Path,
  scope: Scope,
  siblings: readonly string[],
  context: CheckContext,
): void {
  const { checker, expressions, use } = context;
  const site = (place: Place, ...keys: string[]): ExpressionSite => ({ path: [...path, ...keys], scope, place });
  expressions.expression(task.if, 'if', site('taskInput', 'if'));
  checkTransformation(task.input, 'from', site('taskInput', 'input'), context);
  checkTransformation(task.output, 'as', site('taskOutput', 'output'), context);
  checkTransformation(task.export, 'as', site('export', 'export'), context);
  checkTimeout(task.timeout, [...path, 'timeout'], use, checker);
  if (isJsonObject(task.timeout)) expressions.template(task.timeout, site('definition', 'timeout'));
  checkDirective(task.then, [...path, 'then'], siblings, checker);
  checkMetadata(task.metadata, [...path, 'metadata'], checker, expressions, site('definition'));
}

function checkDirective(value: Json | undefined, path: Path, siblings: readonly string[], checker: Checker): void {
  const target = checker.text(value, path, 'then');
  if (target === undefined || DIRECTIVES.includes(target) || siblings.includes(target)) return;
  const meant = closestName(target, [...siblings, ...DIRECTIVES]);
  const advice =
    meant === undefined ? `expected continue, exit, end or one of: ${siblings.join(', ')}` : `did you mean "${meant}"?`;
  checker.report('BLW_THEN_UNKNOWN', path, `then: there is no step "${target}" in this list; ${advice}`);
}

function checkKind(
  kind: string,
  task: JsonObject,
  path: Path,
  scope: Scope,
  siblings: readonly string[],
  context: CheckContext,
): void {
  const { checker, expressions, use } = context;
  const site = (...keys: string[]): ExpressionSite => ({ path: [...path, ...keys], scope, place: 'definition' });
  switch (kind) {
    case 'call':
      checkCall(task, path, use, checker);
      expressions.template(task.with, site('with'));
      break;
    case 'do':
      checkTaskList(task.do, [...path, 'do'], scope, context);
      break;
    case 'set':
      expressions.expressionOrObject(task.set, 'set', site('set'));
      break;
    case 'wait':
      checker.duration(task.wait, [...path, 'wait'], 'wait');
      expressions.template(task.wait, site('wait'));
      break;
    case 'raise':
      checkRaise(task.raise, path, site('raise', 'error'), context);
      break;
    case 'switch':
      checkSwitch(task.switch, path, scope, siblings, context);
      break;
    case 'for':
      checkFor(task, path, scope, context);
      break;
    case 'fork':
      checkFork(task.fork, path, scope, context);
      break;
    case 'try':
      checkTry(task, path, scope, siblings, context);
      break;
  }
}

function checkRaise(
  value: Json | undefined,
  path: Path,
  site: ExpressionSite,
  { checker, expressions, use }: CheckContext,
): void {
  const raise = checker.shaped(value, [...path, 'raise'], 'raise', { required: ['error'] });
  const error = raise?.error;
  if (typeof error === 'string') checkReference(error, 'errors', site.path, use, checker);
  else if (error !== undefined) checkError(error, site.path, checker, () => expressions.template(error, site));
}

function checkSwitch(
  value: Json | undefined,
  path: Path,
  scope: Scope,
  siblings: readonly string[],
  context: CheckContext,
): void {
  const { checker, expressions } = context;
  const listPath = [...path, 'switch'];
  if (!Array.isArray(value) || value.length === 0) {
    checker.report(
      'BLW_VALUE_INVALID',
      listPath,
      `switch: got ${describeJsonType(value)}, expected a list of cases, each "- name: { when, then }"`,
    );
    return;
  }
  let defaults = 0;
  for (const [index, item] of value.entries()) {
    for (const { name, task: branch, path: casePath } of readEntry(item, [...listPath, index], checker)) {
      checker.keys(branch, casePath, `case "${name}"`, { required: ['then'], optional: ['when'] });
      expressions.expression(branch.when, 'when', { path: [...casePath, 'when'], scope, place: 'definition' });
      checkDirective(branch.then, [...casePath, 'then'], siblings, checker);
      if (branch.when === undefined && ++defaults === 2) {
        checker.report(
          'BLW_VALUE_INVALID',
          casePath,
          'switch: there is a case without `when` already; only one may be the default',
          'key',
        );
      }
    }
  }
}

function checkFor(task: JsonObject, path: Path, scope: Scope, context: CheckContext): void {
  const { checker, expressions } = context;
  const loop = checker.shaped(task.for, [...path, 'for'], 'for', { required: ['in'], optional: ['each', 'at'] });
  const each = checkVariable(loop?.each, [...path, 'for', 'each'], 'for: each', 'item', checker);
  const at = checkVariable(loop?.at, [...path, 'for', 'at'], 'for: at', 'index', checker);
  const inSite: ExpressionSite = { path: [...path, 'for', 'in'], scope, place: 'definition' };
  if (Array.isArray(loop?.in)) expressions.template(loop.in, inSite);
  else expressions.expression(loop?.in, 'for: in', inSite);
  const inner: Scope = { ...scope, variables: [...scope.variables, each, at] };
  expressions.expression(task.while, 'while', { path: [...path, 'while'], scope: inner, place: 'definition' });
  checkTaskList(task.do, [...path, 'do'], inner, context);
}

function checkFork(value: Json | undefined, path: Path, scope: Scope, context: CheckContext): void {
  const { checker } = context;
  const fork = checker.shaped(value, [...path, 'fork'], 'fork', { required: ['branches'], optional: ['compete'] });
  if (fork === undefined) return;
  checker.boolean(fork.compete, [...path, 'fork', 'compete'], 'fork: compete');
  if (fork.branches === undefined) return;
  const branchesPath = [...path, 'fork', 'branches'];
  checkTaskList(fork.branches, branchesPath, scope, context);
  for (const [index, item] of (Array.isArray(fork.branches) ? fork.branches : []).entries()) {
    for (const [name, branch] of Object.entries(isJsonObject(item) ? item : {})) {
      const then = isJsonObject(branch) ? branch.then : undefined;
      if (then === undefined || then === 'continue' || then === 'exit' || then === 'end') continue;
      checker.report(
        'BLW_THEN_UNKNOWN',
        [...branchesPath, index, name, 'then'],
        'then: branches run side by side, none can go on to another; put the steps into a do',
      );
    }
  }
}

function checkTry(
  task: JsonObject,
  path: Path,
  scope: Scope,
  siblings: readonly string[],
  context: CheckContext,
): void {
  const { checker, expressions, use } = context;
  checkTaskList(task.try, [...path, 'try'], scope, context);
  const catchPath = [...path, 'catch'];
  const clause = checker.shaped(task.catch, catchPath, 'catch', {
    optional: ['errors', 'as', 'when', 'exceptWhen', 'retry', 'do', 'then'],
  });
  if (clause === undefined) return;
  const as = checkVariable(clause.as, [...catchPath, 'as'], 'catch: as', 'error', checker);
  const inner: Scope = { ...scope, variables: [...scope.variables, as] };
  const site = (key: string): ExpressionSite => ({ path: [...catchPath, key], scope: inner, place: 'definition' });
  if (clause.errors !== undefined) checkErrorFilter(clause.errors, [...catchPath, 'errors'], checker);
  for (const key of ['when', 'exceptWhen']) expressions.expression(clause[key], `catch: ${key}`, site(key));
  if (typeof clause.retry === 'string') checkReference(clause.retry, 'retries', [...catchPath, 'retry'], use, checker);
  else if (clause.retry !== undefined)
    checkRetryPolicy(clause.retry, [...catchPath, 'retry'], checker, expressions, site('retry'));
  if (clause.do !== undefined) checkTaskList(clause.do, [...catchPath, 'do'], inner, context);
  checkDirective(clause.then, [...catchPath, 'then'], siblings, checker);
}

function checkErrorFilter(value: Json, path: Path, checker: Checker): void {
  const errors = checker.shaped(value, path, 'catch: errors', { optional: ['with'] });
  if (errors?.with === undefined) return;
  const filter = checker.shaped(errors.with, [...path, 'with'], 'catch: errors.with', {
    optional: ['type', 'status', 'instance', 'title', 'detail', 'code'],
  });
  for (const [key, expected] of Object.entries(filter ?? {})) {
    if (typeof expected === 'string' && hasExpression(expected)) {
      checker.report(
        'BLW_VALUE_INVALID',
        [...path, 'with', key],
        `catch: errors.with.${key} is compared as it stands; use catch.when for an expression`,
      );
    }
  }
}

/** A variable's name, or the default after reporting. */
function checkVariable(value: Json | undefined, path: Path, what: string, fallback: string, checker: Checker): string {
  const name = checker.text(value, path, what, {
    regex: /^[A-Za-z_][A-Za-z0-9_]*$/,
    expected: 'a name of letters, digits and _',
  });
  if (name === undefined) return fallback;
  if (!RESERVED_VARIABLES.has(name)) return name;
  checker.report('BLW_VALUE_INVALID', path, `${what}: "${name}" is an argument of every expression; take another name`);
  return fallback;
}
