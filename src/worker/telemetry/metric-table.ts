import { EXIT_REASONS } from '../../activities/process/exit-reason';
import { BLOCK_SPECS } from '../../dsl/block-registry';
import { POOL_NAMES as POOLS } from '../../dsl/block-spec';
import { ERROR_CODES } from '../../dsl/error-codes';
import { LOCAL_BLOCKS, LOCAL_REFUSALS } from '../../dsl/local-step';
import { QUOTAS } from '../../dsl/quota';
import { PARTS } from './conditions';
import { ANY, type MetricSpec } from './metric-family';

/** Milliseconds; from a block on the loopback to what runs for minutes. */
const LATENCY_BUCKETS_MS = [5, 10, 25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 30_000, 60_000, 300_000];

/** Blocks that run as steps. */
const TYPES = BLOCK_SPECS.filter(({ kind }) => kind === 'activity').map(({ type }) => type);
const CODES = Object.keys(ERROR_CODES);
const DENIALS = CODES.filter((code) => code.endsWith('_DENIED'));
const DIRECTIONS = ['in', 'out'];
const OUTCOMES = ['ok', 'failed'];

/** The metrics of one worker process. They are registered from this table, and docs/metrics.md is written from it. */
export const WORKER_METRICS = {
  worker_info: {
    type: 'gauge',
    help: 'Always 1; the labels say which worker this is.',
    labels: { version: ANY, worker_id: ANY },
  },
  worker_tasks_total: {
    type: 'counter',
    help: 'Attempts of steps that ended; waiting: sent back to wait for a quota, with nothing done.',
    labels: { type: TYPES, status: ['completed', 'failed', 'cancelled', 'waiting'] },
    startsAtZero: true,
  },
  worker_local_steps_total: {
    type: 'counter',
    help: 'Steps that were tried in place: ended there, or why they went to their queue (docs/performance.md).',
    labels: { type: LOCAL_BLOCKS, outcome: ['ended', ...LOCAL_REFUSALS] },
  },
  worker_task_latency_ms: {
    type: 'histogram',
    unit: 'ms',
    help: 'How long attempts of steps ran, in milliseconds; without those that were sent back to wait.',
    labels: { type: TYPES },
    buckets: LATENCY_BUCKETS_MS,
  },
  worker_task_schedule_to_start_ms: {
    type: 'histogram',
    unit: 'ms',
    help: 'How long attempts of steps waited for a slot of the pool, in milliseconds, as the clocks of server and worker tell.',
    labels: { pool: POOLS },
    buckets: LATENCY_BUCKETS_MS,
  },
  worker_task_retries_total: {
    type: 'counter',
    help: 'Attempts of steps beyond the first.',
    labels: { type: TYPES },
    startsAtZero: true,
  },
  worker_task_failures_total: {
    type: 'counter',
    help: 'Attempts of steps that failed, by the code of the error (docs/errors.md).',
    labels: { type: TYPES, code: CODES },
  },
  worker_resource_usage: {
    type: 'gauge',
    help: 'What the worker and its child processes use: CPU time in milliseconds since the start, resident memory in bytes; heap_bytes is the JavaScript heap of the main thread.',
    labels: { resource: ['cpu_time_ms', 'memory_bytes', 'heap_bytes'] },
  },
  worker_pool_queue_depth: {
    type: 'gauge',
    help: "Temporal's backlog of the pool's task queue, approximately, of all workers together; of io with its workflow tasks. Absent where Temporal does not say.",
    labels: { pool: POOLS },
  },
  worker_pool_queue_age_seconds: {
    type: 'gauge',
    unit: 's',
    help: 'How long the oldest task in the backlog has waited.',
    labels: { pool: POOLS },
  },
  worker_pool_queue_add_rate: {
    type: 'gauge',
    unit: 'tasks/s',
    help: 'Tasks a second that come into the task queue, averaged over 30 s; without those that start eagerly.',
    labels: { pool: POOLS },
  },
  worker_pool_queue_dispatch_rate: {
    type: 'gauge',
    unit: 'tasks/s',
    help: 'Tasks a second that the task queue gives to workers, averaged over 30 s; without those that start eagerly.',
    labels: { pool: POOLS },
  },
  worker_pool_slots: {
    type: 'gauge',
    help: 'Places of the pool for steps: those that are used and those that are free.',
    labels: { pool: POOLS, state: ['used', 'free'] },
  },
  worker_child_processes: {
    type: 'gauge',
    help: 'Child processes that run blocks.',
    labels: { pool: POOLS, state: ['busy', 'idle'] },
  },
  worker_child_process_exits_total: {
    type: 'counter',
    help: 'Child processes that ended, and why: killed for their memory, at the deadline of a step or since a cancelled one did not stop; crash: of their own; retired: they held much memory after a step; replaced: another memory limit was needed; stopped: with the worker.',
    labels: { pool: POOLS, reason: EXIT_REASONS },
  },
  worker_degraded: {
    type: 'gauge',
    help: '1: the worker does without this part just now, which it uses; state_store: steps of tenants with quotas wait meanwhile (docs/health.md).',
    labels: { part: PARTS },
  },
  worker_flows_cached: {
    type: 'gauge',
    help: 'Flows and approvals that are kept in memory.',
    labels: {},
  },
  beamline_http_requests_total: {
    type: 'counter',
    help: 'HTTP requests of blocks; error: no answer came. A redirect is part of its request.',
    labels: {
      method: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'],
      status: ['2xx', '3xx', '4xx', '5xx', 'error'],
    },
  },
  beamline_http_request_ms: {
    type: 'histogram',
    unit: 'ms',
    help: 'How long HTTP requests took until the head of the answer was there, in milliseconds; without those that got none.',
    labels: {},
    buckets: LATENCY_BUCKETS_MS,
  },
  beamline_http_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of bodies of HTTP answers (in) and requests (out).',
    labels: { direction: DIRECTIONS },
    startsAtZero: true,
  },
  beamline_blob_operations_total: {
    type: 'counter',
    help: 'Operations of blocks on blobs.',
    labels: { operation: ['put', 'stat', 'read', 'list', 'delete'], status: OUTCOMES },
    startsAtZero: true,
  },
  beamline_blob_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes of blobs that blocks read (in) and wrote (out).',
    labels: { direction: DIRECTIONS },
    startsAtZero: true,
  },
  beamline_sql_statements_total: {
    type: 'counter',
    help: 'Calls of databases by blocks; a transaction is one.',
    labels: { kind: ['sqlite', 'postgres'], operation: ['query', 'execute', 'transaction'], status: OUTCOMES },
    startsAtZero: true,
  },
  beamline_sql_statement_ms: {
    type: 'histogram',
    unit: 'ms',
    help: 'How long calls of databases took, in milliseconds.',
    labels: { kind: ['sqlite', 'postgres'] },
    buckets: LATENCY_BUCKETS_MS,
  },
  beamline_quota_waits_total: {
    type: 'counter',
    help: 'Times that a step or a flow was sent to wait for a quota; store: for the state store, which did not answer.',
    labels: { quota: [...QUOTAS, 'store'] },
    startsAtZero: true,
  },
  beamline_scope_denials_total: {
    type: 'counter',
    help: 'Steps, starts, decisions and resolutions that were denied, by the code of the error (docs/errors.md).',
    labels: { code: DENIALS },
    startsAtZero: true,
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;

/** True for what is denied, and not just failed. */
export function isDenial(code: string | undefined): code is string {
  return code?.endsWith('_DENIED') === true;
}
