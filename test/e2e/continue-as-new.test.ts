import type { WorkflowHandle } from '@temporalio/client';
import { watchFlow } from '../../src/cli/flow-watcher';
import type { Json } from '../../src/dsl/json';
import type { FlowProgress } from '../../src/dsl/progress';
import type { TemporalServer } from '../../temporal-dev/server';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import {
  errorOf,
  eventually,
  flowOf,
  openApproval,
  progressWhen,
  startTestWorker,
  type TestWorker,
} from '../helpers/test-worker';

/** A server that suggests a new history after a few events already, so that short flows meet it everywhere. */
let server: TemporalServer;
let worker: TestWorker;
beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  // Steps in place leave too few events for short flows to meet it.
  worker = await startTestWorker({ dispatch: 'queue' }, server);
}, 30_000);
afterAll(async () => {
  await worker.stop();
  await server.stop();
});

/** Run ids of a flow, the newest first. */
async function runsOf(handle: WorkflowHandle): Promise<string[]> {
  const runs: string[] = [];
  let runId: string | undefined = (await handle.describe()).runId;
  while (runId !== undefined && runId !== '') {
    runs.push(runId);
    const { events } = await worker.client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
    runId = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? undefined;
  }
  return runs;
}

/** Idempotency keys of all steps, over all runs. */
async function keysOf(handle: WorkflowHandle): Promise<string[]> {
  const keys: string[] = [];
  for (const runId of await runsOf(handle)) {
    const { events } = await worker.client.workflow.getHandle(handle.workflowId, runId).fetchHistory();
    for (const event of events ?? []) {
      const payload = event.activityTaskScheduledEventAttributes?.input?.payloads?.[0]?.data;
      if (payload != null) keys.push((JSON.parse(Buffer.from(payload).toString()) as { key: string }).key);
    }
  }
  return keys;
}

const COUNT = 'call: fs.stat, with: {path: x, ifMissing: ignore}';
const range = (length: number): number[] => Array.from({ length }, (_, index) => index);

test.each<[string, string, Json, number]>([
  [
    'a loop over items',
    `do: [{l: {for: {in: workflow.input}, do: [{a: {${COUNT}, output: {as: '\${ input }'}}}, {s: {set: '\${ data + [item] }'}}], input: {from: '\${ [] }'}}}]`,
    range(40),
    40,
  ],
  [
    'loops in loops',
    `do: [{o: {input: {from: '\${ [] }'}, for: {each: x, at: i, in: workflow.input}, do: [{n: {for: {each: y, at: j, in: workflow.input}, do: [{a: {${COUNT}, output: {as: '\${ input }'}}}, {s: {set: '\${ data + [x * 10 + y] }'}}]}}]}}]`,
    range(6),
    36,
  ],
  [
    'a loop in a function in a loop',
    `use: {functions: {inner: {do: [{n: {for: {each: y, in: 'workflow.input'}, input: {from: '\${ data.list }'}, do: [{a: {${COUNT}, output: {as: '\${ input }'}}}, {s: {set: '\${ data + [input.size()] }'}}]}}]}}}
do: [{o: {input: {from: '\${ [] }'}, for: {each: x, in: workflow.input}, do: [{f: {call: inner, with: {list: '\${ data }'}}}]}}]`,
    range(6),
    36,
  ],
])('%s goes on over several histories, every step once', async (_, flow, input, steps) => {
  const handle = await worker.start(flow, input);
  const output = (await handle.result()) as number[];
  expect(output).toHaveLength(steps);
  expect(output).toEqual([...output].sort((a, b) => a - b));
  const runs = await runsOf(handle);
  expect(runs.length).toBeGreaterThan(3);
  const keys = await keysOf(handle);
  expect(keys).toHaveLength(steps);
  expect(new Set(keys).size).toBe(steps);
});

test('a list that goes back counts its visits over several histories', async () => {
  const handle = await worker.start(`
do:
  - begin: { set: { n: 0 } }
  - group:
      do:
        - step: { ${COUNT}, output: { as: "\${ input }" } }
        - next: { set: { n: "\${ data.n + 1 }" } }
  - again: { switch: [{ more: { when: data.n < 25, then: group } }, { enough: { then: exit } }] }
`);
  expect(await handle.result()).toEqual({ n: 25 });
  const keys = await keysOf(handle);
  expect(new Set(keys).size).toBe(25);
  expect(keys).toHaveLength(25);
  expect((await runsOf(handle)).length).toBeGreaterThan(2);
});

test('a try keeps its list, its retries and its handler, and outputs of steps stay readable', async () => {
  const loop = (name: string) => `{${name}: {for: {in: "[1,2,3,4,5,6]"}, do: [{c: {${COUNT}}}]}}`;
  const handle = await worker.start(
    `do: [{first: {set: {v: 7}}}, {t: {
      try: [${loop('work')}, {fail: {raise: {error: {type: "https://x.test/e", status: 500, detail: "\${ string(steps.first.output.v) }"}}}}],
      catch: {as: problem, retry: {limit: {attempt: {count: 2}}, delay: PT0.01S}, do: [${loop('mend')}, {tell: {set: {detail: "\${ problem.detail }", v: "\${ steps.first.output.v }"}}}]}}}]`,
  );
  expect(await handle.result()).toEqual({ detail: '7', v: 7 });
  const keys = await keysOf(handle);
  // Three tries and one handler of six steps each; a retried list has the same keys.
  expect(keys).toHaveLength(24);
  expect(new Set(keys).size).toBe(12);
});

test('branches stand still together, and join once', async () => {
  const branch = (name: string, steps: number) =>
    `{${name}: {for: {in: "workflow.input.filter(n, n < ${steps})"}, do: [{c: {${COUNT}, output: {as: "\${ {'${name}': index} }"}}}]}}`;
  const handle = await worker.start(
    `do: [{f: {fork: {branches: [${branch('a', 30)}, ${branch('b', 5)}, ${branch('c', 20)}, {d: {set: {one: 1}}}]}}}, {e: {set: {all: "\${ data }"}}}]`,
    range(30),
  );
  expect(await handle.result()).toEqual({ all: [{ a: 29 }, { b: 4 }, { c: 19 }, { one: 1 }] });
  const keys = await keysOf(handle);
  expect(keys).toHaveLength(55);
  expect(new Set(keys).size).toBe(55);
  expect((await runsOf(handle)).length).toBeGreaterThan(2);
});

test('a fork that competes keeps what failed and takes the first that completes', async () => {
  const handle = await worker.start(
    `do: [{f: {fork: {compete: true, branches: [
      {bad: {raise: {error: {type: "https://x.test/e", status: 500}}}},
      {good: {for: {in: workflow.input}, do: [{c: {${COUNT}, output: {as: index}}}]}}]}}}]`,
    range(30),
  );
  expect(await handle.result()).toBe(29);
});

test('a timeout of the flow counts from its first run', async () => {
  const handle = await worker.start(
    `timeout: {after: PT2S}\ndo: [{a: {${COUNT}}}, {b: {switch: [{again: {then: a}}]}}]`,
  );
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_STEP_TIMEOUT', detail: 'it took longer than 2000 ms' });
  expect((await runsOf(handle)).length).toBeGreaterThan(2);
});

test('progress, attributes, context and start time go along', async () => {
  const handle = await worker.start(
    `do: [{n: {set: {started: "\${ workflow.startedAt.iso8601 }"}, export: {as: {kept: "\${ data.started }"}}}},
      {l: {for: {in: workflow.input}, do: [{c: {${COUNT}}}]}},
      {o: {set: {kept: "\${ context.kept }", now: "\${ workflow.startedAt.iso8601 }"}}},
      {w: {call: human.approval, with: {title: go on}, output: {as: "\${ input }"}}}]`,
    range(20),
    { tenant: 'acme' },
  );
  const progress = await progressWhen(handle, ({ status }) => status === 'AwaitingApproval');
  expect(progress).toMatchObject({ tenant: 'acme', stepsStarted: 24, stepsEnded: 23 });
  expect(progress.steps.filter(({ id }) => id === '/do/1/l').map(({ status }) => status)).toEqual(['completed']);
  const { typedSearchAttributes, runId } = await handle.describe();
  expect(JSON.stringify(typedSearchAttributes)).toContain('acme');
  expect(runId).not.toBe((await runsOf(handle)).at(-1));
  const approval = await openApproval(worker.client, handle);
  await approval.executeUpdate('decide', { args: [{ decision: 'approved', by: 'ann' }] });
  const { kept, now } = (await handle.result()) as { kept: string; now: string };
  expect(kept).toBe(now);
});

test('the command line follows a flow from run to run', async () => {
  const handle = await worker.start(
    `do: [{l: {for: {in: workflow.input}, do: [{c: {${COUNT}, output: {as: index}}}]}}]`,
    range(40),
  );
  const { runId } = await handle.describe();
  const flow = { client: worker.client, workflowId: handle.workflowId, runId, taskQueue: `${worker.queuePrefix}-io` };
  const ended = new Map<number, string>();
  const onProgress = ({ steps }: FlowProgress) => {
    for (const { seq, id, endedAt } of steps) if (endedAt !== undefined) ended.set(seq, id);
  };
  const outcome = await watchFlow(flow, { onProgress, onNotice: () => undefined }, new AbortController().signal);
  expect(outcome).toMatchObject({ output: 39 });
  expect([...ended.values()].filter((id) => id === '/do/0/l/do/0/c')).toHaveLength(40);
});

test('a cancellation reaches whichever run there is', async () => {
  const handle = await worker.start(`do: [{a: {${COUNT}}}, {b: {switch: [{again: {then: a}}]}}]`);
  await progressWhen(handle, ({ stepsEnded }) => stepsEnded > 40);
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
});

test('flows go on where the worker keeps but five of them in memory, more of them than that too', async () => {
  const small = await startTestWorker({ 'max-cached-flows': '5', pools: 'io', dispatch: 'queue' }, server);
  try {
    const loop = `do: [{l: {for: {in: workflow.input}, do: [{a: {${COUNT}, output: {as: '\${ item }'}}}]}}]`;
    const windows = `do: [{l: {for: {in: workflow.input}, metadata: {concurrency: 10, batchSize: 10}, do: [{a: {${COUNT}, output: {as: '\${ item }'}}}]}}]`;
    const flows = await Promise.all([loop, loop, loop, windows].map((text) => small.start(text, range(30))));
    expect(await Promise.all(flows.map((flow) => flow.result()))).toEqual([29, 29, 29, range(30)]);
    expect((await runsOf(flows[0] as WorkflowHandle)).length).toBeGreaterThan(1);
  } finally {
    await small.stop();
  }
});

test('a loop whose steps run in place goes on in a new history, every step once', async () => {
  const steps = range(60);
  const handle = await worker.start(
    `do: [{l: {input: {from: '\${ [] }'}, for: {in: workflow.input}, do: [{a: {${COUNT}, metadata: {dispatch: local}, output: {as: '\${ input }'}}}, {w: {if: 'item % 20 == 0', wait: PT0.01S, output: {as: '\${ input }'}}}, {s: {set: '\${ data + [item] }'}}]}}]`,
    steps,
  );
  expect(await handle.result()).toEqual(steps);
  expect((await runsOf(handle)).length).toBeGreaterThan(1);
  // Some go to their queue where the machine is slow.
  const queued = await keysOf(handle);
  expect(queued.length).toBeLessThan(steps.length);
  expect(new Set(queued).size).toBe(queued.length);
});

test('nobody else may bring what a run carries', async () => {
  const handle = await worker.client.workflow.start('runFlow', {
    taskQueue: `${worker.queuePrefix}-io`,
    workflowId: `forged-${worker.queuePrefix}`,
    args: [{}, { prepared: { plan: { tasks: [] }, tenant: 'other' }, list: { index: 0 } }],
  });
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_START_INVALID' });
  await eventually(async () => ((await handle.describe()).status.name === 'FAILED' ? true : undefined));
});

test('a chain of runs goes on over several histories, in one chain', async () => {
  const workflowId = `chain-${worker.queuePrefix}`;
  const flow = flowOf('do: [{a: {set: {a: 1}}}]');
  const signalArgs = [
    { start: { flow }, flow: 'test/flow:1.0.0', tenant: 'default', workflowId, afterMs: 1_000, deployed: {} },
  ];
  await worker.client.workflow.signalWithStart('repeatFlow', {
    workflowId,
    taskQueue: `${worker.queuePrefix}-io`,
    args: [],
    signal: 'configure',
    signalArgs,
  });
  await eventually(async () =>
    (await runsOf(worker.client.workflow.getHandle(workflowId))).length > 2 ? true : undefined,
  );
  await worker.client.workflow.getHandle(workflowId).terminate();
  const query = `WorkflowType = 'runFlow' AND WorkflowId STARTS_WITH '${workflowId}-'`;
  const starts: number[] = [];
  for await (const { startTime } of worker.client.workflow.list({ query })) starts.push(startTime.getTime());
  starts.sort((left, right) => left - right);
  expect(starts.length).toBeGreaterThan(2);
  for (const [index, start] of starts.slice(1).entries()) expect(start - (starts[index] ?? 0)).toBeGreaterThan(900);
});
