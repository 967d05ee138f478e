import { CancelledFailure } from '@temporalio/common';
import { notRetryable } from '../../../src/activities/block-failure';
import { Mask } from '../../../src/activities/secrets/mask';
import type { SpanRecorder } from '../../../src/activities/tracing/span-recorder';
import { type Attempt, type SpanSink, traceAttempt } from '../../../src/activities/tracing/trace-attempt';
import type { StepRequest, StepResult } from '../../../src/dsl/step-request';
import { type SpanRecord, spanIdOf } from '../../../src/dsl/trace';

const RUN = '01a209e6-56f0-7c44-9985-1cb3130118d1';
const TRACE = { id: '4bf92f3577b34da6a3ce929d0e0e4736', sampled: true as const, step: 3 };
const RESULT: StepResult = { output: null, attempt: 1 };

function attemptOf(trace: unknown = TRACE, mask = new Mask()): Attempt {
  const request = { tenant: 'acme', stepId: '/do/0/a', trace } as unknown as StepRequest;
  return {
    request,
    blockType: 'fs.get',
    number: 2,
    info: { workflowExecution: { workflowId: 'f', runId: RUN } },
    mask,
  };
}

function sinkOf(hidesData = false): SpanSink & { spans: SpanRecord[] } {
  const spans: SpanRecord[] = [];
  return { workerId: 'w', hidesDataOf: () => hidesData, spans, send: (more) => spans.push(...more) };
}

const statement = (recorder: SpanRecorder | undefined, text: string) =>
  recorder?.during({ name: 'query db', kind: 'client', attributes: { 'db.query.text': text } }, async () => 0);

test('an attempt is a span below its step, and what it does below that', async () => {
  const sink = sinkOf();
  const result = await traceAttempt(attemptOf(), sink, async (recorder) => {
    await statement(recorder, 'SELECT a');
    return RESULT;
  });
  expect(result).toEqual({ ...RESULT, worker: 'w' });
  const [inner, attempt] = sink.spans;
  expect(attempt).toMatchObject({ parent: spanIdOf(RUN, 3), attributes: { 'beamline.attempt': 2, worker_id: 'w' } });
  expect(inner).toMatchObject({ parent: attempt?.span, name: 'query db' });
});

test('secrets are masked, and for a tenant whose payloads are encrypted nothing of the data is sent', async () => {
  const mask = new Mask();
  mask.add('secret-of-mine');
  const spansWith = async (sink: ReturnType<typeof sinkOf>) => {
    const failing = traceAttempt(attemptOf(TRACE, mask), sink, async (recorder) => {
      await statement(recorder, 'SELECT secret-of-mine');
      throw notRetryable('BLW_FS_NOT_FOUND', 'no blob secret-of-mine');
    });
    await expect(failing).rejects.toThrow('no blob');
    return sink.spans;
  };
  const shown = await spansWith(sinkOf());
  expect(shown[0]?.attributes).toEqual({ 'db.query.text': 'SELECT ***' });
  expect(shown[1]?.error).toEqual({ code: 'BLW_FS_NOT_FOUND', message: 'no blob ***' });
  const hidden = await spansWith(sinkOf(true));
  expect(hidden[0]?.attributes).toEqual({});
  expect(hidden[1]?.error).toEqual({ code: 'BLW_FS_NOT_FOUND' });
});

test('an attempt that was only sent back to wait has no span, a cancelled one is no failure', async () => {
  const waiting = sinkOf();
  const sentBack = { ...RESULT, waiting: {} } as unknown as StepResult;
  await traceAttempt(attemptOf(), waiting, async () => sentBack);
  expect(waiting.spans).toEqual([]);
  const cancelled = sinkOf();
  const cancel = traceAttempt(attemptOf(), cancelled, () => Promise.reject(new CancelledFailure('no')));
  await expect(cancel).rejects.toThrow('no');
  expect(cancelled.spans).toMatchObject([{ attributes: { 'beamline.attempt.status': 'cancelled' } }]);
  expect(cancelled.spans[0]).not.toHaveProperty('error');
});

test.each<[string, unknown]>([
  ['no trace', null],
  ['an id that is none', { ...TRACE, id: 'x\r\ny: z' }],
  ['a number that is none', { ...TRACE, step: '3' }],
  ['a state of two lines', { ...TRACE, state: 'a\r\nb' }],
  ['a text', 'x'],
])('a request with %s is only run', async (_, trace) => {
  const sink = sinkOf();
  const attempt = attemptOf(trace);
  const result = await traceAttempt(attempt, sink, async (recorder) => {
    expect(recorder).toBeUndefined();
    return RESULT;
  });
  expect(result).toBe(RESULT);
  expect(sink.spans).toEqual([]);
});

test('one that is not sampled names its step to others, and records nothing', async () => {
  const sink = sinkOf();
  const { sampled: _, ...trace } = TRACE;
  const result = await traceAttempt(attemptOf(trace), sink, async (recorder) => {
    expect(recorder?.header.traceparent).toBe(`00-${TRACE.id}-${spanIdOf(RUN, 3)}-00`);
    return RESULT;
  });
  expect(result).toBe(RESULT);
  expect(sink.spans).toEqual([]);
});
