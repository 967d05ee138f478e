/**
 * `npm run bench:size`: large flows on the embedded server, each on a fresh worker: time, histories, memory, and whether every
 * step ran exactly once. `--quick` runs a tenth of everything, `--only fork,rounds` some shapes, `--json` ends with a line
 * of JSON. Exit code 1 where a step was lost or repeated.
 */
import { execFileSync, fork } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { startCountingService } from './size/counting-service.mjs';
import { shapes } from './size/shapes.mjs';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');
const { version } = require('./package.json');

const { values: options } = parseArgs({
  options: {
    quick: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    only: { type: 'string' },
    scale: { type: 'string' },
    /** A folder for CPU profiles of the worker's threads. */
    profile: { type: 'string' },
  },
});

const releases = [];
try {
  await main();
} finally {
  for (const release of releases.reverse()) await release();
}

async function main() {
  const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
  releases.push(async () => rmSync(folder, { recursive: true, force: true }));
  const service = await startCountingService();
  releases.push(() => service.close());
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const { client, close } = await connectClient({ ...server, blobRoot: join(folder, 'blobs') });
  releases.push(close);
  const scale = Number(options.scale ?? (options.quick ? 0.1 : 1));
  const wanted = options.only?.split(',');
  const results = [];
  for (const shape of shapes(scale).filter(({ name }) => wanted?.includes(name) ?? true)) {
    const result = await measure(shape, { client, service, server, folder });
    console.error(JSON.stringify(result));
    results.push(result);
  }
  print(results);
  if (results.some(({ isExact }) => !isExact)) process.exitCode = 1;
}

async function measure(shape, { client, service, server, folder }) {
  service.reset();
  const worker = await startBenchWorker(server, folder);
  const definition = shape.make(service.url);
  const serverCpuBefore = cpuSeconds(server.pid);
  const startedAt = performance.now();
  const outputs = await Promise.all(
    Array.from({ length: shape.flows }, (_, index) =>
      client.workflow.execute('runFlow', {
        taskQueue: 'beamline-io',
        workflowId: `size-${shape.name}-${index}`,
        args: [{ flow: definition, input: shape.input }],
      }),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const serverCpuS = cpuSeconds(server.pid) - serverCpuBefore;
  const memory = await worker.stop();
  const { distinct, paths, repeated } = service.tally();
  const expected = shape.requests * shape.flows;
  const isExact =
    distinct === expected &&
    paths === shape.requests &&
    repeated === 0 &&
    outputs.every((output) => shape.check(output));
  return {
    name: shape.name,
    steps: shape.steps * shape.flows,
    seconds: rounded(seconds),
    stepsPerSecond: Math.round((shape.steps * shape.flows) / seconds),
    ...(await histories(client, `size-${shape.name}-`)),
    ...memory,
    serverCpuS,
    repeated,
    missing: expected - distinct,
    isExact,
  };
}

/** What the flow left behind, windows and continued runs included. */
async function histories(client, prefix) {
  let runs = [];
  // Lists follow what happens within a second or so.
  for (let attempt = 0; attempt < 20; attempt += 1) {
    runs = [];
    for await (const run of client.workflow.list({ query: `WorkflowId STARTS_WITH "${prefix}"` })) runs.push(run);
    if (attempt > 0 && runs.every(({ status }) => status.name !== 'RUNNING')) break;
    await delay(500);
  }
  const bytes = runs.map(({ raw }) => Number(raw.historySizeBytes ?? 0));
  return {
    runs: runs.length,
    maxEvents: Math.max(...runs.map(({ historyLength }) => historyLength)),
    maxHistoryKB: Math.round(Math.max(...bytes) / 1_000),
  };
}

async function startBenchWorker(server, folder) {
  const flags = {
    'blob-root': join(folder, 'blobs'),
    'allow-host': ['127.0.0.1'],
    pools: 'io',
  };
  const target = { address: server.address, namespace: server.namespace };
  const profiling = options.profile === undefined ? [] : ['--cpu-prof', '--cpu-prof-dir', options.profile];
  const child = fork(join(ROOT, 'bench', 'size', 'worker.mjs'), [JSON.stringify(target), JSON.stringify(flags)], {
    execArgv: ['--require', join(ROOT, 'bench', 'size', 'heap-probe.cjs'), ...profiling],
  });
  releases.push(async () => child.kill());
  await nextMessage(child);
  return {
    async stop() {
      child.send('stop');
      const { rssPeak, workflowHeapPeak, cpuMs } = await nextMessage(child);
      if (child.exitCode === null) await new Promise((resolve) => child.once('exit', resolve));
      return {
        rssPeakMB: Math.round(rssPeak / 1e6),
        workflowHeapPeakMB: Math.round(workflowHeapPeak / 1e6),
        workerCpuS: rounded(cpuMs / 1_000),
      };
    },
  };
}

function nextMessage(child) {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code, signal) => reject(new Error(`the worker ended: ${code ?? signal}`)));
  });
}

/** CPU time that a process has taken; tells more than the clock where others use the machine too. */
function cpuSeconds(pid) {
  const text = execFileSync('ps', ['-o', 'time=', '-p', String(pid)], { encoding: 'utf8' }).trim();
  return text.split(/[-:]/).reduce((sum, part) => sum * 60 + Number(part), 0);
}

function rounded(value) {
  return Math.round(value * 10) / 10;
}

function print(results) {
  console.log(
    `beamline-worker ${version}, Node ${process.version}, ${cpus().length} cores, ${Math.round(totalmem() / 2 ** 30)} GiB`,
  );
  console.table(Object.fromEntries(results.map(({ name, ...columns }) => [name, columns])));
  if (options.json) console.log(JSON.stringify({ size: results }));
}
