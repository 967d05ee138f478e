import { join } from 'node:path';
import Database from 'better-sqlite3';
import type { Json } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { errorOf, progressWhen, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A server that suggests a new history after few events, so that compensations meet it too. */
let server: TemporalServer;
let worker: TestWorker;
let database: Database.Database;
beforeAll(async () => {
  server = await startTemporalOfShortHistories(60);
  worker = await startTestWorker({}, server);
  database = new Database(join(worker.folder, 'test.db'));
  database.exec('CREATE TABLE undone (flow TEXT, what TEXT)');
}, 30_000);
afterAll(async () => {
  database.close();
  await worker.stop();
  await server.stop();
});

const undoneOf = (flow: string): string[] =>
  database
    .prepare('SELECT what FROM undone WHERE flow = ? ORDER BY rowid')
    .all(flow)
    .map((row) => (row as { what: string }).what);

/** A step that does `value`, and what undoes it: a note in the database. */
const step = (
  name: string,
  value: string,
  what = `"undo ${name} of " + string(data.v)`,
) => `{${name}: {set: {v: "\${ ${value} }"},
  metadata: {compensate: [{note: {call: sql.execute, with: {database: test, statement: "INSERT INTO undone VALUES (?, ?)", parameters: ["\${ workflow.id }", "\${ ${what.replaceAll('"', "'")} }"]}}}]}}}`;
const FAIL = '{fail: {raise: {error: {type: "https://x.test/e", status: 500, detail: gone}}}}';
const REPORT = (completed: number) => ({ completed, failed: [] });

async function failAndUndo(flow: string, input: Json = null): Promise<{ error: Json; undone: string[] }> {
  const handle = await worker.start(flow, input);
  const error = await errorOf(handle);
  return { error, undone: undoneOf(handle.workflowId) };
}

test('undoes what is done, the last step first, and fails with the error of the flow', async () => {
  const { error, undone } = await failAndUndo(
    `do: [${step('a', '1')}, {g: {do: [${step('b', '2')}]}}, ${step('c', '3')}, ${FAIL}, ${step('d', '4')}]`,
  );
  expect(undone).toEqual(['undo c of 3', 'undo b of 2', 'undo a of 1']);
  expect(error).toMatchObject({
    type: 'https://x.test/e',
    status: 500,
    detail: 'gone',
    instance: '/do/3/fail',
    compensation: REPORT(3),
  });
});

test('undoes nothing where the flow completes, or the error is caught', async () => {
  const handle = await worker.start(`do: [${step('a', '1')}, {t: {try: [${step('b', '2')}, ${FAIL}], catch: {}}}]`);
  await handle.result();
  expect(undoneOf(handle.workflowId)).toEqual([]);
});

test('undoes steps of a try, each execution of a loop once, with its variables and outputs', async () => {
  const looped = step(
    'l',
    'item',
    "'undo ' + string(item) + ' at ' + string(index) + ' after ' + string(steps.first.output.v) + ' for ' + error.detail",
  );
  const { undone } = await failAndUndo(
    `do: [{first: {set: {v: 7}}}, {t: {try: [{f: {for: {in: workflow.input}, do: [${looped}]}}, {again: {raise: {error: {type: "https://x.test/e", status: 503}}}}], catch: {retry: {limit: {attempt: {count: 2}}}}}}, ${FAIL}]`,
    [10, 20],
  );
  expect(undone).toEqual(['undo 20 at 1 after 7 for gone', 'undo 10 at 0 after 7 for gone']);
});

test.each([
  ['side by side', 'concurrency: 3'],
  ['in windows', 'concurrency: 2, batchSize: 2'],
])('undoes independent iterations, %s', async (_, metadata) => {
  const { error, undone } = await failAndUndo(
    `do: [{f: {for: {in: workflow.input}, metadata: {${metadata}}, do: [${step('s', 'item')}]}}, ${FAIL}]`,
    [1, 2, 3, 4, 5],
  );
  expect([...undone].sort()).toEqual([1, 2, 3, 4, 5].map((n) => `undo s of ${n}`));
  expect(error).toMatchObject({ compensation: REPORT(5) });
});

test('undoes a step whose output could not be transformed after it was done', async () => {
  const a = step('a', '1').replace('metadata:', 'output: {as: "${ data.nope }"}, metadata:');
  const { error, undone } = await failAndUndo(`do: [${a}]`);
  expect(undone).toEqual(['undo a of 1']);
  expect(error).toMatchObject({ code: 'BLW_EXPR_FAILED', compensation: REPORT(1) });
});

test('goes on with the others where one cannot be undone, and tells', async () => {
  const bad =
    '{b: {set: {v: 2}, metadata: {compensate: [{broken: {raise: {error: {type: "https://x.test/undo", status: 500, detail: no way}}}}]}}}';
  const { error, undone } = await failAndUndo(`do: [${step('a', '1')}, ${bad}, ${step('c', '3')}, ${FAIL}]`);
  expect(undone).toEqual(['undo c of 3', 'undo a of 1']);
  expect(error).toMatchObject({
    detail: 'gone',
    compensation: {
      completed: 2,
      failed: [{ step: '/do/1/b', error: { detail: 'no way', instance: '/do/1/b/metadata/compensate/0/broken' } }],
    },
  });
});

test('undoes the steps of a flow that is cancelled, and ends cancelled', async () => {
  const handle = await worker.start(`do: [${step('a', '1')}, ${step('b', '2')}, {w: {wait: PT1H}}]`);
  await progressWhen(handle, ({ stepsStarted }) => stepsStarted === 3);
  await handle.cancel();
  await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
  expect(undoneOf(handle.workflowId)).toEqual(['undo b of 2', 'undo a of 1']);
  expect((await handle.describe()).status.name).toBe('CANCELLED');
});

test('a cancelled flow fails where a step cannot be undone', async () => {
  const bad =
    '{b: {set: {v: 2}, metadata: {compensate: [{broken: {raise: {error: {type: "https://x.test/undo", status: 500, detail: no way}}}}]}}}';
  const handle = await worker.start(`do: [${step('a', '1')}, ${bad}, {w: {wait: PT1H}}]`);
  await progressWhen(handle, ({ stepsStarted }) => stepsStarted === 3);
  await handle.cancel();
  expect(await errorOf(handle)).toMatchObject({ code: 'BLW_COMPENSATION_FAILED', compensation: { completed: 1 } });
  expect(undoneOf(handle.workflowId)).toEqual(['undo a of 1']);
});

test('a flow that is cancelled while it undoes steps still fails where one cannot be undone', async () => {
  const bad =
    '{b: {set: {v: 2}, metadata: {compensate: [{w: {wait: PT1S}}, {broken: {raise: {error: {type: "https://x.test/undo", status: 500, detail: no way}}}}]}}}';
  const handle = await worker.start(`do: [${step('a', '1')}, ${bad}, ${FAIL}]`);
  await progressWhen(handle, ({ status }) => status === 'Compensating');
  await handle.cancel();
  expect(await errorOf(handle)).toMatchObject({ detail: 'gone', compensation: { completed: 1, failed: [{}] } });
  expect((await handle.describe()).status.name).toBe('FAILED');
});

test('a loop in windows whose time is up fails, though they tell what is to be undone', async () => {
  const { error, undone } = await failAndUndo(
    `do: [{f: {timeout: {after: PT1S}, for: {in: workflow.input}, metadata: {batchSize: 2, concurrency: 4}, do: [${step('s', 'item')}, {w: {if: item == 4, wait: PT1H}}]}}]`,
    [1, 2, 3, 4],
  );
  expect(error).toMatchObject({ code: 'BLW_STEP_TIMEOUT', compensation: REPORT(4) });
  expect([...undone].sort()).toEqual([1, 2, 3, 4].map((n) => `undo s of ${n}`));
});

test.each([
  ['fails', true],
  ['is cancelled', false],
])('undoes more steps than one history holds, where the flow %s', async (_, fails) => {
  const items = Array.from({ length: 60 }, (_unused, index) => index);
  const end = fails ? FAIL : '{w: {wait: PT1H}}';
  const handle = await worker.start(
    `do: [{f: {for: {in: workflow.input}, do: [${step('s', 'item')}]}}, ${end}]`,
    items,
  );
  if (fails) expect(await errorOf(handle)).toMatchObject({ detail: 'gone', compensation: REPORT(60) });
  else {
    await progressWhen(handle, ({ stepsStarted }) => stepsStarted === 62);
    await handle.cancel();
    await expect(handle.result()).rejects.toMatchObject({ cause: { name: 'CancelledFailure' } });
    expect((await handle.describe()).status.name).toBe('CANCELLED');
  }
  expect(undoneOf(handle.workflowId)).toEqual([...items].reverse().map((n) => `undo s of ${n}`));
});
