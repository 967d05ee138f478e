/**
 * `npm run bench:quotas`: what quotas and usage cost, and how well they hold. First the store alone: a step's transactions, one after
 * the other and sixteen at once. Then flows on two worker processes: how many steps a loopback server sees at once, and how close the
 * throughput comes to what the quota allows. Last the time that a step takes with and without. With --postgres URL also in PostgreSQL,
 * whose tables beamline_… are used. With --json the last line is one JSON object.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
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
const { connectClient } = require('./dist/src/worker/temporal-connection.js');
const { openStateStore, parseStateStore } = require('./dist/src/worker/state/open-state-store.js');
const { execute } = require('./dist/src/worker/state/rule.js');
const { askForPlace, offerPlaces } = require('./dist/src/worker/quota/place-rules.js');
const { lockTenant } = require('./dist/src/worker/quota/lines.js');
const { countUsage } = require('./dist/src/worker/usage/usage-rules.js');

const OPERATIONS = 1_000;
const AT_ONCE = 16;
const LIMIT = 10;
const STEP_MS = 200;
const FLOWS = 20;
const STEPS = 10;
const REPEATS = Number(process.env.REPEATS ?? 3);
const SCOPES = ['flow:start', 'block:*', 'resources:*', 'http:*:*'];

const releases = [];
const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
let runs = 0;
try {
  await main();
} finally {
  for (const release of releases.reverse()) await release();
  rmSync(folder, { recursive: true, force: true });
}

async function main() {
  Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
  const postgres = process.argv.includes('--postgres')
    ? process.argv[process.argv.indexOf('--postgres') + 1]
    : undefined;
  const stores = { SQLite: `sqlite:${join(folder, 'rules.sqlite')}`, ...(postgres ? { PostgreSQL: postgres } : {}) };
  const rules = {};
  for (const [name, flag] of Object.entries(stores)) rules[name] = await measureRules(flag);
  console.log(`\nthe store alone, ${OPERATIONS} steps; ms`);
  console.table(rules);
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const { client, close } = await connectClient(server);
  releases.push(close);
  const held = {};
  const cost = {};
  for (const name of Object.keys(stores)) {
    const flag = name === 'SQLite' ? `sqlite:${join(folder, 'flows.sqlite')}` : postgres;
    Object.assign(held, await withWorkers({ server, flag, name }, (prefix) => measureHolding(client, prefix, name)));
    Object.assign(cost, await withWorkers({ server, flag, name }, (prefix) => measureCost(client, prefix, name)));
  }
  console.log(
    `\n${LIMIT} steps at once, two worker processes, ${FLOWS} flows of ${STEPS} steps of ${STEP_MS} ms; the quota allows ${LIMIT / (STEP_MS / 1_000)} steps/s`,
  );
  console.table(held);
  console.log('\na step of a flow of 200 sequential HTTP calls on loopback, ms');
  console.table(cost);
  if (process.argv.includes('--json')) console.log(JSON.stringify({ rules, held, cost }));
}

async function measureRules(flag) {
  const store = openStateStore(parseStateStore(flag, { cwd: folder, blobRoot: folder }));
  const usage = { cpuMs: 1, peakMemoryBytes: 0, bytesIn: 10, bytesOut: 10 };
  const count = (tenant, id) => countUsage({ tenant, id, attempt: 1, end: 'completed', usage });
  const quotas = { concurrentSteps: 1_000 };
  const kinds = {
    'usage only': (id) => store.run(() => count('free', id)),
    'lease and usage': async (id) => {
      const asker = {
        tenant: 'bound',
        kind: 'step',
        ticket: id,
        lease: id,
        worker: 'w',
        namespace: 'n',
        flowId: 'f',
        priority: 3,
      };
      await store.run(() => askForPlace(asker, quotas), { mayBeLost: true });
      await store.run(function* () {
        const tenant = yield* lockTenant('bound');
        yield* execute('DELETE FROM beamline_leases WHERE id = ?', id);
        yield* offerPlaces(tenant, 'step', quotas);
        yield* count('bound', id);
      });
    },
  };
  const result = {};
  for (const [name, step] of Object.entries(kinds)) {
    await step(`${name} warm ${process.pid}`);
    const times = [];
    for (let index = 0; index < OPERATIONS; index += 1)
      times.push(await timed(() => step(`${name} ${process.pid} ${index}`)));
    const began = performance.now();
    let next = 0;
    const lane = async () => {
      while (next < OPERATIONS) await step(`${name} ${process.pid} many ${next++}`);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, lane));
    result[`${name}: p50`] = round(percentile(times, 0.5), 2);
    result[`${name}: p95`] = round(percentile(times, 0.95), 2);
    result[`${name}: steps/s, ${AT_ONCE} at once`] = Math.round(OPERATIONS / ((performance.now() - began) / 1_000));
  }
  await store.close();
  return result;
}

async function timed(work) {
  const began = performance.now();
  await work();
  return performance.now() - began;
}

/** Runs work beside two worker processes with task queues of their own. */
async function withWorkers({ server, flag, name }, work) {
  runs += 1;
  const prefix = `quotas-${runs}`;
  const policy = join(folder, 'policy.json');
  const common = { scopes: SCOPES, privateHosts: ['127.0.0.1'] };
  const tenants = { free: common, bound: { ...common, quotas: { concurrentSteps: LIMIT } } };
  writeFileSync(policy, JSON.stringify({ version: 1, tenants }));
  const flags = {
    address: server.address,
    'queue-prefix': prefix,
    'blob-root': join(folder, `blobs-${name}`),
    'state-store': flag,
    'log-level': 'info',
    pools: 'io',
    policy,
  };
  const args = Object.entries(flags).flatMap(([key, value]) => [`--${key}`, value]);
  const workers = await Promise.all(
    [1, 2].map(async () => {
      const child = fork(join(ROOT, 'bin', 'beamline.js'), ['worker', ...args], {
        stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
      });
      let output = '';
      await new Promise((resolve) => {
        child.stdout.on('data', (chunk) => {
          output += chunk;
          if (output.includes('worker started')) resolve();
        });
      });
      return child;
    }),
  );
  try {
    return await work(prefix);
  } finally {
    for (const child of workers) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
  }
}

async function serve(answerAfterMs) {
  const seen = { now: 0, most: 0 };
  const service = createServer((_, response) => {
    seen.now += 1;
    seen.most = Math.max(seen.most, seen.now);
    const answer = () => {
      seen.now -= 1;
      response.end('{"ok":true}');
    };
    if (answerAfterMs === 0) answer();
    else setTimeout(answer, answerAfterMs);
  });
  service.listen(0, '127.0.0.1');
  await once(service, 'listening');
  return { seen, url: `http://127.0.0.1:${service.address().port}/`, close: () => service.close() };
}

function flowOf(url, steps) {
  return {
    document: { dsl: '1.0.3', namespace: 'bench', name: 'quotas', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: Array.from({ length: steps }, (_, index) => ({
      [`s${index}`]: { call: 'http', with: { method: 'get', endpoint: url } },
    })),
  };
}

function start(client, prefix, tenant, flow) {
  runs += 1;
  return client.workflow.start('runFlow', {
    taskQueue: `${prefix}-io`,
    workflowId: `${prefix}-${runs}`,
    args: [{ flow, tenant }],
  });
}

async function measureHolding(client, prefix, name) {
  const { seen, url, close } = await serve(STEP_MS);
  const rates = [];
  let events = 0;
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    const began = performance.now();
    const handles = await Promise.all(
      Array.from({ length: FLOWS }, () => start(client, prefix, 'bound', flowOf(url, STEPS))),
    );
    await Promise.all(handles.map((handle) => handle.result()));
    rates.push((FLOWS * STEPS) / ((performance.now() - began) / 1_000));
    for (const handle of handles) events += Number((await handle.describe()).historyLength);
  }
  close();
  return {
    [name]: {
      'most at once': seen.most,
      'steps/s': round(percentile(rates, 0.5), 1),
      lowest: round(Math.min(...rates), 1),
      highest: round(Math.max(...rates), 1),
      'share of the ideal': round(percentile(rates, 0.5) / (LIMIT / (STEP_MS / 1_000)), 2),
      'events a step': round(events / (REPEATS * FLOWS * STEPS), 1),
    },
  };
}

async function measureCost(client, prefix, name) {
  const { url, close } = await serve(0);
  const times = { free: [], bound: [] };
  await (await start(client, prefix, 'free', flowOf(url, 50))).result();
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    for (const tenant of repeat % 2 === 0 ? ['free', 'bound'] : ['bound', 'free']) {
      const handle = await start(client, prefix, tenant, flowOf(url, 200));
      times[tenant].push((await timed(() => handle.result())) / 200);
    }
  }
  close();
  return Object.fromEntries(
    Object.entries(times).map(([tenant, values]) => [
      `${name}, ${tenant === 'free' ? 'usage only' : 'lease and usage'}`,
      {
        median: round(percentile(values, 0.5), 2),
        lowest: round(Math.min(...values), 2),
        highest: round(Math.max(...values), 2),
      },
    ]),
  );
}

function percentile(values, share) {
  return [...values].sort((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))];
}

function round(value, digits) {
  return Number(value.toFixed(digits));
}
