import type { SpanSink } from '../../activities/tracing/trace-attempt';
import type { FlowTrace, SpanAttributes } from '../../dsl/trace';
import type { Logger } from '../logger';
import type { Conditions } from '../telemetry/conditions';
import { readTraceSettings } from './trace-settings';

/** Sends traces. */
export interface Traces extends SpanSink {
  /**
   * Decides which trace a flow, or a start of one, is in: that of the header which came with it, else a new one; and by the configured
   * sampler, whether it is sent.
   */
  begin(name: string, header: unknown, attributes: SpanAttributes): FlowTrace;
  /** Sends what is left, for 2 seconds at most. Never throws. */
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
  /** Told, as the part `traces`, where the collector is away. */
  readonly conditions?: Pick<Conditions, 'degrade' | 'recover'>;
}

/** Undefined where no OTEL_ variable asks for traces: the SDK is not even loaded then. Throws BLW_CONFIG. */
export function openTraces(options: TracesOptions): Traces | undefined {
  const settings = readTraceSettings(options.env);
  if (settings === undefined) return undefined;
  for (const warning of settings.warnings) options.logger.log('warn', warning);
  const { OtlpTraces } = require('./otlp-traces') as typeof import('./otlp-traces');
  return new OtlpTraces(settings, options);
}
