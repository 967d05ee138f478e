import type { PortObserver } from '../../activities/port-observer';
import type { WorkerMetrics } from './worker-metrics';

/** Counts what blocks do through their ports, those in child processes too. */
export function portMetrics(metrics: WorkerMetrics): PortObserver {
  return (call) => {
    switch (call.port) {
      case 'http':
        metrics.beamline_http_requests_total.of(call.method, call.status).inc();
        if (call.status !== 'error') metrics.beamline_http_request_ms.of().observe(call.ms);
        return;
      case 'blob':
        metrics.beamline_blob_operations_total.of(call.operation, outcome(call.isOk)).inc();
        return;
      case 'sql':
        metrics.beamline_sql_statements_total.of(call.kind, call.operation, outcome(call.isOk)).inc();
        metrics.beamline_sql_statement_ms.of(call.kind).observe(call.ms);
        return;
      case 'bytes':
        (call.of === 'http' ? metrics.beamline_http_bytes_total : metrics.beamline_blob_bytes_total)
          .of(call.direction)
          .inc(call.bytes);
    }
  };
}

function outcome(isOk: boolean): string {
  return isOk ? 'ok' : 'failed';
}
