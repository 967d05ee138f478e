import {
  createTraceState,
  type HrTime,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
} from '@opentelemetry/api';
import type { resources, tracing } from '@opentelemetry/sdk-node';
import type { SpanRecord } from '../../dsl/trace';
import { RUNTIME_VERSION } from '../../dsl/version';

/** The instrumentation scope of all spans. */
const SCOPE = { name: 'beamline-worker', version: RUNTIME_VERSION };

const KINDS: Readonly<Record<SpanRecord['kind'], SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
};

/**
 * A span as the SDK's processors take it. Not made by a tracer of the SDK: that makes ids of its own and asks the sampler again, and takes
 * more time than all the rest.
 */
export function toReadableSpan(record: SpanRecord, resource: resources.Resource): tracing.ReadableSpan {
  const { trace, span, parent, state, startMs, attributes, error, events = [], links = [] } = record;
  const endMs = Math.max(startMs, record.endMs);
  const context = spanContextOf(trace, span, state);
  return {
    name: record.name,
    kind: KINDS[record.kind],
    spanContext: () => context,
    ...(parent === undefined ? {} : { parentSpanContext: spanContextOf(trace, parent, state) }),
    startTime: toHrTime(startMs),
    endTime: toHrTime(endMs),
    duration: toHrTime(endMs - startMs),
    status: statusOf(error),
    attributes,
    events: events.map((event) => ({
      name: event.name,
      time: toHrTime(event.atMs),
      attributes: event.attributes ?? {},
    })),
    links: links.map((link) => ({ context: spanContextOf(link.trace, link.span, undefined) })),
    ended: true,
    resource,
    instrumentationScope: SCOPE,
    droppedAttributesCount: 0,
    droppedEventsCount: 0,
    droppedLinksCount: 0,
  };
}

function spanContextOf(traceId: string, spanId: string, state: string | undefined): SpanContext {
  const traceState = state === undefined ? {} : { traceState: createTraceState(state) };
  return { traceId, spanId, traceFlags: TraceFlags.SAMPLED, ...traceState };
}

function statusOf(error: SpanRecord['error']): tracing.ReadableSpan['status'] {
  if (error === undefined) return { code: SpanStatusCode.UNSET };
  const message = error.message === undefined ? error.code : `${error.code}: ${error.message}`;
  return { code: SpanStatusCode.ERROR, message };
}

/** Seconds and nanoseconds. */
function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)];
}
