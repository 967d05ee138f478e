import fc from 'fast-check';
import type { SqlStatement } from '../../src/activities/ports/sql-databases';
import { lexSql, type SqlDialect, statementVerbs } from '../../src/activities/ports/sql-lexer';
import { bindStatement } from '../../src/activities/ports/sql-parameters';
import type { ErrorCode } from '../../src/dsl/error-codes';
import { failureOf } from '../helpers/block-context';

function bind(dialect: SqlDialect, statement: string, parameters?: SqlStatement['parameters']) {
  const { text, values } = bindStatement(dialect, { statement, ...(parameters === undefined ? {} : { parameters }) });
  return { text, values };
}

async function refusalOf(dialect: SqlDialect, statement: string, parameters?: SqlStatement['parameters']) {
  const failure = await failureOf((async () => bind(dialect, statement, parameters))());
  expect(failure.options.retryable).toBe(false);
  return failure;
}

describe('bindStatement', () => {
  it.each<[string, SqlDialect, string, SqlStatement['parameters'], string, unknown[]]>([
    ['a name', 'sqlite', 'SELECT :a', { a: 1 }, 'SELECT ?', [1n]],
    ['a name', 'postgres', 'SELECT :a', { a: 1 }, 'SELECT $1', ['1']],
    ['a name used twice', 'sqlite', ':a + :b + :a', { a: 'x', b: 'y' }, '? + ? + ?', ['x', 'y', 'x']],
    ['a name used twice', 'postgres', 'f(:a, :b, :a)', { a: 'x', b: 'y' }, 'f($1, $2, $1)', ['x', 'y']],
    ['an array', 'sqlite', 'SELECT ?, ?', ['x', null], 'SELECT ?, ?', ['x', null]],
    ['an array', 'postgres', 'SELECT ?, ?', ['x', null], 'SELECT $1, $2', ['x', null]],
    ['no parameters', 'sqlite', 'SELECT 1', undefined, 'SELECT 1', []],
    ['an empty object', 'postgres', 'SELECT 1', {}, 'SELECT 1', []],
    ['an empty array', 'postgres', 'SELECT 1', [], 'SELECT 1', []],
    ['no space around', 'postgres', 'WHERE a=:a AND b=ANY(:b)', { a: 1, b: 2 }, 'WHERE a=$1 AND b=ANY($2)', ['1', '2']],
    ['letters beyond ASCII', 'sqlite', 'SELECT :größe', { größe: 'x' }, 'SELECT ?', ['x']],
    ['names of Object', 'sqlite', 'SELECT :constructor', { constructor: 'x' }, 'SELECT ?', ['x']],
    ['a cast', 'postgres', "SELECT :a::int, '1'::text", { a: 1 }, "SELECT $1::int, '1'::text", ['1']],
    ['an array slice', 'postgres', 'SELECT a[1:2], :b', { b: 1 }, 'SELECT a[1:2], $1', ['1']],
    ['an assignment', 'postgres', 'SELECT f(a := :b)', { b: 1 }, 'SELECT f(a := $1)', ['1']],
    ['operators with ?', 'postgres', 'a ? :k OR a ?| b OR a @? c', { k: 'x' }, 'a ? $1 OR a ?| b OR a @? c', ['x']],
    ['operators with ?, none given', 'postgres', "SELECT '{}'::jsonb ? 'a'", undefined, "SELECT '{}'::jsonb ? 'a'", []],
    ['a semicolon at the end', 'sqlite', 'SELECT :a ; -- done', { a: 'x' }, 'SELECT ? ; -- done', ['x']],
  ])('binds %s on %s: %s', (_name, dialect, statement, parameters, text, values) => {
    const prefix = statement.startsWith('SELECT') ? '' : 'SELECT ';
    expect(bind(dialect, prefix + statement, parameters)).toEqual({ text: prefix + text, values });
  });

  it.each<[SqlDialect, string]>([
    ['sqlite', `SELECT ':a ?', 'it''s :a', ":b ""?", \`:c ?\`, [:d ?]`],
    ['sqlite', 'SELECT 1 -- :a ?\n, 2 /* :a ? /* */'],
    ['sqlite', "SELECT 'E', e'a\\', :x"],
    ['postgres', `SELECT ':a ?', 'back\\', ":b ""?"`],
    ['postgres', "SELECT E'it\\'s :a', e'\\\\', E'a'\n'\\':b'"],
    ['postgres', 'SELECT $$ :a ? ; $$, $tag$ :a $$ ? $tag$, $ä$:b$ä$'],
    ['postgres', 'SELECT 1 /* :a /* ? */ :b */, 2 -- ?\r'],
    ['postgres', "SELECT U&'d\\0061t :a', B'01', x'ff'"],
  ])('leaves strings, identifiers and comments alone on %s: %s', (dialect, statement) => {
    const hasPlaceholder = statement.endsWith(', :x');
    const { text, values } = bind(dialect, statement, hasPlaceholder ? { x: 'v' } : {});
    expect(text).toBe(hasPlaceholder ? statement.replace(/:x$/, '?') : statement);
    expect(values).toEqual(hasPlaceholder ? ['v'] : []);
  });

  it.each<[string, SqlDialect, unknown, unknown]>([
    ['true', 'sqlite', true, 1n],
    ['false', 'sqlite', false, 0n],
    ['an integer', 'sqlite', 3, 3n],
    ['minus zero', 'sqlite', -0, 0n],
    ['a fraction', 'sqlite', 2.5, 2.5],
    ['a huge number', 'sqlite', 1e300, 1e300],
    ['null', 'sqlite', null, null],
    ['text', 'sqlite', 'x', 'x'],
    ['an object', 'sqlite', { a: [1] }, '{"a":[1]}'],
    ['an array', 'sqlite', [1, 'a'], '[1,"a"]'],
    ['true', 'postgres', true, 'true'],
    ['a fraction', 'postgres', 2.5, '2.5'],
    ['a huge number', 'postgres', 1e300, '1e+300'],
    ['an array', 'postgres', [1, 'a'], '[1,"a"]'],
    ['null', 'postgres', null, null],
  ])('binds %s as %s takes it', (_name, dialect, value, bound) => {
    expect(bind(dialect, 'SELECT ?', [value as string]).values).toEqual([bound]);
  });

  it.each<[string, SqlDialect, string, SqlStatement['parameters'], string]>([
    [
      'a name without value',
      'sqlite',
      'SELECT :a, :b',
      { a: 1 },
      'has :b but parameters has no "b"; parameters has "a"',
    ],
    ['a name and nothing given', 'postgres', 'SELECT :a', undefined, 'has :a but parameters has no "a"'],
    ['a name of Object', 'sqlite', 'SELECT :toString', {}, 'has :toString but'],
    ['a value that is not used', 'sqlite', 'SELECT :a', { a: 1, c: 2 }, 'does not use the parameter "c"'],
    ['a value only a comment names', 'sqlite', 'SELECT 1 -- :a', { a: 1 }, 'does not use the parameter "a"'],
    ['too few values', 'sqlite', 'SELECT ?, ?', [1], 'has 2 × ? and 1 values: ? number 2 has no value'],
    ['too many values', 'postgres', 'SELECT ?', [1, 2], 'has 1 × ? and 2 values: value 2 is not used'],
    ['? and nothing given', 'sqlite', 'SELECT ?', undefined, 'has ? but parameters is not an array'],
    ['? with an object', 'sqlite', 'SELECT ?', { a: 1 }, 'has ? but parameters is not an array'],
    ['names with an array', 'postgres', 'SELECT :a', [1], 'has :a but parameters is an array'],
    ['both kinds', 'sqlite', 'SELECT :a, ?', { a: 1 }, 'has ? but parameters is not an array'],
    ['both kinds', 'sqlite', 'SELECT :a, ?', [1, 2], 'has :a but parameters is an array'],
    ['?| with an array', 'postgres', 'SELECT a ?| b', [1], 'has ?|, which reads as an operator'],
    ['@? with an array', 'postgres', "SELECT a @? '$'", [1], 'has @?, which reads as an operator'],
    ['$1', 'postgres', 'SELECT $1', [1], 'has the placeholder $1'],
    ['?1', 'sqlite', 'SELECT ?1', [1], 'has the placeholder ?1'],
    ['?1', 'postgres', 'SELECT ?1', [1], 'has the placeholder ?1'],
    ['@a', 'sqlite', 'SELECT @a', { a: 1 }, 'has the placeholder @a'],
    ['$a', 'sqlite', 'SELECT $a', { a: 1 }, 'has the placeholder $a'],
    [':1', 'sqlite', 'SELECT :1', [1], 'has the placeholder :1'],
  ])('refuses %s on %s: %s', async (_name, dialect, statement, parameters, message) => {
    const failure = await refusalOf(dialect, statement, parameters);
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_PARAMETERS');
    expect(failure.message).toContain(message);
  });

  it.each<[string, SqlDialect, string, string]>([
    ['two statements', 'sqlite', 'SELECT 1; SELECT 2', 'a second statement at character 11'],
    ['two statements', 'postgres', 'SELECT 1; DROP TABLE a', 'a second statement at character 11'],
    ['a comment that hides nothing', 'sqlite', 'SELECT 1; -- x\nDELETE FROM a', 'a second statement'],
    ['nothing', 'sqlite', '  -- nothing', 'holds no SQL'],
    ['only a semicolon', 'postgres', ';', 'holds no SQL'],
    ['a NUL', 'sqlite', 'SELECT 1\0', 'holds a NUL character'],
    ['a trigger and more', 'sqlite', 'CREATE TRIGGER a AFTER INSERT ON b BEGIN SELECT 1; END; SELECT 2', 'a second'],
    ['far too much', 'sqlite', `SELECT ${'1,'.repeat(500_000)} 1`, 'has 1000009 characters'],
  ])('refuses %s on %s', async (_name, dialect, statement, message) => {
    const failure = await refusalOf(dialect, statement);
    expect(failure.data.code).toBe<ErrorCode>('BLW_SQL_STATEMENT');
    expect(failure.message).toContain(message);
  });

  it.each<[SqlDialect, string]>([
    ['sqlite', 'SELECT 1;'],
    ['sqlite', 'SELECT 1;; /* end */ -- end'],
    ['sqlite', "SELECT ';'"],
    ['sqlite', 'CREATE TRIGGER a AFTER INSERT ON b BEGIN SELECT 1; UPDATE c SET d = CASE WHEN 1 THEN 2 END; END;'],
    ['sqlite', 'CREATE TEMP TRIGGER a AFTER INSERT ON b BEGIN SELECT 1; END'],
    ['postgres', 'CREATE FUNCTION f() RETURNS int LANGUAGE SQL BEGIN ATOMIC SELECT 1; SELECT 2; END;'],
    ['postgres', 'DO $$ BEGIN PERFORM 1; PERFORM 2; END $$;'],
    ['postgres', 'CREATE RULE r AS ON INSERT TO a DO ALSO (SELECT 1; SELECT 2)'],
  ])('takes as one statement on %s: %s', (dialect, statement) => {
    expect(bind(dialect, statement).text).toBe(statement);
  });
});

describe('statementVerbs', () => {
  it.each<[string, string, string]>([
    ['select 1', 'SELECT', 'SELECT'],
    ['/* DELETE */ insert into a select 1', 'INSERT', 'INSERT'],
    ['WITH a AS (SELECT 1), b AS (DELETE FROM c) UPDATE d SET e = 1', 'WITH', 'UPDATE'],
    ['WITH a AS (SELECT 1) INSERT INTO b SELECT * FROM a', 'WITH', 'INSERT'],
    ['EXPLAIN QUERY PLAN SELECT 1', 'EXPLAIN', 'SELECT'],
    ['EXPLAIN (ANALYZE, BUFFERS) DELETE FROM a', 'EXPLAIN', 'DELETE'],
    ['EXPLAIN PRAGMA user_version', 'EXPLAIN', 'PRAGMA'],
    ['(SELECT 1) UNION (SELECT 2)', 'SELECT', 'SELECT'],
    ['(WITH a AS (SELECT 1) SELECT 2)', 'WITH', 'SELECT'],
  ])('reads %s', (statement, first, main) => {
    expect(statementVerbs(lexSql('postgres', statement))).toEqual({ first, main });
  });
});

describe('bindStatement on any text', () => {
  const inert = (dialect: SqlDialect): fc.Arbitrary<string> => {
    const noise = fc.string({
      unit: fc.constantFrom(':', 'a', '?', ';', ' ', '$', '1', '-', '*', '/', '\\', '(', 'é'),
    });
    const shared = [
      noise.map((text) => `'${text}'`),
      noise.map((text) => `"${text}"`),
      noise.map((text) => `-- ${text}\n`),
      fc.constantFrom('SELECT', 'a', '1', '+', ',', '=', '::', '1e5', 'e'),
    ];
    // A block comment must not open another one, and a * before the end would close it early.
    const comment = noise.map((text) => `/* ${text.replace(/[*/]/g, '')} */`);
    const own =
      dialect === 'sqlite'
        ? [noise.map((text) => `\`${text}\``), noise.map((text) => `[${text}]`)]
        : [
            noise.map((text) => `$q$${text.replaceAll('$', '')}$q$`),
            noise.map((text) => `E'${text.replace(/\\/g, '\\\\')}\\''`),
            comment.map((text) => `/*${text}*/`),
          ];
    return fc.oneof(...shared, comment, ...own);
  };
  const dialects: SqlDialect[] = ['sqlite', 'postgres'];

  it.each(dialects)('replaces exactly the placeholders on %s', (dialect) => {
    const piece = fc.oneof(
      inert(dialect).map((text) => ({ text, name: undefined })),
      fc.constantFrom('a', 'b1', '_c', 'größe').map((name) => ({ text: `:${name}`, name })),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        const names = pieces.flatMap(({ name }) => (name === undefined ? [] : [name]));
        const given = Object.fromEntries(names.map((name) => [name, `value of ${name}`]));
        const distinct: string[] = [...new Set(names)];
        const join = (write: (name: string) => string) =>
          ['SELECT', ...pieces.map(({ text, name }) => (name === undefined ? text : write(name)))].join(' ');
        const bound = bind(
          dialect,
          join((name) => `:${name}`),
          given,
        );
        const native = (name: string) => (dialect === 'sqlite' ? '?' : `$${distinct.indexOf(name) + 1}`);
        expect(bound.text).toBe(join(native));
        const values = (dialect === 'sqlite' ? names : distinct).map((name) => `value of ${name}`);
        expect(bound.values).toEqual(values);
      }),
      { numRuns: 500 },
    );
  });

  it.each(dialects)('never fails to split text on %s, and loses none of it', (dialect) => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        let end = 0;
        for (const token of lexSql(dialect, text)) {
          expect(token.start).toBeGreaterThanOrEqual(end);
          expect(text.slice(token.start, token.end)).toBe(token.text);
          end = token.end;
        }
        expect(end).toBeLessThanOrEqual(text.length);
      }),
      { numRuns: 500 },
    );
  });
});
