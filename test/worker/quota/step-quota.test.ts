import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CancelledFailure, type Info } from '@temporalio/activity';
import type { StepIdentity } from '../../../src/activities/block';
import { notRetryable, retryable } from '../../../src/activities/block-failure';
import { StepMeter } from '../../../src/activities/step-meter';
import type { QuotaClaim } from '../../../src/dsl/quota';
import type { StepResult } from '../../../src/dsl/step-request';
import type { Quotas } from '../../../src/worker/policy/policy';
import type { Offer } from '../../../src/worker/quota/lines';
import { QuotaKeeper } from '../../../src/worker/quota/quota-keeper';
import { stepQuota, stepUsage } from '../../../src/worker/quota/step-quota';
import { query } from '../../../src/worker/state/rule';
import { openSqliteStore } from '../../../src/worker/state/sqlite-store';
import type { StateStore } from '../../../src/worker/state/state-store';
import { failureOf, makeContext } from '../../helpers/block-context';

let folder: string;
let store: StateStore;
let keeper: QuotaKeeper;
let quotas: Quotas;
let told: Offer[];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  store = openSqliteStore(join(folder, 'state.sqlite'));
  quotas = { concurrentSteps: 1 };
  told = [];
  keeper = new QuotaKeeper({
    worker: 'worker',
    store: { run: (...args) => store.run(...args), close: async () => undefined },
    quotasOf: () => quotas,
    sender: {
      send: async (_, offers) => {
        told.push(...offers);
        return { gone: [], missed: [] };
      },
      inform: async () => undefined,
    },
    probe: async () => true,
    logger: { log: () => undefined },
  });
});
afterEach(async () => {
  await keeper.close();
  await store.close();
  rmSync(folder, { recursive: true, force: true });
});

interface Run {
  readonly activityId: string;
  readonly attempt?: number;
  readonly claim?: QuotaClaim | undefined;
  readonly maximumAttempts?: number;
}

/** Runs a step as its activity would, through both layers. */
function runStep(
  { activityId, attempt = 1, claim, maximumAttempts = 0 }: Run,
  block: () => Promise<StepResult>,
): Promise<StepResult> {
  const info = {
    workflowExecution: { workflowId: 'flow', runId: 'run' },
    activityId,
    attempt,
    namespace: 'default',
    retryPolicy: { maximumAttempts },
  };
  const step: StepIdentity = { ...makeContext({}).step, attempt, ...(claim === undefined ? {} : { claim }) };
  const running = { info: info as unknown as Info, meter: new StepMeter(), group: undefined };
  const inner = stepQuota(keeper, 'worker');
  return stepUsage(keeper)(step, (known = step) => inner(known, block, running), running);
}

const done = async (): Promise<StepResult> => ({ output: 'done', attempt: 1 });
const count = async () => (await store.run(() => query('SELECT steps, failures FROM beamline_usage')))[0] ?? {};
const rows = (table: string) => store.run(() => query(`SELECT id FROM beamline_${table}`));

/** A step that runs until it is let go. */
function held(activityId: string): { ended: Promise<StepResult>; letGo(): void } {
  let letGo = (): void => undefined;
  const gate = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const ended = runStep({ activityId, claim: {} }, async () => {
    await gate;
    return done();
  });
  return { ended, letGo: () => letGo() };
}

async function whileHeld<T>(work: () => Promise<T>): Promise<T> {
  const first = held('1');
  while ((await rows('leases')).length === 0) await new Promise((resolve) => setImmediate(resolve));
  try {
    return await work();
  } finally {
    first.letGo();
    await first.ended;
  }
}

test('a step over quota ends with what it waits for, its block untouched, and goes on when told', async () => {
  const block = jest.fn(done);
  const result = await whileHeld(() => runStep({ activityId: '2', claim: {} }, block));
  expect(result).toMatchObject({
    output: null,
    attempt: 1,
    waiting: { ticket: 'run:2', reason: 'concurrentSteps' },
    quota: { concurrentSteps: 1 },
  });
  expect(block).not.toHaveBeenCalled();
  expect(told).toMatchObject([{ ticket: 'run:2', flowId: 'flow-1', namespace: 'default' }]);
  const { ticket = '', since = 0 } = result.waiting ?? {};
  expect(await runStep({ activityId: '3', claim: { ticket, since } }, block)).toMatchObject({ output: 'done' });
  expect(await rows('leases')).toEqual([]);
  expect(await count()).toEqual({ steps: 2, failures: 0 });
});

test('a step whose report of its end was lost, and that is sent back to wait then, counts once', async () => {
  await runStep({ activityId: '2', claim: {} }, done);
  expect(await count()).toEqual({ steps: 1, failures: 0 });
  const { waiting } = await whileHeld(() => runStep({ activityId: '2', attempt: 2, claim: {} }, done));
  expect(waiting?.ticket).toBe('run:2');
  expect(await count()).toEqual({ steps: 1, failures: 0 });
  const { ticket = '', since = 0 } = waiting ?? {};
  await runStep({ activityId: '3', claim: { ticket, since } }, done);
  // That of the one that held the place, and its own.
  expect(await count()).toEqual({ steps: 2, failures: 0 });
});

test('a step whose report of its end was lost, and that is cancelled then, does not count', async () => {
  await runStep({ activityId: '1', claim: {} }, done);
  const cancelled = () => Promise.reject(new CancelledFailure('stop'));
  await expect(runStep({ activityId: '1', attempt: 2, claim: {} }, cancelled)).rejects.toThrow(CancelledFailure);
  expect(await count()).toEqual({ steps: 0, failures: 0 });
});

test('a step of a flow that cannot wait fails, and is tried again later', async () => {
  const failure = await whileHeld(() => failureOf(runStep({ activityId: '2' }, done)));
  expect(failure.data).toMatchObject({ code: 'BLW_QUOTA_WAIT', status: 429 });
  expect(failure.options).toMatchObject({ retryable: true, retryAfterMs: 60_000 });
  expect(await count()).toEqual({ steps: 1, failures: 0 });
});

test.each<[string, () => Promise<StepResult>, object, object]>([
  ['a failure that is not retried', () => Promise.reject(notRetryable('BLW_ARG_INVALID', 'no')), {}, { failures: 1 }],
  [
    'the last attempt of a failure',
    () => Promise.reject(retryable('BLW_HTTP_STATUS', 'no')),
    { maximumAttempts: 1 },
    { failures: 1 },
  ],
  [
    'an attempt that is followed by another',
    () => Promise.reject(retryable('BLW_HTTP_STATUS', 'no')),
    { maximumAttempts: 2 },
    {},
  ],
  ['a cancellation', () => Promise.reject(new CancelledFailure('stop')), { maximumAttempts: 1 }, {}],
])('%s gives its place back and counts as it should', async (_, block, more, expected) => {
  await expect(runStep({ activityId: '1', claim: {}, ...more }, block)).rejects.toThrow();
  expect(await rows('leases')).toEqual([]);
  expect(await count()).toMatchObject(expected);
});

test('a block that finds no room for a blob waits, and gives its place to others', async () => {
  const noRoom = () =>
    Promise.reject(retryable('BLW_QUOTA_WAIT', 'full', { data: { reason: 'blobBytes', bytes: 10 } }));
  const result = await runStep({ activityId: '1', claim: {} }, noRoom);
  expect(result).toMatchObject({ waiting: { ticket: 'run:1', reason: 'blobBytes' } });
  expect(await rows('leases')).toEqual([]);
  expect(await count()).toEqual({});
  await expect(runStep({ activityId: '2' }, noRoom)).rejects.toMatchObject({ data: { code: 'BLW_QUOTA_WAIT' } });
});

test.each<[string, QuotaClaim]>([
  ['a ticket that is none', { ticket: "'; DROP TABLE beamline_tickets; --" }],
  ['a ticket that is no text', { ticket: 7 as unknown as string }],
  ['times and priorities that are none', { since: Number.NaN, priority: 'first' as unknown as number }],
  ['a better priority than there is', { priority: -5 }],
])('%s counts as none', async (_, claim) => {
  const result = await whileHeld(() => runStep({ activityId: '2', claim }, done));
  expect(result.waiting?.ticket).toBe('run:2');
  expect(await store.run(() => query('SELECT priority FROM beamline_tickets'))).toEqual([{ priority: 3 }]);
});

test('without quotas the store hears of a step only at its end', async () => {
  quotas = {};
  const leases: number[] = [];
  await runStep({ activityId: '1', claim: {} }, async () => {
    leases.push((await rows('leases')).length);
    return done();
  });
  expect(leases).toEqual([0]);
  expect(await count()).toEqual({ steps: 1, failures: 0 });
});
