/**
 * `npm run bench:scripts`: what a script costs. One worker on an embedded server: the latency of a script step, cold (a process is started for
 * it) and warm, and of the same step in the pool alone; memory of one child; the p95 of another tenant's steps with and without a hostile
 * script that runs all the time. With --json the last line is one JSON object.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadavg, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { DefaultLogger, Runtime } = require('@temporalio/worker');
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { ScriptPool } = require('./dist/src/activities/script/script-pool.js');
const { readPeakBytes, readProcessUsage } = require('./dist/src/activities/process/process-usage.js');
const { SCRIPT_ENTRY } = require('./dist/src/worker/package-files.js');
const { startWorker } = require('./dist/src/worker/run-worker.js');
const { parseWorkerConfig } = require('./dist/src/worker/config.js');
const { mergeOptions } = require('./dist/src/worker/options.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');

const ROUNDS = Number(process.env.ROUNDS ?? 15);
const FLOWS = Number(process.env.FLOWS ?? 8);
const STEPS = 5;
const MIB = 1_048_576;
const HOSTILE = 'const a = []; for (;;) { if (a.length < 1e5) a.push([]); }';
const GOOD = 'let n = 0; for (let i = 0; i < 1000; i++) n += i; return n';

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = [];
let flows = 0;
try {
  await main();
} finally {
  for (const release of releases.reverse()) await release();
}

async function main() {
  const { isolation } = await benchPool('auto', { rounds: 1 });
  const pools = {};
  for (const mode of ['off', ...(isolation === 'bubblewrap' ? ['auto'] : [])]) {
    const { isolation: found, ...figures } = await benchPool(mode, { rounds: ROUNDS });
    pools[found] = figures;
  }
  const { client } = await startEverything();
  const steps = { alone: [], hostile: [] };
  await latencies(client);
  for (let repeat = 0; repeat < 2; repeat += 1) {
    steps.alone.push(...(await latencies(client)));
    const stop = keepHostile(client);
    steps.hostile.push(...(await latencies(client)));
    await stop();
  }
  print({ pools, steps });
}

/** The pool without Temporal. */
async function benchPool(isolation, { rounds }) {
  const cold = [];
  const warm = [];
  const rss = [];
  const peak = [];
  let found;
  for (let round = 0; round < rounds; round += 1) {
    const pool = new ScriptPool({ entry: SCRIPT_ENTRY, memoryMb: 128, isolation });
    found = (await pool.isolation()).kind;
    cold.push(await timeOf(() => pool.run({ code: GOOD }, context())));
    await pool.warmUp();
    const [pid] = pool.pids();
    rss.push(readProcessUsage(pid)?.rssBytes ?? 0);
    peak.push(readPeakBytes(pid) ?? 0);
    warm.push(await timeOf(() => pool.run({ code: GOOD }, context())));
    await pool.close();
  }
  return { isolation: found, cold, warm, rss, peak };
}

function context() {
  const { signal } = new AbortController();
  return { step: { tenant: 'bench' }, signal, deadline: Date.now() + 60_000 };
}

async function timeOf(work) {
  const begun = performance.now();
  await work();
  return performance.now() - begun;
}

async function startEverything() {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
  releases.push(async () => rmSync(folder, { recursive: true, force: true }));
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const scopes = ['flow:start', 'block:*', 'resources:*'];
  const policy = join(folder, 'policy.yaml');
  writeFileSync(policy, JSON.stringify({ version: 1, tenants: { good: { scopes }, hostile: { scopes } } }));
  const flags = { 'blob-root': join(folder, 'blobs'), policy, pools: 'io,cpu' };
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
  const worker = await startWorker({ config, target: server, logger: { log() {} }, workerId: 'bench' });
  releases.push(() => worker.stop());
  const { client, close } = await connectClient(server);
  releases.push(close);
  return { client };
}

function flowOf(steps) {
  const document = { dsl: '1.0.3', namespace: 'bench', name: 'scripts', version: '1.0.0' };
  return { document, evaluate: { language: 'cel' }, do: steps };
}

function start(client, tenant, steps) {
  flows += 1;
  const workflowId = `bench-${process.pid}-${flows}`;
  return client.workflow.start('runFlow', {
    taskQueue: 'beamline-io',
    workflowId,
    args: [{ flow: flowOf(steps), tenant }],
  });
}

/** Milliseconds from the scheduling of each script step to its end, of flows one after the other. */
async function latencies(client) {
  const script = { call: 'script.run', with: { code: GOOD } };
  const steps = Array.from({ length: STEPS }, (_, index) => ({ [`s${index}`]: script }));
  const found = [];
  for (let flow = 0; flow < FLOWS; flow += 1) {
    const handle = await start(client, 'good', steps);
    await handle.result();
    found.push(...stepTimes(await handle.fetchHistory()));
  }
  return found;
}

function stepTimes({ events }) {
  const scheduled = new Map();
  const times = [];
  for (const event of events) {
    const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (type === 'script.run') scheduled.set(String(event.eventId), toMs(event.eventTime));
    const begun = scheduled.get(String(event.activityTaskCompletedEventAttributes?.scheduledEventId));
    if (begun !== undefined) times.push(toMs(event.eventTime) - begun);
  }
  return times;
}

function toMs({ seconds, nanos }) {
  return Number(seconds) * 1_000 + Number(nanos) / 1e6;
}

/** One hostile script after the other, until it is told to stop. */
function keepHostile(client) {
  let isOver = false;
  const loop = (async () => {
    while (!isOver) {
      const handle = await start(client, 'hostile', [
        { h: { call: 'script.run', with: { code: HOSTILE, timeout: 'PT3S' } } },
      ]);
      await handle.result().catch(() => undefined);
    }
  })();
  return () => {
    isOver = true;
    return loop;
  };
}

function at(values, share) {
  const sorted = [...values].sort((left, right) => left - right);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0;
}

function print({ pools, steps }) {
  const ms = (value) => `${value.toFixed(0)} ms`;
  console.log(
    `load of the machine: ${loadavg()
      .map((value) => value.toFixed(1))
      .join(' ')}`,
  );
  for (const [name, { cold, warm, rss, peak }] of Object.entries(pools)) {
    const isolation = name === 'none' ? 'without bubblewrap' : name;
    console.log(
      `pool, ${isolation}: cold ${ms(at(cold, 0.5))} (p95 ${ms(at(cold, 0.95))}), warm ${ms(at(warm, 0.5))} (p95 ${ms(at(warm, 0.95))})`,
    );
    console.log(
      `  a child that waits: ${(at(rss, 0.5) / MIB).toFixed(0)} MiB, at most ${(at(peak, 1) / MIB).toFixed(0)} MiB`,
    );
  }
  for (const [name, times] of Object.entries(steps)) {
    console.log(
      `script steps of a tenant, ${name}: p50 ${ms(at(times, 0.5))}, p95 ${ms(at(times, 0.95))} (${times.length} steps)`,
    );
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify({ pools, steps }));
}
