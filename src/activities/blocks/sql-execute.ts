import type { BlockExecutor } from '../block';
import { databaseOf, recordOf, statementOf } from './sql-arguments';

/** `call: sql.execute`: one statement that writes; see src/dsl/blocks/sql.ts for what it promises. */
export const sqlExecute: BlockExecutor = async (args, context) => {
  const database = databaseOf(args, context);
  const statement = statementOf(args);
  return { ...(await database.execute(statement, context, recordOf(args, context))) };
};
