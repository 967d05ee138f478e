import { canBeVariable } from '../expressions/check';
import { hasExpression } from '../expressions/template';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import { isParallel } from '../planning/plan-parallel';
import { closestName, listNames, shortText } from '../problems';
import type { Siblings, TaskSite } from './check-context';
import type { ExpressionSite } from './check-expressions';
import { checkReference } from './check-reference';
import { checkError, checkRetryPolicy } from './check-use';
import type { Checker, Path, Shape } from './checker';
import { readNamedEntry } from './named-entries';
import { RESERVED_VARIABLES, withVariables } from './scope';

/** What a `then` may say beside the name of a task. */
export const DIRECTIVES: readonly string[] = ['continue', 'exit', 'end'];

/** A flow directive: `continue`, `exit`, `end`, or a step of the same list (OWS dsl-reference, "Flow Directive"). */
export function checkDirective(value: Json | undefined, path: Path, siblings: Siblings, checker: Checker): void {
  const target = checker.text(value, path, 'then', DIRECTIVE);
  if (target === undefined || DIRECTIVES.includes(target)) return;
  if (siblings.areBranches) {
    const message = 'then: branches run side by side, none can go on to another; put the steps into a do';
    checker.report('BLW_THEN_UNKNOWN', path, message);
  } else if (!siblings.names.has(target)) {
    const elsewhere = checker.steps.whyNotReachable(target, path);
    const meant = closestName(target, [...DIRECTIVES, ...siblings.names]) ?? directiveMeant(target);
    const advice =
      elsewhere === undefined && meant !== undefined
        ? `did you mean "${meant}"?`
        : `expected continue, exit, end or one of: ${listNames([...siblings.names])}${elsewhere === undefined ? '' : `; ${elsewhere}`}`;
    const message = `then: there is no step "${shortText(target)}" in this list; ${advice}`;
    checker.report('BLW_THEN_UNKNOWN', path, message);
  }
}

const DIRECTIVE = { regex: /./s, expected: 'continue, exit, end, or the name of a step of the same list' };

/** What others write for a directive. */
function directiveMeant(target: string): string | undefined {
  if (/^(?:next|proceed|pass)$/i.test(target)) return 'continue';
  if (/^(?:break|leave|return)$/i.test(target)) return 'exit';
  return /^(?:stop|done|finish(?:ed)?|terminate|complete|quit|fail)$/i.test(target) ? 'end' : undefined;
}

/** OWS dsl-reference, "Raise". */
export function checkRaise({ task, path, scope, context }: TaskSite): void {
  const { checker, expressions, use } = context;
  const site: ExpressionSite = { path: [...path, 'raise', 'error'], scope, place: 'definition' };
  const raise = checker.shaped(task.raise, [...path, 'raise'], 'raise', {
    required: ['error'],
    example: '{ error: NAME } or { error: { type: …, status: … } }',
  });
  const error = raise?.error;
  if (typeof error === 'string') checkReference(error, 'errors', site.path, use, checker);
  else if (error !== undefined) checkError(error, site.path, checker, () => expressions.template(error, site));
}

const CASE: Shape = {
  required: ['then'],
  optional: ['when'],
  habits: {
    standsFor: 'then',
    aliases: { if: 'when', condition: 'when', case: 'when', next: 'then', goto: 'then', transition: 'then' },
    advice: Object.fromEntries(
      ['do', 'steps', 'tasks', 'call', 'set', 'run'].map((key) => [
        key,
        'a case only says where to go on: name a step of this list under then, and write what it does there',
      ]),
    ),
  },
};

/** OWS dsl-reference, "Switch". */
export function checkSwitch({ task, path, scope, siblings, context }: TaskSite): void {
  const { checker, expressions } = context;
  const listPath = [...path, 'switch'];
  const cases = task.switch;
  if (!Array.isArray(cases) || cases.length === 0) {
    const got = Array.isArray(cases) ? 'an empty list' : describeJsonType(cases);
    checker.report(
      'BLW_VALUE_INVALID',
      listPath,
      `switch: got ${got}, expected cases, each "- name: { when, then }"${dashAdvice(cases)}`,
    );
    return;
  }
  let defaults = 0;
  for (const [index, item] of cases.entries()) {
    for (const { name, value, path: casePath } of readNamedEntry(
      item,
      [...listPath, index],
      { what: 'case' },
      checker,
    )) {
      checker.keys(value, casePath, `case "${name}"`, CASE);
      expressions.expression(value.when, 'when', { path: [...casePath, 'when'], scope, place: 'definition' });
      checkDirective(value.then, [...casePath, 'then'], siblings, checker);
      if (value.when !== undefined) continue;
      defaults += 1;
      if (defaults < 2) continue;
      const message = 'switch: there is a case without `when` already; only one may be the default';
      checker.report('BLW_VALUE_INVALID', casePath, message, 'key');
    }
  }
}

function dashAdvice(cases: Json | undefined): string {
  const [name] = isJsonObject(cases) ? Object.keys(cases) : [];
  return name === undefined ? '' : `; put a dash before each name: - ${shortText(name, 30)}: …`;
}

const LOOP: Shape = {
  required: ['in'],
  optional: ['each', 'at'],
  example: '{ each: item, in: data.items }',
  habits: {
    aliases: {
      ...Object.fromEntries(['items', 'of', 'list', 'collection', 'values', 'over', 'input'].map((key) => [key, 'in'])),
      ...Object.fromEntries(['item', 'as', 'var', 'name', 'iterator'].map((key) => [key, 'each'])),
      index: 'at',
    },
    advice: {
      while: 'write it beside for',
      do: 'write it beside for',
      concurrency: 'write it under metadata, beside for',
    },
  },
};

/** OWS dsl-reference, "For". */
export function checkFor({ task, path, scope, context, checkList }: TaskSite): void {
  const { checker, expressions } = context;
  const forPath = [...path, 'for'];
  const loop = checker.shaped(task.for, forPath, 'for', LOOP);
  const each = checkVariable(loop?.each, [...forPath, 'each'], { what: 'for: each', fallback: 'item' }, checker);
  const at = checkVariable(loop?.at, [...forPath, 'at'], { what: 'for: at', fallback: 'index' }, checker);
  if (each === at) {
    const key = loop?.at === undefined ? 'each' : 'at';
    checker.report('BLW_VALUE_INVALID', [...forPath, key], `for: the item and its index are both called "${at}"`);
  }
  const inSite: ExpressionSite = { path: [...forPath, 'in'], scope, place: 'definition' };
  if (Array.isArray(loop?.in)) expressions.template(loop.in, inSite);
  else expressions.expression(loop?.in, 'for: in', inSite);
  const inner = withVariables(scope, each, at);
  expressions.expression(task.while, 'while', { path: [...path, 'while'], scope: inner, place: 'definition' });
  if (isParallel(task.metadata)) checkIndependent(task, path, checker);
  checkList({ value: task.do, path: [...path, 'do'], scope: inner });
}

/** Iterations that run side by side know nothing of each other. */
function checkIndependent(task: JsonObject, path: Path, checker: Checker): void {
  if (task.while !== undefined) {
    const message =
      'while: the iterations run side by side (metadata.concurrency, batchSize or toleratedFailures), so that none can end the others; filter the items in `in`';
    checker.report('BLW_UNSUPPORTED', [...path, 'while'], message, 'key');
  }
  for (const place of exportsIn(task.do, [...path, 'do'])) {
    const message =
      'export: the iterations run side by side, and do not share a context; give the result as their output';
    checker.report('BLW_UNSUPPORTED', place, message, 'key');
  }
}

/** Paths of every `export` of the tasks below. */
function* exportsIn(value: Json | undefined, path: Path): Generator<Path> {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) yield* exportsIn(item, [...path, index]);
  } else if (isJsonObject(value)) {
    for (const [key, item] of Object.entries(value)) {
      if (key === 'export' && isJsonObject(item)) yield [...path, key];
      else if (key !== 'with' && key !== 'set') yield* exportsIn(item, [...path, key]);
    }
  }
}

/** OWS dsl-reference, "Fork". */
export function checkFork({ task, path, scope, context, checkList }: TaskSite): void {
  const { checker } = context;
  const forkPath = [...path, 'fork'];
  const fork = checker.shaped(task.fork, forkPath, 'fork', {
    required: ['branches'],
    optional: ['compete'],
    example: '{ branches: [ … ] }',
    habits: {
      aliases: { do: 'branches', steps: 'branches', tasks: 'branches', parallel: 'branches', race: 'compete' },
    },
  });
  if (fork === undefined) return;
  checker.boolean(fork.compete, [...forkPath, 'compete'], 'fork: compete');
  if (fork.branches === undefined) return;
  checkList({ value: fork.branches, path: [...forkPath, 'branches'], scope, areBranches: true });
}

/** OWS dsl-reference, "Try". */
export function checkTry({ task, path, scope, siblings, context, checkList }: TaskSite): void {
  const { checker, expressions, use } = context;
  checkList({ value: task.try, path: [...path, 'try'], scope });
  const catchPath = [...path, 'catch'];
  const clause = checker.shaped(task.catch, catchPath, 'catch', {
    optional: ['errors', 'as', 'when', 'exceptWhen', 'retry', 'do', 'then'],
    example: '{ do: [ … ] }',
    habits: { aliases: { error: 'errors', steps: 'do', tasks: 'do', next: 'then', goto: 'then', if: 'when' } },
  });
  if (clause === undefined) return;
  const as = checkVariable(clause.as, [...catchPath, 'as'], { what: 'catch: as', fallback: 'error' }, checker);
  const inner = withVariables(scope, as);
  const site = (key: string): ExpressionSite => ({ path: [...catchPath, key], scope: inner, place: 'definition' });
  if (clause.errors !== undefined) checkErrorFilter(clause.errors, [...catchPath, 'errors'], checker);
  for (const key of ['when', 'exceptWhen']) expressions.expression(clause[key], `catch: ${key}`, site(key));
  if (typeof clause.retry === 'string') checkReference(clause.retry, 'retries', [...catchPath, 'retry'], use, checker);
  else if (clause.retry !== undefined)
    checkRetryPolicy(clause.retry, [...catchPath, 'retry'], checker, expressions, site('retry'));
  if (clause.do !== undefined) checkList({ value: clause.do, path: [...catchPath, 'do'], scope: inner });
  checkDirective(clause.then, [...catchPath, 'then'], siblings, checker);
}

function checkErrorFilter(value: Json, path: Path, checker: Checker): void {
  const errors = checker.shaped(value, path, 'catch: errors', { optional: ['with'] });
  if (errors?.with === undefined) return;
  const withPath = [...path, 'with'];
  const filter = checker.shaped(errors.with, withPath, 'catch: errors.with', {
    optional: ['type', 'status', 'instance', 'title', 'detail', 'code'],
  });
  if (filter === undefined) return;
  if (Object.keys(filter).length === 0)
    checker.report(
      'BLW_VALUE_INVALID',
      withPath,
      'catch: errors.with: it is empty, expected type, status or another key',
    );
  checkFilterValues(filter, withPath, checker);
}

function checkFilterValues(filter: JsonObject, path: Path, checker: Checker): void {
  for (const [key, expected] of Object.entries(filter)) {
    const what = `catch: errors.with.${key}`;
    if (typeof expected === 'string' && hasExpression(expected)) {
      const message = `${what} is compared as it stands; use catch.when for an expression`;
      checker.report('BLW_VALUE_INVALID', [...path, key], message);
    } else if (key === 'status') {
      checker.integer(expected, [...path, key], what, { min: 100, max: 599 });
    } else {
      checker.text(expected, [...path, key], what);
    }
  }
}

function variableAdvice(value: Json | undefined): string {
  const [, name] = /^\$(?:\{\s*)?\$?([A-Za-z_]\w*)\s*\}?$/.exec(typeof value === 'string' ? value : '') ?? [];
  const advice = name === undefined ? '' : `; write ${name}, without a dollar: expressions read it`;
  return `a name of letters, digits and _${advice}`;
}

/** A variable's name, or the default after reporting. */
export function checkVariable(
  value: Json | undefined,
  path: Path,
  { what, fallback }: { what: string; fallback: string },
  checker: Checker,
): string {
  const name = checker.text(value, path, what, {
    regex: /^[A-Za-z_][A-Za-z0-9_]{0,127}$/,
    expected: variableAdvice(value),
  });
  if (name === undefined) return fallback;
  if (RESERVED_VARIABLES.has(name)) {
    const message = `${what}: "${name}" is an argument of every expression; take another name`;
    checker.report('BLW_VALUE_INVALID', path, message);
  } else if ((checker.language ?? 'cel') === 'cel' && !canBeVariable(name)) {
    checker.report('BLW_VALUE_INVALID', path, `${what}: "${name}" is a word of CEL; take another name`);
  } else return name;
  return fallback;
}
