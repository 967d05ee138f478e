import { hostname } from 'node:os';
import {
  type Context,
  createTraceState,
  type HrTime,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { resources, tracing } from '@opentelemetry/sdk-node';
import { within } from '../../activities/within';
import {
  type FlowTrace,
  parseTraceHeader,
  type SpanAttributes,
  type SpanContext,
  type SpanRecord,
} from '../../dsl/trace';
import { RUNTIME_VERSION } from '../../dsl/version';
import { createOtlpExporter, watchExporter } from './otlp-exporter';
import { TraceHealth, type TraceOutage } from './trace-health';
import type { TraceSettings } from './trace-settings';
import type { Traces, TracesOptions } from './traces';

/** Longest time that is taken to send what is left, when a worker or a command ends. */
const CLOSE_MS = 2_000;

/** The instrumentation scope of all spans. */
const SCOPE = 'beamline-worker';

/**
 * Makes spans of the SDK from spans that have ended. Loaded only where traces are on: the SDK takes 0.1 s and 26 MB. Its parts are put
 * together by hand and not by its `NodeSDK`, which would make itself known to the whole process, collect metrics and logs as well, and tell
 * of the command line, which may hold passwords.
 */
export class OtlpTraces implements Traces {
  readonly workerId: string;
  readonly #health: TraceHealth;
  readonly #ids = new GivenIds();
  readonly #provider: tracing.BasicTracerProvider;
  readonly #tracer: Tracer;
  /** Samples as the environment says; its spans are never ended. */
  readonly #decider: Tracer;
  #queued = 0;
  #closing: Promise<void> | undefined;

  constructor(
    private readonly settings: TraceSettings,
    private readonly options: TracesOptions,
  ) {
    this.workerId = options.workerId;
    this.#health = new TraceHealth(options.logger);
    const exporter = watchExporter(createOtlpExporter(settings.protocol), {
      health: this.#health,
      onTaken: (spans) => {
        this.#queued -= spans;
      },
    });
    this.#provider = new tracing.BasicTracerProvider({
      resource: resourceOf(options),
      // What is sampled has been decided.
      sampler: new tracing.AlwaysOnSampler(),
      idGenerator: this.#ids,
      spanProcessors: [new tracing.BatchSpanProcessor(exporter)],
    });
    this.#tracer = this.#provider.getTracer(SCOPE, RUNTIME_VERSION);
    this.#decider = new tracing.BasicTracerProvider({}).getTracer(SCOPE, RUNTIME_VERSION);
  }

  begin(name: string, header: unknown, attributes: SpanAttributes): FlowTrace {
    const from = parseTraceHeader(header);
    const span = this.#decider.startSpan(name, { kind: SpanKind.SERVER, attributes }, contextOf(from));
    const { traceId, traceFlags, traceState } = span.spanContext();
    const state = traceState?.serialize() ?? '';
    return {
      id: traceId,
      ...((traceFlags & TraceFlags.SAMPLED) === 0 ? {} : { sampled: true }),
      ...(from === undefined ? {} : { parent: from.span }),
      ...(state === '' ? {} : { state }),
    };
  }

  send(spans: readonly SpanRecord[]): void {
    for (const span of spans) {
      if (this.#queued < this.settings.maxQueueSize) this.#queue(span);
      else this.#health.lost(1, 'there are more spans than the collector takes');
    }
  }

  hidesDataOf(tenant: string): boolean {
    return this.options.hidesDataOf(tenant);
  }

  outage(): TraceOutage | undefined {
    return this.#health.outage;
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await within(CLOSE_MS, this.#provider.shutdown());
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.options.logger.log('warn', 'the last traces could not be sent', { error: reason, spans: this.#queued });
    }
  }

  #queue(record: SpanRecord): void {
    const { trace: id, parent, state, name, kind, startMs, endMs, attributes, error, events = [], links = [] } = record;
    this.#queued += 1;
    this.#ids.next = record;
    const span = this.#tracer.startSpan(
      name,
      {
        kind: KINDS[kind],
        startTime: toHrTime(startMs),
        attributes,
        links: links.map((link) => ({
          context: { traceId: link.trace, spanId: link.span, traceFlags: TraceFlags.SAMPLED, isRemote: true },
        })),
      },
      contextOf(parent && { id, span: parent, sampled: true, ...(state === undefined ? {} : { state }) }),
    );
    for (const event of events) span.addEvent(event.name, event.attributes ?? {}, toHrTime(event.atMs));
    if (error !== undefined) {
      const message = error.message === undefined ? error.code : `${error.code}: ${error.message}`;
      span.setStatus({ code: SpanStatusCode.ERROR, message });
    }
    span.end(toHrTime(Math.max(startMs, endMs)));
  }
}

const KINDS: Readonly<Record<SpanRecord['kind'], SpanKind>> = {
  internal: SpanKind.INTERNAL,
  server: SpanKind.SERVER,
  client: SpanKind.CLIENT,
};

/** The SDK asks for ids; those of our spans have been made where they began. */
class GivenIds implements tracing.IdGenerator {
  next: Pick<SpanRecord, 'trace' | 'span'> = { trace: '', span: '' };

  generateTraceId = (): string => this.next.trace;

  generateSpanId = (): string => this.next.span;
}

function contextOf(span: SpanContext | '' | undefined): Context {
  if (span === undefined || span === '') return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: span.id,
    spanId: span.span,
    traceFlags: span.sampled === true ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(span.state === undefined ? {} : { traceState: createTraceState(span.state) }),
  });
}

/** Seconds and nanoseconds: the SDK takes a number from before the process began for a time since then. */
function toHrTime(ms: number): HrTime {
  const seconds = Math.floor(ms / 1_000);
  return [seconds, Math.floor((ms - seconds * 1_000) * 1e6)];
}

/** What the environment says counts. Nothing of the command line, which may hold passwords. */
function resourceOf({ service, workerId }: TracesOptions): resources.Resource {
  const { resourceFromAttributes, detectResources, envDetector, defaultResource } = resources;
  const own = resourceFromAttributes({
    'service.name': service,
    'service.version': RUNTIME_VERSION,
    'service.instance.id': workerId,
    'host.name': hostname(),
    'process.pid': process.pid,
  });
  return defaultResource()
    .merge(own)
    .merge(detectResources({ detectors: [envDetector] }));
}
