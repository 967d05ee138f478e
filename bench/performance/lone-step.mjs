/** The time of a lone step, as its workflow sees it: scheduled to result. At rest, or beside flows that keep the worker half busy. */
import { LONE } from './shapes.mjs';
import { percentile, resultOf } from './throughput.mjs';

/** Longest time of a step at half load, 99 of 100, ms: what the product promises. */
const BUDGET_MS = { http: 500, file: 200, sql: 300 };

let count = 0;

/** ms of `steps` flows of one step each, one after the other, and from the start of the workflow to the start of its step. */
export async function measureLone(side, work, steps) {
  const shape = { ...LONE, work };
  const times = [];
  const firsts = [];
  for (let step = 0; step < steps; step += 1) {
    count += 1;
    const handle = await side.start(shape, `lone-${process.pid}-${side.name}-${count}`);
    const output = await resultOf(side, shape, handle);
    times.push(side.isByHand ? output.ms : await timeOf(handle));
    const first = await timeToFirstStep(handle);
    if (first !== undefined) firsts.push(first);
  }
  return {
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
    p99Ms: percentile(times, 0.99),
    ...(firsts.length === 0 ? {} : { firstStepMs: Math.round(percentile(firsts, 0.5)) }),
  };
}

/** With whether the budget of that work was held. */
export function withBudget(work, measured) {
  const budgetMs = BUDGET_MS[work];
  return { ...measured, 'budget p99Ms': budgetMs, budget: measured.p99Ms <= budgetMs ? 'ok' : 'missed' };
}

async function timeOf(handle) {
  const [{ startedAt, endedAt }] = (await handle.query('progress')).steps;
  return endedAt - startedAt;
}

async function timeToFirstStep(handle) {
  const { events } = await handle.fetchHistory();
  const scheduled = events.find(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes);
  // A step in place is not in the history before it ended.
  if (scheduled === undefined) return undefined;
  return msOf(scheduled.eventTime) - msOf(events[0].eventTime);
}

function msOf({ seconds, nanos }) {
  return Number(seconds) * 1_000 + nanos / 1e6;
}

/** Keeps flows going whose steps together come to `rate` a second, while `measure` measures. Throws BenchFailure where one of them failed. */
export async function underLoad(side, { rate, shape }, measure) {
  const pauseMs = (shape.steps * 1_000) / rate;
  const running = new Set();
  let failure;
  const timer = setInterval(() => {
    count += 1;
    const flow = side
      .start(shape, `load-${process.pid}-${side.name}-${count}`)
      .then((handle) => resultOf(side, shape, handle))
      .catch((error) => {
        failure ??= error;
      })
      .finally(() => running.delete(flow));
    running.add(flow);
  }, pauseMs);
  let measured;
  try {
    measured = await measure();
  } finally {
    clearInterval(timer);
    await Promise.all([...running]);
  }
  if (failure !== undefined) throw failure;
  return measured;
}
