/** The time of a lone step, as its workflow sees it: scheduled to result. At rest, or beside flows that keep the worker half busy. */
import { LONE } from './shapes.mjs';
import { percentile } from './throughput.mjs';

let count = 0;

/** ms of `steps` flows of one step each, one after the other, and from the start of the workflow to the start of its step. */
export async function measureLone(side, work, steps) {
  const times = [];
  const firsts = [];
  for (let step = 0; step < steps; step += 1) {
    count += 1;
    const handle = await side.start({ ...LONE, work }, `lone-${side.name}-${count}`);
    const output = await handle.result();
    times.push(side.name === 'beamline' ? await timeOf(handle) : output[0]);
    firsts.push(await timeToFirstStep(handle));
  }
  return {
    p50Ms: percentile(times, 0.5),
    p95Ms: percentile(times, 0.95),
    p99Ms: percentile(times, 0.99),
    firstStepMs: percentile(firsts, 0.5),
  };
}

async function timeOf(handle) {
  const [{ startedAt, endedAt }] = (await handle.query('progress')).steps;
  return endedAt - startedAt;
}

async function timeToFirstStep(handle) {
  const { events } = await handle.fetchHistory();
  const scheduled = events.find(({ activityTaskScheduledEventAttributes }) => activityTaskScheduledEventAttributes);
  return msOf(scheduled.eventTime) - msOf(events[0].eventTime);
}

function msOf({ seconds, nanos }) {
  return Number(seconds) * 1_000 + nanos / 1e6;
}

/** Keeps flows going whose steps together come to `rate` a second, while `measure` measures. */
export async function underLoad(side, { rate, shape }, measure) {
  const pauseMs = (shape.steps * 1_000) / rate;
  const running = new Set();
  const timer = setInterval(() => {
    count += 1;
    const flow = side.start(shape, `load-${side.name}-${count}`).then((handle) => handle.result());
    running.add(flow);
    flow.catch(console.error).finally(() => running.delete(flow));
  }, pauseMs);
  try {
    return await measure();
  } finally {
    clearInterval(timer);
    await Promise.allSettled([...running]);
  }
}
