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
import type { resources, tracing } from '@opentelemetry/sdk-node';
import type { SpanSink } from '../../activities/tracing/trace-attempt';
import { within } from '../../activities/within';
import {
  type FlowTrace,
  parseTraceHeader,
  type SpanAttributes,
  type SpanContext,
  type SpanRecord,
} from '../../dsl/trace';
import { RUNTIME_VERSION } from '../../dsl/version';
import type { Logger } from '../logger';
import { createOtlpExporter, watchExporter } from './otlp-exporter';
import { TraceHealth, type TraceOutage } from './trace-health';
import { readTraceSettings, type TraceSettings } from './trace-settings';

/** Longest time that is taken to send what is left, when a worker or a command ends. */
const CLOSE_MS = 3_000;

/** The instrumentation scope of all spans. */
const SCOPE = 'beamline-worker';

/** Sends traces. */
export interface Traces extends SpanSink {
  /**
   * Decides which trace a flow, or a start of one, is in: that of the header which came with it, else a new one; and by the configured
   * sampler, whether it is sent.
   */
  begin(name: string, header: unknown, attributes: SpanAttributes): FlowTrace;
  /** Why nothing is sent just now; undefined where all is well. For the answers about health, part `traces`. */
  outage(): TraceOutage | undefined;
  /** Sends what is left, for 3 seconds at most. Never throws. */
  close(): Promise<void>;
}

/** What traces are made with. */
export interface TracesOptions {
  /** The SDK reads the rest of `process.env`. */
  readonly env: NodeJS.ProcessEnv;
  /** `service.name` where the environment does not say it. */
  readonly service: string;
  /** Id of the worker, `service.instance.id`. */
  readonly workerId: string;
  readonly hidesDataOf: (tenant: string) => boolean;
  readonly logger: Logger;
}

/** Undefined where no OTEL_ variable asks for traces: the SDK is not even loaded then. Throws BLW_CONFIG. */
export function openTraces(options: TracesOptions): Traces | undefined {
  const settings = readTraceSettings(options.env);
  if (settings === undefined) return undefined;
  for (const warning of settings.warnings) options.logger.log('warn', warning);
  return new OtlpTraces(settings, options);
}

/**
 * Makes spans of the SDK from spans that have ended. It is put together by hand and not by `NodeSDK`: that would make itself known to the
 * whole process, collect metrics and logs as well, and tell of the command line, which may hold passwords.
 */
class OtlpTraces implements Traces {
  readonly workerId: string;
  readonly #health: TraceHealth;
  readonly #ids = new GivenIds();
  readonly #provider: tracing.BasicTracerProvider;
  readonly #tracer: Tracer;
  /** Samples as the environment says; its spans are never ended. */
  readonly #decider: Tracer;
  #queued = 0;

  constructor(
    private readonly settings: TraceSettings,
    private readonly options: TracesOptions,
  ) {
    const { tracing, resources } = require('@opentelemetry/sdk-node') as typeof import('@opentelemetry/sdk-node');
    this.workerId = options.workerId;
    this.#health = new TraceHealth(options.logger);
    const exporter = watchExporter(createOtlpExporter(settings.protocol), {
      health: this.#health,
      onTaken: (spans) => {
        this.#queued -= spans;
      },
    });
    this.#provider = new tracing.BasicTracerProvider({
      resource: resourceOf(resources, options),
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

  async close(): Promise<void> {
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
function resourceOf(sdk: typeof resources, { service, workerId }: TracesOptions): resources.Resource {
  const { resourceFromAttributes, detectResources, envDetector, defaultResource } = sdk;
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
