import { createRequire } from 'node:module';
import type { tracing } from '@opentelemetry/sdk-node';
import type { TraceHealth } from './trace-health';
import type { OtlpProtocol } from './trace-settings';

/** The SDK's own exporters, which it does not export itself. */
const EXPORTERS: Readonly<Record<OtlpProtocol, string>> = {
  'http/protobuf': '@opentelemetry/exporter-trace-otlp-proto',
  'http/json': '@opentelemetry/exporter-trace-otlp-http',
  grpc: '@opentelemetry/exporter-trace-otlp-grpc',
};

/** Makes the exporter of a protocol, set up by the OTEL_ variables. */
export function createOtlpExporter(protocol: OtlpProtocol): tracing.SpanExporter {
  const requireOfSdk = createRequire(require.resolve('@opentelemetry/sdk-node'));
  const { OTLPTraceExporter } = requireOfSdk(EXPORTERS[protocol]) as {
    OTLPTraceExporter: new () => tracing.SpanExporter;
  };
  return new OTLPTraceExporter();
}

/** Result code of an export that went well. */
const SUCCESS = 0;

/** An exporter that tells how it goes. `onTaken` hears of every span that has left the queue. */
export function watchExporter(
  exporter: tracing.SpanExporter,
  { health, onTaken }: { health: TraceHealth; onTaken: (spans: number) => void },
): tracing.SpanExporter {
  return {
    export: (spans, done) => {
      onTaken(spans.length);
      exporter.export(spans, (result) => {
        if (result.code === SUCCESS) health.sent();
        else health.lost(spans.length, result.error?.message ?? 'no reason given');
        done(result);
      });
    },
    shutdown: () => exporter.shutdown(),
    ...(exporter.forceFlush === undefined ? {} : { forceFlush: () => exporter.forceFlush?.() ?? Promise.resolve() }),
  };
}
