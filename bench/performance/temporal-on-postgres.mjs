/**
 * Temporal's own server, all services in one process, on a PostgreSQL of its own, with the dynamic configuration of the embedded server. Its
 * programs are built once from its module with Go, and kept in the project's cache.
 */
import { randomInt } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { BenchFailure } from './failure.mjs';
import { findPostgres, startPostgres } from './postgres.mjs';
import { startProcess } from './processes.mjs';
import { clientOf } from './sides.mjs';

const require = createRequire(new URL('../../package.json', import.meta.url));
const { findGo } = require('./dist/temporal-dev/build-cli.js');
const { cacheFolder, withCacheFolder, withCacheLock } = require('./dist/temporal-dev/cli-cache.js');
const { DYNAMIC_CONFIG } = require('./dist/temporal-dev/dynamic-config.js');
const { isServing } = require('./dist/temporal-dev/health-probe.js');
const { assertPortFree } = require('./dist/temporal-dev/ports.js');
const { runCommand } = require('./dist/temporal-dev/run-command.js');

/** The server of the pinned command line tool. */
const VERSION = '1.29.1';

/** Names in the cache, and packages of the module. */
const PROGRAMS = { server: 'cmd/server', sql: 'cmd/tools/sql' };

/** Measured: 3 minutes of CPU time. */
const BUILD_LIMIT_MS = 20 * 60_000;

const COMMAND_LIMIT_MS = 60_000;
const READY_LIMIT_MS = 60_000;
const POLL_MS = 100;

/** Never to be changed later; 4 are those of Temporal's own image of one node. */
const HISTORY_SHARDS = 4;

/** Sessions of each service with the database; Temporal's own default configuration has 20. */
const MAX_SESSIONS = 20;

/** Temporal's schema for PostgreSQL has ports as `smallint`. */
const [MIN_PORT, MAX_PORT] = [20_000, 32_767];

/** Finds or builds the programs, before anything is measured. Throws BenchFailure, with what to do, where Go or PostgreSQL is missing. */
export async function findTemporalOnPostgres() {
  return { binaries: findPostgres(), programs: await findPrograms() };
}

/** Starts both; `stateStore` is a database of the same PostgreSQL for the workers. */
export async function startTemporalOnPostgres(releases) {
  const { binaries, programs } = await findTemporalOnPostgres();
  const postgres = await startPostgres(binaries, releases);
  for (const database of ['temporal', 'visibility']) await makeSchema(programs.sql, database, postgres);
  await runSql(programs.sql, { ...postgres, database: 'beamline' }, ['create']);
  const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-temporal-'));
  releases.add(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
  const { pid, address } = await startServer(programs.server, { releases, folder, postgres });
  const client = await clientOf({ address, isOwnServer: true }, releases);
  await client.workflowService.registerNamespace({
    namespace: 'default',
    workflowExecutionRetentionPeriod: { seconds: 24 * 3_600 },
  });
  const { user, password, port } = postgres;
  const stateStore = `postgres://${user}:${password}@127.0.0.1:${port}/beamline`;
  return { address, server: pid, database: postgres.pid, client, stateStore };
}

async function findPrograms() {
  const { env } = process;
  const fileOf = (name) => join(cacheFolder(env), 'bin', `temporal-${name}-${VERSION}`);
  const files = Object.fromEntries(Object.keys(PROGRAMS).map((name) => [name, fileOf(name)]));
  const areThere = () => Object.values(files).every((file) => existsSync(file));
  if (areThere()) return files;
  if ((await findGo(env)) === undefined)
    throw new BenchFailure(
      "Go is missing, which builds Temporal's server. Install Go 1.25 or newer (go.dev/dl), or measure a cluster that runs with --address HOST:PORT",
    );
  await withCacheLock({ env, log: console.error }, async () => {
    if (areThere()) return;
    console.error(`building Temporal's server ${VERSION}, once (about 3 minutes)`);
    await withCacheFolder(env, async (folder) => {
      await build(folder);
      for (const [name, file] of Object.entries(files)) renameSync(join(folder, name), file);
    });
  });
  return files;
}

async function build(folder) {
  const packages = Object.values(PROGRAMS).map((path) => `go.temporal.io/server/${path}@v${VERSION}`);
  const { exitCode, output } = await runCommand('go', ['install', '-ldflags=-s -w', ...packages], {
    env: { ...process.env, GOBIN: folder, GOOS: '', GOARCH: '' },
    cwd: folder,
    timeoutMs: BUILD_LIMIT_MS,
  });
  if (exitCode !== 0) throw new BenchFailure(`go install failed: ${output.trim().slice(-600)}`);
}

async function makeSchema(sql, database, postgres) {
  const schema = `postgresql/v12/${database}`;
  const target = { ...postgres, database };
  await runSql(sql, target, ['create']);
  await runSql(sql, target, ['setup-schema', '--version', '0.0']);
  await runSql(sql, target, ['update-schema', '--schema-name', schema]);
}

async function runSql(sql, { port, user, password, database }, args) {
  const env = {
    PATH: process.env.PATH,
    ...{ SQL_PLUGIN: 'postgres12', SQL_HOST: '127.0.0.1', SQL_PORT: String(port) },
    ...{ SQL_USER: user, SQL_PASSWORD: password, SQL_DATABASE: database },
  };
  const { exitCode, output } = await runCommand(sql, args, { env, timeoutMs: COMMAND_LIMIT_MS });
  if (exitCode !== 0) throw new BenchFailure(`temporal-sql-tool ${args[0]} failed: ${output.trim().slice(-600)}`);
}

async function startServer(server, { releases, folder, postgres }) {
  const ports = await freePorts(9);
  mkdirSync(join(folder, 'config'));
  const dynamicConfig = join(folder, 'dynamic-config.yaml');
  const values = Object.entries(DYNAMIC_CONFIG).map(([key, value]) => `${key}:\n  - value: ${JSON.stringify(value)}\n`);
  writeFileSync(dynamicConfig, values.join(''));
  // JSON is YAML.
  const config = JSON.stringify(serverConfig({ ports, postgres, dynamicConfig }), undefined, 2);
  writeFileSync(join(folder, 'config', 'bench.yaml'), config, { mode: 0o600 });
  const args = ['--root', folder, '--config', 'config', '--env', 'bench', '--allow-no-auth', 'start'];
  const env = { GOGC: '400' };
  const { pid } = await startProcess(server, args, { releases, cwd: folder, env, ready: /./ });
  const address = `127.0.0.1:${ports[0]}`;
  const deadline = Date.now() + READY_LIMIT_MS;
  while (!(await isServing(address))) {
    if (Date.now() > deadline) throw new BenchFailure(`Temporal does not serve on ${address} within a minute`);
    await delay(POLL_MS);
  }
  return { pid, address };
}

async function freePorts(count) {
  const ports = [];
  while (ports.length < count) {
    const port = randomInt(MIN_PORT, MAX_PORT);
    const isFree = await assertPortFree({ ip: '127.0.0.1', port, flag: 'port' }).then(
      () => true,
      () => false,
    );
    if (isFree && !ports.includes(port)) ports.push(port);
  }
  return ports;
}

function serverConfig({ ports, postgres, dynamicConfig }) {
  const [frontend, ...others] = ports;
  const store = (databaseName) => ({
    sql: {
      pluginName: 'postgres12',
      databaseName,
      connectAddr: `127.0.0.1:${postgres.port}`,
      connectProtocol: 'tcp',
      ...{ user: postgres.user, password: postgres.password },
      ...{ maxConns: MAX_SESSIONS, maxIdleConns: MAX_SESSIONS, maxConnLifetime: '1h' },
    },
  });
  const service = (grpcPort, membershipPort, more = {}) => ({
    rpc: { grpcPort, membershipPort, bindOnLocalHost: true, ...more },
  });
  return {
    log: { stdout: true, level: 'warn' },
    persistence: {
      defaultStore: 'default',
      visibilityStore: 'visibility',
      numHistoryShards: HISTORY_SHARDS,
      datastores: { default: store('temporal'), visibility: store('visibility') },
    },
    global: { membership: { maxJoinDuration: '30s', broadcastAddress: '127.0.0.1' } },
    services: {
      frontend: service(frontend, others[0], { httpPort: others[7] }),
      matching: service(others[1], others[2]),
      history: service(others[3], others[4]),
      worker: service(others[5], others[6]),
    },
    clusterMetadata: {
      enableGlobalNamespace: false,
      failoverVersionIncrement: 10,
      masterClusterName: 'active',
      currentClusterName: 'active',
      clusterInformation: {
        active: {
          enabled: true,
          initialFailoverVersion: 1,
          rpcName: 'frontend',
          rpcAddress: `127.0.0.1:${frontend}`,
        },
      },
    },
    dcRedirectionPolicy: { policy: 'noop' },
    dynamicConfigClient: { filepath: dynamicConfig, pollInterval: '60s' },
  };
}
