/**
 * `npm run bench -- --scale`: the same flows with 1, 2 and 4 worker processes, and one worker with other slots, pollers and caches; against the
 * embedded server, with `--postgres` against Temporal on PostgreSQL, with `--address HOST:PORT` against a cluster. Each worker has queues of
 * its own, so that all run beside each other and are measured in turn.
 */
import { fileURLToPath } from 'node:url';
import { Releases } from './processes.mjs';
import { printTable, summaryOf, warnOfOthers } from './report.mjs';
import { SHAPES } from './shapes.mjs';
import { clientOf, startBeamline, startService, startTunedServer } from './sides.mjs';
import { findTemporalOnPostgres, startTemporalOnPostgres } from './temporal-on-postgres.mjs';
import { compare, median, warmUp } from './throughput.mjs';
import { memoryOf } from './usage.mjs';

const PRELOAD = fileURLToPath(new URL('tuned-worker.cjs', import.meta.url));

/** Flows at once that keep four workers busy. */
const LEAST_FLOWS = 24;

/** How long a slow step waits for its service, ms. */
const SLOW_MS = 100;

/** In their queue and in place apart: what a worker chooses by itself depends on how busy it is. */
const WORKER_SHAPES = {
  sequential: SHAPES.sequentialQueue,
  parallel: SHAPES.parallelQueue,
  local: SHAPES.local,
};

const SETTING_SHAPES = {
  sequential: SHAPES.sequentialQueue,
  parallel: SHAPES.parallelQueue,
  slow: { ...SHAPES.parallelQueue, path: String(SLOW_MS) },
};

/** What --shape may be. */
export const SCALE_SHAPES = Object.keys({ ...WORKER_SHAPES, ...SETTING_SHAPES });

const WORKERS = [1, 2, 4].map((processes) => ({
  name: processes === 1 ? '1 worker' : `${processes} workers`,
  processes,
}));

/** What the SDK offers in the place of fixed numbers; its own limits where nothing is given. */
const RESOURCE_BASED = {
  tuner: {
    workflowTaskSlotSupplier: { type: 'fixed-size', numSlots: 40 },
    activityTaskSlotSupplier: {
      type: 'resource-based',
      minimumSlots: 16,
      tunerOptions: { targetMemoryUsage: 0.8, targetCpuUsage: 0.9 },
    },
    localActivityTaskSlotSupplier: { type: 'fixed-size', numSlots: 1_000 },
    nexusTaskSlotSupplier: { type: 'fixed-size', numSlots: 1 },
  },
};
const AUTOSCALING = {
  workflowTaskPollerBehavior: { type: 'autoscaling' },
  activityTaskPollerBehavior: { type: 'autoscaling' },
};

const SETTINGS = [
  { name: 'defaults' },
  { name: '4 slots', flags: ['--io-pool-size', '4'] },
  { name: '64 slots', flags: ['--io-pool-size', '64'] },
  { name: 'slots by resources', options: RESOURCE_BASED },
  { name: 'pollers that scale', options: AUTOSCALING },
  { name: '20 cached flows', flags: ['--max-cached-flows', '20'] },
];

/**
 * Measures what was asked for, prints tables, and resolves with all of it, by server. `pace`: `repeats` of runs that take about `runS` seconds, with
 * `patience` where others disturb them.
 */
export async function measureScale({ releases, folder, address, withPostgres, only, shape, pace }) {
  if (withPostgres) await findTemporalOnPostgres();
  const url = await startService(releases);
  const [name, start] = serverOf({ address, withPostgres });
  const server = await start(releases);
  return { [name]: await measureServer(name, { ...server, url }, { releases, folder, only, shape, pace }) };
}

function serverOf({ address, withPostgres }) {
  if (address !== undefined) return [address, (releases) => connectTo(address, releases)];
  return withPostgres ? ['Temporal on PostgreSQL', startTemporalOnPostgres] : ['embedded server', startTunedServer];
}

/** A cluster of somebody's: namespace, TLS and keys as the ecosystem has them, from TEMPORAL_… variables. */
async function connectTo(address, releases) {
  const client = await clientOf({ address }, releases);
  return { address, namespace: client.options.namespace, client };
}

async function measureServer(name, server, { releases, folder, only, shape, pace }) {
  const parts = {
    workers: { kinds: WORKERS, shapes: WORKER_SHAPES },
    settings: { kinds: SETTINGS, shapes: SETTING_SHAPES },
  };
  const measured = {};
  for (const [part, { kinds, shapes }] of Object.entries(parts)) {
    if (only !== undefined && only !== part) continue;
    const wanted = Object.fromEntries(Object.entries(shapes).filter(([each]) => shape === undefined || each === shape));
    if (Object.keys(wanted).length === 0) continue;
    const own = new Releases();
    releases.add(() => own.releaseAll());
    own.failed.catch((error) => releases.fail(error));
    const sides = [];
    for (const kind of kinds) sides.push(await startKind(server, kind, { releases: own, folder }));
    measured[part] = await measureSides(`${name}, ${part}`, sides, { shapes: wanted, pace });
    await own.releaseAll();
  }
  return measured;
}

async function startKind(server, { name, processes = 1, flags = [], options }, { releases, folder }) {
  const stateStore = server.stateStore === undefined ? {} : { BEAMLINE_STATE_STORE: server.stateStore };
  const tuned = options === undefined ? {} : { BENCH_WORKER_OPTIONS: JSON.stringify(options) };
  const preload = options === undefined ? undefined : PRELOAD;
  const env = { ...stateStore, ...tuned };
  const queues = name.replaceAll(' ', '-');
  const side = await startBeamline(server, { releases, folder, name: queues, processes, flags, env, preload });
  return { ...side, name };
}

async function measureSides(title, sides, { shapes, pace }) {
  await warmUp(sides, SHAPES.sequentialQueue, () => 20);
  const rates = {};
  for (const [name, shape] of Object.entries(shapes)) {
    rates[name] = await compare(sides, shape, { ...pace, flowsOf: flowsInTime(shape, pace) });
    const rows = Object.entries(rates[name]).map(([side, runs]) => [
      side,
      { ...summaryOf(runs), 'limited by': limitOf(runs) },
    ]);
    printTable(`${title}: flows of 20 HTTP steps, ${name}`, Object.fromEntries(rows));
  }
  warnOfOthers(rates);
  const memory = Object.fromEntries(sides.map(({ name, workers }) => [name, workers.map(memoryOf)]));
  const [{ server }] = sides;
  return { rates, memory, memoryOfServer: server === undefined ? undefined : memoryOf(server) };
}

/** As many flows as come to the time of a run. */
function flowsInTime({ steps }, { runS }) {
  return (_, rate) => (rate === undefined ? LEAST_FLOWS : Math.max(LEAST_FLOWS, Math.round((rate * runS) / steps)));
}

/** What there is no more of: processors of this machine, the thread of a worker, or neither, where all wait for an answer. */
function limitOf(runs) {
  const medianOf = (key) => median(runs.map((run) => run[key])) ?? 0;
  if (medianOf('machineBusy') >= 0.9) return 'processors';
  return (medianOf('busiestThreadCpuMs') * medianOf('rate')) / 1_000 >= 0.85 ? "a worker's thread" : 'waiting';
}
