import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from '@temporalio/client';
import SqliteDatabase from 'better-sqlite3';
import { Client as PostgresClient } from 'pg';
import { createFileBlobStore, type FileBlobStore } from '../../src/activities/ports/file-blob-store';
import { connectClient } from '../../src/worker/temporal-connection';
import { findTemporal } from '../../temporal-dev/locate-temporal';
import { startTemporalServer, type TemporalServer } from '../../temporal-dev/server';
import { CommitProxy } from '../helpers/commit-proxy';
import { findNatsServer, startNats, type TestNats } from '../helpers/nats';
import { findPostgresBinaries, startPostgres, type TestPostgres } from '../helpers/postgres';
import { TcpProxy } from '../helpers/tcp-proxy';
import { Commands } from './commands';
import { DiskFaults } from './disk-faults';
import { Ledger } from './ledger';
import { readMessages, type SentMessage, untilHeard } from './messages';
import { MetricsWatch } from './metrics-watch';
import { CAN_FAKE_TIME, WorkerProcess } from './workers';

const DISK_MEGABYTES = 512;
const TABLE = 'CREATE TABLE chaos_effects (effect TEXT NOT NULL)';

/** All processes and folders of a run. */
export class World {
  readonly #releases: (() => Promise<void>)[] = [];
  readonly folder = mkdtempSync(join(tmpdir(), 'beamline-chaos-'));
  /** A small file system of its own, if this user may mount one, with blobs and the SQLite databases. */
  readonly disk = join(this.folder, 'disk');
  readonly isDiskSmall: boolean;
  temporal!: TemporalServer;
  /** Between workers and Temporal. */
  temporalProxy!: TcpProxy;
  postgres!: TestPostgres;
  /** Between workers and PostgreSQL. */
  postgresProxy!: CommitProxy;
  ledger!: Ledger;
  /** Absent where there is no nats-server. */
  nats: TestNats | undefined;
  /** Between workers and NATS. */
  natsProxy: TcpProxy | undefined;
  client!: Client;
  blobs!: FileBlobStore;
  workers: readonly WorkerProcess[] = [];
  watches: readonly MetricsWatch[] = [];
  readonly diskFaults: DiskFaults | undefined;
  readonly commands = new Commands(() => [...this.#temporalFlags(), '--blob-root', this.blobRoot]);

  private constructor() {
    this.#releases.push(async () => rmSync(this.folder, { recursive: true, force: true }));
    mkdirSync(this.disk);
    this.isDiskSmall = mountSmall(this.disk);
    this.diskFaults = DiskFaults.make(this.folder, this.disk);
    if (this.isDiskSmall) this.#releases.push(async () => void execFileSync('umount', ['-l', this.disk]));
  }

  /** Throws where there is no PostgreSQL. */
  static async start(): Promise<World> {
    const world = new World();
    try {
      await world.#start();
      return world;
    } catch (error) {
      await world.stop();
      throw error;
    }
  }

  get sqliteFile(): string {
    return join(this.disk, 'effects.db');
  }

  get blobRoot(): string {
    return join(this.disk, 'blobs');
  }

  /** Where workers keep what waits for NATS, quotas and usage. */
  get stateFile(): string {
    return join(this.blobRoot, 'state.sqlite');
  }

  async #start(): Promise<void> {
    const binaries = findPostgresBinaries();
    if (binaries === undefined) throw new Error('no PostgreSQL here; install it (Debian: apt-get install postgresql)');
    this.ledger = await Ledger.start(this.folder);
    this.#releases.push(() => this.ledger.stop());
    this.postgres = await startPostgres(binaries);
    this.#releases.push(() => this.postgres.stop());
    this.postgresProxy = await CommitProxy.start(this.postgres.port);
    this.#releases.push(() => this.postgresProxy.close());
    await this.#makeTables();
    await this.#startNats();
    this.blobs = await createFileBlobStore({ root: this.blobRoot });
    this.#releases.push(async () => this.blobs.close());
    this.temporal = await this.#startTemporal();
    this.#releases.push(() => this.temporal.stop());
    this.temporalProxy = await TcpProxy.start(portOf(this.temporal.address));
    this.#releases.push(() => this.temporalProxy.close());
    const { client, close } = await connectClient(this.temporal);
    this.client = client;
    this.#releases.push(close);
    this.workers = ['worker-1', 'worker-2'].map(
      (name, index) =>
        new WorkerProcess(name, {
          flags: this.#workerFlags(),
          folder: this.folder,
          fakesTime: index === 1 && CAN_FAKE_TIME,
          diskFaults: this.diskFaults,
        }),
    );
    this.watches = this.workers.map((worker) => new MetricsWatch(worker));
    this.#releases.push(async () => {
      this.commands.stop();
      await Promise.all(this.workers.map((worker) => worker.stop()));
    });
    await Promise.all(this.workers.map((worker) => worker.start()));
    if (this.nats !== undefined) await untilHeard(this.nats.url);
  }

  async #startNats(): Promise<void> {
    const binary = findNatsServer();
    if (binary === undefined) return;
    const nats = await startNats(binary);
    this.nats = nats;
    this.#releases.push(() => nats.stop());
    const proxy = await TcpProxy.start(nats.port);
    this.natsProxy = proxy;
    this.#releases.push(() => proxy.close());
  }

  async #startTemporal(port?: number): Promise<TemporalServer> {
    const log = (): void => undefined;
    return await startTemporalServer({
      cli: await findTemporal({ log, canInstall: false }),
      dbFile: join(this.folder, 'temporal.db'),
      logFile: join(this.folder, 'temporal.log'),
      headless: true,
      log,
      ...(port === undefined ? {} : { port }),
    });
  }

  /** Kills Temporal's server as a crash would, and starts it again after a while. */
  async restartTemporal(awayMs: number): Promise<void> {
    const { address, pid, exited } = this.temporal;
    process.kill(pid, 'SIGKILL');
    await exited;
    await this.temporal.stop();
    await new Promise((resolve) => setTimeout(resolve, awayMs));
    this.temporal = await this.#startTemporal(portOf(address));
  }

  #workerFlags(): string[] {
    const url = this.postgresProxy.through(this.postgres.url);
    const { natsProxy } = this;
    return [
      ...this.#temporalFlags(),
      ...['--prometheus-endpoint', '0'],
      ...(natsProxy === undefined ? [] : ['--nats-url', `nats://127.0.0.1:${natsProxy.port}`]),
      ...['--blob-root', this.blobRoot, '--database', `lite=sqlite:${this.sqliteFile}`, '--database', `pg=${url}`],
      ...['--allow-host', '127.0.0.1', '--max-memory-mb', '192', '--shutdown-grace', '5'],
      ...['--io-pool-size', '12', '--pools', 'io'],
    ];
  }

  #temporalFlags(): string[] {
    return ['--address', `127.0.0.1:${this.temporalProxy.port}`, '--namespace', this.temporal.namespace];
  }

  async #makeTables(): Promise<void> {
    const sqlite = new SqliteDatabase(this.sqliteFile);
    sqlite.pragma('journal_mode = WAL');
    sqlite.exec(TABLE);
    sqlite.close();
    await this.withPostgres((client) => client.query(TABLE));
  }

  /** How often each effect is in the databases. */
  async readRows(): Promise<{ readonly sqlite: Map<string, number>; readonly postgres: Map<string, number> }> {
    const query = 'SELECT effect, count(*) AS n FROM chaos_effects GROUP BY effect';
    const sqlite = new SqliteDatabase(this.sqliteFile, { readonly: true });
    const lite = sqlite.prepare(query).all() as { effect: string; n: number }[];
    sqlite.close();
    const { rows } = await this.withPostgres((client) => client.query<{ effect: string; n: string }>(query));
    const counted = (all: readonly { effect: string; n: number | string }[]) =>
      new Map(all.map(({ effect, n }) => [effect, Number(n)]));
    return { sqlite: counted(lite), postgres: counted(rows) };
  }

  /** Everything that was published; undefined where there is no NATS. */
  async readMessages(): Promise<readonly SentMessage[] | undefined> {
    return this.nats === undefined ? undefined : await readMessages(this.nats.url);
  }

  /** Works with a connection of its own, past the proxy. */
  async withPostgres<T>(use: (client: PostgresClient) => Promise<T>): Promise<T> {
    const client = new PostgresClient({ connectionString: this.postgres.url });
    await client.connect();
    try {
      return await use(client);
    } finally {
      await client.end();
    }
  }

  /** Ends everything; what fails to end is told and does not keep the others. */
  async stop(): Promise<void> {
    for (const release of this.#releases.splice(0).reverse()) {
      await release().catch((error: unknown) => console.error(`chaos: while stopping: ${String(error)}`));
    }
  }
}

function portOf(address: string): number {
  return Number(address.split(':').at(-1));
}

function mountSmall(folder: string): boolean {
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MEGABYTES}m`, 'tmpfs', folder], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
