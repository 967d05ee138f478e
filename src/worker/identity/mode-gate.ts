import { notRetryable } from '../../activities/block-failure';
import type { Gate } from '../../activities/ports/gate';
import type { RunMode } from '../../dsl/dry-run/dry-run';

/**
 * The gate of workers that run flows of one mode: it knows no others. A grant that was got for a dry run is good for nothing that is
 * done, whoever shows it.
 */
export function gateFor(mode: RunMode, gate: Gate): Gate {
  return {
    admitStart: (...args) => gate.admitStart(...args),
    admitWindow: (...args) => gate.admitWindow(...args),
    admitDecision: (...args) => gate.admitDecision(...args),
    admitResolution: (...args) => gate.admitResolution(...args),
    admitDeployment: (...args) => gate.admitDeployment(...args),
    admitTrigger: (...args) => gate.admitTrigger(...args),
    recognize: async (...args) => {
      const bearer = await gate.recognize(...args);
      const known: RunMode = bearer.isDryRun === true ? 'dry-run' : 'live';
      // Where nobody is checked, nothing is known.
      if (bearer.subject !== undefined && known !== mode) {
        throw notRetryable('BLW_TOKEN_INVALID', `grant: it is of a ${known} flow, expected ${mode}; nothing was done`);
      }
      return bearer;
    },
  };
}
