/** What is compared: our flows, and a hand-written workflow, on the same tuned server and on a stock one. */

import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess } from './processes.mjs';
import { flowStart, handStart } from './shapes.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { findTemporal } = require('./dist/temporal-dev/locate-temporal.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');

/** Steps at once of our io pool, and of the hand-written worker beside it. */
export const SLOTS = 16;

/** Starts servers, workers and the service. Each side has `start(shape, id)`, which resolves once that flow has ended, and the ids of its processes. */
export async function startSides({ releases, folder, withStock }) {
  const service = await startProcess(process.execPath, [join(ROOT, 'bench/performance/service.mjs')], {
    releases,
    ready: /^ready (\d+)$/,
  });
  const url = `http://127.0.0.1:${service.match[1]}/`;
  const tuned = await startTemporalServer({ headless: true, log: console.error });
  releases.add(() => tuned.stop());
  const client = await clientOf(tuned.address, releases);
  const sides = {
    beamline: await startBeamline({ address: tuned.address, client, url, server: tuned.pid }, { releases, folder }),
    handWritten: await startByHand(
      { address: tuned.address, client, url, server: tuned.pid },
      { releases, database: join(folder, 'hand.db'), slots: SLOTS },
    ),
  };
  if (!withStock) return sides;
  const stock = await startStockServer({ releases, folder });
  const stockClient = await clientOf(stock.address, releases);
  return {
    ...sides,
    stock: await startByHand(
      { address: stock.address, client: stockClient, url, server: stock.pid },
      { releases, database: join(folder, 'stock.db') },
    ),
  };
}

/** As users run it: the command, with all that is on by default. */
async function startBeamline({ address, client, url, server }, { releases, folder }) {
  const flags = ['--address', address, '--allow-host', '127.0.0.1', '--io-pool-size', String(SLOTS)];
  const data = ['--blob-root', join(folder, 'blobs'), '--database', `bench=sqlite:${join(folder, 'bench.db')}`];
  const { pid } = await startProcess(process.execPath, [join(ROOT, 'bin/beamline.js'), 'worker', ...flags, ...data], {
    releases,
    cwd: folder,
    ready: /"message":"worker started".*"pool":"gpu"|"pool":"gpu".*worker started/,
  });
  return {
    name: 'beamline',
    client,
    worker: pid,
    server,
    start: (shape, workflowId) =>
      client.workflow.start('runFlow', { taskQueue: 'beamline-io', workflowId, args: [flowStart(shape, url)] }),
  };
}

async function startByHand({ address, client, url, server }, { releases, database, slots }) {
  const args = [join(ROOT, 'bench/performance/hand-worker.mjs'), address, database];
  const { pid } = await startProcess(process.execPath, slots === undefined ? args : [...args, String(slots)], {
    releases,
    ready: /^ready$/,
  });
  return {
    name: slots === undefined ? 'stock' : 'handWritten',
    client,
    worker: pid,
    server,
    start: (shape, workflowId) => {
      const { workflow, input } = handStart(shape, url);
      return client.workflow.start(workflow, { taskQueue: 'hand-written', workflowId, args: [input] });
    },
  };
}

/** `temporal server start-dev` with a database file, as its documentation has it, and nothing else. */
async function startStockServer({ releases, folder }) {
  const cli = await findTemporal({ log: console.error });
  const port = await freePort();
  const file = ['--db-filename', join(folder, 'stock-temporal.db')];
  const args = [
    'server',
    'start-dev',
    '--headless',
    '--ip',
    '127.0.0.1',
    '--port',
    String(port),
    '--log-level',
    'error',
    ...file,
  ];
  const { pid } = await startProcess(cli, args, { releases, ready: /Server:|Temporal Server/ });
  return { pid, address: `127.0.0.1:${port}` };
}

async function clientOf(address, releases) {
  const { client, close } = await connectClient({ address, namespace: 'default', isOwnServer: true });
  releases.add(close);
  return client;
}

async function freePort() {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address();
  await new Promise((resolve) => server.close(resolve));
  return port;
}
