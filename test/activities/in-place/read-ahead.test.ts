import { asyncLocalStorage, CancelledFailure, type Context, type Info } from '@temporalio/activity';
import { ApplicationFailure } from '@temporalio/common';
import { InPlace, type LocalOutcome, type StepAttempt } from '../../../src/activities/in-place/in-place';
import { LOCAL_ATTEMPT_MS } from '../../../src/dsl/local-step';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { READ_AHEAD_MS, readsIn, type StepAhead } from '../../../src/dsl/read-ahead/read-ahead';
import type { StepRequest, StepResult } from '../../../src/dsl/step-request';
import { validateFlow } from '../../../src/dsl/validation/validate-flow';
import { flowOf } from '../../helpers/test-worker';

const STEPS = 100;

/** A loop over one read, in its first iteration. */
function requestOf(metadata = 'dispatch: local', more = '', place: { readonly isBeside?: true } = {}): StepRequest {
  const { flow } = validateFlow(
    flowOf(`do:
  - all:
      for: { in: workflow.input }
      do: [{ read: { call: http, with: { method: get, endpoint: 'http://x.test/' }, metadata: { ${metadata} }${more} } }]`),
  );
  if (flow === undefined) throw new Error('expected a valid flow');
  const { tasks } = planFlow(flow);
  const [loop] = tasks;
  if (loop?.kind !== 'for') throw new Error('expected a loop');
  const list = { input: null, variables: {}, steps: {} };
  const items = Array.from({ length: STEPS }, () => null);
  return {
    tenant: 'acme',
    flow: 'shop/orders:1.0.0',
    stepId: '/do/0/all/do/0/read',
    key: 'acme:flow:/do/0/all/do/0/read:0:0',
    execution: 'run:1',
    idempotent: true,
    with: { method: 'get' },
    quota: { ticket: 'of the first', priority: 2 },
    grant: 'sealed',
    local: {
      use: 'reads',
      task: 3,
      isAsked: true,
      isUnrecorded: false,
      isLast: false,
      leftMs: 17,
      ahead: {
        lists: [
          { ...list, tasks: loop.tasks, iteration: '0' },
          { ...list, tasks, iteration: '', loop: { items, from: 1 } },
        ],
        constants: {},
        context: null,
        flowId: 'flow',
        attemptMs: 700,
        stepOutputs: [],
        ...place,
      },
    },
  };
}

const giving = (output: string) => async (): Promise<StepResult> => ({ output, attempt: 1 });

/** As the attempts before give, then so. */
const then = (after: number, last: StepAttempt): StepAttempt => {
  let count = 0;
  return (...args) => {
    count += 1;
    return count > after ? last(...args) : giving('x')();
  };
};

interface Seen {
  readonly request: StepRequest;
  readonly info: Info;
}

/** Runs the step, and what it reads ahead, with the attempts that it made. */
async function runWith(
  attempt: StepAttempt,
  { request = requestOf(), choosesItself = false, stop = new AbortController(), slots = 16, isPlaceTaken = false } = {},
) {
  const outcomes: LocalOutcome[] = [];
  const seen: Seen[] = [];
  const inPlace = new InPlace({ slots, choosesItself, tell: (_, outcome) => outcomes.push(outcome) });
  const own: StepAttempt = (blockType, asked, at) => {
    seen.push({ request: asked, info: at.temporal.info });
    return attempt(blockType, asked, at);
  };
  const free = isPlaceTaken ? takePlace(inPlace) : () => undefined;
  const running = inContext(() => inPlace.run('http.request', request, own), { stop });
  await free();
  const result = await running;
  return { ahead: result.ahead ?? [], seen, outcomes };
}

function inContext<T>(work: () => T, { stop = new AbortController(), isLocal = true } = {}): T {
  const info = {
    isLocal,
    activityId: '5',
    workflowExecution: { workflowId: 'flow', runId: 'run' },
    startToCloseTimeoutMs: LOCAL_ATTEMPT_MS + 2 * READ_AHEAD_MS,
    retryPolicy: {},
  };
  return asyncLocalStorage.run({ info, cancellationSignal: stop.signal } as unknown as Context, work);
}

/** Has a step of the queue take the one place, until the result is called: as long as reads ahead have. */
function takePlace(inPlace: InPlace): () => Promise<void> {
  let end = (_: StepResult): void => undefined;
  const attempt = () => new Promise<StepResult>((resolve) => (end = resolve));
  const { local: _, ...request } = requestOf();
  const running = inContext(() => inPlace.run('http.request', request, attempt), { isLocal: false });
  return async () => {
    jest.advanceTimersByTime(READ_AHEAD_MS);
    end({ output: null, attempt: 1 });
    await running;
  };
}

const BESIDE = requestOf('dispatch: local', '', { isBeside: true });

/** What is read ahead of a step that began together with others. */
async function aheadInGroup(attempt: StepAttempt): Promise<readonly StepAhead[]> {
  const inPlace = new InPlace({ slots: 16, choosesItself: false });
  const retry = { initialInterval: 1, backoffCoefficient: 1, maximumInterval: 1, nonRetryableErrorTypes: [] };
  const attempts = [{ block: 'http.request', request: BESIDE, startToCloseMs: 700, retry }];
  const [answer] = await inContext(() => inPlace.runTogether({ tenant: 'acme', attempts }, attempt));
  return readsIn(answer !== undefined && 'result' in answer ? answer.result : undefined);
}

afterEach(() => {
  jest.restoreAllMocks();
  jest.useRealTimers();
});

describe('reads ahead of a step', () => {
  test('are steps of their own: with their keys, names, times and contexts', async () => {
    // However slow the machine is.
    jest.spyOn(performance, 'now').mockReturnValue(0);
    const { ahead, seen, outcomes } = await runWith(giving('x'));
    expect(ahead).toHaveLength(64);
    expect(outcomes).toEqual(Array(65).fill('ended'));
    expect(seen[0]?.info).toMatchObject({ activityId: '5', startToCloseTimeoutMs: 700 });
    expect(seen[0]?.request.local).not.toHaveProperty('ahead');
    expect(seen[2]).toMatchObject({
      request: {
        key: 'acme:flow:/do/0/all/do/0/read:2:0',
        execution: 'run:1+2',
        grant: 'sealed',
        quota: { priority: 2 },
        local: { use: 'reads', task: 3, isAsked: true, isLast: false },
      },
      info: { activityId: '5-2', startToCloseTimeoutMs: LOCAL_ATTEMPT_MS, attempt: 1 },
    });
    expect(seen[2]?.request.quota).not.toHaveProperty('ticket');
    expect(seen[2]?.request.local).not.toHaveProperty('leftMs');
    expect(new Set(seen.map(({ info }) => info.activityId)).size).toBe(65);
    expect(ahead[1]).toMatchObject({ step: '/do/0/all/do/0/read', iteration: '2', result: { output: 'x' } });
  });

  test('have the timeouts and retry policy of their steps', async () => {
    const more = ', timeout: { after: PT0.2S }';
    const { seen } = await runWith(giving('x'), {
      request: requestOf('dispatch: local, retry: { maximumAttempts: 1 }', more),
    });
    expect(seen[1]).toMatchObject({
      request: { local: { leftMs: 200, isLast: true } },
      info: { startToCloseTimeoutMs: 200, retryPolicy: { maximumAttempts: 1 } },
    });
  });

  test.each<[string, number, (attempt: StepAttempt) => Promise<readonly StepAhead[]>]>([
    // The step itself until 100, those ahead until 200 and so on to 600, of which the last began in time.
    ['of a step that came alone', 5, async (attempt) => (await runWith(attempt)).ahead],
    ['of one that runs beside others', 2, async (attempt) => (await runWith(attempt, { request: BESIDE })).ahead],
    ['of one that began together with others', 2, aheadInGroup],
  ])('end after a while: %s', async (_, count, run) => {
    let now = 0;
    jest.spyOn(performance, 'now').mockImplementation(() => now);
    const ahead = await run(async () => {
      now += 100;
      return { output: 'x', attempt: 1 };
    });
    expect(ahead).toHaveLength(count);
  });

  test('have all of their time after a step that waited for its place', async () => {
    jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
    const { ahead } = await runWith(giving('x'), { slots: 1, isPlaceTaken: true });
    expect(ahead).toHaveLength(64);
  });

  test('are stopped when the time is up, and the answers before them count', async () => {
    jest.useFakeTimers({ doNotFake: ['performance', 'setImmediate', 'nextTick', 'queueMicrotask'] });
    let signal: AbortSignal | undefined;
    const running = runWith(
      then(3, (_, __, { temporal }) => {
        signal = temporal.cancellationSignal;
        jest.advanceTimersByTime(LOCAL_ATTEMPT_MS + READ_AHEAD_MS);
        return new Promise(() => undefined);
      }),
    );
    expect((await running).ahead).toHaveLength(2);
    expect(signal?.reason).toBeInstanceOf(CancelledFailure);
    jest.useRealTimers();
  });

  test('stop with what they are part of', async () => {
    const stop = new AbortController();
    const reason = new CancelledFailure('WORKER_SHUTDOWN');
    const { ahead, seen } = await runWith(
      then(1, async (_, __, { temporal }) => {
        stop.abort(reason);
        temporal.cancellationSignal.throwIfAborted();
        return { output: 'x', attempt: 1 };
      }),
      { stop },
    );
    expect([ahead.length, seen.length]).toEqual([0, 2]);
  });

  test('end once they have brought along much, and before one that may', async () => {
    const { ahead } = await runWith(giving('x'.repeat(20_000)));
    expect(ahead).toHaveLength(7);
    const { ahead: none } = await runWith(giving('x'.repeat(40_000)));
    expect(none).toHaveLength(0);
  });

  test('are of steps only that may be tried in place', async () => {
    const { ahead, outcomes } = await runWith(giving('x'), {
      request: requestOf('heartbeat: PT2S'),
      choosesItself: true,
    });
    expect(ahead).toHaveLength(0);
    expect(outcomes).toEqual(['ended']);
  });

  const failing = (nonRetryable: boolean) => async () => {
    throw ApplicationFailure.create({
      message: 'no',
      type: 'BLW_HTTP_STATUS',
      nonRetryable,
      details: [{ status: 404 }, 1],
    });
  };

  test('end with one that fails, which is recorded as it is', async () => {
    const { ahead, outcomes } = await runWith(then(2, failing(true)));
    expect(ahead).toHaveLength(2);
    expect(ahead[1]).toMatchObject({
      failure: { message: 'no', type: 'BLW_HTTP_STATUS', details: [{ status: 404 }, 1] },
    });
    expect(outcomes).toEqual(['ended', 'ended', 'ended']);
  });

  test('end with one that has another attempt, in its queue', async () => {
    const { ahead, outcomes } = await runWith(then(2, failing(false)));
    expect(ahead[1]).toMatchObject({ result: { elsewhere: { reason: 'failed', attempts: 1 } } });
    expect(outcomes).toEqual(['ended', 'ended', 'failed']);
  });

  test('end with one that waits for its quota', async () => {
    const waiting = { ticket: 't', since: 0, afterMs: 1, reason: 'stepsPerSecond' } as const;
    const { ahead } = await runWith(then(2, async () => ({ output: null, attempt: 1, waiting })));
    expect(ahead).toHaveLength(2);
  });

  test.each([
    ['the worker stops', () => Promise.reject(new CancelledFailure('WORKER_SHUTDOWN'))],
    ['it fails for a reason of its own', () => Promise.reject(new TypeError('a defect'))],
  ])('keep what there was where %s', async (_, last) => {
    const { ahead } = await runWith(then(3, last));
    expect(ahead).toHaveLength(2);
  });

  test('are none where the step itself goes to its queue or fails', async () => {
    expect((await runWith(then(0, failing(false)))).seen).toHaveLength(1);
    await expect(runWith(then(0, failing(true)))).rejects.toMatchObject({ type: 'BLW_HTTP_STATUS' });
  });
});
