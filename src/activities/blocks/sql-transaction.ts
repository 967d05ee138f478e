import type { BlockExecutor } from '../block';
import { databaseOf, recordOf, statementOf, wrongArgument } from './sql-arguments';

/** `call: sql.transaction`: several statements, all or nothing; see src/dsl/blocks/sql.ts for what it promises. */
export const sqlTransaction: BlockExecutor = async (args, context) => {
  const database = databaseOf(args, context);
  if (!Array.isArray(args.statements)) throw wrongArgument('statements', 'an array', args.statements);
  const statements = args.statements.map((entry, index) => statementOf(entry, `statements[${index}]`));
  const results = await database.transaction(statements, context, recordOf(args, context));
  return { results: results.map((result) => ({ ...result })) };
};
