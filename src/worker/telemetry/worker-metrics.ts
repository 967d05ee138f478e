import { collectDefaultMetrics, Registry } from 'prom-client';
import { PACKAGE_VERSION } from '../package-files';
import { createFamilies, type Families } from './metric-family';
import { WORKER_METRICS } from './metric-table';

/** The metrics of one worker, in a registry of its own. */
export interface WorkerMetrics extends Families<typeof WORKER_METRICS> {
  readonly registry: Registry;
}

/** Makes the metrics of a worker, with those that prom-client has of the process: event loop, garbage collection, files. */
export function createWorkerMetrics(workerId: string): WorkerMetrics {
  const registry = new Registry();
  const families = createFamilies(WORKER_METRICS, registry);
  families.worker_info.of(PACKAGE_VERSION, workerId).set(1);
  collectDefaultMetrics({ register: registry });
  return { registry, ...families };
}
