/**
 * A worker as people write it, in a process of its own: node hand-worker.mjs ADDRESS DATABASE [SLOTS]. Without SLOTS it has the SDK's defaults.
 * Prints `ready`.
 */
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(fileURLToPath(new URL('../../package.json', import.meta.url)));
const { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } = require('@temporalio/worker');
const { request } = require('undici');
const Database = require('better-sqlite3');

const [address, databaseFile, slots] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const logger = new DefaultLogger('ERROR');
const connection = await NativeConnection.connect({ address });
const database = new Database(databaseFile);
database.pragma('journal_mode = WAL');
const { code } = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('hand-workflows.js', import.meta.url)),
  logger,
});
const worker = await Worker.create({
  connection,
  taskQueue: 'hand-written',
  workflowBundle: { code },
  activities: {
    nothing: async () => null,
    http: async (url) => await (await request(url)).body.json(),
    file: async () => {
      const path = join(tmpdir(), `beamline-bench-${process.pid}.json`);
      await writeFile(path, '{"ok":true}');
      return JSON.parse(await readFile(path, 'utf8'));
    },
    sql: async () => database.prepare('SELECT 1 AS one').all(),
  },
  ...(slots === undefined ? {} : { maxConcurrentActivityTaskExecutions: Number(slots), maxCachedWorkflows: 300 }),
});
const running = worker.run();
console.log('ready');
process.once('SIGTERM', () => worker.shutdown());
await running;
await connection.close();
