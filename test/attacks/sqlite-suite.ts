import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Sqlite from 'better-sqlite3';
import { createSqlDatabases, type DatabaseConfig } from '../../src/activities/ports/configured-databases';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import { type BlockProcessPool, createBlockProcessPool } from '../../src/activities/process/block-process-pool';
import { parseDocumentText } from '../../src/dsl/document';
import { validateFlow } from '../../src/dsl/validation/validate-flow';
import { makeContext } from '../helpers/block-context';
import { type Compiled, compileSources } from '../helpers/compiled';
import { UNLIMITED_SPACE } from '../helpers/unlimited-space';
import { type AttackCase, type AttackSuite, described, label, outcomeOf, refusedWith } from './attack';
import {
  INJECTIONS,
  SQL_FROM_DATA,
  SQL_WITH_PARAMETERS,
  SQLITE_ATTACKS,
  SQLITE_CONTROLS,
  SQLITE_FLOODS,
  type SqlInput,
} from './sql';
import { callOf, nameOf, REFUSED, runSql, STOPPED } from './sql-world';

type SqliteCase = AttackCase<SqliteWorld>;

const FLOOD_MS = 1_500;
const MAX_MEMORY_MB = 96;

/** Two tenants' databases, in this process and in a child process of its own. */
class SqliteWorld {
  readonly folder = mkdtempSync(join(tmpdir(), 'blw-attack-sqlite-'));
  readonly configs: DatabaseConfig[] = [
    { name: 'shop', tenant: 'acme', kind: 'sqlite', file: join(this.folder, 'acme.db') },
    { name: 'shop', tenant: 'globex', kind: 'sqlite', file: join(this.folder, 'globex.db') },
    { name: 'books', tenant: 'globex', kind: 'sqlite', file: join(this.folder, 'books.db') },
  ];
  readonly databases: SqlDatabases = createSqlDatabases(this.configs);
  readonly #compiled: Compiled = compileSources();
  readonly pool: BlockProcessPool = createBlockProcessPool({
    entry: this.#compiled.path('src/activities/process/child-main.js'),
    size: 1,
    maxMemoryMb: MAX_MEMORY_MB,
    init: { databases: this.configs, blobRoot: join(this.folder, 'blobs-shm'), allowHosts: [] },
    space: UNLIMITED_SPACE,
  });

  async prepare(): Promise<void> {
    const statement = [
      'CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT)',
      "INSERT INTO items (name) VALUES ('pen'), ('ink'), ('pad')",
      'CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)',
    ];
    for (const tenant of ['acme', 'globex']) {
      const outcome = await runSql(this.databases, { use: 'transaction', statement }, { tenant });
      if ('error' in outcome) throw outcome.error;
    }
  }

  /** All that an attack must leave as it is. */
  snapshot(): string {
    const database = new Sqlite(join(this.folder, 'acme.db'), { readonly: true });
    try {
      const all = (text: string) => database.prepare(text).all();
      return JSON.stringify([
        all('SELECT * FROM items'),
        all('SELECT type, name, sql FROM sqlite_schema ORDER BY name'),
        database.pragma('user_version'),
        database.pragma('journal_mode'),
        readdirSync(this.folder)
          .filter((name) => !/-(?:wal|shm)$/.test(name))
          .sort(),
      ]);
    } finally {
      database.close();
    }
  }

  /** Says so where something has changed, or an ordinary step does not work any more. */
  async findDamage(before: string): Promise<string | undefined> {
    if (this.snapshot() !== before) return `the database is not as it was: ${this.snapshot().slice(0, 200)}`;
    const probe: SqlInput = {
      use: 'transaction',
      statement: ["INSERT INTO notes (text) VALUES ('probe')", "DELETE FROM notes WHERE text = 'probe'"],
    };
    const write = await runSql(this.databases, probe);
    if ('error' in write) return `the next write fails: ${described(write)}`;
    const read = await runSql(this.databases, { use: 'query', statement: 'SELECT count(*) AS n FROM items' });
    return JSON.stringify(read).includes('"n":3') ? undefined : `the next read: ${described(read)}`;
  }

  async close(): Promise<void> {
    await this.databases.close();
    await this.pool.close();
    this.#compiled.remove();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

const statements: SqliteCase[] = [
  ...SQLITE_ATTACKS.map(
    (input): SqliteCase => ({
      kind: 'SQLite statements',
      name: nameOf(input),
      attempt: async (world) => {
        const before = world.snapshot();
        const outcome = await runSql(world.databases, input);
        return refusedWith(outcome, REFUSED) ?? findPath(world, described(outcome)) ?? (await world.findDamage(before));
      },
    }),
  ),
  ...SQLITE_CONTROLS.map(
    (input): SqliteCase => ({
      kind: 'SQLite statements',
      name: `fine: ${nameOf(input)}`,
      isControl: true,
      attempt: async (world) => succeeded(await runSql(world.databases, input)),
    }),
  ),
];

function succeeded(outcome: Parameters<typeof described>[0]): string | undefined {
  return 'value' in outcome ? undefined : described(outcome);
}

/** Where the operator keeps a database is not the tenant's business. */
function findPath({ folder }: SqliteWorld, text: string): string | undefined {
  return text.includes(folder) ? 'the message tells where the file is' : undefined;
}

async function flood(world: SqliteWorld, input: SqlInput): Promise<string | undefined> {
  const before = world.snapshot();
  const { use } = input;
  const { args } = callOf(input, 'shop');
  const run = (timeoutMs: number, type: string, given = args) =>
    // As in a flow: what only reads may be repeated.
    outcomeOf(() =>
      world.pool.run(type, given, makeContext({}, { timeoutMs, step: { idempotent: type === 'sql.query' } })),
    );
  const memory = process.memoryUsage().rss;
  const outcome = await run(FLOOD_MS, `sql.${use}`);
  if (process.memoryUsage().rss - memory > 256 * 1_048_576) return 'the memory of the worker grew';
  // One that is quick and small after all has done no harm.
  const problem = 'value' in outcome ? undefined : refusedWith(outcome, STOPPED);
  if (problem !== undefined) return problem;
  const after = await run(10_000, 'sql.query', { database: 'shop', statement: 'SELECT count(*) AS n FROM items' });
  if (!JSON.stringify(after).includes('"n":3')) return `the next step: ${described(after)}`;
  return await world.findDamage(before);
}

const floods: SqliteCase[] = [
  ...SQLITE_FLOODS.map(
    (input): SqliteCase => ({
      kind: 'SQLite floods',
      name: nameOf(input),
      attempt: (world) => flood(world, input),
    }),
  ),
  ...SQLITE_CONTROLS.filter(({ use }) => use === 'query').map(
    (input): SqliteCase => ({
      kind: 'SQLite floods',
      name: `fine: ${nameOf(input)}`,
      isControl: true,
      attempt: async (world) => {
        const { args } = callOf(input, 'shop');
        return succeeded(await outcomeOf(() => world.pool.run('sql.query', args, makeContext({}))));
      },
    }),
  ),
];

const values: SqliteCase[] = INJECTIONS.flatMap((text, index) =>
  ['named', 'positional'].map((style) => ({
    kind: 'values',
    name: `SQLite, ${style}, ${index}: ${label(text)}`,
    attempt: async (world) => {
      const before = world.snapshot();
      const isNamed = style === 'named';
      const parameters = isNamed ? { a: text } : [text];
      const statement = `SELECT ${isNamed ? ':a' : '?'} AS value FROM items LIMIT 1`;
      const database = world.databases.get('shop', 'acme');
      const limits = { signal: new AbortController().signal, deadline: Date.now() + 10_000 };
      const { rows } = await database.query({ statement, parameters }, 10, limits);
      if (rows[0]?.value !== text) return `it came back as ${label(String(rows[0]?.value))}`;
      return await world.findDamage(before);
    },
  })),
);

const names: SqliteCase[] = [
  ...[
    'books',
    'globex/shop',
    'globex/books',
    '../globex/books',
    'GLOBEX/books',
    'shop ',
    'SHOP',
    '',
    '__proto__',
    'shop\0',
    'file:books.db',
  ].map(
    (database): SqliteCase => ({
      kind: 'databases',
      name: label(database),
      attempt: async (world) =>
        refusedWith(await runSql(world.databases, { use: 'query', statement: 'SELECT 1 AS a' }, { database }), [
          'BLW_SQL_DATABASE_UNKNOWN',
        ]),
    }),
  ),
  ...['acme', 'globex'].map(
    (tenant): SqliteCase => ({
      kind: 'databases',
      name: `fine: ${tenant}/shop`,
      isControl: true,
      attempt: async (world) =>
        succeeded(await runSql(world.databases, { use: 'query', statement: 'SELECT 1 AS a' }, { tenant })),
    }),
  ),
];

function problemsOf(task: string, language: string): readonly string[] {
  const text = `document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }
evaluate: { language: ${language} }
use: { secrets: [key], functions: { mine: { call: sql.query, with: { database: d, statement: '\${ sql }' } } } }
do:
  - step: ${task}
`;
  const parsed = parseDocumentText(
    text.replace(/use: .*functions.*\n/, task.includes('mine') ? '$&' : 'use: { secrets: [key] }\n'),
  );
  if (!('document' in parsed)) throw new Error(`the flow does not parse: ${JSON.stringify(parsed.problems)}`);
  return validateFlow(parsed.document.value).problems.map(({ code, message }) => `${code} ${message}`);
}

const flows: SqliteCase[] = [
  ...SQL_FROM_DATA.map(
    ([what, task, language = 'cel']): SqliteCase => ({
      kind: 'SQL made of data',
      name: what,
      attempt: async () => {
        const problems = problemsOf(task, language);
        return problems.some((problem) => /^BLW_ARG_INVALID .*got an expression, expected SQL/.test(problem))
          ? undefined
          : `validation says: ${problems.join('; ') || 'nothing'}`;
      },
    }),
  ),
  ...SQL_WITH_PARAMETERS.map(
    ([what, task]): SqliteCase => ({
      kind: 'SQL made of data',
      name: `fine: ${what}`,
      isControl: true,
      attempt: async () => problemsOf(task, 'cel')[0],
    }),
  ),
];

const plainValues: SqliteCase = {
  kind: 'values',
  name: 'SQLite, fine: a name',
  isControl: true,
  attempt: async (world) =>
    succeeded(await runSql(world.databases, { use: 'query', statement: "SELECT id FROM items WHERE name = 'pen'" })),
};

/** Attacks with SQL on SQLite, and with what flows make of data. */
export const sqliteSuite: AttackSuite<SqliteWorld> = {
  area: 'SQLite',
  cases: [...statements, ...values, plainValues, ...names, ...flows, ...floods],
  open: async () => {
    const world = new SqliteWorld();
    await world.prepare();
    return world;
  },
  close: (world) => world.close(),
};
