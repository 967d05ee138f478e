import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { replayHistories } from '../../src/worker/replay';
import type { TemporalServer } from '../../temporal-dev/server';
import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { flowOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** Time that a dry run skips, with histories of a few events and with one history: the same end, at the same time. */
let server: TemporalServer;
let catalog: CatalogFolder;
let short: TestWorker;
let long: TestWorker;

beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  catalog = makeCatalogFolder({
    'child.yaml': flowText('test/child:1.0.0', 'do: [{ rest: { wait: PT1H } }, { said: { set: \'${ "child" }\' } }]'),
    'broken.yaml': flowText(
      'test/broken:1.0.0',
      'do: [{ rest: { wait: PT1H } }, { end: { raise: { error: { type: "https://x.test/e", status: 500 } } } }]',
    ),
  });
  const settings = { pools: 'sandbox', catalog: catalog.folder };
  [short, long] = [await startTestWorker(settings, server), await startTestWorker(settings)];
}, 60_000);

afterAll(async () => {
  await Promise.all([short?.stop(), long?.stop()]);
  catalog?.dispose();
  await server?.stop();
});

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

type DryRunHandle = WorkflowHandleWithFirstExecutionRunId;

async function start(worker: TestWorker, flow: JsonObject, mocks: JsonObject): Promise<DryRunHandle> {
  return await worker.client.workflow.start(RUN_FLOW, {
    workflowId: `dry-${randomUUID()}`,
    taskQueue: `${worker.queuePrefix}-sandbox`,
    args: [{ flow, mode: 'dry-run', mocks }],
  });
}

/** Histories of the dry runs that ended by workflow: the first of each, the second, and so on. */
const histories: Record<string, unknown>[] = [];

/** Keeps the histories of a dry run, and says how many there are. */
async function keepHistories({ client }: TestWorker, { workflowId, firstExecutionRunId }: DryRunHandle) {
  let count = 0;
  for (let runId: string | null | undefined = firstExecutionRunId; runId; count += 1) {
    const history = await client.workflow.getHandle(workflowId, runId).fetchHistory();
    histories[count] = { ...histories[count], [workflowId]: JSON.parse(historyToJSON(history)) };
    runId = history.events?.at(-1)?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId;
  }
  return count;
}

async function endOn(worker: TestWorker, flow: JsonObject, mocks: JsonObject) {
  const handle = await start(worker, flow, mocks);
  const result: unknown = await handle.result();
  const { status, output, error, skippedMs = 0, steps } = result as DryRunReport;
  const end = { status, ...(output === undefined ? { error } : { output }), skippedMs };
  return { end, steps, histories: await keepHistories(worker, handle) };
}

/** Dry runs a flow with one history and with several; what it ends with has to be the same. */
async function dryRun(text: string, mocks: JsonObject = {}) {
  const flow = flowOf(text);
  const [{ end, steps }, { end: again }] = await Promise.all([endOn(long, flow, mocks), endOn(short, flow, mocks)]);
  expect(again).toEqual(end);
  return { ...end, steps };
}

const get = (name: string, more = ''): string =>
  `{ ${name}: { call: http, with: { method: get, endpoint: 'https://example.com/' }${more} } }`;
const say = (name: string, text: string): string => `{ ${name}: { set: '\${ "${text}" }' } }`;
const wait = (name: string, duration: string): string => `{ ${name}: { wait: ${duration} } }`;
/** A branch that says something after a while. */
const late = (name: string, duration: string): string =>
  `{ ${name}: { do: [${wait(`${name}Rest`, duration)}, ${say(`${name}Said`, name)}] } }`;
const race = (...branches: string[]): string =>
  `{ race: { fork: { compete: true, branches: [${branches.join(', ')}] } } }`;
const BROKEN = 'raise: { error: { type: "https://x.test/e", status: 500 } }';
const ASK =
  "ask: { call: human.approval, with: { title: x, timeout: PT1H, onTimeout: continue }, output: { as: '${ data.decision }' } }";
const UNAVAILABLE: Json = { error: { code: 'BLW_HTTP_STATUS', status: 503 } };

describe('a race in a dry run', () => {
  it.each<[string, string, JsonObject, Json, number]>([
    ['an answer before a wait', race(late('giveUp', 'PT5M'), get('answer')), { answer: { output: 'it' } }, 'it', 0],
    ['an approval before a wait', race(late('giveUp', 'PT5M'), `{ ${ASK} }`), {}, 'approved', 0],
    ['the shorter of two waits', race(late('slow', 'PT2H'), late('quick', 'PT1H')), {}, 'quick', HOUR],
    ['the first of two that are as long', race(late('one', 'PT1H'), late('two', 'PT60M')), {}, 'one', HOUR],
    [
      'what is through first of two that waited as long',
      race(`{ one: { do: [${wait('first', 'PT1H')}, ${get('answer')}] } }`, late('two', 'PT1H')),
      {},
      'two',
      HOUR,
    ],
    [
      'a wait before an attempt that takes too long',
      race(get('slow'), late('quick', 'PT5S')),
      { slow: { timeout: true } },
      'quick',
      5_000,
    ],
    [
      'an attempt that takes too long before a wait',
      race(get('slow'), late('quick', 'PT5M')),
      { slow: [{ timeout: true }, { output: 1 }] },
      1,
      31_000,
    ],
    [
      'a wait before the pauses of a step',
      race(get('tries'), late('quick', 'PT2S')),
      { tries: [UNAVAILABLE, UNAVAILABLE, { output: 1 }] },
      'quick',
      2_000,
    ],
    [
      'a wait before nobody decides',
      race(`{ ${ASK} }`, late('quick', 'PT5M')),
      { ask: { decision: 'timedOut' } },
      'quick',
      5 * MINUTE,
    ],
    [
      'that nobody decides before a wait',
      race(late('slow', 'PT2H'), `{ ${ASK} }`),
      { ask: { decision: 'timedOut' } },
      'timedOut',
      HOUR,
    ],
    [
      'steps that are many before a wait',
      race(
        late('slow', 'PT1S'),
        `{ all: { do: [${Array.from({ length: 12 }, (_, n) => get(`s${n}`)).join(', ')}, ${say('said', 'all')}] } }`,
      ),
      {},
      'all',
      0,
    ],
    [
      'a wait before tries with pauses',
      race(
        `{ tries: { try: [{ broken: { ${BROKEN} } }], catch: { retry: { delay: PT10M, limit: { attempt: { count: 5 } } } } } }`,
        late('quick', 'PT25M'),
      ),
      {},
      'quick',
      25 * MINUTE,
    ],
    [
      'tries with pauses before a wait',
      race(
        late('slow', 'PT25M'),
        `{ tries: { try: [{ broken: { ${BROKEN} } }], catch: { retry: { delay: PT10M, limit: { attempt: { count: 2 } } }, do: [${say('caught', 'caught')}] } } }`,
      ),
      {},
      'caught',
      20 * MINUTE,
    ],
    [
      'a wait before a flow that waits',
      race('{ sub: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } }', late('quick', 'PT30M')),
      {},
      'quick',
      30 * MINUTE,
    ],
    [
      'a flow that waits before a wait',
      race(late('slow', 'PT2H'), '{ sub: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } } } }'),
      {},
      'child',
      HOUR,
    ],
    [
      'a wait before a flow that is mocked to take too long',
      race(
        '{ sub: { run: { workflow: { namespace: test, name: child, version: 1.0.0 } }, timeout: { after: PT3M } } }',
        late('quick', 'PT2M'),
      ),
      { sub: { timeout: true } },
      'quick',
      2 * MINUTE,
    ],
    [
      'a race in a branch of a race',
      race(
        `{ group: { do: [${race(late('a', 'PT2H'), late('b', 'PT1H')).replace('race', 'inner')}, ${wait('more', 'PT1H')}] } }`,
        late('c', 'PT90M'),
      ),
      {},
      'c',
      90 * MINUTE,
    ],
  ])('is won by %s', async (_, task, mocks, output, skippedMs) => {
    expect(await dryRun(`do: [${task}]`, mocks)).toMatchObject({ status: 'completed', output, skippedMs });
  });

  it('leaves the others as they are when it is over', async () => {
    const { steps } = await dryRun(`do: [${race(get('slow'), late('quick', 'PT5S'))}]`, { slow: { timeout: true } });
    expect(steps.map(({ name, status }) => [name, status])).toEqual([
      ['race', 'completed'],
      ['slow', 'cancelled'],
      ['quick', 'completed'],
      ['quickRest', 'completed'],
      ['quickSaid', 'completed'],
    ]);
  });
});

describe('time that is skipped side by side', () => {
  const forks = `{ all: { fork: { branches: [${late('a', 'PT3H')}, { b: { fork: { branches: [${late('c', 'PT2H')}, ${late('d', 'PT1H')}] } } }] } } }`;
  const each = (more: string, list = "wait: 'PT${ string(n) }H'") =>
    `{ each: { for: { in: '\${ [1, 2, 3, 1] }', each: n }, ${more}do: [{ rest: { ${list.replace("'PT${ string(n) }H'", '\'${ "PT" + string(n) + "H" }\'')} } }] } }`;

  it.each<[string, string, number]>([
    ['the longest of branches', forks, 3 * HOUR],
    ['the sum, one after the other', `${forks}, ${wait('then', 'PT1H')}`, 4 * HOUR],
    ['the sum of iterations', each(''), 7 * HOUR],
    // 1 and then 3 in one lane, 2 and then 1 in the other.
    ['that of the longest lane', each('metadata: { concurrency: 2 }, '), 4 * HOUR],
    ['the longest of batches', each('metadata: { concurrency: 4, batchSize: 1 }, '), 3 * HOUR],
    ['the longest lane of batches', each('metadata: { concurrency: 2, batchSize: 1 }, '), 4 * HOUR],
    ['the sum of batches, one after the other', each('metadata: { concurrency: 2, batchSize: 2 }, '), 5 * HOUR],
  ])('is %s', async (_, tasks, skippedMs) => {
    expect(await dryRun(`do: [${tasks}]`)).toMatchObject({ status: 'completed', skippedMs });
  });

  it('ends a loop in batches with the failure that comes first', async () => {
    const task = `{ each: { for: { in: '\${ [3, 1, 2] }', each: n }, metadata: { concurrency: 3, batchSize: 1 }, do: [{ rest: { wait: '\${ "PT" + string(n) + "H" }' } }, { end: { raise: { error: { type: 'https://x.test/e', status: '\${ 500 + n }' } } } }] } }`;
    expect(await dryRun(`do: [${task}]`)).toMatchObject({ error: { status: 501 }, skippedMs: HOUR });
  });

  it('passes before the end of a flow that fails', async () => {
    const task = '{ sub: { run: { workflow: { namespace: test, name: broken, version: 1.0.0 } } } }';
    expect(await dryRun(`do: [${task}]`)).toMatchObject({
      status: 'failed',
      error: { status: 500, instance: '/do/0/sub' },
      skippedMs: HOUR,
    });
  });
});

describe('a timeout in a dry run', () => {
  const limited = (duration: string, ...tasks: string[]) =>
    `{ group: { timeout: { after: ${duration} }, do: [${tasks.join(', ')}] } }`;

  it('ends a group whose waits take longer', async () => {
    const task = limited('PT10M', wait('one', 'PT6M'), wait('two', 'PT6M'), say('never', 'never'));
    const { steps, ...end } = await dryRun(`do: [${task}]`);
    expect(end).toMatchObject({ error: { code: 'BLW_STEP_TIMEOUT', instance: '/do/0/group' }, skippedMs: 10 * MINUTE });
    expect(steps.map(({ name, status }) => [name, status])).toEqual([
      ['group', 'failed'],
      ['one', 'completed'],
      ['two', 'cancelled'],
    ]);
  });

  it.each<[string, string, Json, number]>([
    [
      'leaves one alone whose waits do not',
      limited('PT10M', wait('one', 'PT4M'), wait('two', 'PT5M'), say('said', 'done')),
      'done',
      9 * MINUTE,
    ],
    [
      'is caught',
      `{ attempt: { try: [${limited('PT1M', wait('rest', 'PT5M'))}], catch: { errors: { with: { status: 408 } }, do: [${say('mended', 'mended')}] } } }`,
      'mended',
      MINUTE,
    ],
    [
      'of an attempt is caught and tried again',
      `{ attempt: { try: [${wait('rest', 'PT5M')}], catch: { retry: { delay: PT1M, limit: { attempt: { count: 2, duration: PT2M } } }, do: [${say('mended', 'mended')}] } } }`,
      'mended',
      8 * MINUTE,
    ],
    [
      'ends what runs side by side',
      `{ attempt: { try: [${limited('PT90M', `{ all: { fork: { branches: [${late('a', 'PT1H')}, ${late('b', 'PT2H')}] } } }`)}], catch: { do: [${say('mended', 'mended')}] } } }`,
      'mended',
      90 * MINUTE,
    ],
  ])('%s', async (_, task, output, skippedMs) => {
    expect(await dryRun(`do: [${task}]`)).toMatchObject({ status: 'completed', output, skippedMs });
  });

  it('ends the flow, which undoes its steps', async () => {
    const undoable = get('pay', `, metadata: { compensate: [${wait('before', 'PT1H')}, ${get('undo')}] }`);
    const { steps, ...end } = await dryRun(`timeout: { after: P1D }\ndo: [${undoable}, ${wait('rest', 'P2D')}]`);
    expect(end).toMatchObject({ error: { code: 'BLW_STEP_TIMEOUT', instance: '/timeout' }, skippedMs: 25 * HOUR });
    expect(steps.map(({ name }) => name)).toEqual(['pay', 'rest', 'before', 'undo']);
  });

  it('of a step ends it where its attempts take longer', async () => {
    const step = get('slow', ', timeout: { after: PT20S }');
    const mocks = { slow: [{ timeout: true }, { output: 1 }] };
    expect(await dryRun(`do: [${step}]`, mocks)).toMatchObject({
      error: { code: 'BLW_STEP_TIMEOUT', instance: '/do/0/slow' },
      skippedMs: 20_000,
    });
  });

  it('counts over the tries that it limits', async () => {
    const task = `{ attempt: { try: [${wait('rest', 'PT20M')}, { broken: { ${BROKEN} } }], catch: { retry: { delay: PT10M, limit: { duration: PT80M } } } } }`;
    const { steps, ...end } = await dryRun(`do: [${task}]`);
    expect(steps.filter(({ name }) => name === 'broken').length).toBeGreaterThan(0);
    expect(end).toMatchObject({ status: 'completed', skippedMs: 80 * MINUTE });
  });
});

describe('the clock of a dry run', () => {
  it('stands still while anything is done: expressions of another worker, exports, attempts', async () => {
    const busy = `{ busy: { do: [{ a: { set: { n: 1 }, export: { as: '\${ $context + {a: 1} }' } } }, ${get('b', ", export: { as: '${ $context + {b: 1} }' }")}, { said: { set: '\${ $context.a + 1 }' } }] } }`;
    const text = `evaluate: { language: jq }\ndo: [{ first: { set: { a: 0 }, export: { as: '\${ {} }' } } }, ${race(late('slow', 'PT1S'), busy)}]`;
    const flow = { ...flowOf(text.replace('evaluate: { language: jq }\n', '')), evaluate: { language: 'jq' } };
    const mocks = { b: [UNAVAILABLE, { output: 1 }] };
    // The attempts of the step take a second, and the race began first.
    for (const worker of [long, short])
      expect((await endOn(worker, flow, mocks)).end).toEqual({ status: 'completed', output: 'slow', skippedMs: 1_000 });
    for (const worker of [long, short])
      expect((await endOn(worker, flow, { b: { output: 1 } })).end).toEqual({
        status: 'completed',
        output: 2,
        skippedMs: 0,
      });
  });

  it('goes on with what is left of each timer in a new history', async () => {
    const loop = `{ loop: { for: { in: '\${ [1, 2, 3, 4] }', each: n }, do: [${get('one')}, ${get('two')}, ${wait('rest', 'PT10M')}] } }`;
    const tries = `{ tries: { try: [{ broken: { ${BROKEN} } }], catch: { retry: { delay: PT15M, limit: { attempt: { count: 2 } } }, do: [${say('caught', 'caught')}] } } }`;
    const branches = [
      loop,
      late('slow', 'PT45M'),
      tries,
      `{ ask: { call: human.approval, with: { title: x, timeout: PT35M, onTimeout: continue }, output: { as: '\${ data.decision }' } } }`,
      get('failing', ', metadata: { onFailure: continue, retry: { maximumAttempts: 2 } }'),
      `{ batches: { for: { in: '\${ [1, 2] }', each: n }, metadata: { concurrency: 2, batchSize: 1 }, do: [{ nap: { wait: '\${ n == 1 ? "PT20M" : "PT50M" }' } }, ${say('ok', 'ok')}] } }`,
      `{ limited: { try: [{ group: { timeout: { after: PT25M }, do: [${wait('long', 'PT1H')}] } }], catch: { do: [${say('late', 'late')}] } } }`,
    ];
    const mocks = { ask: { decision: 'timedOut' }, failing: { timeout: true } };
    const flow = flowOf(`do: [{ all: { fork: { branches: [${branches.join(', ')}] } } }]`);
    const [one, several] = await Promise.all([endOn(long, flow, mocks), endOn(short, flow, mocks)]);
    expect(one.histories).toBe(1);
    expect(several.histories).toBeGreaterThan(2);
    expect(one.end).toMatchObject({ status: 'completed', skippedMs: 50 * MINUTE });
    expect(one.end).toMatchObject({
      output: [expect.anything(), 'slow', 'caught', 'timedOut', null, ['ok', 'ok'], 'late'],
    });
    expect(several.end).toEqual(one.end);
    const told = ({ steps }: typeof one) =>
      steps
        .map(({ path, iteration, status, attempts, would, answer, decision }) =>
          JSON.stringify({ path, iteration, status, attempts, would, answer, decision }),
        )
        .sort();
    expect(told(several)).toEqual(told(one));
  });

  it('ends with a dry run that is cancelled', async () => {
    // Tried again and again without a pause, so that the wait does not end.
    const forever = `{ tries: { try: [${get('forever')}], catch: { retry: { limit: { attempt: { count: 10000 } } } } } }`;
    const flow = flowOf(`do: [{ all: { fork: { branches: [${late('slow', 'PT1H')}, ${forever}] } } }]`);
    const handle = await start(long, flow, { forever: { error: { code: 'BLW_HTTP_STATUS', status: 404 } } });
    await progressWhen(handle, ({ steps }) => steps.filter(({ name }) => name === 'forever').length > 1);
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  });

  it('is the same when a history is replayed', async () => {
    const folder = join(long.folder, 'histories');
    mkdirSync(join(folder, 'all'), { recursive: true });
    for (const [index, group] of histories.entries())
      writeFileSync(join(folder, 'all', `${index}.json`), JSON.stringify(group));
    let count = 0;
    for await (const { name, error } of replayHistories(folder)) {
      if (error !== undefined) throw new Error(`${name}: ${error.message}`);
      count += 1;
    }
    expect(histories.length).toBeGreaterThan(2);
    expect(count).toBe(histories.flatMap((group) => Object.keys(group)).length);
  });
});
