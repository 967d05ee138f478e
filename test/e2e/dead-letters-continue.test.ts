import type { WorkflowHandle } from '@temporalio/client';
import type { DeadLetters } from '../../src/dsl/dead-letter';
import type { TemporalServer } from '../../temporal-dev/server';
import { BrokenService, lettersOf, resolveLetter, statusOf } from '../helpers/broken-service';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A step that costs history, and does nothing else. */
const LOOK = '{s: {call: fs.stat, with: {path: x, ifMissing: ignore}}}';

let temporal: TemporalServer;
let worker: TestWorker;
let service: BrokenService;

beforeAll(async () => {
  service = await new BrokenService().open();
  // Suggests a new history after a few steps.
  temporal = await startTemporalOfShortHistories(40);
  // Steps in place leave too few events.
  worker = await startTestWorker({ dispatch: 'queue' }, temporal);
}, 60_000);
afterAll(async () => {
  await worker.stop();
  await temporal.stop();
  await service.close();
});

const many = (count: number) => `[${Array.from({ length: count }, (_, index) => index).join(', ')}]`;
const busy = (count: number) => `{busy: {for: {in: '${many(count)}'}, do: [${LOOK}]}}`;

/** A fork of a dead letter, of steps that fill the history, and of a step that holds the flow up before it can continue as new. */
async function stuck(path: string, compete: boolean): Promise<WorkflowHandle> {
  service.broken.add(path);
  service.held.add(`${path}-held`);
  const held = `{held: {call: http, with: {method: get, endpoint: '${service.origin}${path}-held'}, output: {as: data.path}}}`;
  const handle = await worker.start(
    `do: [{f: {fork: {compete: ${compete}, branches: [${service.step('a', path)}, ${busy(40)}, ${held}]}}}, {w: {wait: PT0.2S}}]`,
    { n: 1 },
  );
  await lettersOf(handle);
  // As long as the branch is held up, no task begins any more: the history has its last event.
  await eventually(async () => {
    const { historyLength } = await handle.describe();
    const progress = await handle.query<{ steps: { id: string; status: string }[] }>('progress');
    const steps = progress.steps.filter(({ id, status }) => id.endsWith('/s') && status === 'running');
    return historyLength > 40 && steps.length === 0 ? true : undefined;
  });
  return handle;
}

test('what is said while the flow is about to continue as new is done in the next run', async () => {
  const handle = await stuck('/late', false);
  const { runId } = await handle.describe();
  const [letter] = await lettersOf(handle);
  expect(letter).toMatchObject({ id: '/do/0/f/fork/branches/0/a' });
  expect(await resolveLetter(handle, { action: 'skip', output: 'by hand', by: 'alice' })).toMatchObject({ left: 0 });
  await lettersOf(handle, 0);
  expect((await handle.describe()).runId).toBe(runId);
  service.letGo('/late-held');
  await eventually(async () => ((await handle.describe()).runId === runId ? undefined : true));
  expect(await handle.result()).toMatchObject(['by hand', expect.anything(), '/late-held']);
  expect(service.at('/late')).toHaveLength(1);
  expect(await statusOf(handle)).toBe('Completed');
});

test('what a step was run with before is known in the next run, with its key', async () => {
  const handle = await stuck('/deeds', false);
  const { runId } = await handle.describe();
  await resolveLetter(handle, { action: 'retry', with: { body: { n: 2 } } });
  service.letGo('/deeds-held');
  await eventually(async () => ((await handle.describe()).runId === runId ? undefined : true));
  await eventually(async () => ((await lettersOf(handle))[0]?.retries === 1 ? true : undefined));
  service.broken.delete('/deeds');
  await resolveLetter(handle, { action: 'retry', with: { body: { n: 1 } } });
  await handle.result();
  const seen = service
    .at('/deeds')
    .map(({ body, headers }) => `${body} ${String(headers['idempotency-key']).slice(-4)}`);
  expect(seen).toEqual(['{"n":1} :0:0', '{"n":2} :0:1', '{"n":1} :0:0']);
});

test('a dead letter that stands still is gone where the flow goes on without it, and is not shown any more', async () => {
  const handle = await stuck('/lost', true);
  const { runId } = await handle.describe();
  expect(await statusOf(handle)).toBe('DeadLettered');
  service.letGo('/lost-held');
  await lettersOf(handle, 0);
  expect(await handle.result()).toBe('/lost-held');
  const first = worker.client.workflow.getHandle(handle.workflowId, runId);
  expect(await historyStatuses(first)).toEqual(['Running', 'DeadLettered', 'Running']);
});

/** What `BeamlineStatus` was, in order, in one run of a flow. */
async function historyStatuses(handle: WorkflowHandle): Promise<string[]> {
  const statuses: string[] = [];
  const { events } = await handle.fetchHistory();
  for (const { upsertWorkflowSearchAttributesEventAttributes: event } of events ?? []) {
    const data = event?.searchAttributes?.indexedFields?.BeamlineStatus?.data;
    if (data) statuses.push(JSON.parse(Buffer.from(data).toString()) as string);
  }
  return statuses.filter((status, index) => status !== statuses[index - 1]);
}

test('none is lost where resolutions come in while a flow continues as new again and again', async () => {
  const count = 20;
  service.broken.add('/storm');
  const each = `{each: {for: {in: '${many(count)}'}, metadata: {concurrency: ${count}}, do: [${service.step('p', '/storm')}]}}`;
  const handle = await worker.start(`do: [{f: {fork: {branches: [${each}, ${busy(200)}]}}}]`, { n: 1 });
  const letters = await lettersOf(handle, count);
  const { runId } = await handle.describe();
  service.broken.delete('/storm');
  const runs = new Set<string>();
  for (const { id } of letters) {
    // One after the other, so that they meet the flow wherever it is.
    expect(await resolveLetter(handle, { id, action: 'retry' })).toMatchObject({ id, action: 'retry' });
    runs.add((await handle.describe()).runId);
  }
  const [outputs] = (await handle.result()) as unknown[][];
  expect(outputs).toEqual(letters.map(() => '/storm'));
  expect(service.at('/storm')).toHaveLength(2 * count);
  expect(runs.size + (runs.has(runId) ? 0 : 1)).toBeGreaterThan(1);
  expect((await handle.query<DeadLetters>('deadLetters')).letters).toEqual([]);
}, 60_000);
