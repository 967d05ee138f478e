import type { StepMiddleware } from '../../activities/step-activities';
import type { Logger } from '../logger';
import type { MetricsEndpoint } from './metrics-endpoint';
import { stepMetrics } from './step-metrics';
import { startTelemetryServer } from './telemetry-server';
import { createWorkerMetrics, type WorkerMetrics } from './worker-metrics';

/** What a worker shows of itself. */
export interface Telemetry {
  /** Absent where no endpoint is configured. */
  readonly metrics?: WorkerMetrics;
  /** Around every step. */
  readonly middleware: readonly StepMiddleware[];
  /** Where it is served; absent: nowhere. */
  readonly url?: string;
  close(): Promise<void>;
}

const OFF: Telemetry = { middleware: [], close: async () => undefined };

/** Serves metrics and health where an endpoint is configured; else nothing is counted. Throws BLW_CONFIG. */
export async function openTelemetry(options: {
  endpoint: MetricsEndpoint | undefined;
  workerId: string;
  logger: Logger;
}): Promise<Telemetry> {
  const { endpoint, workerId, logger } = options;
  if (endpoint === undefined) return OFF;
  const metrics = createWorkerMetrics(workerId);
  const { registry } = metrics;
  const server = await startTelemetryServer({
    endpoint,
    paths: {
      '/metrics': async () => ({ status: 200, contentType: registry.contentType, body: await registry.metrics() }),
    },
    onError: (path, error) =>
      logger.log('warn', 'health or metrics could not be answered', { path, error: String(error) }),
  });
  return { metrics, middleware: [stepMetrics(metrics)], url: server.url, close: () => server.close() };
}
