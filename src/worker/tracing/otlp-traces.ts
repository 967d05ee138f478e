import { hostname } from 'node:os';
import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  TraceFlags,
  type Tracer,
  trace,
} from '@opentelemetry/api';
import { resources, tracing } from '@opentelemetry/sdk-node';
import { soundSpan } from '../../activities/tracing/sound-span';
import { within } from '../../activities/within';
import { messageOf } from '../../dsl/errors';
import {
  type FlowTrace,
  parseTraceHeader,
  type SpanAttributes,
  type SpanContext,
  type SpanRecord,
} from '../../dsl/trace';
import { RUNTIME_VERSION } from '../../dsl/version';
import { createOtlpExporter, watchExporter } from './otlp-exporter';
import { toReadableSpan } from './readable-span';
import { TraceHealth } from './trace-health';
import type { TraceSettings } from './trace-settings';
import type { Traces, TracesOptions } from './traces';

/** Longest time that is taken to send what is left, when a worker or a command ends. */
const CLOSE_MS = 2_000;

/**
 * Hands spans that have ended to the SDK. Loaded only where traces are on: the SDK takes 0.1 s and 26 MB. Its parts are put
 * together by hand and not by its `NodeSDK`, which would make itself known to the whole process, collect metrics and logs as well, and tell
 * of the command line, which may hold passwords.
 */
export class OtlpTraces implements Traces {
  readonly workerId: string;
  readonly #health: TraceHealth;
  readonly #processor: tracing.SpanProcessor;
  readonly #resource: resources.Resource;
  /** Makes ids of traces and samples as the environment says; its spans are never ended. */
  readonly #decider: Tracer;
  #queued = 0;
  #closing: Promise<void> | undefined;

  constructor(
    private readonly settings: TraceSettings,
    private readonly options: TracesOptions,
  ) {
    this.workerId = options.workerId;
    this.#health = new TraceHealth(options.logger, options.conditions);
    const exporter = watchExporter(createOtlpExporter(settings.protocol), {
      health: this.#health,
      onTaken: (spans) => {
        this.#queued -= spans;
      },
    });
    this.#processor = new tracing.BatchSpanProcessor(exporter);
    this.#resource = resourceOf(options);
    this.#decider = new tracing.BasicTracerProvider({}).getTracer('beamline-worker');
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
    for (const given of spans) {
      const span = soundSpan(given);
      if (span === undefined) continue;
      if (this.#queued >= this.settings.maxQueueSize) {
        this.#health.lost(1, 'there are more spans than the collector takes');
        continue;
      }
      this.#queued += 1;
      this.#processor.onEnd(toReadableSpan(span, this.#resource));
    }
  }

  hidesDataOf(tenant: string): boolean {
    return this.options.hidesDataOf(tenant);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    try {
      await within(CLOSE_MS, this.#processor.shutdown());
    } catch (error) {
      const reason = messageOf(error);
      this.options.logger.log('warn', 'the last traces could not be sent', { error: reason, spans: this.#queued });
    }
  }
}

function contextOf(span: SpanContext | undefined): Context {
  if (span === undefined) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: span.id,
    spanId: span.span,
    traceFlags: span.sampled === true ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(span.state === undefined ? {} : { traceState: createTraceState(span.state) }),
  });
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
