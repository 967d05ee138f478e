/** Steps a second of each side, in alternating order, so that drift hits all of them. */
import { cpuMsOf } from './processes.mjs';

let run = 0;

/**
 * Rates of each side: a first run that does not count, then `repeats` of them. `flowsOf` says how many flows a side runs, and may go by the
 * rate of its first run.
 */
export async function compare(sides, shape, { repeats, flowsOf = () => shape.flows }) {
  const results = Object.fromEntries(sides.map(({ name }) => [name, []]));
  const flows = {};
  for (const side of sides) {
    const first = Math.max(1, Math.ceil(flowsOf(side) / 4));
    flows[side.name] = flowsOf(side, (await runOnce(side, shape, first)).rate);
  }
  for (let repeat = 0; repeat < repeats; repeat += 1) {
    for (const side of repeat % 2 === 0 ? sides : [...sides].reverse())
      results[side.name].push(await runOnce(side, shape, flows[side.name]));
  }
  return results;
}

async function runOnce(side, shape, flows) {
  run += 1;
  const processes = [side.worker, side.server];
  const before = processes.map(cpuMsOf);
  const startedAt = performance.now();
  await Promise.all(
    Array.from({ length: flows }, async (_, index) => {
      const handle = await side.start(shape, `bench-${run}-${index}`);
      await handle.result();
    }),
  );
  const seconds = (performance.now() - startedAt) / 1_000;
  const steps = flows * shape.steps;
  const [workerCpuMs, serverCpuMs] = processes.map((pid, index) => {
    const cpuMs = cpuMsOf(pid);
    return cpuMs === undefined || before[index] === undefined ? undefined : (cpuMs - before[index]) / steps;
  });
  return { rate: steps / seconds, workerCpuMs, serverCpuMs };
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
