import { shortText } from '../../dsl/problems';
import { lexSql, type SqlDialect } from '../ports/sql-lexer';

/** Longest statement in a span, and how much of one is looked at, in characters. */
const MAX_LENGTH = 2_000;
const MAX_READ = 20_000;

/**
 * The text of a statement with `?` for every literal: an author may have put values into it by expressions. Quoted names stay;
 * comments go. Never fails.
 */
export function withoutValues(dialect: SqlDialect, statement: string): string {
  let text = '';
  let end = 0;
  for (const { kind, text: piece, start, end: pieceEnd } of lexSql(dialect, statement.slice(0, MAX_READ))) {
    if (start > end && text !== '') text += ' ';
    const isValue = kind === 'number' || (kind === 'quoted' && !/^["`[]/.test(piece));
    text += isValue ? '?' : piece;
    end = pieceEnd;
  }
  return shortText(text, MAX_LENGTH);
}
