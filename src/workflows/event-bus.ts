import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  makeContinueAsNewFunc,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { flowError } from '../dsl/errors';
import type { BusOverview, EmitAnswer } from '../dsl/events/bus-messages';
import { type CloudEvent, parseCloudEvent } from '../dsl/events/cloud-event';
import { isJsonObject, type Json } from '../dsl/json';
import {
  EMIT_SIGNAL,
  EMIT_UPDATE,
  EVENT_BUS,
  SUBSCRIBE_SIGNAL,
  SUBSCRIPTIONS_QUERY,
  TRIGGER_SIGNAL,
  UNSUBSCRIBE_SIGNAL,
  UNTRIGGER_SIGNAL,
} from '../dsl/names';
import { TENANT } from '../dsl/start';
import { type BusState, EventRouter } from './events/event-router';
import { toWorkflowFailure } from './failures';

const emitSignal = defineSignal<[Json]>(EMIT_SIGNAL);
const subscribeSignal = defineSignal<[Json]>(SUBSCRIBE_SIGNAL);
const unsubscribeSignal = defineSignal<[Json]>(UNSUBSCRIBE_SIGNAL);
const triggerSignal = defineSignal<[Json]>(TRIGGER_SIGNAL);
const untriggerSignal = defineSignal<[Json]>(UNTRIGGER_SIGNAL);
const emitUpdate = defineUpdate<EmitAnswer, [Json]>(EMIT_UPDATE);
const subscriptionsQuery = defineQuery<BusOverview>(SUBSCRIPTIONS_QUERY);

/** Argument of the bus; left out by everybody but the bus itself and tests. */
interface BusStart {
  /** Events of a history after which the bus continues as new, if the server does not suggest it before. */
  readonly maxHistoryEvents?: number;
  /** What the bus brings along when it continues as new. */
  readonly carried?: BusState;
}

const EVENT_EXAMPLE = '{"specversion": "1.0", "id": "…", "source": "…", "type": "…", "data": …}';

/**
 * The event bus of one tenant: takes events, and passes them to the flows that listen and to the triggers that start flows.
 * Runs for ever, from history to history; started together with the first signal by whoever sends it. A start under an
 * id that is no bus's fails with BLW_START_INVALID.
 */
export async function eventBus(start?: Json): Promise<never> {
  const { maxHistoryEvents, carried } = readStart(start);
  const router = new EventRouter(tenantOf(workflowInfo().workflowId), carried);
  setHandlers(router);
  router.pump();
  for (;;) {
    await condition(() => shouldContinueAsNew(maxHistoryEvents) && router.isPortable);
    router.pause();
    await condition(() => router.isIdle && allHandlersFinished());
    // More may have come meanwhile than goes into one payload.
    if (router.isPortable) break;
    router.resume();
  }
  const goOn = makeContinueAsNewFunc<(next: BusStart) => Promise<never>>({ workflowType: EVENT_BUS });
  return await goOn({
    ...(maxHistoryEvents === undefined ? {} : { maxHistoryEvents }),
    carried: router.state(),
  });
}

/** Handlers never wait, so that what comes is taken in its order, and nothing is half done when the bus continues as new. */
function setHandlers(router: EventRouter): void {
  setHandler(emitSignal, (value) => router.emitUnheard(value), { description: `A CloudEvent: ${EVENT_EXAMPLE}` });
  setHandler(emitUpdate, (value) => router.emit(eventOf(value)), {
    validator: (value) => void eventOf(value),
    description: `A CloudEvent: ${EVENT_EXAMPLE}. Answers {"id", "receivers"}.`,
  });
  setHandler(subscribeSignal, (value) => router.subscribe(value), {
    description: 'Sent by flows: {"id", "flowId", "filters"}.',
  });
  setHandler(unsubscribeSignal, (value) => router.unsubscribe(value), {
    description: 'Sent by flows: {"id", "flowId"}.',
  });
  setHandler(triggerSignal, (value) => router.trigger(value), {
    description: 'Starts flows for events: {"id", "flow", "on": {"one": {"with": {"type": "…"}}}, "read"?, "input"?}.',
  });
  setHandler(untriggerSignal, (value) => router.untrigger(value), { description: 'Ends a trigger: {"id"}.' });
  setHandler(subscriptionsQuery, () => router.overview(), {
    description: 'Who listens, which triggers there are, and what was refused.',
  });
}

function eventOf(value: Json): CloudEvent {
  const parsed = parseCloudEvent(value);
  if ('event' in parsed) return parsed.event;
  throw ApplicationFailure.create({ message: parsed.problem, type: 'BLW_EVENT_INVALID', nonRetryable: true });
}

/** Anybody may start a bus with anything: what is no bus's own is left aside. */
function readStart(start: Json | undefined): BusStart {
  if (!isJsonObject(start)) return {};
  const { maxHistoryEvents, carried } = start;
  const isContinued = workflowInfo().continuedFromExecutionRunId !== undefined && isJsonObject(carried);
  return {
    ...(typeof maxHistoryEvents === 'number' ? { maxHistoryEvents } : {}),
    ...(isContinued ? { carried: carried as unknown as BusState } : {}),
  };
}

function tenantOf(workflowId: string): string {
  const [, tenant = ''] = /-events:([^:]*)$/.exec(workflowId) ?? [];
  if (TENANT.test(tenant)) return tenant;
  const detail = `an event bus has a workflow id such as beamline-events:default, got "${workflowId}"`;
  throw toWorkflowFailure(flowError('BLW_START_INVALID', detail));
}

function shouldContinueAsNew(maxHistoryEvents = Number.POSITIVE_INFINITY): boolean {
  const { continueAsNewSuggested, historyLength } = workflowInfo();
  return continueAsNewSuggested || historyLength > maxHistoryEvents;
}
