import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';
import { createSqlDatabases } from '../../src/activities/ports/configured-databases';
import type { SqlDatabases } from '../../src/activities/ports/sql-databases';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';
import { projectRoot } from '../helpers/project-root';
import { type AttackCase, type AttackSuite, described, label, outcomeOf, refusedWith } from './attack';
import {
  INJECTIONS,
  POSTGRES_ATTACKS,
  POSTGRES_CONTROLS,
  POSTGRES_FLOODS,
  POSTGRES_LEFTOVERS,
  type SqlInput,
} from './sql';
import { nameOf, REFUSED, runSql, STOPPED } from './sql-world';

type PostgresCase = AttackCase<PostgresWorld>;

const FLOOD_MS = 600;
/** What other sessions show of themselves; a tenant sees the names of roles and nothing of their statements. */
const THEIR_SECRET = 'secret of globex';
const ROLES = ['acme', 'globex'];

/** What the tenant's own schema has beside its tables: code of the operator's, which a flow may call. */
const OWN_CODE = `
  CREATE FUNCTION acme.wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM acme.items RETURNING 1';
  CREATE FUNCTION acme.run(sql text) RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE sql; RETURN 1; END';
  CREATE FUNCTION acme.endless() RETURNS int LANGUAGE plpgsql AS $$ BEGIN LOOP BEGIN
    PERFORM set_config('statement_timeout', '0', false), set_config('client_connection_check_interval', '0', false);
    PERFORM pg_sleep(0.05); EXCEPTION WHEN query_canceled THEN NULL; END; END LOOP; END $$;
  CREATE FUNCTION acme.noise() RETURNS int LANGUAGE plpgsql AS $$ BEGIN FOR i IN 1..10000000 LOOP
    RAISE NOTICE '%', repeat('x', 10000); END LOOP; RETURN 1; END $$;
  GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA acme TO acme;`;

/** A real server with two tenants' roles, made as the documentation says. */
class PostgresWorld {
  private constructor(
    private readonly server: TestPostgres,
    readonly admin: pg.Client,
    readonly databases: SqlDatabases,
  ) {}

  static async open(binaries: string): Promise<PostgresWorld> {
    const server = await startPostgres(binaries);
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    const documented = (part: string) => readDocumentedSql(part).replaceAll('DATABASE flows', 'DATABASE postgres');
    await admin.query(documented('database'));
    for (const role of ROLES) {
      await admin.query(documented('tenant').replace(/\bacme\b/g, role));
      await admin.query(`CREATE TABLE ${role}.items (id serial PRIMARY KEY, name text);
        CREATE TABLE ${role}.notes (id serial PRIMARY KEY, text text);
        INSERT INTO ${role}.items (name) VALUES ('${role === 'globex' ? THEIR_SECRET : 'pen'}'), ('ink'), ('pad');`);
    }
    await admin.query(OWN_CODE);
    await admin.query(
      `CREATE FUNCTION globex.secret() RETURNS text LANGUAGE sql AS 'SELECT name FROM globex.items LIMIT 1'`,
    );
    const configs = ROLES.map((role) => ({
      name: 'shop',
      tenant: role,
      kind: 'postgres' as const,
      url: `postgres://${role}:secret@127.0.0.1:${server.port}/postgres`,
    }));
    return new PostgresWorld(server, admin, createSqlDatabases(configs));
  }

  /** All that an attack must leave as it is. */
  async snapshot(): Promise<string> {
    const all = async (text: string) => (await this.admin.query({ text, rowMode: 'array' })).rows;
    return JSON.stringify([
      ...(await Promise.all(ROLES.map((role) => all(`SELECT * FROM ${role}.items ORDER BY id`)))),
      await all(
        "SELECT relname, relacl::text FROM pg_class WHERE relnamespace::regnamespace::text !~ '^pg_' ORDER BY 1",
      ),
      await all('SELECT proname FROM pg_proc ORDER BY oid'),
      await all('SELECT rolname, rolsuper, rolconnlimit, rolpassword FROM pg_authid ORDER BY 1'),
      await all("SELECT nspname, nspacl::text FROM pg_namespace WHERE nspname !~ '^pg_(?:toast_)?temp' ORDER BY 1"),
      await all('SELECT setdatabase, setrole, setconfig::text FROM pg_db_role_setting ORDER BY 1, 2'),
      await all('SELECT count(*) FROM pg_largeobject_metadata'),
      await all('SELECT extname FROM pg_extension ORDER BY 1'),
      await all('SELECT datname, datacl::text FROM pg_database ORDER BY 1'),
      await all('SELECT last_value FROM acme.items_id_seq'),
      existsSync('/tmp/blw-attack'),
    ]);
  }

  async findDamage(before: string): Promise<string | undefined> {
    const after = await this.snapshot();
    if (after !== before) return `the database is not as it was: ${after.slice(0, 300)}`;
    for (const tenant of ROLES) {
      const probe = await runSql(
        this.databases,
        { use: 'query', statement: 'SELECT count(*) AS n FROM items' },
        { tenant },
      );
      if (!JSON.stringify(probe).includes('"n":3')) return `the next step of ${tenant}: ${described(probe)}`;
    }
    return undefined;
  }

  /** Says so where a statement of the tenant still runs a while later. */
  async findRunning(): Promise<string | undefined> {
    for (let look = 1; look <= 100; look++) {
      const { rows } = await this.admin.query(
        "SELECT query FROM pg_stat_activity WHERE usename = 'acme' AND state <> 'idle' AND query !~ '^DISCARD'",
      );
      if (rows.length === 0) return undefined;
      await delay(50);
      if (look === 100) return `it still runs: ${label(String(rows[0]?.query))}`;
    }
    return undefined;
  }

  async close(): Promise<void> {
    await this.databases.close();
    await this.admin.end();
    await this.server.stop();
  }
}

/** The statements that docs/security.md tells operators to run. */
function readDocumentedSql(part: string): string {
  const page = readFileSync(join(projectRoot(), 'docs', 'security.md'), 'utf8');
  const sql = new RegExp(`<!-- tested: ${part} -->\\s*\`\`\`sql\\n([^\`]*)\`\`\``).exec(page)?.[1];
  if (sql === undefined) throw new Error(`docs/security.md has no SQL marked "${part}"`);
  return sql;
}

const statements: PostgresCase[] = [
  ...POSTGRES_ATTACKS.map(
    (input): PostgresCase => ({
      kind: 'PostgreSQL statements',
      name: nameOf(input),
      attempt: async (world) => {
        const before = await world.snapshot();
        const outcome = await runSql(world.databases, input);
        const problem = findsNobody(input, outcome) ? undefined : refusedWith(outcome, REFUSED);
        const leak = JSON.stringify(outcome).includes(THEIR_SECRET) ? "it gave another tenant's data" : undefined;
        return problem ?? leak ?? (await world.findDamage(before));
      },
    }),
  ),
  ...POSTGRES_CONTROLS.map(
    (input): PostgresCase => ({
      kind: 'PostgreSQL statements',
      name: `fine: ${nameOf(input)}`,
      isControl: true,
      attempt: async (world) => succeeded(await runSql(world.databases, input)),
    }),
  ),
];

/** Ending the sessions of other roles succeeds where there are none; what it did to those that are there, the next step shows. */
function findsNobody({ statement }: SqlInput, outcome: Parameters<typeof described>[0]): boolean {
  if (!/pg_(?:terminate|cancel)_backend/.test(String(statement))) return false;
  return 'value' in outcome && /"rows":\[\]|"rowsAffected":0/.test(JSON.stringify(outcome.value));
}

function succeeded(outcome: Parameters<typeof described>[0]): string | undefined {
  return 'value' in outcome ? undefined : described(outcome);
}

const floods: PostgresCase[] = [
  ...POSTGRES_FLOODS.map(
    (input): PostgresCase => ({
      kind: 'PostgreSQL floods',
      name: nameOf(input),
      attempt: async (world) => {
        const before = await world.snapshot();
        const memory = process.memoryUsage().rss;
        const problem = refusedWith(await runSql(world.databases, input, { timeoutMs: FLOOD_MS }), STOPPED);
        if (problem !== undefined) return problem;
        if (process.memoryUsage().rss - memory > 256 * 1_048_576) return 'the memory of the worker grew';
        return (await world.findRunning()) ?? (await world.findDamage(before));
      },
    }),
  ),
  {
    kind: 'PostgreSQL floods',
    name: 'a cancelled statement that catches its cancellation',
    attempt: async (world) => {
      const controller = new AbortController();
      const input: SqlInput = { use: 'query', statement: 'SELECT acme.endless()' };
      const running = runSql(world.databases, input, { signal: controller.signal });
      for (let count = 0; count === 0; await delay(10)) {
        const { rows } = await world.admin.query("SELECT 1 FROM pg_stat_activity WHERE query ~ '^SELECT acme.endless'");
        count = rows.length;
      }
      controller.abort(new Error('cancelled'));
      await running;
      return await world.findRunning();
    },
  },
  {
    kind: 'PostgreSQL floods',
    name: '40 statements at once, which another tenant does not feel',
    attempt: async (world) => {
      const input: SqlInput = { use: 'query', statement: 'SELECT pg_sleep(1)' };
      const flood = Array.from({ length: 40 }, () => runSql(world.databases, input, { timeoutMs: 1_500 }));
      const other = await runSql(world.databases, { use: 'query', statement: 'SELECT 1 AS a' }, { tenant: 'globex' });
      const { rows } = await world.admin.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE usename = 'acme'",
      );
      await Promise.all(flood);
      if ('error' in other) return described(other);
      return rows[0]?.n <= 10 ? await world.findRunning() : `it holds ${rows[0]?.n} connections`;
    },
  },
  {
    kind: 'PostgreSQL floods',
    name: "more connections than the role's limit",
    attempt: async (world) => {
      const { rows } = await world.admin.query("SELECT rolconnlimit AS n FROM pg_roles WHERE rolname = 'acme'");
      return rows[0]?.n > 0 && rows[0]?.n < 100 ? undefined : 'the role has no limit';
    },
  },
  ...POSTGRES_CONTROLS.slice(0, 5).map(
    (input): PostgresCase => ({
      kind: 'PostgreSQL floods',
      name: `fine: ${nameOf(input)}`,
      isControl: true,
      attempt: async (world) => succeeded(await runSql(world.databases, input)),
    }),
  ),
];

const sessions: PostgresCase[] = [
  ...POSTGRES_LEFTOVERS.flatMap(([leave, statement, seen]) =>
    (['execute', 'query'] as const).map(
      (use): PostgresCase => ({
        kind: 'PostgreSQL sessions',
        name: `sql.${use}: ${label(leave)}`,
        attempt: async (world) => {
          await runSql(world.databases, { use, statement: leave });
          for (let round = 0; round < 3; round++) {
            const outcome = await runSql(world.databases, { use: 'query', statement });
            if ('error' in outcome) return `the probe: ${described(outcome)}`;
            if (seen.test(JSON.stringify(outcome.value))) return `the next step sees ${JSON.stringify(outcome.value)}`;
          }
          return undefined;
        },
      }),
    ),
  ),
  {
    kind: 'PostgreSQL sessions',
    name: "others' statements in pg_stat_activity",
    attempt: async (world) => {
      const theirs: SqlInput = { use: 'query', statement: `SELECT '${THEIR_SECRET}' AS a, pg_sleep(0.3)` };
      const running = runSql(world.databases, theirs, { tenant: 'globex' });
      const look: SqlInput = { use: 'query', statement: 'SELECT usename, query FROM pg_stat_activity' };
      let seen = '';
      for (let round = 0; round < 5; round++) seen += JSON.stringify(await runSql(world.databases, look));
      await running;
      return seen.includes(THEIR_SECRET) ? 'they are seen' : undefined;
    },
  },
  {
    kind: 'PostgreSQL sessions',
    name: 'fine: its own statement in pg_stat_activity',
    isControl: true,
    attempt: async (world) => {
      const look: SqlInput = { use: 'query', statement: "SELECT query FROM pg_stat_activity WHERE usename = 'acme'" };
      const outcome = await runSql(world.databases, look);
      return JSON.stringify(outcome).includes('pg_stat_activity') ? undefined : described(outcome);
    },
  },
];

const values: PostgresCase[] = [
  ...INJECTIONS.flatMap((text, index) =>
    ['named', 'positional'].map(
      (style): PostgresCase => ({
        kind: 'values',
        name: `PostgreSQL, ${style}, ${index}: ${label(text)}`,
        attempt: async (world) => {
          const isNamed = style === 'named';
          const parameters = isNamed ? { a: text } : [text];
          const statement = `SELECT ${isNamed ? ':a' : '?'}::text AS value`;
          const limits = { signal: new AbortController().signal, deadline: Date.now() + 10_000 };
          const database = world.databases.get('shop', 'acme');
          const outcome = await outcomeOf(() => database.query({ statement, parameters }, 10, limits));
          return 'value' in outcome && outcome.value.rows[0]?.value === text ? undefined : described(outcome);
        },
      }),
    ),
  ),
  {
    kind: 'values',
    name: 'PostgreSQL, fine: a name',
    isControl: true,
    attempt: async (world) =>
      succeeded(await runSql(world.databases, { use: 'query', statement: "SELECT id FROM items WHERE name = 'pen'" })),
  },
];

/** Row level security holds where a policy asks for the role. */
const rowSecurity: PostgresCase[] = [
  ...[
    'SELECT * FROM shared.rows',
    "SELECT set_config('app.tenant', 'globex', false), (SELECT count(*) FROM shared.rows) AS n",
    "SELECT set_config('row_security', 'off', true), (SELECT count(*) FROM shared.rows) AS n",
  ].map(
    (statement): PostgresCase => ({
      kind: 'row level security by role',
      name: label(statement),
      attempt: async (world) => {
        await prepareRows(world);
        const outcome = await runSql(world.databases, { use: 'query', statement });
        const text = JSON.stringify('value' in outcome ? outcome.value : described(outcome));
        return /globex row|"n":2/.test(text) ? text : undefined;
      },
    }),
  ),
  {
    kind: 'row level security by role',
    name: 'fine: its own row',
    isControl: true,
    attempt: async (world) => {
      await prepareRows(world);
      const outcome = await runSql(world.databases, { use: 'query', statement: 'SELECT text FROM shared.rows' });
      return JSON.stringify(outcome).includes('acme row') ? undefined : described(outcome);
    },
  },
];

async function prepareRows({ admin }: PostgresWorld): Promise<void> {
  await admin.query(`DROP SCHEMA IF EXISTS shared CASCADE; CREATE SCHEMA shared;
    GRANT USAGE ON SCHEMA shared TO acme, globex;
    CREATE TABLE shared.rows (tenant text, text text);
    INSERT INTO shared.rows VALUES ('acme', 'acme row'), ('globex', 'globex row');
    ALTER TABLE shared.rows ENABLE ROW LEVEL SECURITY;
    CREATE POLICY own ON shared.rows USING (tenant = current_user);
    GRANT SELECT ON shared.rows TO acme, globex;`);
}

const binaries = findPostgresBinaries();

/** Attacks with SQL on a real PostgreSQL, as the login role that the documentation gives a tenant. */
export const postgresSuite: AttackSuite<PostgresWorld> = {
  area: 'PostgreSQL',
  cases: [...statements, ...values, ...sessions, ...rowSecurity, ...floods],
  ...(binaries === undefined ? { skipped: 'neither PATH nor /usr/lib/postgresql has initdb and postgres' } : {}),
  open: () => PostgresWorld.open(binaries ?? ''),
  close: (world) => world.close(),
};
