import { ApplicationFailure } from '@temporalio/common';
import type { RunPlace } from '../../activities/ports/gate';
import type { PreparedFlow } from '../../dsl/start';
import { spanIdOf } from '../../dsl/trace';
import type { Traces } from './traces';

/**
 * Prepares a flow, and says which trace it is in: that of the header that its start came with, else a new one. A start that is refused is
 * a span here, since there will be no flow to have one.
 */
export async function tracePreparation(
  { traces, header, at }: { traces: Traces | undefined; header: unknown; at: RunPlace },
  prepare: () => Promise<PreparedFlow>,
): Promise<PreparedFlow> {
  if (traces === undefined) return await prepare();
  const startMs = Date.now();
  try {
    const prepared = await prepare();
    const { tenant, plan } = prepared;
    return { ...prepared, trace: traces.begin(plan.flow, header, { tenant_id: tenant, flow_id: at.workflowId }) };
  } catch (error) {
    if (error instanceof ApplicationFailure && error.nonRetryable === true)
      tellRefused(error.type ?? 'error', { traces, header, at, startMs });
    throw error;
  }
}

/** Without the tenant: it is only what somebody sent. */
function tellRefused(
  code: string,
  { traces, header, at, startMs }: { traces: Traces; header: unknown; at: RunPlace; startMs: number },
): void {
  const attributes = { flow_id: at.workflowId, worker_id: traces.workerId, 'error.type': code };
  const trace = traces.begin('refused start', header, attributes);
  if (trace.sampled !== true) return;
  const { id, state, parent } = trace;
  traces.send([
    {
      trace: id,
      span: spanIdOf(at.runId, 0),
      ...(parent === undefined ? {} : { parent }),
      ...(state === undefined ? {} : { state }),
      name: 'refused start',
      kind: 'server',
      startMs,
      endMs: Date.now(),
      attributes,
      error: { code },
    },
  ]);
}
