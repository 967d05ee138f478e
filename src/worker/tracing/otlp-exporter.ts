import type { tracing } from '@opentelemetry/sdk-node';
import type { TraceHealth } from './trace-health';
import type { OtlpProtocol } from './trace-settings';

/** Makes the exporter of a protocol, set up by the OTEL_ variables. Only that one is loaded. */
export function createOtlpExporter(protocol: OtlpProtocol): tracing.SpanExporter {
  switch (protocol) {
    case 'http/protobuf': {
      const { OTLPTraceExporter } =
        require('@opentelemetry/exporter-trace-otlp-proto') as typeof import('@opentelemetry/exporter-trace-otlp-proto');
      return new OTLPTraceExporter();
    }
    case 'http/json': {
      const { OTLPTraceExporter } =
        require('@opentelemetry/exporter-trace-otlp-http') as typeof import('@opentelemetry/exporter-trace-otlp-http');
      return new OTLPTraceExporter();
    }
    case 'grpc': {
      const { OTLPTraceExporter } =
        require('@opentelemetry/exporter-trace-otlp-grpc') as typeof import('@opentelemetry/exporter-trace-otlp-grpc');
      return new OTLPTraceExporter();
    }
  }
}

/** Result code of an export that went well. */
const SUCCESS = 0;

/**
 * An exporter that tells how it goes. `onTaken` hears of every span that has left the queue. After a failure it finds out by requests without
 * spans, one at a time, whether the collector is back.
 */
export function watchExporter(
  exporter: tracing.SpanExporter,
  { health, onTaken }: { health: TraceHealth; onTaken: (spans: number) => void },
): tracing.SpanExporter {
  let isProbing = false;
  const probe = (): void => {
    if (isProbing) return;
    isProbing = true;
    exporter.export([], ({ code }) => {
      isProbing = false;
      if (code === SUCCESS) health.sent();
    });
  };
  return {
    export: (spans, done) => {
      onTaken(spans.length);
      exporter.export(spans, (result) => {
        if (result.code === SUCCESS) health.sent();
        else health.lost(spans.length, result.error?.message ?? 'no reason given', probe);
        done(result);
      });
    },
    shutdown: () => {
      health.close();
      return exporter.shutdown();
    },
    ...(exporter.forceFlush === undefined ? {} : { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}
