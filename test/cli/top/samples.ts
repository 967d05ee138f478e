import { parsePrometheusText } from '../../../src/cli/top/prometheus-text';
import type { TemporalReading } from '../../../src/cli/top/temporal-reading';
import type { TopSample } from '../../../src/cli/top/top-view';
import type { WorkerReading, WorkerStatus } from '../../../src/cli/top/worker-reading';

/** What Temporal says where two workers poll and nothing waits; with changes. */
export function temporalReading(changes: Partial<TemporalReading> = {}): TemporalReading {
  const queue = { depth: 0, ageSeconds: 0, addRate: 0, dispatchRate: 0, pollers: ['w1', 'w2'] };
  return {
    queues: [
      { ...queue, pool: 'io', taskQueue: 'beamline-io', depth: 1_400, ageSeconds: 3.2, addRate: 40 },
      { ...queue, pool: 'cpu', taskQueue: 'beamline-cpu' },
      { ...queue, pool: 'gpu', taskQueue: 'beamline-gpu', pollers: [], depth: 2, ageSeconds: 61 },
    ],
    open: { Running: 12, AwaitingApproval: 3, AwaitingQuota: 0, Compensating: 0, DeadLettered: 1 },
    ended: { Completed: 1_204, Failed: 3 },
    approvals: { waiting: 3, oldestSince: 0 },
    deadLetterFlows: 1,
    ...changes,
  };
}

/** A worker's page at a moment, in ms. */
export function workerReading(
  at: number,
  text: string,
  { port = 1, status }: { port?: number; status?: WorkerStatus } = {},
): WorkerReading {
  const endpoint = { name: `w:${port}`, url: `http://w:${port}`, isNamed: true };
  return { endpoint, at, page: parsePrometheusText(text), ...(status === undefined ? {} : { status }) };
}

export function sample(at: number, workers: readonly WorkerReading[] = [], temporal = temporalReading()): TopSample {
  return { at, temporal, workers };
}

/** A worker that has done so many steps, 20 ms each. */
export function pageOf({ done, failed = 0, used = 4 }: { done: number; failed?: number; used?: number }): string {
  return `
worker_info{version="0.1.0",worker_id="w1"} 1
worker_tasks_total{type="http.request",status="completed"} ${done}
worker_tasks_total{type="http.request",status="failed"} ${failed}
worker_tasks_total{type="http.request",status="waiting"} ${done * 10}
worker_tasks_total{type="fs.put",status="completed"} 7
worker_tasks_total{type="fs.get",status="completed"} 0
worker_task_retries_total{type="http.request"} ${failed}
worker_task_latency_ms_bucket{type="http.request",le="10"} 0
worker_task_latency_ms_bucket{type="http.request",le="25"} ${done}
worker_task_latency_ms_bucket{type="http.request",le="+Inf"} ${done}
worker_task_schedule_to_start_ms_bucket{pool="io",le="100"} ${done}
worker_task_schedule_to_start_ms_bucket{pool="io",le="+Inf"} ${done}
worker_pool_slots{pool="io",state="used"} ${used}
worker_pool_slots{pool="io",state="free"} ${16 - used}
worker_resource_usage{resource="cpu_time_ms"} ${done * 10}
worker_resource_usage{resource="memory_bytes"} 104857600
worker_flows_cached 11
`;
}
