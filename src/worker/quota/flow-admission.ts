import { Context } from '@temporalio/activity';
import type { QuotaWait } from '../../dsl/quota';
import type { PreparedFlow } from '../../dsl/start';
import type { QuotaKeeper } from './quota-keeper';

/** Flows have no order among each other but that in which they came. */
const PRIORITY = 3;

/** What of the tenant's quotas concerns a flow as it begins. */
type Admission = Pick<PreparedFlow, 'concurrentSteps' | 'place' | 'waiting'>;

/**
 * Counts a flow among those of its tenant that are open, where that has a quota, or tells what it has to wait for. One that
 * another flow waits for does not count: it would wait for its parent to end. Called in the activity that prepares the flow.
 */
export async function admitFlow(keeper: QuotaKeeper, tenant: string, isAwaited: boolean): Promise<Admission> {
  const { concurrentSteps, flows } = keeper.quotasOf(tenant);
  const hint = concurrentSteps === undefined ? {} : { concurrentSteps };
  if (flows === undefined || isAwaited) return hint;
  const place = placeOf(Context.current().info.workflowExecution?.runId ?? '');
  const { waiting } = await askForFlow(keeper, { tenant, place });
  return { ...hint, place, ...(waiting === undefined ? {} : { waiting }) };
}

/** Asks for a flow that waits. */
export async function askForFlow(
  keeper: QuotaKeeper,
  { tenant, place, since }: { tenant: string; place: string; since?: number },
): Promise<{ waiting?: QuotaWait }> {
  const { workflowExecution, namespace } = Context.current().info;
  const waiting = await keeper.ask({
    tenant,
    kind: 'flow',
    ticket: place,
    lease: place,
    ...(since === undefined ? {} : { since }),
    worker: '',
    namespace,
    flowId: workflowExecution?.workflowId ?? '',
    priority: PRIORITY,
  });
  return waiting === undefined ? {} : { waiting };
}

/** Id of an open flow's lease: the run that began it. */
function placeOf(runId: string): string {
  return `flow:${runId}`;
}

/** The run that began the flow of a lease. */
export function runOfPlace(place: string): string {
  return place.slice('flow:'.length);
}
