/** Steps a second of each side, in alternating order, so that drift hits all of them. */
import { setTimeout as delay } from 'node:timers/promises';
import { BenchFailure, messagesOf } from './failure.mjs';
import { isExpected } from './shapes.mjs';
import { cpuMsOf, machineCpuMs, threadCpuMsOf } from './usage.mjs';

/** How long to look whether the machine is calm, and how long to wait for that. */
const CALM_MS = 500;
const CALM_LIMIT_MS = 5_000;

let run = 0;

/** Of the machine, by processes that are not ours: beside more than this a run says little. */
export const MAX_OTHERS = 0.1;

/**
 * Rates of each side: a first run that does not count, then `repeats` of them. `flowsOf` says how many flows a side runs, and may go by the
 * rate of its first run. A run that others disturbed is done again, `patience` times at most; the last one counts, however it was.
 */
export async function compare(sides, shape, { repeats, flowsOf = () => shape.flows, patience = 0 }) {
  const results = Object.fromEntries(sides.map(({ name }) => [name, []]));
  const flows = {};
  for (const side of sides) {
    const first = Math.max(1, Math.ceil(flowsOf(side) / 4));
    flows[side.name] = flowsOf(side, (await runOnce(side, shape, first)).rate);
  }
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const side of repeat % 2 === 0 ? sides : [...sides].reverse())
      results[side.name].push(await runUndisturbed(side, shape, { flows: flows[side.name], patience }));
  }
  return results;
}

async function runUndisturbed(side, shape, { flows, patience }) {
  for (let left = patience; ; left -= 1) {
    if (left > 0) await untilCalm();
    const result = await runOnce(side, shape, flows);
    if (left === 0 || (result.othersBusy ?? 0) <= MAX_OTHERS) return { ...result, disturbed: patience - left };
  }
}

/** Waits until others leave the machine alone, or for long enough. */
async function untilCalm() {
  const deadline = performance.now() + CALM_LIMIT_MS;
  while (performance.now() < deadline) {
    const before = { machine: machineCpuMs(), own: cpuMsOf(process.pid) };
    await delay(CALM_MS);
    const { othersBusy = 0 } = sharesOf(before, { machine: machineCpuMs(), own: cpuMsOf(process.pid) });
    if (othersBusy <= MAX_OTHERS) return;
  }
}

/** Runs flows on all sides at once: code is compiled and connections are open before anything is measured. */
export async function warmUp(sides, shape, flowsOf) {
  await Promise.all(sides.map((side) => runFlows(side, shape, flowsOf(side))));
}

/** Runs flows at once, and tells steps a second and what they took of processors. Throws BenchFailure where one did not end as it has to. */
export async function runOnce(side, shape, flows) {
  const before = readUsage(side);
  await runFlows(side, shape, flows);
  const after = readUsage(side);
  const steps = flows * shape.steps;
  const perStep = (key) => (after[key] === undefined ? undefined : (after[key] - before[key]) / steps);
  const seconds = (after.at - before.at) / 1_000;
  return {
    rate: steps / seconds,
    workerCpuMs: perStep('worker'),
    serverCpuMs: perStep('server'),
    databaseCpuMs: perStep('database'),
    clientCpuMs: perStep('client'),
    busiestThreadCpuMs: busiestOf(before.threads, after.threads, steps),
    ...sharesOf(before, after),
  };
}

async function runFlows(side, shape, flows) {
  run += 1;
  const name = `bench-${process.pid}-${run}`;
  await Promise.all(
    Array.from({ length: flows }, async (_, index) => {
      await resultOf(side, shape, await side.start(shape, `${name}-${index}`));
    }),
  );
}

/** What a flow that was started ends with. Throws BenchFailure where that is not what it has to be: a rate of failed work is none. */
export async function resultOf(side, shape, handle) {
  let output;
  try {
    output = await handle.result();
  } catch (cause) {
    throw new BenchFailure(`${side.name}: ${handle.workflowId} did not end well: ${messagesOf(cause)}`);
  }
  const outcome = shape.kind === 'lone' && side.isByHand ? output?.output : output;
  if (isExpected(shape, outcome)) return output;
  const told = JSON.stringify(output)?.slice(0, 200);
  throw new BenchFailure(`${side.name}: ${handle.workflowId} (${shape.kind}, ${shape.work}) ended with ${told}`);
}

function readUsage({ workers, server, database }) {
  const { user, system } = process.cpuUsage();
  return {
    at: performance.now(),
    worker: sum(workers.map(cpuMsOf)),
    server: server === undefined ? undefined : cpuMsOf(server),
    database: database === undefined ? undefined : cpuMsOf(database),
    client: (user + system) / 1_000,
    threads: workers.map(threadCpuMsOf),
    machine: machineCpuMs(),
    // With all that it has started.
    own: cpuMsOf(process.pid),
  };
}

function sum(values) {
  return values.includes(undefined) ? undefined : values.reduce((total, value) => total + value, 0);
}

/** CPU time a step of the thread that had most to do, among those of all workers: 1,000 / it is the most that so many workers can do. */
function busiestOf(before, after, steps) {
  const times = after.flatMap((threads, worker) =>
    [...threads].map(([thread, time]) => time - (before[worker].get(thread) ?? 0)),
  );
  return times.length === 0 ? undefined : Math.max(...times) / steps;
}

/** How much of the machine was in use, and how much by processes that are not ours: then all rates are too low. */
function sharesOf(before, after) {
  if (before.machine === undefined || before.own === undefined) return {};
  const all = after.machine.all - before.machine.all;
  const used = after.machine.used - before.machine.used;
  return { machineBusy: used / all, othersBusy: Math.max(0, used - (after.own - before.own)) / all };
}

export function median(values) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

/** The value that so much of all values is not above. */
export function percentile(values, share) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
}
