/**
 * `npm run bench`: throughput of flows beside a hand-written workflow that does the same on the same server, and the time of
 * a lone step. Prints tables; with --json the last line is one JSON object. Runs alternate, so that drift hits both sides.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { bundleWorkflowCode, DefaultLogger, NativeConnection, Runtime, Worker } = require('@temporalio/worker');
const { request } = require('undici');
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { startWorker } = require('./dist/src/worker/run-worker.js');
const { parseWorkerConfig } = require('./dist/src/worker/config.js');
const { mergeOptions } = require('./dist/src/worker/options.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');
const { version } = require('./package.json');

const FLOWS = 100;
const STEPS = 20;
const REPEATS = 3;
const LONE_STEPS = 200;

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = [];
let run = 0;
try {
  await main();
} finally {
  for (const release of releases.reverse()) await release();
}

async function main() {
  const { client, url, address } = await startEverything();
  const sides = { beamline: () => runFlows(client, url), handWritten: () => runByHand(client, url) };
  const rates = await compare(sides);
  const lone = await measureLoneSteps(client, url);
  print({ rates, lone, address });
}

async function startEverything() {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
  releases.push(async () => rmSync(folder, { recursive: true, force: true }));
  const service = createServer((_, response) => response.end('{"ok":true}'));
  service.listen(0, '127.0.0.1');
  await new Promise((resolve) => service.once('listening', resolve));
  releases.push(async () => service.close());
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const flags = {
    'blob-root': join(folder, 'blobs'),
    database: [`bench=sqlite:${join(folder, 'bench.db')}`],
    'allow-host': ['127.0.0.1'],
  };
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
  const worker = await startWorker({ config, target: server, logger: { log() {} }, workerId: 'bench' });
  releases.push(() => worker.stop());
  await startHandWritten(server.address);
  const { client, close } = await connectClient(server);
  releases.push(close);
  return { client, url: `http://127.0.0.1:${service.address().port}/`, address: server.address };
}

/** The same number of slots and the same cache as the flows' worker. */
async function startHandWritten(address) {
  const connection = await NativeConnection.connect({ address });
  const { code } = await bundleWorkflowCode({
    workflowsPath: join(ROOT, 'bench', 'hand-written.js'),
    logger: new DefaultLogger('ERROR'),
  });
  const worker = await Worker.create({
    connection,
    taskQueue: 'hand-written',
    workflowBundle: { code },
    activities: { httpGet: async (url) => await (await request(url)).body.json() },
    maxConcurrentActivityTaskExecutions: 16,
    maxCachedWorkflows: 300,
  });
  const running = worker.run();
  releases.push(async () => {
    worker.shutdown();
    await running;
    await connection.close();
  });
}

function httpFlow(url, steps) {
  return {
    document: { dsl: '1.0.3', namespace: 'bench', name: 'sequential', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: Array.from({ length: steps }, (_, index) => ({
      [`step${index}`]: { call: 'http', with: { method: 'get', endpoint: url } },
    })),
  };
}

async function runAll(start) {
  run += 1;
  const startedAt = performance.now();
  const cpuBefore = process.cpuUsage();
  await Promise.all(Array.from({ length: FLOWS }, (_, index) => start(`bench-${run}-${index}`)));
  const { user, system } = process.cpuUsage(cpuBefore);
  const steps = FLOWS * STEPS;
  return { rate: steps / ((performance.now() - startedAt) / 1000), cpuMs: (user + system) / 1000 / steps };
}

function runFlows(client, url) {
  const flow = httpFlow(url, STEPS);
  return runAll((workflowId) =>
    client.workflow.execute('runFlow', { taskQueue: 'beamline-io', workflowId, args: [{ flow }] }),
  );
}

function runByHand(client, url) {
  return runAll((workflowId) =>
    client.workflow.execute('handWritten', { taskQueue: 'hand-written', workflowId, args: [{ url, steps: STEPS }] }),
  );
}

async function compare(sides) {
  const rates = Object.fromEntries(Object.keys(sides).map((name) => [name, []]));
  for (const side of Object.values(sides)) await side();
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const order = Object.keys(sides);
    if (repeat % 2 === 1) order.reverse();
    for (const name of order) rates[name].push(await sides[name]());
  }
  return rates;
}

/** Flows of one step on an idle worker; the step's own time as the flow sees it: scheduled to result. */
async function measureLoneSteps(client, url) {
  const steps = {
    http: { call: 'http', with: { method: 'get', endpoint: url } },
    fs: { call: 'fs.put', with: { path: 'bench/x.json', content: { ok: true } } },
    sql: { call: 'sql.query', with: { database: 'bench', statement: 'SELECT 1 AS one' } },
  };
  const lone = {};
  for (const [name, step] of Object.entries(steps)) {
    const times = [];
    const flow = { ...httpFlow(url, 0), do: [{ step }] };
    for (let index = 0; index < LONE_STEPS; index += 1) {
      const handle = await client.workflow.start('runFlow', {
        taskQueue: 'beamline-io',
        workflowId: `lone-${name}-${index}`,
        args: [{ flow }],
      });
      await handle.result();
      const [{ startedAt, endedAt }] = (await handle.query('progress')).steps;
      times.push(endedAt - startedAt);
    }
    times.sort((a, b) => a - b);
    lone[name] = { p50Ms: times[Math.floor(times.length * 0.5)], p95Ms: times[Math.floor(times.length * 0.95)] };
  }
  return lone;
}

function print({ rates, lone }) {
  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const rounded = (value) => Math.round(value);
  const ratesOf = (values) => values.map(({ rate }) => rate);
  console.log(
    `beamline-worker ${version}, Node ${process.version}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  );
  console.log(`\n${FLOWS} flows of ${STEPS} sequential HTTP GETs on loopback, ${REPEATS} repeats, order alternated`);
  console.table(
    Object.fromEntries(
      Object.entries(rates).map(([name, values]) => [
        name,
        {
          'tasks/s (median)': rounded(median(ratesOf(values))),
          lowest: rounded(Math.min(...ratesOf(values))),
          highest: rounded(Math.max(...ratesOf(values))),
          'CPU ms a step (median)': median(values.map(({ cpuMs }) => cpuMs)).toFixed(2),
        },
      ]),
    ),
  );
  console.log(
    `ratio beamline / handWritten: ${(median(ratesOf(rates.beamline)) / median(ratesOf(rates.handWritten))).toFixed(2)}`,
  );
  console.log(`\na lone step on an idle worker, scheduled to result, ${LONE_STEPS} flows each`);
  console.table(lone);
  if (process.argv.includes('--json')) {
    const sequential = {
      beamline: rounded(median(ratesOf(rates.beamline))),
      handWritten: rounded(median(ratesOf(rates.handWritten))),
    };
    console.log(JSON.stringify({ sequential, lone }));
  }
}
