/**
 * Header in which Temporal's own OpenTelemetry interceptors, in all languages, hand on where a workflow belongs in a trace: JSON with
 * `traceparent` and `tracestate` (W3C Trace Context).
 */
export const TRACE_HEADER = '_tracer-data';

/** A span that others are below of. */
export interface SpanContext {
  /** Id of the trace: 32 digits, hexadecimal. */
  readonly id: string;
  /** Id of the span: 16 digits, hexadecimal. */
  readonly span: string;
  /** Absent: nothing of the trace is sent anywhere. */
  readonly sampled?: true;
  /** `tracestate`, as it came. */
  readonly state?: string;
}

/** Which trace a flow is in, as `prepareFlow` decided. In histories: add optional fields, never change one. */
export interface FlowTrace extends Omit<SpanContext, 'span'> {
  /** The span that the flow is below of; absent: it begins its trace. */
  readonly parent?: string;
}

/** Which trace a step is in, as its activity is told. In histories: add optional fields, never change one. */
export interface StepTrace extends Omit<SpanContext, 'span'> {
  /** Number of the step's span, see {@link spanIdOf}. */
  readonly step: number;
}

export type SpanAttributes = Readonly<Record<string, string | number | boolean>>;

/** A span that has ended, as data: so it can leave workflows and child processes. Times are ms since 1970. */
export interface SpanRecord {
  readonly trace: string;
  readonly span: string;
  readonly parent?: string;
  readonly state?: string;
  readonly name: string;
  readonly kind: 'internal' | 'server' | 'client';
  readonly startMs: number;
  readonly endMs: number;
  readonly attributes: SpanAttributes;
  /** It failed: with a stable code, or what the protocol calls it. */
  readonly error?: { readonly code: string; readonly message?: string };
  readonly events?: readonly SpanEvent[];
  /** Spans that it goes on from without being below of them. */
  readonly links?: readonly { readonly trace: string; readonly span: string }[];
}

/** Something that happened within a span. */
export interface SpanEvent {
  readonly name: string;
  readonly atMs: number;
  readonly attributes?: SpanAttributes;
}

/** How workflows hand their spans to the worker; never while they are replayed. */
export type TraceSinks = {
  readonly traces: { finished(spans: readonly SpanRecord[]): void };
};

/** What a trace header holds. */
export interface TraceHeader {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/**
 * Id of a span that a run of a workflow makes: the same whenever the run is replayed, another one where it was reset. Number 0 is the
 * run itself. The last 64 bits of a run id are random, but for two of them (RFC 9562).
 */
export function spanIdOf(runId: string, number: number): string {
  const random = runId.replaceAll('-', '').slice(-16);
  const low = (Number.parseInt(random.slice(8), 16) ^ number) >>> 0;
  return `${random.slice(0, 8)}${low.toString(16).padStart(8, '0')}`;
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const SAMPLED = 1;
/** What the standard asks everybody to pass on. */
const MAX_STATE_LENGTH = 512;

/** The span that a header names; undefined for what is no header of that kind (W3C Trace Context, section 3.2). */
export function parseTraceHeader(header: unknown): SpanContext | undefined {
  if (typeof header !== 'object' || header === null) return undefined;
  const { traceparent, tracestate } = header as Partial<Record<keyof TraceHeader, unknown>>;
  const [, version, id = '', span = '', flags = '', more] =
    (typeof traceparent === 'string' ? TRACEPARENT.exec(traceparent.trim()) : null) ?? [];
  const isKnown = version === '00' ? more === undefined : version !== undefined && version !== 'ff';
  if (!isKnown || /^0+$/.test(id) || /^0+$/.test(span)) return undefined;
  const hasState = typeof tracestate === 'string' && isState(tracestate);
  return {
    id,
    span,
    ...((Number.parseInt(flags, 16) & SAMPLED) === 0 ? {} : { sampled: true }),
    ...(hasState ? { state: tracestate } : {}),
  };
}

/** One line of printable ASCII. */
function isState(text: string): boolean {
  return text !== '' && text.length <= MAX_STATE_LENGTH && /^[\x20-\x7e]+$/.test(text);
}

/** The header that names a span. */
export function traceHeaderOf({ id, span, sampled, state }: SpanContext): TraceHeader {
  return {
    traceparent: `00-${id}-${span}-${sampled === true ? '01' : '00'}`,
    ...(state === undefined ? {} : { tracestate: state }),
  };
}

/** What of a trace goes from a span to what is below it. */
export function sharedOf({ id, sampled, state }: Omit<SpanContext, 'span'>): Omit<SpanContext, 'span'> {
  return { id, ...(sampled === undefined ? {} : { sampled }), ...(state === undefined ? {} : { state }) };
}
