/**
 * `npm run bench`: how fast flows are, beside a hand-written workflow that does the same: on the same tuned server, and on a stock
 * `temporal server start-dev` with a database file. Processes are those of production: our command, a worker of the SDK, the servers, a service.
 *
 *   --quick      the main ratios, in less than 45 seconds
 *   --json       the last line is one JSON object: medians, tasks/s and ms
 *   --out FILE   everything that was measured, as JSON
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { cpus, tmpdir, totalmem } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { measureLone, underLoad } from './performance/lone-step.mjs';
import { memoryOf, Releases } from './performance/processes.mjs';
import { machineLine, mediansOf, printRates, printTable } from './performance/report.mjs';
import { SHAPES } from './performance/shapes.mjs';
import { SLOTS, startSides } from './performance/sides.mjs';
import { compare, median } from './performance/throughput.mjs';

const require = createRequire(new URL('../package.json', import.meta.url));
const { version } = require('./package.json');
const { DefaultLogger, Runtime } = require('@temporalio/worker');

const TITLES = {
  sequential: 'flows of 20 sequential steps, an HTTP GET on loopback each',
  parallel: 'flows of 20 such steps at once',
  short: 'flows of 5 sequential steps',
  long: 'flows of 200 sequential steps',
  loop: 'flow with one loop of 2,000 steps',
  nothing: 'flows of 20 sequential steps that do next to nothing (fs.stat; an empty activity)',
  file: 'flows of 20 sequential steps that write a file',
  sql: 'flows of 20 sequential steps that query SQLite',
};

/** How long one run takes with --quick, where that is enough flows. */
const QUICK_RUN_S = 1.2;

/** Loops of one flow, for what a step costs as a flow grows. */
const GROWTH = [10, 100, 1_000, 10_000];

const { values: flags } = parseArgs({
  options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, out: { type: 'string' } },
});
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = new Releases();
const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
releases.add(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
try {
  await main();
} finally {
  await releases.releaseAll();
}

async function main() {
  console.log(machineLine({ version, slots: SLOTS }));
  const sides = await startSides({ releases, folder, withStock: true });
  const measured = flags.quick ? await measureQuickly(sides) : await measureAll(sides);
  const machine = { cores: cpus().length, cpu: cpus()[0]?.model, memoryBytes: totalmem(), node: process.version };
  if (flags.out !== undefined)
    writeFileSync(
      flags.out,
      `${JSON.stringify({ version, machine, slots: SLOTS, at: new Date().toISOString(), ...measured }, undefined, 2)}\n`,
    );
  if (flags.json) console.log(JSON.stringify(summaryOf(measured)));
}

/** What scripts read: `{"sequential": {"beamline", "handWritten", "stock"}, "parallel": {…}, "lone": {"p50Ms", "p95Ms"}}`. */
function summaryOf({ rates, lone }) {
  const { p50Ms, p95Ms } = lone.beamline.http;
  return {
    ...Object.fromEntries(Object.entries(rates).map(([name, results]) => [name, mediansOf(results)])),
    lone: { p50Ms, p95Ms },
  };
}

async function measureQuickly(sides) {
  const rates = {};
  for (const name of ['sequential', 'parallel']) {
    rates[name] = await compare(Object.values(sides), SHAPES[name], { repeats: 3, flowsOf: flowsInTime(SHAPES[name]) });
    printRates(`${TITLES[name]}, for a second or two, 3 repeats`, rates[name]);
  }
  const lone = { beamline: { http: await measureLone(sides.beamline, 'http', 50) } };
  printTable('a lone step on an idle worker, scheduled to result, 50 flows', lone.beamline);
  return { rates, lone };
}

/** As many flows as come to QUICK_RUN_S, and enough to keep a worker busy; before the rate is known, those of a first run. */
function flowsInTime({ steps }) {
  return ({ name }, rate) => {
    const least = name === 'stock' ? 6 : 12;
    return rate === undefined ? least : Math.max(least, Math.min(60, Math.round((rate * QUICK_RUN_S) / steps)));
  };
}

async function measureAll(sides) {
  const rates = {};
  for (const [name, shape] of Object.entries(SHAPES)) {
    const flowsOf = (side) => (side.name === 'stock' ? Math.max(1, Math.floor(shape.flows / 4)) : shape.flows);
    // An hour of a stock server would say the same again.
    const compared = Object.values(sides).filter((side) => side.name !== 'stock' || shape.work === 'http');
    rates[name] = await compare(compared, shape, { repeats: 3, flowsOf });
    printRates(`${shape.flows} ${TITLES[name]}, 3 repeats (on the stock server a quarter of the flows)`, rates[name]);
  }
  const lone = await measureLoneSteps(sides);
  const halfLoad = await measureHalfLoad(sides, rates);
  const growth = await measureGrowth(sides.beamline);
  const memory = memoryNow(sides);
  printTable('memory of the processes, MiB', memory);
  return { rates, lone, halfLoad, growth, memory };
}

async function measureLoneSteps({ beamline, handWritten, stock }) {
  const lone = { beamline: {}, handWritten: {}, stock: {} };
  for (const work of ['http', 'file', 'sql']) lone.beamline[work] = await measureLone(beamline, work, 200);
  lone.handWritten.http = await measureLone(handWritten, 'http', 200);
  lone.stock.http = await measureLone(stock, 'http', 30);
  printTable('a lone step on an idle worker, scheduled to result, 200 flows each', {
    ...lone.beamline,
    'http by hand, tuned server': lone.handWritten.http,
    'http by hand, stock server': lone.stock.http,
  });
  return lone;
}

async function measureHalfLoad({ beamline, handWritten }, { sequential }) {
  const result = {};
  const loadOf = ({ name }) => ({
    rate: median(sequential[name].map(({ rate }) => rate)) / 2,
    shape: SHAPES.sequential,
  });
  for (const work of ['http', 'file', 'sql'])
    result[work] = await underLoad(beamline, loadOf(beamline), () => measureLone(beamline, work, 200));
  result['http by hand, tuned server'] = await underLoad(handWritten, loadOf(handWritten), () =>
    measureLone(handWritten, 'http', 200),
  );
  printTable('the same beside flows that come to half of the throughput', result);
  return result;
}

async function measureGrowth(side) {
  const growth = {};
  for (const steps of GROWTH) {
    const [{ rate, workerCpuMs, serverCpuMs }] = (
      await compare([side], { ...SHAPES.loop, steps, work: 'nothing' }, { repeats: 1 })
    )[side.name];
    growth[steps] = {
      'ms a step': (1_000 / rate).toFixed(2),
      'worker CPU ms': workerCpuMs?.toFixed(2),
      'server CPU ms': serverCpuMs?.toFixed(2),
    };
  }
  printTable('one flow with a loop of so many steps', growth);
  return growth;
}

function memoryNow(sides) {
  return Object.fromEntries(
    Object.values(sides).flatMap(({ name, worker, server }) => [
      [`${name}: worker`, memoryOf(worker)],
      [`${name}: server`, memoryOf(server)],
    ]),
  );
}
