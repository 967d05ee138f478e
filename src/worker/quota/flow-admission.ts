import type { InjectedSinks } from '@temporalio/worker';
import type { LocalCall } from '../../activities/local-only';
import type { Gate } from '../../activities/ports/gate';
import { FlowError } from '../../dsl/errors';
import type { FlowPlaceSinks, QuotaWait } from '../../dsl/quota';
import type { PreparedFlow } from '../../dsl/start';
import type { QuotaKeeper } from './quota-keeper';
import type { Asker } from './tickets';

/** Flows have no order among each other but that in which they came. */
const PRIORITY = 3;

/** What of the tenant's quotas concerns a flow as it begins. */
type Admission = Pick<PreparedFlow, 'concurrentSteps' | 'place' | 'waiting'>;

/**
 * Counts a flow among those of its tenant that are open, where that has a quota, or tells what it has to wait for. One that
 * another flow waits for does not count: it would wait for its parent to end. Called in the activity that prepares the flow.
 */
export async function admitFlow(
  keeper: QuotaKeeper,
  tenant: string,
  { firstRunId, isAwaited, at }: { readonly firstRunId: string; readonly isAwaited: boolean; readonly at: LocalCall },
): Promise<Admission> {
  const { concurrentSteps, flows } = keeper.quotasOf(tenant);
  const hint = concurrentSteps === undefined ? {} : { concurrentSteps };
  if (flows === undefined || isAwaited) return hint;
  const { waiting } = await askForFlow(keeper, { tenant, firstRunId }, at);
  return { ...hint, place: placeOf(firstRunId), ...(waiting === undefined ? {} : { waiting }) };
}

/** Asks for a flow that waits. */
export async function askForFlow(
  keeper: QuotaKeeper,
  { tenant, firstRunId, since }: { tenant: string; firstRunId: string; since?: number },
  { namespace, workflowId }: LocalCall,
): Promise<{ waiting?: QuotaWait }> {
  const asker = askerOf({ tenant, firstRunId, namespace, flowId: workflowId });
  const waiting = await keeper.ask({ ...asker, ...(since === undefined ? {} : { since }) });
  return waiting === undefined ? {} : { waiting };
}

/**
 * Hears from flows that they have their places (keepPlace in workflows/quota/flow-place.ts). Anybody's workflow can go on as one of
 * ours with a state that it made up: so it is only believed what its grant says, and what the server says of its runs.
 */
export function createFlowPlaceSinks(keeper: QuotaKeeper, gate: Gate): InjectedSinks<FlowPlaceSinks> {
  return {
    flowPlaces: {
      hold: {
        fn: async ({ namespace, workflowId: flowId, runId, firstExecutionRunId: firstRunId }, { tenant, grant }) => {
          const request = { tenant, ...(grant === undefined ? {} : { grant }) };
          if (!(await isKnown(gate, request, { workflowId: flowId, runId }))) return;
          await keeper.holdFlow(askerOf({ tenant, firstRunId, namespace, flowId }));
        },
        callDuringReplay: false,
      },
    },
  };
}

/** Throws where the gate cannot say, which the SDK logs. Who is not known hears so from his first step. */
async function isKnown(gate: Gate, ...flow: Parameters<Gate['recognize']>): Promise<boolean> {
  try {
    await gate.recognize(...flow);
    return true;
  } catch (error) {
    if (error instanceof FlowError && error.data.code !== 'BLW_IDENTITY_UNAVAILABLE') return false;
    throw error;
  }
}

function askerOf(flow: { tenant: string; firstRunId: string; namespace: string; flowId: string }): Asker {
  const { firstRunId, ...rest } = flow;
  const place = placeOf(firstRunId);
  return { ...rest, kind: 'flow', ticket: place, lease: place, worker: '', priority: PRIORITY };
}

/** Id of an open flow's lease: its first run, which stays the same when it continues as new and when it is reset. */
export function placeOf(firstRunId: string): string {
  return `flow:${firstRunId}`;
}

/** The first run of the flow of a lease. */
export function runOfPlace(place: string): string {
  return place.slice('flow:'.length);
}
