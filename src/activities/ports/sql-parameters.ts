import { getOwn, type Json, type JsonObject } from '../../dsl/json';
import { type BlockFailure, notRetryable } from '../block-failure';
import type { SqlStatement } from './sql-databases';
import {
  findSecondStatement,
  lexSql,
  type SqlDialect,
  type SqlToken,
  type StatementVerbs,
  statementVerbs,
} from './sql-lexer';

/** A value as the driver takes it. SQLite: integers are bigint, or the driver would bind them as REAL. */
export type SqlValue = null | string | number | bigint;

/** A statement in the form of its driver. */
export interface BoundStatement {
  /** The text with the driver's placeholders: `?` on SQLite, `$1` on PostgreSQL. */
  readonly text: string;
  /** One value for each placeholder, in order. */
  readonly values: SqlValue[];
  readonly verbs: StatementVerbs;
  /** The tokens of the text as it was written. */
  readonly tokens: readonly SqlToken[];
}

/** Most characters of one statement; longer ones are data in disguise. */
const MAX_STATEMENT_LENGTH = 1_000_000;

/**
 * Turns a statement with `:name` or `?` into the driver's form.
 * Throws BLW_SQL_STATEMENT where the text is not exactly one statement, BLW_SQL_PARAMETERS where a value is missing, not used,
 * or of the other kind; neither is retryable. `where` names the statement in messages.
 *
 * On PostgreSQL a `?` is an operator where `parameters` is an object or absent, and a placeholder where it is an array.
 */
export function bindStatement(
  dialect: SqlDialect,
  { statement, parameters }: SqlStatement,
  where = 'statement',
): BoundStatement {
  const tokens = lexSql(dialect, statement);
  const verbs = requireOneStatement(dialect, statement, tokens, where);
  const native = tokens.find((token) => token.kind === 'native');
  if (native !== undefined) {
    throw refuse(where, `has the placeholder ${native.text}, which is not known here; write :name or ?`);
  }
  const binder: Binder = { dialect, statement, where, tokens };
  const bound = Array.isArray(parameters) ? bindPositional(binder, parameters) : bindNamed(binder, parameters ?? {});
  return { ...bound, verbs, tokens };
}

/** What the two ways of binding share. */
interface Binder {
  readonly dialect: SqlDialect;
  readonly statement: string;
  readonly where: string;
  readonly tokens: readonly SqlToken[];
}

type Bound = Pick<BoundStatement, 'text' | 'values'>;

function requireOneStatement(
  dialect: SqlDialect,
  statement: string,
  tokens: readonly SqlToken[],
  where: string,
): StatementVerbs {
  if (statement.length > MAX_STATEMENT_LENGTH) {
    throw refuseText(
      where,
      `has ${statement.length} characters, more than ${MAX_STATEMENT_LENGTH}; pass data as parameters`,
    );
  }
  if (statement.includes('\0')) throw refuseText(where, 'holds a NUL character; remove it');
  const verbs = statementVerbs(tokens);
  if (verbs === undefined) throw refuseText(where, 'holds no SQL; expected one statement');
  const second = findSecondStatement(dialect, tokens);
  if (second !== undefined) {
    const detail = `holds a second statement at character ${second.start + 1}; expected one, use sql.transaction for several`;
    throw refuseText(where, detail);
  }
  return verbs;
}

function bindPositional({ dialect, statement, where, tokens }: Binder, given: readonly Json[]): Bound {
  const named = tokens.find((token) => token.kind === 'named');
  if (named !== undefined) {
    throw refuse(where, `has ${named.text} but parameters is an array; give an object, or write ? for every value`);
  }
  const placeholders = tokens.filter((token) => token.kind === 'positional');
  if (dialect === 'postgres') refuseOperators(statement, placeholders, where);
  if (placeholders.length !== given.length) {
    const missing = placeholders.length > given.length;
    const which = missing
      ? `? number ${given.length + 1} has no value`
      : `value ${placeholders.length + 1} is not used`;
    throw refuse(where, `has ${placeholders.length} × ? and ${given.length} values: ${which}`);
  }
  return {
    text: rewrite(statement, placeholders, (_token, index) => nativePlaceholder(dialect, index + 1)),
    values: given.map((value) => toSqlValue(dialect, value)),
  };
}

function bindNamed({ dialect, statement, where, tokens }: Binder, given: JsonObject): Bound {
  const positional = tokens.find((token) => token.kind === 'positional');
  if (positional !== undefined && dialect === 'sqlite') {
    throw refuse(where, 'has ? but parameters is not an array; give an array, or write :name for every value');
  }
  const placeholders = tokens.filter((token) => token.kind === 'named');
  const names = [...new Set(placeholders.map(nameOf))];
  const missing = names.find((name) => getOwn(given, name) === undefined);
  if (missing !== undefined) {
    throw refuse(where, `has :${missing} but parameters has no "${missing}"; parameters has ${listOf(given)}`);
  }
  const unused = Object.keys(given).find((name) => !names.includes(name));
  if (unused !== undefined) {
    throw refuse(where, `does not use the parameter "${unused}"; write :${unused} in it, or remove the parameter`);
  }
  const valueFor = (name: string): SqlValue => toSqlValue(dialect, getOwn(given, name) ?? null);
  if (dialect === 'sqlite') {
    return {
      text: rewrite(statement, placeholders, () => '?'),
      values: placeholders.map((token) => valueFor(nameOf(token))),
    };
  }
  // One number per name, so that PostgreSQL sees that `GROUP BY f(:a)` is what `SELECT f(:a)` says.
  return {
    text: rewrite(statement, placeholders, (token) => nativePlaceholder(dialect, names.indexOf(nameOf(token)) + 1)),
    values: names.map(valueFor),
  };
}

const nameOf = (token: SqlToken): string => token.text.slice(1);

const nativePlaceholder = (dialect: SqlDialect, number: number): string => (dialect === 'sqlite' ? '?' : `$${number}`);

function listOf(given: JsonObject): string {
  const names = Object.keys(given);
  return names.length === 0 ? 'nothing' : names.map((name) => `"${name}"`).join(', ');
}

/** Operators of PostgreSQL that hold a `?` cannot be told from placeholders. */
function refuseOperators(statement: string, placeholders: readonly SqlToken[], where: string): void {
  for (const { start, end } of placeholders) {
    const before = statement[start - 1] ?? '';
    const after = statement[end] ?? '';
    const operator = '@?'.includes(before) && before !== '' ? `${before}?` : `?${after}`;
    if (operator.length === 2 && ['@?', '??', '?|', '?&'].includes(operator)) {
      throw refuse(
        where,
        `has ${operator}, which reads as an operator of PostgreSQL; give an object and write :name, or put a space after ?`,
      );
    }
  }
}

function rewrite(
  statement: string,
  placeholders: readonly SqlToken[],
  replacement: (token: SqlToken, index: number) => string,
): string {
  let text = '';
  let from = 0;
  for (const [index, token] of placeholders.entries()) {
    text += statement.slice(from, token.start) + replacement(token, index);
    from = token.end;
  }
  return text + statement.slice(from);
}

/** What SQL has no type for becomes JSON text; SQLite has no booleans, PostgreSQL takes every value as text. */
function toSqlValue(dialect: SqlDialect, value: Json): SqlValue {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'object') return JSON.stringify(value);
  if (dialect === 'postgres') return String(value);
  if (typeof value === 'boolean') return value ? 1n : 0n;
  return Number.isSafeInteger(value) ? BigInt(value) : value;
}

function refuse(where: string, detail: string): BlockFailure {
  return notRetryable('BLW_SQL_PARAMETERS', `${where} ${detail}`);
}

function refuseText(where: string, detail: string): BlockFailure {
  return notRetryable('BLW_SQL_STATEMENT', `${where} ${detail}`);
}
