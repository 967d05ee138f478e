import type { LocalOutcome } from '../../activities/in-place/in-place';
import type { PortObserver } from '../../activities/port-observer';
import type { Gate } from '../../activities/ports/gate';
import type { StepMiddleware } from '../../activities/step-activities';
import { taskQueueOf } from '../../dsl/names';
import type { QuotaReason } from '../../dsl/quota';
import type { WorkerConfig } from '../config';
import { isLoopbackAddress } from '../identity/loopback-address';
import type { Logger } from '../logger';
import type { Conditions } from './conditions';
import type { CoreMetrics } from './core-metrics';
import { countDenials } from './gate-metrics';
import type { Health } from './health';
import { InstallationMetrics, type InstallationParts } from './installation-metrics';
import { MetricGaps } from './metric-gaps';
import type { MetricsEndpoint } from './metrics-endpoint';
import { MetricsPage } from './metrics-page';
import type { Watched } from './pool-metrics';
import { portMetrics } from './port-metrics';
import { stepMetrics } from './step-metrics';
import { startTelemetryServer } from './telemetry-server';
import { createWorkerMetrics } from './worker-metrics';

/** What a worker shows of itself. */
export interface Telemetry {
  /** Around every step. */
  readonly middleware: readonly StepMiddleware[];
  /** Told what blocks do through their ports; absent: nobody wants to know. */
  readonly observe?: PortObserver;
  /** Told what became of steps that were tried in place. */
  readonly tellLocal?: (blockType: string, outcome: LocalOutcome) => void;
  /** Told what steps and flows are sent to wait for. */
  readonly onWait?: (reason: QuotaReason) => void;
  /** The gate, with what it denies counted. */
  watchGate(gate: Gate): Gate;
  /** Shows pools, queues and resources too, once they are there. */
  watch(watched: Watched): void;
  /** Shows what is true of the whole installation, where this worker has to; to be closed before the store. */
  showInstallation(parts: Omit<InstallationParts, 'onProblem'>): { close(): Promise<void> };
  /** Where it is served; absent: nowhere. */
  readonly url?: string;
  close(): Promise<void>;
}

const OFF: Telemetry = {
  middleware: [],
  watchGate: (gate) => gate,
  watch: () => undefined,
  showInstallation: () => ({ close: async () => undefined }),
  close: async () => undefined,
};

/** Serves metrics and health where an endpoint is configured; else nothing is counted. Throws BLW_CONFIG. */
export async function openTelemetry(options: {
  config: Pick<WorkerConfig, 'metrics' | 'pools' | 'queuePrefix'>;
  workerId: string;
  logger: Logger;
  coreMetrics: CoreMetrics | undefined;
  conditions: Conditions;
  health: Health;
}): Promise<Telemetry> {
  const { config, workerId, logger, coreMetrics, conditions, health } = options;
  if (config.metrics === undefined) return OFF;
  warnOfReaders(config.metrics, logger);
  const metrics = createWorkerMetrics(workerId);
  conditions.onChange((part, now) => metrics.worker_degraded.of(part).set(now === undefined ? 0 : 1));
  const gaps = new MetricGaps(conditions);
  const page = new MetricsPage({ metrics, coreMetrics, gaps });
  let installation: InstallationMetrics | undefined;
  const server = await startTelemetryServer({
    endpoint: config.metrics,
    paths: {
      '/metrics': async () => {
        await installation?.wanted();
        return { status: 200, contentType: metrics.registry.contentType, body: await page.render() };
      },
      '/livez': () => health.live(),
      '/readyz': () => health.ready(),
      '/status': () => health.status(),
    },
    onError: (path, error) =>
      logger.log('warn', 'health or metrics could not be answered', { path, error: String(error) }),
  });
  const pools = new Map(config.pools.map((pool) => [taskQueueOf(config.queuePrefix, pool), pool]));
  return {
    middleware: [stepMetrics(metrics, pools)],
    observe: portMetrics(metrics),
    tellLocal: (blockType, outcome) => metrics.worker_local_steps_total.of(blockType, outcome).inc(),
    onWait: (reason) => metrics.beamline_quota_waits_total.of(reason).inc(),
    watchGate: (gate) => countDenials(gate, metrics),
    watch: (watched) => page.watch(watched),
    showInstallation: (parts) => {
      const onProblem = (message: string | undefined) => gaps.tell('installation', message);
      installation = new InstallationMetrics({ ...parts, onProblem }, metrics.registry);
      return installation;
    },
    url: server.url,
    close: () => server.close(),
  };
}

/** Nobody is asked who he is. */
function warnOfReaders({ host }: MetricsEndpoint, logger: Logger): void {
  if (isLoopbackAddress(host)) return;
  logger.log('warn', 'metrics and health can be read from other machines, by anybody who reaches the port', {
    host,
    shows: 'tenants of the policy with their usage and quotas, task queues, addresses in errors; no data of flows',
  });
}
