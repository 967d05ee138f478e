import { ApplicationFailure, defineSignal, defineUpdate, setHandler } from '@temporalio/workflow';
import type { EventAnswer } from '../../dsl/events/bus-messages';
import { type CloudEvent, parseCloudEvent } from '../../dsl/events/cloud-event';
import { isJsonObject, type Json } from '../../dsl/json';
import { EVENT_SIGNAL, EVENT_UPDATE } from '../../dsl/names';
import { shortText } from '../../dsl/problems';
import type { ProgressTracker } from '../progress-tracker';
import { EventInbox, type InboxState } from './event-inbox';

const eventSignal = defineSignal<[Json]>(EVENT_SIGNAL);
const eventUpdate = defineUpdate<EventAnswer, [Json]>(EVENT_UPDATE);

/** Lets a flow receive events from its first moment on, before it has been prepared, too. */
export function receiveEvents(progress: ProgressTracker, state?: InboxState): EventInbox {
  const inbox = new EventInbox((text) => progress.note(text), state);
  setHandler(eventSignal, (value) => receiveSignal(inbox, progress, value), {
    description: 'A CloudEvent 1.0 as JSON, or a list of them; kept until a step listens to it.',
  });
  setHandler(eventUpdate, (value) => receiveUpdate(inbox, value), {
    validator: (value) => void eventOf(value),
    description: 'A CloudEvent 1.0 as JSON. Answers {"id", "status": "delivered", "kept" or "duplicate"}.',
  });
  return inbox;
}

function receiveUpdate(inbox: EventInbox, value: Json): EventAnswer {
  const event = eventOf(value);
  return { id: event.id, status: inbox.receive(event) };
}

function eventOf(value: Json): CloudEvent {
  const parsed = parseCloudEvent(value);
  if ('event' in parsed) return parsed.event;
  throw ApplicationFailure.create({ message: parsed.problem, type: 'BLW_EVENT_INVALID', nonRetryable: true });
}

/** A signal cannot answer: what is refused shows in the query `progress`. */
function receiveSignal(inbox: EventInbox, progress: ProgressTracker, value: Json): void {
  for (const item of Array.isArray(value) ? value : [value]) {
    const problem = receiveItem(inbox, item);
    if (problem !== undefined) progress.note(`an event was refused: ${shortText(problem, 300)}`);
  }
}

/** An event, or what the event bus sends: an event for a subscription, or its refusal. */
function receiveItem(inbox: EventInbox, item: Json): string | undefined {
  const subscription = isJsonObject(item) && item.specversion === undefined ? item.subscription : undefined;
  if (!isJsonObject(item) || typeof subscription !== 'string') {
    const parsed = parseCloudEvent(item);
    if ('problem' in parsed) return parsed.problem;
    inbox.receive(parsed.event);
    return undefined;
  }
  if (typeof item.refused === 'string') {
    inbox.refuse(subscription, item.refused);
    return undefined;
  }
  const parsed = parseCloudEvent(item.event);
  if ('problem' in parsed) return parsed.problem;
  inbox.deliver(subscription, parsed.event);
  return undefined;
}
