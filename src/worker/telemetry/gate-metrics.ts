import type { Gate } from '../../activities/ports/gate';
import { FlowError } from '../../dsl/errors';
import { isDenial } from './metric-table';
import type { WorkerMetrics } from './worker-metrics';

/** Counts what the gate denies. Denied steps are counted where steps are (step-metrics.ts). */
export function countDenials(gate: Gate, metrics: WorkerMetrics): Gate {
  const counted =
    <Args extends unknown[], R>(ask: (...args: Args) => Promise<R>) =>
    async (...args: Args): Promise<R> => {
      try {
        return await ask(...args);
      } catch (error) {
        const code = error instanceof FlowError ? error.data.code : undefined;
        if (isDenial(code)) metrics.beamline_scope_denials_total.of(code).inc();
        throw error;
      }
    };
  return {
    admitStart: counted((...args: Parameters<Gate['admitStart']>) => gate.admitStart(...args)),
    admitWindow: counted((...args: Parameters<Gate['admitWindow']>) => gate.admitWindow(...args)),
    admitDecision: counted((...args: Parameters<Gate['admitDecision']>) => gate.admitDecision(...args)),
    admitResolution: counted((...args: Parameters<Gate['admitResolution']>) => gate.admitResolution(...args)),
    admitDeployment: counted((...args: Parameters<Gate['admitDeployment']>) => gate.admitDeployment(...args)),
    admitTrigger: counted((...args: Parameters<Gate['admitTrigger']>) => gate.admitTrigger(...args)),
    recognize: (...args) => gate.recognize(...args),
  };
}
