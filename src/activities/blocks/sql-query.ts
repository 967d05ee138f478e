import type { BlockExecutor } from '../block';
import { databaseOf, statementOf, wrongArgument } from './sql-arguments';

/** Rows unless the step says otherwise; as the block's schema has it. */
const DEFAULT_MAX_ROWS = 1_000;

/** `call: sql.query`: reads rows; see src/dsl/blocks/sql.ts for what it promises. */
export const sqlQuery: BlockExecutor = async (args, context) => {
  const { maxRows = DEFAULT_MAX_ROWS } = args;
  if (typeof maxRows !== 'number') throw wrongArgument('maxRows', 'a number', maxRows);
  const { columns, rows, truncated } = await databaseOf(args, context).query(statementOf(args), maxRows, context);
  return { columns, rows, rowCount: rows.length, truncated };
};
