import { resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { flowError, messageOf } from '../src/dsl/errors';
import { assertDatabaseFree, claimDatabase } from './database-owner';
import { configArguments, type DynamicConfig, SEARCH_ATTRIBUTES } from './dynamic-config';
import { type GuardedProcess, startGuarded } from './guarded-process';
import { isServing } from './health-probe';
import { findTemporal } from './locate-temporal';
import { assertPortFree, freePort, joinAddress, reachableIp } from './ports';
import { runCommand } from './run-command';
import { prepareFiles, readLogTail, type ServerFiles } from './server-files';
import { leaveOutMissingValues } from './visibility-indexes';

const DEFAULT_IP = '127.0.0.1';
const DEFAULT_NAMESPACE = 'default';
const READY_DEADLINE_MS = 30_000;
const READY_POLL_MS = 20;
const ATTRIBUTES_DEADLINE_MS = 15_000;
const MAX_ATTEMPTS = 5;

/**
 * SQLite's: as fast as memory, and survives a crash of the process. A log of 40 MB, in place of 4, is copied into the database more seldom, which
 * takes a flush each time; with a cache of 64 MiB fewer pages are read again. Measured.
 */
const DATABASE_SETTINGS = [
  'journal_mode=wal',
  'synchronous=normal',
  'wal_autocheckpoint=10000',
  'cache_size=-65536',
  // For others who write to the file: visibility-indexes.ts.
  'busy_timeout=5000',
] as const;

/** Settings of {@link startTemporalServer}. */
export interface TemporalServerOptions {
  /** Port of the gRPC frontend. Default: a free one. */
  readonly port?: number;
  /** Port of the web UI. Default: a free one. */
  readonly uiPort?: number;
  /** SQLite file that keeps everything. Default: one in a temporary folder, removed when the server stops. */
  readonly dbFile?: string;
  /** Address to listen on. Default 127.0.0.1: nobody but this machine. */
  readonly ip?: string;
  /** True: no web UI. Default false. */
  readonly headless?: boolean;
  /** The server's log (warnings and errors), appended to. Default: one in the temporary folder. */
  readonly logFile?: string;
  /** Namespace to register besides `default`. Default: `default`. */
  readonly namespace?: string;
  /** Dynamic configuration on top of the project's own. */
  readonly dynamicConfig?: DynamicConfig;
  /** The Temporal CLI to run. Default: what {@link findTemporal} finds or makes. */
  readonly cli?: string;
  /** Receives progress lines of what takes time. */
  readonly log: (line: string) => void;
}

/** A running server. It does not survive this process, however that ends, and does not keep it alive either. */
export interface TemporalServer {
  /** `host:port` of the gRPC frontend. */
  readonly address: string;
  /** Absent where headless. */
  readonly uiUrl?: string;
  readonly namespace: string;
  readonly pid: number;
  /** Resolves with how it ended (`exit code 1`, `signal SIGKILL`) once it has, whoever ended it. Never rejects. */
  readonly exited: Promise<string>;
  /** SIGTERM, SIGKILL after 5 s, temporary files removed; resolves when all that is done. May be called again. */
  stop(): Promise<void>;
}

/**
 * Starts `temporal server start-dev`, tuned and with the project's search attributes, and resolves once its frontend
 * serves.
 *
 * Throws BLW_CONFIG where a given port cannot be listened on, BLW_TEMPORAL_UNREACHABLE, with the last lines of the
 * server's log, where the server ends early or does not serve within 30 s, and what {@link findTemporal} throws.
 */
export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  // First of all, since finding a CLI may take minutes, and a port that is taken should be told at once.
  await choosePorts(options);
  if (options.dbFile !== undefined) assertDatabaseFree(resolve(options.dbFile));
  const cli = options.cli ?? (await findTemporal({ log: options.log }));
  let hasAddedAttributes = false;
  for (let attempt = 1; ; attempt++) {
    const launch = await prepareLaunch(options, cli);
    const { isOldDatabase, dbFile } = launch.files;
    // Of an old one while nobody writes to it.
    if (isOldDatabase) tuneIndexes(dbFile, options.log);
    const server = await startProcess(launch);
    if (options.dbFile !== undefined) claimDatabase(dbFile, server.pid);
    const problem = await waitUntilServing(server, launch.address);
    if (problem === undefined) {
      if (!isOldDatabase) tuneIndexes(dbFile, options.log);
      if (hasAddedAttributes || (await isComplete(launch, server))) return running(launch, server);
      hasAddedAttributes = true;
      options.log(
        'search attributes were added to the database; starting the Temporal server anew, which reads them then',
      );
      await server.stop();
      continue;
    }
    const logTail = await readLogTail(launch.files);
    await server.stop();
    // The server chooses more ports for itself; any may have been taken between choice and use.
    if (!/address already in use/i.test(logTail) || attempt >= MAX_ATTEMPTS) throw startFailure(problem, logTail);
    options.log('a port was taken while the Temporal server started; trying again');
  }
}

interface Launch {
  readonly cli: string;
  readonly args: readonly string[];
  readonly files: ServerFiles;
  readonly address: string;
  readonly uiUrl?: string;
  readonly namespace: string;
}

async function prepareLaunch(options: TemporalServerOptions, cli: string): Promise<Launch> {
  const { ip = DEFAULT_IP, namespace = DEFAULT_NAMESPACE } = options;
  const ports = await choosePorts(options);
  const files = await prepareFiles(options);
  const args = [
    ...['server', 'start-dev', '--ip', ip, '--port', String(ports.frontend), '--namespace', namespace],
    ...(ports.ui === undefined ? ['--headless'] : ['--ui-port', String(ports.ui)]),
    ...['--db-filename', files.dbFile, ...DATABASE_SETTINGS.flatMap((setting) => ['--sqlite-pragma', setting])],
    ...['--log-level', 'warn', '--color', 'never'],
    ...isolationArguments(),
    ...configArguments(options.dynamicConfig),
  ];
  const host = reachableIp(ip);
  const ui = ports.ui === undefined ? {} : { uiUrl: `http://${joinAddress(host, ports.ui)}` };
  return { cli, args, files, address: joinAddress(host, ports.frontend), ...ui, namespace };
}

/** Keeps the profile of a user who works with some other Temporal (TEMPORAL_ADDRESS, temporal.toml) out of it. */
function isolationArguments(): string[] {
  return ['--disable-config-file', '--disable-config-env'];
}

interface Ports {
  readonly frontend: number;
  readonly ui?: number;
}

async function choosePorts({ ip = DEFAULT_IP, port, uiPort, headless }: TemporalServerOptions): Promise<Ports> {
  if (port !== undefined && port === uiPort && headless !== true) {
    throw flowError('BLW_CONFIG', `--port and --ui-port are both ${port}; choose two different ports`);
  }
  const frontend = await givenOrFree({ ip, port, flag: '--port' });
  if (headless === true) return { frontend };
  return { frontend, ui: await givenOrFree({ ip, port: uiPort, flag: '--ui-port' }) };
}

async function givenOrFree(wanted: { ip: string; port: number | undefined; flag: string }): Promise<number> {
  const { ip, port, flag } = wanted;
  if (port === undefined) return freePort(ip);
  await assertPortFree({ ip, port, flag });
  return port;
}

async function startProcess({ cli, args, files }: Launch): Promise<GuardedProcess> {
  try {
    return await startGuarded({
      command: cli,
      args,
      // 10 to 30 % more throughput for some 300 MB more memory, measured.
      env: { ...process.env, GOGC: '400' },
      logFile: files.logFile,
      removeAtEnd: files.folder,
    });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw flowError('BLW_TEMPORAL_UNREACHABLE', `the Temporal server cannot be started: ${reason}`, { cause });
  }
}

/** Resolves with undefined once the frontend serves, else with what went wrong. */
async function waitUntilServing(server: GuardedProcess, address: string): Promise<string | undefined> {
  const deadline = Date.now() + READY_DEADLINE_MS;
  const ended = server.exited.then((how) => `ended early (${how})`);
  while (Date.now() < deadline) {
    const news = await Promise.race([ended, isServing(address).then((serves) => (serves ? 'serves' : 'waits'))]);
    if (news === 'serves') return undefined;
    if (news !== 'waits') return news;
    await Promise.race([ended, delay(READY_POLL_MS)]);
  }
  return `does not serve on ${address} within ${READY_DEADLINE_MS / 1000} s`;
}

function startFailure(problem: string, logTail: string): Error {
  const log = logTail === '' ? 'It wrote nothing to its log' : `The end of its log:\n${logTail}`;
  return flowError('BLW_TEMPORAL_UNREACHABLE', `the Temporal server ${problem}. ${log}`);
}

function tuneIndexes(dbFile: string, log: (line: string) => void): void {
  try {
    leaveOutMissingValues(dbFile);
  } catch (error) {
    // The server works without, and says itself what is wrong with its database.
    log(`the indexes of ${dbFile} stay as they are, which is slower: ${messageOf(error)}`);
  }
}

/**
 * False where it has to be started anew: `start-dev` registers search attributes only with a new database, and a server that has read those of an
 * old one learns of others late.
 */
async function isComplete(launch: Launch, server: GuardedProcess): Promise<boolean> {
  if (!launch.files.isOldDatabase) return true;
  try {
    let hasAll = true;
    for (const namespace of new Set([DEFAULT_NAMESPACE, launch.namespace])) {
      const known = new Set((await runOnAttributes(launch, namespace, 'list')).split(/\s+/));
      const missing = Object.entries(SEARCH_ATTRIBUTES).filter(([name]) => !known.has(name));
      if (missing.length === 0) continue;
      hasAll = false;
      const pairs = missing.flatMap(([name, type]) => ['--name', name, '--type', type]);
      await runOnAttributes(launch, namespace, 'create', pairs);
    }
    return hasAll;
  } catch (error) {
    await server.stop();
    throw error;
  }
}

function running({ address, uiUrl, namespace }: Launch, server: GuardedProcess): TemporalServer {
  return {
    address,
    ...(uiUrl === undefined ? {} : { uiUrl }),
    namespace,
    pid: server.pid,
    exited: server.exited,
    stop: () => server.stop(),
  };
}

async function runOnAttributes(
  { cli, address }: Launch,
  namespace: string,
  verb: 'list' | 'create',
  args: readonly string[] = [],
): Promise<string> {
  const target = ['--address', address, '--namespace', namespace, ...isolationArguments()];
  const command = ['operator', 'search-attribute', verb, ...target, ...args];
  const { exitCode, output } = await runCommand(cli, command, { timeoutMs: ATTRIBUTES_DEADLINE_MS });
  if (exitCode === 0) return output;
  throw flowError(
    'BLW_TEMPORAL_UNREACHABLE',
    `the search attributes of the database could not be ${verb === 'list' ? 'read' : 'added'}: ${output.trim().slice(0, 300)}`,
  );
}
