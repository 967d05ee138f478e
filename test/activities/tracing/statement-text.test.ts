import { withoutValues } from '../../../src/activities/tracing/statement-text';

test.each<['sqlite' | 'postgres', string, string]>([
  ['sqlite', "SELECT * FROM t WHERE a = 'it''s' AND b = 12.5e3", 'SELECT * FROM t WHERE a = ?? AND b = ?'],
  ['sqlite', 'SELECT "col", [c], `d` FROM t -- secret\nWHERE x = :x', 'SELECT "col", [c], `d` FROM t WHERE x = :x'],
  ['sqlite', '/* secret */ SELECT 1', 'SELECT ?'],
  ['sqlite', "SELECT 'secret", 'SELECT ?'],
  ['postgres', "SELECT E'a\\'b', $$secret$$, $x$secret$x$, $1", 'SELECT ?, ?, ?, $1'],
  ['postgres', 'SELECT "col"::int FROM t WHERE id = 0x1F', 'SELECT "col"::int FROM t WHERE id = ?'],
])('of %s %j', (dialect, statement, expected) => {
  expect(withoutValues(dialect, statement)).toBe(expected);
});

test('a long statement is cut, and no value with it', () => {
  const text = withoutValues('sqlite', `SELECT ${'a, '.repeat(9_000)} 'secret', '${'secret'.repeat(9_000)}'`);
  expect(text).toHaveLength(2_000);
  expect(withoutValues('sqlite', `SELECT '${'secret'.repeat(9_000)}'`)).toBe('SELECT ?');
});
