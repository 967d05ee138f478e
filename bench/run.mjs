/**
 * `npm run bench`: how fast flows are, beside a hand-written workflow that does the same: on the same tuned server, and on a stock
 * `temporal server start-dev` with a database file. Processes are those of production: our command, a worker of the SDK, the servers, a service.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { constants, tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { BenchFailure, describeFailure, messagesOf } from './performance/failure.mjs';
import { measureLone, underLoad, withBudget } from './performance/lone-step.mjs';
import { Releases } from './performance/processes.mjs';
import {
  machineLine,
  machineOf,
  mediansOf,
  printRates,
  printSettings,
  printTable,
  warnOfOthers,
} from './performance/report.mjs';
import { measureScale, SCALE_SHAPES } from './performance/scale.mjs';
import { SHAPES } from './performance/shapes.mjs';
import { startSides } from './performance/sides.mjs';
import { compare, median, runOnce, warmUp } from './performance/throughput.mjs';
import { memoryOf, memoryOfChildren } from './performance/usage.mjs';

const require = createRequire(new URL('../package.json', import.meta.url));
const { version } = require('./package.json');
const { DefaultLogger, Runtime } = require('@temporalio/worker');

const USAGE = `npm run bench -- [FLAGS]: flows beside hand-written workflows that do the same, all on this machine; 10 to 30 minutes

  --quick      the main ratios, in less than 45 seconds
  --json       the last line is one JSON object: medians, tasks/s and ms
  --out FILE   everything that was measured, as JSON

  --scale      in place of that: more worker processes, other settings, and what limits them
    --postgres             with Temporal on PostgreSQL, both started here: needs Go and PostgreSQL
    --address HOST:PORT    with a cluster that runs
    --only workers         or settings: one of the two
    --shape sequential     or parallel, local (workers only), slow (settings only: a service that takes 100 ms): one of them
    --patience N           how often a run that others disturbed is done again (2)
    --quick                once, for a moment: whether it works

What the figures mean: docs/performance.md, "Measure it".`;

const TITLES = {
  sequential: 'flows of 20 sequential steps, an HTTP GET on loopback each',
  parallel: 'flows of 20 such steps at once',
  sequentialQueue: 'flows of 20 such steps one after the other, all in their queue (metadata.dispatch: queue)',
  parallelQueue: 'flows of 20 such steps at once, all in their queue',
  local: 'flows of 20 such steps one after the other, in place (metadata.dispatch: local; by hand local activities)',
  localParallel: 'flows of 20 such steps at once, in place',
  short: 'flows of 5 sequential steps',
  long: 'flows of 200 sequential steps',
  loop: 'flow with one loop over 2,000 items',
  nothing: 'flows of 20 sequential steps that do next to nothing (fs.stat; an empty activity)',
  file: 'flows of 20 sequential steps that write a file, flushed to the disk',
  sql: 'flows of 20 sequential steps that query SQLite',
};

/** How long one run takes with --quick, where that is enough flows. */
const QUICK_RUN_S = 0.8;

/** Fewest flows at once. */
const LEAST_FLOWS = 6;

/** Loops of one flow, for what a step costs as a flow grows. */
const GROWTH = [10, 100, 1_000, 10_000];

const flags = readFlags();
Runtime.install({ logger: new DefaultLogger('ERROR'), shutdownSignals: [] });
const releases = new Releases();
// Again and again: npm passes on what the terminal has sent to all.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => breakOff(signal));
process.on('uncaughtException', (error) => {
  // Whoever still waits for a flow hears that its connection was closed.
  if (!releases.isEnding) releases.fail(error);
});
const folder = mkdtempSync(join(tmpdir(), 'beamline-bench-'));
releases.add(async () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
try {
  await Promise.race([main(), releases.failed]);
} catch (error) {
  // Whoever breaks it off breaks what is under way.
  if (!releases.isEnding) console.error(`bench: ${describeFailure(error)}`);
  process.exitCode ??= 1;
}
await releases.releaseAll();
process.exit();

async function breakOff(signal) {
  process.exitCode = 128 + constants.signals[signal];
  await releases.releaseAll();
  process.exit();
}

/** Throws nothing: what is wrong is told, and ends it. */
function readFlags() {
  try {
    const { values } = parseArgs({
      options: {
        ...{
          help: { type: 'boolean', short: 'h' },
          quick: { type: 'boolean' },
          json: { type: 'boolean' },
          out: { type: 'string' },
        },
        ...{ scale: { type: 'boolean' }, postgres: { type: 'boolean' } },
        ...{
          address: { type: 'string' },
          only: { type: 'string' },
          shape: { type: 'string' },
          patience: { type: 'string' },
        },
      },
    });
    if (values.help) {
      console.log(USAGE);
      process.exit(0);
    }
    const { scale, json, postgres, address, only, shape, patience } = values;
    const isForScale = [postgres, address, only, shape, patience].some((flag) => flag !== undefined);
    if (isForScale && !scale)
      throw new BenchFailure('--postgres, --address, --only, --shape and --patience go with --scale');
    if (scale && json) throw new BenchFailure('--json does not go with --scale; --out FILE does');
    if (postgres && address !== undefined)
      throw new BenchFailure('--postgres starts a server of its own: leave out --address');
    if (patience !== undefined && !/^\d+$/.test(patience))
      throw new BenchFailure(`--patience is ${patience}; expected a whole number`);
    if (only !== undefined && !['workers', 'settings'].includes(only))
      throw new BenchFailure(`--only is ${only}; expected workers or settings`);
    if (shape !== undefined && !SCALE_SHAPES.includes(shape))
      throw new BenchFailure(`--shape is ${shape}; expected ${SCALE_SHAPES.join(', ')}`);
    return values;
  } catch (error) {
    console.error(`bench: ${messagesOf(error)}\nWhat there is: npm run bench -- --help`);
    process.exit(2);
  }
}

async function main() {
  console.log(machineLine(version));
  const measured = flags.scale ? await scale() : await measureSides();
  const all = { version, machine: machineOf(), at: new Date().toISOString(), ...measured };
  if (flags.out !== undefined) writeFileSync(flags.out, `${JSON.stringify(all, undefined, 2)}\n`);
  if (flags.json) console.log(JSON.stringify(summaryOf(measured)));
}

async function scale() {
  const { address, postgres: withPostgres, only, shape, quick } = flags;
  const patience = Number(flags.patience ?? (quick ? 0 : 2));
  const pace = quick ? { repeats: 1, runS: 0.7, patience } : { repeats: 3, runS: 2, patience };
  return { servers: await measureScale({ releases, folder, address, withPostgres, only, shape, pace }) };
}

async function measureSides() {
  const sides = await startSides({ releases, folder });
  printSettings(sides);
  const settings = Object.fromEntries(Object.values(sides).map((side) => [side.name, side.settings]));
  const measured = flags.quick ? await measureQuickly(sides) : await measureAll(sides);
  warnOfOthers(measured.rates);
  return { settings, ...measured };
}

/** What scripts read: `{"sequential": {"beamline", "handWritten", "stock"}, "parallel": {…}, "local": {"beamline"}, "lone": {"p50Ms", "p95Ms"}}`. */
function summaryOf({ rates, lone }) {
  const { sequential, parallel, local } = Object.fromEntries(
    Object.entries(rates).map(([name, results]) => [name, mediansOf(results)]),
  );
  const { p50Ms, p95Ms } = lone.beamline.http;
  return { sequential, parallel, local: { beamline: local.beamline }, lone: { p50Ms, p95Ms } };
}

async function measureQuickly(sides) {
  const { beamline, handWritten, stock } = sides;
  // Compiled code and open connections, as a worker has them that runs for a while: most of it comes soonest with steps at once.
  await warmUp([beamline, handWritten, stock], SHAPES.parallel, (side) => (side === stock ? 3 : 30));
  await warmUp([beamline, handWritten], SHAPES.sequential, () => 4);
  const rates = {};
  for (const name of ['sequential', 'parallel']) {
    rates[name] = await compare(Object.values(sides), SHAPES[name], { repeats: 3, flowsOf: flowsInTime(SHAPES[name]) });
    printRates(`${TITLES[name]}, for about a second, 3 repeats`, rates[name]);
  }
  rates.local = await compare([beamline], SHAPES.local, { repeats: 3, flowsOf: flowsInTime(SHAPES.local) });
  printRates(`${TITLES.local}, for about a second, 3 repeats`, rates.local);
  const lone = { beamline: { http: await measureLone(beamline, 'http', 40) } };
  printTable('a lone step on an idle worker, scheduled to result, 40 flows', lone.beamline);
  return { rates, lone };
}

/** As many flows as come to QUICK_RUN_S, and enough to keep a worker and a server busy that wait for the disk; before the rate is known, these. */
function flowsInTime({ steps }) {
  return (_, rate) =>
    rate === undefined ? LEAST_FLOWS : Math.max(LEAST_FLOWS, Math.min(60, Math.round((rate * QUICK_RUN_S) / steps)));
}

async function measureAll(sides) {
  const rates = {};
  for (const [name, shape] of Object.entries(SHAPES)) {
    const flowsOf = (side) => (side.name === 'stock' ? Math.max(1, Math.floor(shape.flows / 4)) : shape.flows);
    // An hour of a stock server would say the same again; one flow there waits for the disk at each step.
    const isForStock = shape.dispatch === undefined && shape.work === 'http' && shape.kind !== 'loop';
    const compared = Object.values(sides).filter((side) => side.name !== 'stock' || isForStock);
    rates[name] = await compare(compared, shape, { repeats: 3, flowsOf });
    printRates(`${shape.flows} ${TITLES[name]}, 3 repeats (on the stock server a quarter of the flows)`, rates[name]);
  }
  const lone = await measureLoneSteps(sides);
  const halfLoad = await measureHalfLoad(sides, rates);
  const growth = await measureGrowth(sides);
  const memory = memoryNow(sides);
  printTable('memory of the processes, MiB', memory);
  return { rates, lone, halfLoad, growth, memory };
}

async function measureLoneSteps({ beamline, handWritten, stock }) {
  const lone = { beamline: {}, handWritten: {}, stock: {} };
  for (const work of ['http', 'file', 'sql']) lone.beamline[work] = await measureLone(beamline, work, 200);
  lone.handWritten.http = await measureLone(handWritten, 'http', 200);
  lone.stock.http = await measureLone(stock, 'http', 30);
  printTable('a lone step on an idle worker, scheduled to result, 200 flows each (stock server: 30)', {
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
    result[work] = withBudget(
      work,
      await underLoad(beamline, loadOf(beamline), () => measureLone(beamline, work, 200)),
    );
  result['http by hand, tuned server'] = await underLoad(handWritten, loadOf(handWritten), () =>
    measureLone(handWritten, 'http', 200),
  );
  printTable('the same beside flows that come to half of the throughput', result);
  return result;
}

/** Loops over so many items, of steps that do next to nothing; by hand likewise. */
async function measureGrowth({ beamline, handWritten }) {
  const growth = {};
  for (const side of [beamline, handWritten]) {
    growth[side.name] = {};
    for (const steps of GROWTH) {
      const { rate, workerCpuMs, serverCpuMs } = await runOnce(side, { ...SHAPES.loop, steps, work: 'nothing' }, 1);
      growth[side.name][steps] = {
        'ms a step': (1_000 / rate).toFixed(2),
        'worker CPU ms': workerCpuMs?.toFixed(2),
        'server CPU ms': serverCpuMs?.toFixed(2),
      };
    }
    printTable(`${side.name}: one flow with a loop over so many items`, growth[side.name]);
  }
  return growth;
}

function memoryNow(sides) {
  return Object.fromEntries(
    Object.values(sides)
      .flatMap(({ name, workers, server }) => [
        [`${name}: worker`, memoryOf(workers[0])],
        [`${name}: its child processes`, memoryOfChildren(workers[0])],
        [`${name}: server`, memoryOf(server)],
      ])
      .filter(([, memory]) => memory !== undefined),
  );
}
