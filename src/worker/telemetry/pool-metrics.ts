import type { ExpressionEngine } from '../../activities/expressions/expression-engine';
import type { BlockProcessPool } from '../../activities/process/block-process-pool';
import { EXIT_REASONS } from '../../activities/process/exit-reason';
import type { ScriptPool } from '../../activities/script/script-pool';
import type { Pool } from '../pools';
import type { QueueSurvey } from './queue-survey';
import type { WorkerMetrics } from './worker-metrics';

/** What a worker is looked at for with every scrape. */
export interface Watched {
  readonly pools: readonly (Pick<Pool, 'resources' | 'slots'> & {
    readonly worker: Pick<Pool['worker'], 'getStatus'>;
    readonly processes?: Pick<BlockProcessPool, 'stats'>;
  })[];
  readonly queues: Pick<QueueSurvey, 'read'>;
  readonly expressions: Pick<ExpressionEngine, 'usage'>;
  readonly scripts: Pick<ScriptPool, 'usage'>;
}

/** Sets the gauges of pools, queues and resources to what is true now. */
export async function measurePools(
  metrics: WorkerMetrics,
  { pools, queues, expressions, scripts }: Watched,
): Promise<void> {
  measureQueues(metrics, await queues.read());
  const { user, system } = process.cpuUsage();
  const { rss, heapUsed } = process.memoryUsage();
  const others = [expressions.usage(), scripts.usage()];
  let cpuMs = others.reduce((sum, usage) => sum + usage.cpuMs, (user + system) / 1_000);
  let memoryBytes = others.reduce((sum, usage) => sum + usage.rssBytes, rss);
  let cachedFlows = 0;
  // The pools count; the series follow them.
  metrics.worker_child_process_exits_total.reset();
  for (const { resources, slots, worker, processes } of pools) {
    const { numInFlightNonLocalActivities: used, numCachedWorkflows } = worker.getStatus();
    metrics.worker_pool_slots.of(resources, 'used').set(used);
    metrics.worker_pool_slots.of(resources, 'free').set(Math.max(0, slots - used));
    cachedFlows += numCachedWorkflows;
    if (processes === undefined) continue;
    const stats = processes.stats();
    measureProcesses(metrics, resources, stats);
    cpuMs += stats.cpuMs;
    memoryBytes += stats.rssBytes;
  }
  metrics.worker_flows_cached.of().set(cachedFlows);
  metrics.worker_resource_usage.of('cpu_time_ms').set(Math.round(cpuMs));
  metrics.worker_resource_usage.of('memory_bytes').set(memoryBytes);
  metrics.worker_resource_usage.of('heap_bytes').set(heapUsed);
}

function measureQueues(metrics: WorkerMetrics, { pools }: Awaited<ReturnType<QueueSurvey['read']>>): void {
  const { worker_pool_queue_depth: depth, worker_pool_queue_age_seconds: age } = metrics;
  const { worker_pool_queue_add_rate: addRate, worker_pool_queue_dispatch_rate: dispatchRate } = metrics;
  // What cannot be told now is not told as it was.
  for (const family of [depth, age, addRate, dispatchRate]) family.reset();
  for (const [resources, state] of pools) {
    depth.of(resources).set(state.depth);
    age.of(resources).set(state.ageSeconds);
    addRate.of(resources).set(state.addRate);
    dispatchRate.of(resources).set(state.dispatchRate);
  }
}

function measureProcesses(
  metrics: WorkerMetrics,
  resources: string,
  { busy, idle, exits }: ReturnType<BlockProcessPool['stats']>,
): void {
  metrics.worker_child_processes.of(resources, 'busy').set(busy);
  metrics.worker_child_processes.of(resources, 'idle').set(idle);
  for (const reason of EXIT_REASONS)
    metrics.worker_child_process_exits_total.of(resources, reason).inc(exits.get(reason) ?? 0);
}
