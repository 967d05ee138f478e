/**
 * A worker as people write it, in a process of its own: node hand-worker.mjs ADDRESS FOLDER [SLOTS CACHED]. Without SLOTS it has the SDK's defaults.
 * Prints `ready`.
 */
import { mkdir, open, rename } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const require = createRequire(fileURLToPath(new URL('../../package.json', import.meta.url)));
const { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } = require('@temporalio/worker');
const { request } = require('undici');
const Database = require('better-sqlite3');

const [address, folder, slots, cached] = process.argv.slice(2);
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const logger = new DefaultLogger('ERROR');
const connection = await NativeConnection.connect({ address });
await mkdir(folder, { recursive: true });
const database = new Database(join(folder, 'hand.db'));
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
    nothing: async () => ({ exists: false }),
    http: async (url) => await (await request(url)).body.json(),
    file: writeDurably,
    sql: async () => ({ rows: database.prepare('SELECT 1 AS one').all() }),
  },
  ...(slots === undefined ? {} : asTuned(Number(slots), Number(cached))),
});
const running = worker.run();
console.log('ready');
process.once('SIGTERM', () => worker.shutdown());
await running;
await connection.close();

function asTuned(places, maxCachedWorkflows) {
  return {
    maxConcurrentActivityTaskExecutions: places,
    maxConcurrentLocalActivityExecutions: places,
    maxCachedWorkflows,
  };
}

/** What is acknowledged survives a loss of power: flushed, renamed into place, and the folder flushed. */
async function writeDurably(id, step) {
  const path = join(folder, id, `${step}.json`);
  await mkdir(dirname(path), { recursive: true });
  const content = JSON.stringify({ ok: true });
  await flushed(`${path}.part`, 'w', (handle) => handle.writeFile(content));
  await rename(`${path}.part`, path);
  await flushed(dirname(path), 'r');
  return { path, size: content.length };
}

async function flushed(path, flags, write = async () => undefined) {
  const handle = await open(path, flags);
  try {
    await write(handle);
    await handle.sync();
  } finally {
    await handle.close();
  }
}
