import { describeJsonType, isJsonObject, type Json, type JsonObject } from '../json';
import type { EventStrategyPlan } from '../planning/plan';
import { shortJson } from '../problems';
import { undecodableReason } from '../undecodable';
import type { CloudEvent, ReadMode } from './cloud-event';

/** A step that listens. What is in these messages is in histories: add optional fields, never change one. */
export interface Subscription {
  /** Unique within the flow. */
  readonly id: string;
  /** Workflow id of what runs the step: the flow, or a window of one of its loops. */
  readonly flowId: string;
  /** Literal attributes, of which an event must match all of one entry. */
  readonly filters: readonly JsonObject[];
}

/** One thing that the bus tells a flow: an event, or why the subscription does not stand. */
export type Delivery = { readonly subscription: string } & (
  | { readonly event: CloudEvent }
  | { readonly refused: string }
);

/** Answer of the update `emit`. */
export interface EmitAnswer {
  /** The event's. */
  readonly id: string;
  /** Steps that listen and triggers whose filters the event passes, as far as these are literal. */
  readonly receivers: number;
  /** An event with the same source and id came before; this one went nowhere. */
  readonly duplicate?: true;
}

/** Answer of the update `event` on a flow. */
export interface EventAnswer {
  readonly id: string;
  /** `delivered` to a step that listens, `kept` for one to come, or a `duplicate` of one before. */
  readonly status: 'delivered' | 'kept' | 'duplicate';
}

/** A trigger, checked and planned. */
export interface PreparedTrigger {
  readonly id: string;
  /** As `runFlow` takes it. */
  readonly flow: Json;
  readonly on: EventStrategyPlan;
  readonly language: 'cel' | 'jq' | 'jsonata';
  readonly read: ReadMode;
  /** Input of the flows; absent: the list of the events. */
  readonly input?: Json;
  /** That of the deployment (docs/identity.md). */
  readonly grant?: string;
}

/** What starting a flow by a trigger needs. */
export interface TriggeredStart {
  readonly workflowId: string;
  readonly taskQueue: string;
  readonly tenant: string;
  readonly flow: Json;
  readonly input: Json;
  readonly grant?: string;
}

/** Answer of the query `subscriptions`. */
export interface BusOverview {
  readonly tenant: string;
  readonly subscriptions: readonly Subscription[];
  readonly triggers: readonly { readonly id: string; readonly flow: string; readonly collecting: number }[];
  /** Events that are on their way. */
  readonly pending: number;
  /** Since the bus was first started. */
  readonly emitted: number;
  readonly duplicates: number;
  /** The newest signals that were refused, and flows that could not be started. */
  readonly refused: readonly { readonly at: string; readonly reason: string }[];
}

const MAX_FILTERS = 100;
const MAX_FILTERS_LENGTH = 100_000;
const MAX_ID_LENGTH = 1_000;

/** Reads the argument of the signal `subscribe`, which anyone may send. */
export function parseSubscription(
  value: unknown,
): { readonly subscription: Subscription } | { readonly problem: string } {
  const target = parseUnsubscription(value);
  if ('problem' in target) return target;
  const { filters } = value as JsonObject;
  if (!Array.isArray(filters) || filters.length > MAX_FILTERS || !filters.every(isJsonObject))
    return { problem: `filters: got ${shortJson(filters)}, expected a list of at most ${MAX_FILTERS} objects` };
  if (JSON.stringify(filters).length > MAX_FILTERS_LENGTH)
    return { problem: `filters: they have more than ${MAX_FILTERS_LENGTH} characters of JSON` };
  return { subscription: { ...target, filters } };
}

/** Reads the argument of the signal `unsubscribe`. */
export function parseUnsubscription(
  value: unknown,
): { readonly id: string; readonly flowId: string } | { problem: string } {
  const unreadable = undecodableReason(value);
  if (unreadable !== undefined) return { problem: `the payload cannot be read (${unreadable}), expected JSON` };
  if (!isJsonObject(value)) return { problem: `got ${describeJsonType(value)}, expected {"id": …, "flowId": …}` };
  const { id, flowId } = value;
  if (!isId(id) || !isId(flowId))
    return { problem: `expected "id" and "flowId", texts of 1 to ${MAX_ID_LENGTH} characters` };
  return { id, flowId };
}

function isId(value: Json | undefined): value is string {
  return typeof value === 'string' && value !== '' && value.length <= MAX_ID_LENGTH;
}
