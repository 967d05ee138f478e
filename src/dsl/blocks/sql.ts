import { type BlockSpec, DEFAULT_HEARTBEAT_MS, DEFAULT_RETRY } from '../block-spec';
import type { ErrorCode } from '../error-codes';
import type { JsonObject } from '../json';

const database: JsonObject = {
  type: 'string',
  minLength: 1,
  description: 'Name of a database of the worker (`--database NAME=…`)',
};
const statement: JsonObject = {
  type: 'string',
  minLength: 1,
  description: 'One SQL statement, without expressions; values only as parameters',
};
const parameters: JsonObject = {
  type: ['object', 'array'],
  description: 'Values: an object for `:name`, an array for `?`',
};
const rowsAffected: JsonObject = { type: 'integer', description: 'Rows inserted, updated or deleted' };
const lastInsertId: JsonObject = { type: 'integer', description: 'SQLite: rowid of the last inserted row' };

const common = {
  kind: 'activity',
  resources: 'io',
  startToCloseMs: 30_000,
  heartbeatMs: DEFAULT_HEARTBEAT_MS,
  retry: DEFAULT_RETRY,
  summaryArguments: ['database', 'statement'],
} as const;
const errors: readonly ErrorCode[] = [
  'BLW_SQL_DATABASE_UNKNOWN',
  'BLW_SQL_STATEMENT',
  'BLW_SQL_PARAMETERS',
  'BLW_SQL_UNAVAILABLE',
  'BLW_SQL_TIMEOUT',
  'BLW_SQL_FAILED',
];

const PARAMETERS = `- **Statement**: one statement, text of the flow: it holds no expression. Values only as parameters: \`:name\` with an
  object, \`?\` with an array, on SQLite and PostgreSQL alike. Every parameter must be given and every given one used.
- **Values** that SQL has no type for (objects, arrays) are passed as JSON text; booleans are 0 and 1 on SQLite.`;

const ONCE = `- **Once**: in its own transaction the database remembers, in the table \`beamline_ledger\`, what the step gave. A repeat (the
  worker or the answer to the commit was lost, the flow was reset) that asks for the same gets that, and runs nothing; see
  [guarantees](../guarantees.md). Where the role may not make that table, the error [\`BLW_SQL_LEDGER\`](../errors.md#blw_sql_ledger)
  says what an administrator has to run. \`metadata.idempotent: true\` (it may safely run twice) does without.`;

/** `call: sql.query`. */
export const sqlQuery: BlockSpec = {
  ...common,
  call: 'sql.query',
  type: 'sql.query',
  summary: 'Reads rows from a database',
  description: `Runs a statement that returns rows.

${PARAMETERS}
- **Rows** are objects by column name. At most \`maxRows\`; where there are more, \`truncated\` is true. Two columns of one name
  are refused: name them with \`AS\`.
- Runs read-only: a statement that writes is refused, and on PostgreSQL all but \`SELECT\`, \`VALUES\`, \`TABLE\`, \`SHOW\` and
  \`EXPLAIN\`.
- **Types**: 64-bit integers beyond 2^53 come as text, bytes as base64, dates as ISO 8601 text, PostgreSQL numeric as text.`,
  arguments: {
    type: 'object',
    required: ['database', 'statement'],
    additionalProperties: false,
    properties: {
      database,
      statement,
      parameters,
      maxRows: { type: 'integer', minimum: 1, maximum: 10_000, default: 1_000, description: 'Most rows returned' },
    },
  },
  output: {
    type: 'object',
    properties: {
      columns: { type: 'array', items: { type: 'string' } },
      rows: { type: 'array', items: { type: 'object' }, description: 'By column name' },
      rowCount: { type: 'integer', description: 'Rows returned' },
      truncated: { type: 'boolean', description: 'There were more than maxRows' },
    },
  },
  idempotent: true,
  errors,
  example: `- openOrders:
    call: sql.query
    with:
      database: shop
      statement: SELECT id, total FROM orders WHERE status = :status
      parameters:
        status: open
`,
};

/** `call: sql.execute`. */
export const sqlExecute: BlockSpec = {
  ...common,
  call: 'sql.execute',
  type: 'sql.execute',
  summary: 'Writes to a database',
  description: `Runs one statement that writes, in a transaction of its own.

${PARAMETERS}
- A violated constraint is not retried; a busy or unreachable database is.
${ONCE}`,
  arguments: {
    type: 'object',
    required: ['database', 'statement'],
    additionalProperties: false,
    properties: { database, statement, parameters },
  },
  output: { type: 'object', required: ['rowsAffected'], properties: { rowsAffected, lastInsertId } },
  idempotent: false,
  errors: [...errors, 'BLW_SQL_CONSTRAINT', 'BLW_SQL_LEDGER'],
  example: `- insertOrder:
    call: sql.execute
    with:
      database: shop
      statement: INSERT INTO orders (id, total) VALUES (:id, :total)
      parameters:
        id: 4711
        total: 99.5
`,
};

/** `call: sql.transaction`. */
export const sqlTransaction: BlockSpec = {
  ...common,
  call: 'sql.transaction',
  type: 'sql.transaction',
  summary: 'Runs several statements, all or nothing',
  description: `Runs statements one after the other in one transaction: all take effect, or none.

${PARAMETERS}
- \`results\` has one entry per statement: \`{ rowsAffected, lastInsertId? }\`, and \`rows\` where it returned some (at most 1,000).
${ONCE}`,
  arguments: {
    type: 'object',
    required: ['database', 'statements'],
    additionalProperties: false,
    properties: {
      database,
      statements: {
        type: 'array',
        minItems: 1,
        maxItems: 1_000,
        description: 'The statements, in order',
        items: {
          type: 'object',
          required: ['statement'],
          additionalProperties: false,
          properties: { statement, parameters },
        },
      },
    },
  },
  output: {
    type: 'object',
    properties: {
      results: {
        type: 'array',
        items: { type: 'object', properties: { rowsAffected, lastInsertId, rows: { type: 'array' } } },
      },
    },
  },
  idempotent: false,
  errors: [...errors, 'BLW_SQL_CONSTRAINT', 'BLW_SQL_LEDGER'],
  example: `- moveMoney:
    call: sql.transaction
    with:
      database: bank
      statements:
        - statement: UPDATE accounts SET balance = balance - :amount WHERE id = :from
          parameters: { amount: 10, from: alice }
        - statement: UPDATE accounts SET balance = balance + :amount WHERE id = :to
          parameters: { amount: 10, to: bob }
`,
  summaryArguments: ['database'],
};
