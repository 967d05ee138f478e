/** What is compared: our flows, and a hand-written workflow, on the same tuned server and on a stock one. */

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startProcess } from './processes.mjs';
import { flowStart, handStart } from './shapes.mjs';

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { findTemporal } = require('./dist/temporal-dev/locate-temporal.js');
const { freePort } = require('./dist/temporal-dev/ports.js');
const { WORKER_OPTIONS } = require('./dist/src/worker/options.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');

const defaultOf = (name) => WORKER_OPTIONS.find((option) => option.name === name).default;

/** Our defaults, which the hand-written worker on the tuned server has too. */
const SLOTS = defaultOf('io-pool-size');
const CACHED = defaultOf('max-cached-flows');

/** The SDK's own, where neither we nor people set them: min(10, slots) polls of each kind, 40 workflow tasks. */
const POLLERS = '10 workflow, 10 activity';

/** Starts servers, workers and the service: a side each for `beamline`, `handWritten` and `stock`. */
export async function startSides({ releases, folder }) {
  const url = await startService(releases);
  const server = await startTunedServer(releases);
  const stock = await startStockServer({ releases, folder });
  const [beamline, handWritten, handOnStock] = await Promise.all([
    startBeamline({ ...server, url }, { releases, folder }),
    startByHand({ ...server, url }, { releases, folder: join(folder, 'hand'), isTuned: true }),
    startByHand({ ...stock, url }, { releases, folder: join(folder, 'stock'), isTuned: false }),
  ]);
  return { beamline, handWritten, stock: handOnStock };
}

/** What the steps call; its address. */
export async function startService(releases) {
  const { match } = await startProcess(process.execPath, [join(ROOT, 'bench/performance/service.mjs')], {
    releases,
    ready: /^ready (\d+)$/,
  });
  return `http://127.0.0.1:${match[1]}/`;
}

/** The embedded server, as `beamline dev` starts it. */
export async function startTunedServer(releases) {
  const { address, pid, stop } = await startTemporalServer({ headless: true, log: console.error });
  releases.add(stop);
  return { address, server: pid, client: await clientOf({ address, isOwnServer: true }, releases) };
}

/**
 * Our worker as users run it, the command with all that is on by default, in one or more processes. `flags` are further ones, `preload` a module
 * that Node loads first. A side has `start(shape, id)`, which resolves once that flow has begun, and the ids of its processes.
 */
export async function startBeamline({ address, namespace = 'default', client, server, database, url }, options) {
  const { releases, folder, name = 'beamline', processes = 1, flags = [], env, preload } = options;
  const prefix = processes === 1 && name === 'beamline' ? 'beamline' : `beamline-bench-${process.pid}-${name}`;
  const data = ['--blob-root', join(folder, 'blobs'), '--database', `bench=sqlite:${join(folder, 'bench.db')}`];
  const place = ['--address', address, '--namespace', namespace, '--queue-prefix', prefix];
  const node = preload === undefined ? [] : ['--require', preload];
  const command = [...node, join(ROOT, 'bin/beamline.js'), 'worker', ...place, '--allow-host', '127.0.0.1'];
  const workers = await Promise.all(
    Array.from({ length: processes }, async () => {
      const started = await startProcess(process.execPath, [...command, ...data, ...flags], {
        releases,
        cwd: folder,
        env,
        ready: /"message":"worker started".*"pool":"gpu"|"pool":"gpu".*worker started/,
      });
      return started.pid;
    }),
  );
  return {
    name,
    client,
    workers,
    server,
    database,
    settings: { slots: SLOTS, 'cached flows': CACHED, pollers: POLLERS, dispatch: defaultOf('dispatch') },
    start: (shape, id) =>
      client.workflow.start('runFlow', {
        taskQueue: `${prefix}-io`,
        workflowId: id,
        args: [flowStart(shape, { url, id })],
      }),
  };
}

/** The hand-written worker: tuned, with our slots and our cache, else as the SDK has it by default. */
async function startByHand({ address, client, server, url }, { releases, folder, isTuned }) {
  const tuned = isTuned ? [SLOTS, CACHED] : [];
  const script = join(ROOT, 'bench/performance/hand-worker.mjs');
  const { pid } = await startProcess(process.execPath, [script, address, folder, ...tuned], {
    releases,
    ready: /^ready$/,
  });
  const settings = isTuned
    ? { slots: SLOTS, 'cached flows': CACHED, pollers: POLLERS, dispatch: 'queue' }
    : { slots: "SDK's: 100", 'cached flows': "SDK's, by memory", pollers: POLLERS, dispatch: 'queue' };
  return {
    name: isTuned ? 'handWritten' : 'stock',
    isByHand: true,
    client,
    workers: [pid],
    server,
    settings,
    start: (shape, id) => {
      const { workflow, input } = handStart(shape, { url, id });
      return client.workflow.start(workflow, { taskQueue: 'hand-written', workflowId: id, args: [input] });
    },
  };
}

/** `temporal server start-dev` with a database file, as its documentation has it, and nothing else. */
async function startStockServer({ releases, folder }) {
  const cli = await findTemporal({ log: console.error });
  const port = await freePort('127.0.0.1');
  const place = ['--headless', '--ip', '127.0.0.1', '--port', String(port), '--log-level', 'error'];
  const args = ['server', 'start-dev', ...place, '--db-filename', join(folder, 'stock-temporal.db')];
  const { pid } = await startProcess(cli, args, { releases, ready: /Server:|Temporal Server/ });
  const address = `127.0.0.1:${port}`;
  return { address, server: pid, client: await clientOf({ address, isOwnServer: true }, releases) };
}

export async function clientOf(target, releases) {
  const { client, close } = await connectClient(target);
  releases.add(close);
  return client;
}
