/**
 * `npm run bench:fairness`: what tenants feel of each other. One worker, 16 slots, steps of 20 ms (a loopback server answers after so
 * long). Prints the latency of a small tenant's steps alone and while another floods, and how tenants with a backlog share the worker.
 * With --json the last line is one JSON object; DISPATCH=queue has all steps go through their queue (default auto).
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { DefaultLogger, Runtime } = require('@temporalio/worker');
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { startWorker } = require('./dist/src/worker/run-worker.js');
const { parseWorkerConfig } = require('./dist/src/worker/config.js');
const { mergeOptions } = require('./dist/src/worker/options.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');

const STEP_MS = 20;
const FLOOD = { flows: 40, steps: 50 };
const SMALL = { flows: 10, steps: 5 };
const BACKLOG = { flows: 20, steps: 50 };
const REPEATS = Number(process.env.REPEATS ?? 3);
const DISPATCH = process.env.DISPATCH ?? 'auto';
const SCOPES = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = [];
const served = [];
let runs = 0;
try {
  await main();
} finally {
  for (const release of releases.reverse()) await release();
}

async function main() {
  const parts = await startEverything();
  await Promise.all(sequentialFlows(parts, 'small'));
  const [alone, flooded, equal, weighted] = [[], [], [], []];
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    alone.push(await smallTenant(parts));
    flooded.push(await underFlood(parts));
    equal.push(await share(parts, 'even1', 'even2'));
    weighted.push(await share(parts, 'light', 'heavy'));
  }
  print({ alone, flooded, equal, weighted });
}

async function startEverything() {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
  releases.push(async () => rmSync(folder, { recursive: true, force: true }));
  const service = createServer((request, response) => {
    setTimeout(() => {
      served.push({ tenant: request.url.slice(1), at: performance.now() });
      response.end('{"ok":true}');
    }, STEP_MS);
  });
  service.listen(0, '127.0.0.1');
  await new Promise((resolve) => service.once('listening', resolve));
  releases.push(async () => service.close());
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const tenants = { flood: {}, small: {}, even1: {}, even2: {}, light: {}, heavy: { fairnessWeight: 3 } };
  const policy = join(folder, 'policy.yaml');
  const withScopes = Object.entries(tenants).map(([name, tenant]) => [name, { ...tenant, scopes: SCOPES }]);
  writeFileSync(policy, JSON.stringify({ version: 1, tenants: Object.fromEntries(withScopes) }));
  const flags = {
    'blob-root': join(folder, 'blobs'),
    'allow-host': ['127.0.0.1'],
    policy,
    pools: 'io',
    dispatch: DISPATCH,
  };
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
  const worker = await startWorker({ config, target: server, logger: { log() {} }, workerId: 'bench' });
  releases.push(() => worker.stop());
  const { client, close } = await connectClient(server);
  releases.push(close);
  return { client, url: `http://127.0.0.1:${service.address().port}` };
}

function flowOf(tasks) {
  const document = { dsl: '1.0.3', namespace: 'bench', name: 'fairness', version: '1.0.0' };
  return { document, evaluate: { language: 'cel' }, do: tasks };
}

function stepsOf(url, tenant, count) {
  return Array.from({ length: count }, (_, index) => ({
    [`step${index}`]: { call: 'http', with: { method: 'get', endpoint: `${url}/${tenant}` } },
  }));
}

function start({ client }, tenant, tasks) {
  runs += 1;
  return client.workflow.start('runFlow', {
    taskQueue: 'beamline-io',
    workflowId: `${tenant}-${runs}`,
    args: [{ flow: flowOf(tasks), tenant }],
    priority: { fairnessKey: tenant },
  });
}

/** Flows whose steps all stand in the queue at once. */
function backlog(parts, tenant, { flows, steps }) {
  return Array.from({ length: flows }, () =>
    start(parts, tenant, [{ all: { fork: { branches: stepsOf(parts.url, tenant, steps) } } }]),
  );
}

/** Flows of steps one after the other; each gives the times of its steps, from scheduling to result. */
function sequentialFlows(parts, tenant) {
  return Array.from({ length: SMALL.flows }, async () => {
    const handle = await start(parts, tenant, stepsOf(parts.url, tenant, SMALL.steps));
    await handle.result();
    return (await handle.query('progress')).steps.map(({ startedAt, endedAt }) => endedAt - startedAt);
  });
}

async function smallTenant(parts) {
  const times = (await Promise.all(sequentialFlows(parts, 'small'))).flat().sort((a, b) => a - b);
  return times[Math.floor(times.length * 0.95)];
}

async function underFlood(parts) {
  const flood = await Promise.all(backlog(parts, 'flood', FLOOD));
  await waitForSteps('flood', 100);
  const p95 = await smallTenant(parts);
  const left = FLOOD.flows * FLOOD.steps - servedOf('flood');
  await Promise.all(flood.map((handle) => handle.result()));
  served.length = 0;
  if (left <= 0) throw new Error('the flood had ended before the small tenant was done; make it larger');
  return p95;
}

/** How many steps of each are done while both still have some: their ratio is their share. */
async function share(parts, first, second) {
  const handles = await Promise.all([...backlog(parts, first, BACKLOG), ...backlog(parts, second, BACKLOG)]);
  await Promise.all(handles.map((handle) => handle.result()));
  const lastOf = (tenant) => Math.max(...served.filter((step) => step.tenant === tenant).map(({ at }) => at));
  const startOf = (tenant) => Math.min(...served.filter((step) => step.tenant === tenant).map(({ at }) => at));
  const from = Math.max(startOf(first), startOf(second));
  const to = Math.min(lastOf(first), lastOf(second));
  const within = (tenant) => served.filter((step) => step.tenant === tenant && step.at >= from && step.at <= to).length;
  const ratio = within(second) / within(first);
  served.length = 0;
  return ratio;
}

function servedOf(tenant) {
  return served.filter((step) => step.tenant === tenant).length;
}

async function waitForSteps(tenant, count) {
  while (servedOf(tenant) < count) await new Promise((resolve) => setTimeout(resolve, 10));
}

function print({ alone, flooded, equal, weighted }) {
  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const row = (values, digits) => ({
    median: median(values).toFixed(digits),
    lowest: Math.min(...values).toFixed(digits),
    highest: Math.max(...values).toFixed(digits),
  });
  console.log(`16 slots, steps of ${STEP_MS} ms, ${REPEATS} repeats, dispatch ${DISPATCH}`);
  console.table({
    'p95 of a step, small tenant alone (ms)': row(alone, 0),
    [`the same while another floods ${FLOOD.flows * FLOOD.steps} steps (ms)`]: row(flooded, 0),
    'share of two tenants of equal weight (1 is even)': row(equal, 2),
    'share of two tenants of weight 3 and 1 (3 is as set)': row(weighted, 2),
  });
  const ratio = median(flooded) / median(alone);
  console.log(`ratio of the latencies: ${ratio.toFixed(2)} (aim: below 2.5)`);
  if (process.argv.includes('--json')) console.log(JSON.stringify({ alone, flooded, ratio, equal, weighted }));
}
