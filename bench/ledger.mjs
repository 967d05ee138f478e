/**
 * `npm run bench:ledger`: what it costs that databases remember what steps write. The same INSERT with and without a record, through the
 * port that the SQL blocks use, on SQLite and on a PostgreSQL server that is started for it; rounds alternate.
 */
import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { openSqliteDatabase } = require('./dist/src/activities/ports/sqlite-database.js');
const { openPostgresDatabase } = require('./dist/src/activities/ports/postgres-database.js');

const WRITES = 500;
const ROUNDS = 9;
const SIDES = ['without', 'with'];
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];

const releases = [];
const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
releases.push(async () => rmSync(folder, { recursive: true, force: true }));
try {
  const table = { SQLite: await measure(open(openSqliteDatabase({ name: 'bench', file: join(folder, 'bench.db') }))) };
  const { findPostgresBinaries, startPostgres } = loadTestHelper('postgres');
  const binaries = findPostgresBinaries();
  if (binaries === undefined) console.log('PostgreSQL is left out: neither PATH nor /usr/lib/postgresql has a server');
  else {
    // Without fsync, as tests have it: with it both sides wait for the disk, and the ratio is nearer to 1.
    const server = await startPostgres(binaries);
    releases.push(() => server.stop());
    table['PostgreSQL, fsync off'] = await measure(open(openPostgresDatabase({ name: 'bench', url: server.url })));
  }
  console.log(
    `Node ${process.version}, ${cpus().length} cores; INSERTs one after the other, ${ROUNDS} rounds of ${WRITES}`,
  );
  console.table(table);
} finally {
  for (const release of releases.reverse()) await release();
}

function open(database) {
  releases.push(() => database.close());
  return database;
}

async function measure(database) {
  await run(database, 'CREATE TABLE items (id TEXT PRIMARY KEY, name TEXT)');
  const times = { without: [], with: [] };
  for (const side of SIDES) await writeMany(database, side);
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const side of round % 2 === 0 ? SIDES : SIDES.toReversed()) times[side].push(await writeMany(database, side));
  }
  const repeat = await readMany(database);
  return {
    'without, µs': Math.round(median(times.without)),
    'with, µs': Math.round(median(times.with)),
    'more, µs': Math.round(median(times.with.map((time, round) => time - times.without[round]))),
    'with / without': Number(median(times.with.map((time, round) => time / times.without[round])).toFixed(2)),
    'a repeat, µs': Math.round(repeat),
  };
}

/** Microseconds for each write. */
async function writeMany(database, side) {
  const startedAt = performance.now();
  for (let n = 0; n < WRITES; n += 1) await write(database, side === 'with' ? recordOf(randomUUID()) : undefined);
  return ((performance.now() - startedAt) * 1_000) / WRITES;
}

async function readMany(database) {
  const record = recordOf(randomUUID());
  await write(database, record);
  const startedAt = performance.now();
  for (let n = 0; n < WRITES; n += 1) await write(database, record);
  return ((performance.now() - startedAt) * 1_000) / WRITES;
}

function recordOf(id) {
  return { id, step: `acme:order-4711:/do/3/storeOrder:0:0 ${id}` };
}

function write(database, record) {
  return run(database, 'INSERT INTO items (id, name) VALUES (:id, :name)', { id: randomUUID(), name: 'pen' }, record);
}

function run(database, statement, parameters = {}, record = undefined) {
  const limits = { signal: new AbortController().signal, deadline: Date.now() + 60_000 };
  return database.execute({ statement, parameters }, limits, record);
}

/** The tests start servers already; their helpers are TypeScript. */
function loadTestHelper(name) {
  const { code } = require('@swc/core').transformFileSync(join(ROOT, 'test', 'helpers', `${name}.ts`), {
    jsc: { parser: { syntax: 'typescript' }, target: 'es2022' },
    module: { type: 'commonjs' },
  });
  const file = join(folder, `${name}.cjs`);
  writeFileSync(file, code);
  return require(file);
}
