import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import { PACKAGE_VERSION } from '../package-files';

/** Milliseconds; from a block on the loopback to what runs for minutes. */
export const LATENCY_BUCKETS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000];

/** The metrics of one worker, in a registry of its own. */
export interface WorkerMetrics {
  readonly registry: Registry;
  /** Attempts of steps that ended: `type` a block, `status` completed, failed, cancelled or waiting. */
  readonly tasks: Counter<'type' | 'status'>;
  /** How long attempts ran. */
  readonly taskLatency: Histogram<'type'>;
}

/** Makes the metrics of a worker. */
export function createWorkerMetrics(workerId: string): WorkerMetrics {
  const registry = new Registry();
  const registers = [registry];
  new Gauge({
    name: 'worker_info',
    help: 'Always 1; the labels say which worker this is.',
    labelNames: ['version', 'worker_id'],
    registers,
  }).set({ version: PACKAGE_VERSION, worker_id: workerId }, 1);
  return {
    registry,
    tasks: new Counter({
      name: 'worker_tasks_total',
      help: 'Attempts of steps that ended.',
      labelNames: ['type', 'status'],
      registers,
    }),
    taskLatency: new Histogram({
      name: 'worker_task_latency_ms',
      help: 'How long attempts of steps ran, in milliseconds.',
      labelNames: ['type'],
      buckets: LATENCY_BUCKETS_MS,
      registers,
    }),
  };
}
