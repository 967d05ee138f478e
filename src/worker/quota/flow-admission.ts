import { Context } from '@temporalio/activity';
import type { InjectedSinks } from '@temporalio/worker';
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
  { firstRunId, isAwaited }: { readonly firstRunId: string; readonly isAwaited: boolean },
): Promise<Admission> {
  const { concurrentSteps, flows } = keeper.quotasOf(tenant);
  const hint = concurrentSteps === undefined ? {} : { concurrentSteps };
  if (flows === undefined || isAwaited) return hint;
  const place = placeOf(firstRunId);
  const { waiting } = await askForFlow(keeper, { tenant, place });
  return { ...hint, place, ...(waiting === undefined ? {} : { waiting }) };
}

/** Asks for a flow that waits. */
export async function askForFlow(
  keeper: QuotaKeeper,
  { tenant, place, since }: { tenant: string; place: string; since?: number },
): Promise<{ waiting?: QuotaWait }> {
  const { workflowExecution, namespace } = Context.current().info;
  const asker = askerOf({ tenant, place, namespace, flowId: workflowExecution?.workflowId ?? '' });
  const waiting = await keeper.ask({ ...asker, ...(since === undefined ? {} : { since }) });
  return waiting === undefined ? {} : { waiting };
}

/** Hears from flows that they have their places (keepPlace in workflows/quota/flow-place.ts). */
export function createFlowPlaceSinks(keeper: QuotaKeeper): InjectedSinks<FlowPlaceSinks> {
  return {
    flowPlaces: {
      hold: {
        fn: ({ namespace, workflowId: flowId }, { tenant, place }) =>
          keeper.holdFlow(askerOf({ tenant, place, namespace, flowId })),
        callDuringReplay: false,
      },
    },
  };
}

function askerOf(flow: { tenant: string; place: string; namespace: string; flowId: string }): Asker {
  const { place, ...rest } = flow;
  return { ...rest, kind: 'flow', ticket: place, lease: place, worker: '', priority: PRIORITY };
}

/** Id of an open flow's lease: its first run, which stays the same when it continues as new and when it is reset. */
function placeOf(firstRunId: string): string {
  return `flow:${firstRunId}`;
}

/** The first run of the flow of a lease. */
export function runOfPlace(place: string): string {
  return place.slice('flow:'.length);
}
