/**
 * `npm run bench:observability`: what metrics, traces and logs cost. The same flows on two worker processes on one server: one with
 * nothing switched on, one with everything: metrics scraped every 5 seconds, every flow traced to a collector that answers at once,
 * a log line for each step. Runs alternate, so that drift hits both. With --json the last line is one JSON object.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { cpus, tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(join(ROOT, 'package.json'));
const { DefaultLogger, Runtime } = require('@temporalio/worker');
const { startTemporalServer } = require('./dist/temporal-dev/server.js');
const { connectClient } = require('./dist/src/worker/temporal-connection.js');

const FLOWS = 40;
const STEPS = 20;
const REPEATS = 15;
const SCRAPE_EVERY_MS = 5_000;
/** Linux counts CPU time in hundredths of a second (`getconf CLK_TCK`). */
const TICK_MS = 10;

Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = [];
const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
releases.push(async () => rmSync(folder, { recursive: true, force: true }));
try {
  await main();
} finally {
  for (const release of releases.reverse()) await release();
}

async function main() {
  const service = await listen((_, response) => response.end('{"ok":true}'));
  const collected = { requests: 0, bytes: 0, scrapes: 0, scrapedBytes: 0 };
  const collector = await listen((request, response) => {
    collected.requests += 1;
    request.on('data', (chunk) => {
      collected.bytes += chunk.length;
    });
    request.on('end', () => response.end());
  });
  const server = await startTemporalServer({ headless: true, log: console.error });
  releases.push(() => server.stop());
  const sides = {
    off: await startWorker(server, 'off', ['--log-level', 'error'], {}),
    on: await startWorker(server, 'on', ['--log-level', 'info', '--prometheus-endpoint', '0'], {
      OTEL_EXPORTER_OTLP_ENDPOINT: collector,
    }),
  };
  const scraping = setInterval(() => {
    const metrics = fetch(`${sides.on.metrics}/metrics`).then((response) => response.text());
    metrics.then((text) => {
      collected.scrapes += 1;
      collected.scrapedBytes += text.length;
    }, console.error);
  }, SCRAPE_EVERY_MS);
  releases.push(async () => clearInterval(scraping));
  const { client, close } = await connectClient(server);
  releases.push(close);
  const results = { off: [], on: [] };
  for (const name of ['off', 'on']) await runFlows(client, sides[name], service, 'warm');
  for (let repeat = 0; repeat < REPEATS; repeat += 1) {
    for (const name of repeat % 2 === 0 ? ['off', 'on'] : ['on', 'off']) {
      results[name].push(await runFlows(client, sides[name], service, repeat));
    }
  }
  print(results, collected, readFileSync(sides.on.log, 'utf8').split('\n').length);
}

async function listen(handle) {
  const server = createServer(handle);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  releases.push(async () => server.close());
  return `http://127.0.0.1:${server.address().port}`;
}

async function startWorker({ address }, name, flags, env) {
  const log = join(folder, `${name}.log`);
  const own = ['--queue-prefix', name, '--blob-root', join(folder, name), '--allow-host', '127.0.0.1', '--pools', 'io'];
  const child = spawn(
    process.execPath,
    [join(ROOT, 'bin', 'beamline.js'), 'worker', '--address', address, ...own, ...flags],
    { cwd: folder, env: { ...process.env, ...env }, stdio: ['ignore', openSync(log, 'w'), 'inherit'] },
  );
  const exited = once(child, 'exit');
  releases.push(async () => {
    child.kill('SIGTERM');
    await exited;
  });
  const served =
    /"message":"metrics and health are served".*?"url":"([^"]+)"|"url":"([^"]+)".*?metrics and health are served/;
  const isOn = flags.includes('--prometheus-endpoint');
  const found = await until(() => (isOn ? served.exec(readFileSync(log, 'utf8')) : true));
  return { name, pid: child.pid, log, ...(isOn ? { metrics: found[1] ?? found[2] } : {}) };
}

async function until(look) {
  for (const endsAt = Date.now() + 30_000; Date.now() < endsAt; ) {
    const found = look();
    if (found) return found;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('a worker did not start within 30 s');
}

async function runFlows(client, { name, pid }, url, repeat) {
  const flow = {
    document: { dsl: '1.0.3', namespace: 'bench', name: 'sequential', version: '1.0.0' },
    evaluate: { language: 'cel' },
    do: Array.from({ length: STEPS }, (_, index) => ({
      [`step${index}`]: { call: 'http', with: { method: 'get', endpoint: url } },
    })),
  };
  const cpuBefore = cpuMsOf(pid);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: FLOWS }, (_, index) =>
      client.workflow.execute('runFlow', {
        taskQueue: `${name}-io`,
        workflowId: `${name}-${repeat}-${index}`,
        args: [{ flow }],
      }),
    ),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  return { rate: (FLOWS * STEPS) / seconds, cpuMs: (cpuMsOf(pid) - cpuBefore) / (FLOWS * STEPS) };
}

/** User and system time of a process (proc(5), fields 14 and 15 of stat). */
function cpuMsOf(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ');
  return (Number(fields[11]) + Number(fields[12])) * TICK_MS;
}

function print(results, collected, lines) {
  const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
  const of = (name, key) => results[name].map((result) => result[key]);
  console.log(
    `Node ${process.version}, ${cpus().length} cores; ${FLOWS} flows of ${STEPS} sequential HTTP GETs, ${REPEATS} repeats`,
  );
  console.table(
    Object.fromEntries(
      ['off', 'on'].map((name) => [
        name,
        {
          'tasks/s (median)': Math.round(median(of(name, 'rate'))),
          lowest: Math.round(Math.min(...of(name, 'rate'))),
          highest: Math.round(Math.max(...of(name, 'rate'))),
          'CPU of the worker, ms a step': median(of(name, 'cpuMs')).toFixed(2),
        },
      ]),
    ),
  );
  const ratio = median(of('on', 'rate')) / median(of('off', 'rate'));
  // Pairs that ran one after the other: what drifts is in both.
  const pairs = median(results.on.map(({ rate }, index) => rate / results.off[index].rate));
  console.log(`tasks/s, on / off: ${ratio.toFixed(3)} by medians, ${pairs.toFixed(3)} by pairs`);
  console.log(
    `sent: ${collected.requests} requests of spans (${collected.bytes} bytes), ${collected.scrapes} scrapes, ${lines} lines of log`,
  );
  if (collected.requests === 0 || collected.scrapes === 0 || lines < FLOWS * STEPS) {
    throw new Error('not everything was on: there were no spans, no scrapes or too few lines');
  }
  if (process.argv.includes('--json')) console.log(JSON.stringify({ ratio, pairs, collected }));
}
