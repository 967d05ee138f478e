import {
  ApplicationFailure,
  allHandlersFinished,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  makeContinueAsNewFunc,
  setDefaultSignalHandler,
  setHandler,
  setWorkflowOptions,
  workflowInfo,
} from '@temporalio/workflow';
import { flowError } from '../dsl/errors';
import type { BusOverview, EmitAnswer } from '../dsl/events/bus-messages';
import { type CloudEvent, parseCloudEvent } from '../dsl/events/cloud-event';
import { inline } from '../dsl/inline-values';
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
import { shortText } from '../dsl/problems';
import { TENANT } from '../dsl/start';
import { onCurrentBuild } from './current-build';
import { type BusState, EventRouter } from './events/event-router';
import { asWorkflowFailure, toWorkflowFailure } from './failures';
import { belongTo } from './flow-owner';

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
  const tenant = tenantOf(workflowInfo().workflowId);
  asWorkflowFailure(() => belongTo(tenant));
  const router = new EventRouter(tenant, carried);
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

setWorkflowOptions(onCurrentBuild, eventBus);

/** Each signal with what takes it; the arguments may be anything. */
function signalsOf(router: EventRouter): Readonly<Record<string, { take(value: Json): void; description: string }>> {
  return {
    [EMIT_SIGNAL]: { take: (value) => router.emitUnheard(value), description: `A CloudEvent: ${EVENT_EXAMPLE}` },
    [SUBSCRIBE_SIGNAL]: {
      take: (value) => router.subscribe(value),
      description: 'Sent by flows: {"id", "flowId", "filters"}.',
    },
    [UNSUBSCRIBE_SIGNAL]: {
      take: (value) => router.unsubscribe(value),
      description: 'Sent by flows: {"id", "flowId"}.',
    },
    [TRIGGER_SIGNAL]: {
      take: (value) => router.trigger(value),
      description:
        'Starts flows for events: {"id", "flow", "on": {"one": {"with": {"type": "…"}}}, "read"?, "input"?}.',
    },
    [UNTRIGGER_SIGNAL]: {
      take: (value) => router.untrigger(value),
      description: 'Ends a trigger: {"id", "ifMissing"?: "ignore"}.',
    },
  };
}

/**
 * Handlers never wait, so that what comes is taken in its order, and nothing is half done when the bus continues as new.
 * What came before the handlers is given to each as it is set, whatever came in between: the default handler, which is
 * set first, takes all signals in their order, and the update, which is set last, comes after them, as in history.
 */
function setHandlers(router: EventRouter): void {
  const signals = signalsOf(router);
  setDefaultSignalHandler((name, ...args) => {
    const signal = Object.hasOwn(signals, name) ? signals[name] : undefined;
    if (signal === undefined) router.refuse(`there is no signal "${shortText(name)}"`);
    else signal.take(args[0] as Json);
  });
  for (const [name, { take, description }] of Object.entries(signals)) {
    setHandler(defineSignal<[Json]>(name), take, { description });
  }
  setHandler(emitUpdate, (value) => router.emit(eventOf(value)), {
    validator: (value) => void eventOf(value),
    description: `A CloudEvent: ${EVENT_EXAMPLE}. Answers {"id", "receivers"}.`,
  });
  setHandler(subscriptionsQuery, () => inline(router.overview()), {
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
