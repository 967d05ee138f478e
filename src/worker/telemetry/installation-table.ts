import { RESOURCE_CLASSES as POOLS } from '../../dsl/block-spec';
import { OPEN_STATUSES } from '../../dsl/names';
import { QUOTAS } from '../../dsl/quota';
import { ANY, type MetricSpec } from './metric-family';
import { ENDS } from './visibility';

/**
 * The metrics of a whole installation, which one worker at a time shows: in PromQL, `max` over the workers. The names of tenants are those
 * in the policy. docs/metrics.md is written from this table.
 */
export const INSTALLATION_METRICS = {
  beamline_flows: {
    type: 'gauge',
    help: 'Flows that are open, by what they do; sub-flows are flows too.',
    labels: { status: OPEN_STATUSES },
  },
  beamline_flows_closed: {
    type: 'gauge',
    help: 'Flows that have ended and that Temporal still knows, by how they ended.',
    labels: { status: ENDS },
  },
  beamline_approvals_waiting: { type: 'gauge', help: 'Approvals that wait for a decision.', labels: {} },
  beamline_approval_oldest_seconds: {
    type: 'gauge',
    unit: 's',
    help: 'How long the oldest of these approvals has waited; 0 where there is none.',
    labels: {},
  },
  beamline_dead_letters_waiting: {
    type: 'gauge',
    help: 'Flows, and batches of large loops, with steps that failed for good and wait for people.',
    labels: {},
  },
  beamline_dead_letter_oldest_seconds: {
    type: 'gauge',
    unit: 's',
    help: 'How long the first of these flows has stood still; 0 where there is none. Absent until it is known.',
    labels: {},
  },
  beamline_pool_queue_depth: {
    type: 'gauge',
    help: 'Tasks that wait in the queue of the pool, whether or not a worker serves it, approximately (from Temporal).',
    labels: { pool: POOLS },
  },
  beamline_pool_queue_age_seconds: {
    type: 'gauge',
    unit: 's',
    help: 'How long the oldest of them has waited.',
    labels: { pool: POOLS },
  },
  beamline_pool_pollers: {
    type: 'gauge',
    help: 'Workers that have polled this queue within the last 75 s; of the io pool, for steps and for flows. 0: nobody takes its tasks.',
    labels: { pool: POOLS },
  },
  beamline_tenant_steps_running: {
    type: 'gauge',
    help: 'Steps of the tenant that run; absent where it has no quota for which they are counted.',
    labels: { tenant: ANY },
  },
  beamline_tenant_steps_waiting: {
    type: 'gauge',
    help: "Steps in the tenant's lines, for a place or for room for a blob. A flow sends no more steps there than may run at once.",
    labels: { tenant: ANY },
  },
  beamline_tenant_over_quota: {
    type: 'gauge',
    help: '1: the quota is used up, and whoever asks now has to wait. One series for each quota that the tenant has.',
    labels: { tenant: ANY, quota: QUOTAS },
  },
  beamline_tenant_steps_total: {
    type: 'counter',
    help: 'Steps of the tenant that completed, since the state store began (docs/usage.md); so are the next ones.',
    labels: { tenant: ANY },
  },
  beamline_tenant_failures_total: {
    type: 'counter',
    help: 'Steps of the tenant that failed for good.',
    labels: { tenant: ANY },
  },
  beamline_tenant_cpu_ms_total: {
    type: 'counter',
    unit: 'ms',
    help: 'CPU time of its steps.',
    labels: { tenant: ANY },
  },
  beamline_tenant_bytes_total: {
    type: 'counter',
    unit: 'bytes',
    help: 'Bytes that its steps read (in) and wrote (out).',
    labels: { tenant: ANY, direction: ['in', 'out'] },
  },
  beamline_tenant_approvals_total: {
    type: 'counter',
    help: 'Approvals that its flows asked for.',
    labels: { tenant: ANY },
  },
  beamline_tenant_blob_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'What the blobs of the tenant take; absent where they are to be counted anew.',
    labels: { tenant: ANY },
  },
  beamline_tenant_peak_memory_bytes: {
    type: 'gauge',
    unit: 'bytes',
    help: 'The most that a process held today (UTC) that ran a step of the tenant.',
    labels: { tenant: ANY },
  },
} as const satisfies Readonly<Record<string, MetricSpec>>;
