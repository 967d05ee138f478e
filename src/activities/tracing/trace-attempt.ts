import { CancelledFailure, type Info } from '@temporalio/activity';
import type { StepRequest, StepResult } from '../../dsl/step-request';
import { isTraceId, isTraceState, type SpanRecord, type StepTrace, sharedOf, spanIdOf } from '../../dsl/trace';
import type { Mask } from '../secrets/mask';
import { errorOf, maskedError, newSpanId, nowMs, SpanRecorder } from './span-recorder';

/** Where the spans of a worker go. */
export interface SpanSink {
  readonly workerId: string;
  /** Never throws and never waits. */
  send(spans: readonly SpanRecord[]): void;
  /** True where nothing may show what the tenant's flows work on: their payloads are encrypted. */
  hidesDataOf(tenant: string): boolean;
}

/** An attempt of a step. */
export interface Attempt {
  readonly request: StepRequest;
  readonly blockType: string;
  /** From 1. */
  readonly number: number;
  readonly info: Pick<Info, 'workflowExecution'>;
  /** Knows the secrets of the step once it has ended. */
  readonly mask: Mask;
}

/**
 * Runs an attempt as a span below that of its step, with what it does below it; the spans are sent once it has ended. Without a sink, or
 * where the flow is not traced, it is only run.
 */
export function traceAttempt(
  attempt: Attempt,
  sink: SpanSink | undefined,
  work: (recorder: SpanRecorder | undefined) => Promise<StepResult>,
): Promise<StepResult> {
  const { request, info } = attempt;
  const runId = info.workflowExecution?.runId;
  const { trace } = request;
  if (sink === undefined || runId === undefined || !isTrace(trace)) return work(undefined);
  return record(attempt, { sink, runId, trace }, work);
}

async function record(
  attempt: Attempt,
  { sink, runId, trace }: { readonly sink: SpanSink; readonly runId: string; readonly trace: StepTrace },
  work: (recorder: SpanRecorder) => Promise<StepResult>,
): Promise<StepResult> {
  const { request } = attempt;
  const parent = spanIdOf(runId, trace.step);
  const span = trace.sampled === true ? newSpanId() : parent;
  const recorder = new SpanRecorder({ ...sharedOf(trace), span });
  if (!recorder.isSampled) return await recorder.run(() => work(recorder));
  const startMs = nowMs();
  const send = (status: string, error?: unknown): void => {
    const inner = recorder.take(attempt.mask);
    // One that was sent back to wait for a quota has done nothing.
    if (status === 'waiting' && inner.length === 0) return;
    const own = attemptSpan({ attempt, sink, recorder, parent, startMs, status, error });
    const isHidden = sink.hidesDataOf(request.tenant);
    sink.send([...inner, own].map((record) => (isHidden ? withoutData(record) : record)));
  };
  try {
    const result = await recorder.run(() => work(recorder));
    send(result.waiting === undefined ? 'completed' : 'waiting');
    return { ...result, worker: sink.workerId };
  } catch (error) {
    if (error instanceof CancelledFailure) send('cancelled');
    else send('failed', error);
    throw error;
  }
}

function attemptSpan({
  attempt: { request, blockType, number, info, mask },
  sink,
  recorder: { context },
  parent,
  startMs,
  status,
  error,
}: {
  attempt: Attempt;
  sink: SpanSink;
  recorder: SpanRecorder;
  parent: string;
  startMs: number;
  status: string;
  error: unknown;
}): SpanRecord {
  const failure = errorOf(error).error;
  return {
    trace: context.id,
    span: context.span,
    parent,
    ...(context.state === undefined ? {} : { state: context.state }),
    name: `${blockType} attempt`,
    kind: 'internal',
    startMs,
    endMs: nowMs(),
    attributes: {
      tenant_id: request.tenant,
      flow_id: info.workflowExecution?.workflowId ?? '',
      step_id: request.stepId,
      block_type: blockType,
      worker_id: sink.workerId,
      'beamline.attempt': number,
      'beamline.attempt.status': status,
      ...(failure === undefined ? {} : { 'error.type': failure.code }),
    },
    ...(failure === undefined ? {} : { error: maskedError(failure, mask) }),
  };
}

/** What a request says is checked: it goes into headers of HTTP. */
function isTrace(trace: StepTrace | undefined): trace is StepTrace {
  if (typeof trace !== 'object' || trace === null) return false;
  const { id, step, state } = trace;
  return isTraceId(id) && Number.isInteger(step) && (state === undefined || isTraceState(state));
}

/** Attributes that say what a flow works on. */
const DATA = ['db.query.text', 'beamline.blob.path'];

function withoutData({ attributes, error, ...record }: SpanRecord): SpanRecord {
  const shown = Object.entries(attributes).filter(([name]) => !DATA.includes(name));
  return {
    ...record,
    attributes: Object.fromEntries(shown),
    ...(error === undefined ? {} : { error: { code: error.code } }),
  };
}
