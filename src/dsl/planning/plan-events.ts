import type { ReadMode } from '../events/cloud-event';
import { bareExpression, compileTemplate, isConstant, type Template } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject, setOwn } from '../json';
import type {
  EmitPlan,
  EventFilterPlan,
  EventStrategyPlan,
  ListenPlan,
  OutputPlan,
  TaskPlan,
  TaskPlanBase,
} from './plan';
import { optional } from './plan-context';

/** What the planning of a listen needs of the flow's. */
export interface ListenParts {
  planTasks(tasks: Json, path: string): TaskPlan[];
  planOutput(value: Json | undefined): OutputPlan | undefined;
}

/** OWS dsl-reference, "Emit". What the document leaves out (`id`, `source`, `time` …) is made when the event is emitted. */
export function planEmit(base: TaskPlanBase, task: JsonObject): EmitPlan {
  const { event } = task.emit as JsonObject;
  return { ...base, kind: 'emit', event: compileTemplate((event as JsonObject).with ?? {}) };
}

/** OWS dsl-reference, "Listen". */
export function planListen(base: TaskPlanBase, task: JsonObject, parts: ListenParts): ListenPlan {
  const listen = task.listen as JsonObject;
  return {
    ...base,
    kind: 'listen',
    to: planStrategy(listen.to as JsonObject),
    read: (listen.read as ReadMode | undefined) ?? 'data',
    ...optional('foreach', planForeach(task.foreach, base.path, parts)),
  };
}

function planForeach(value: Json | undefined, path: string, parts: ListenParts): ListenPlan['foreach'] {
  if (!isJsonObject(value)) return undefined;
  return {
    item: (value.item as string | undefined) ?? 'item',
    at: (value.at as string | undefined) ?? 'index',
    ...optional('tasks', value.do === undefined ? undefined : parts.planTasks(value.do, `${path}/foreach/do`)),
    ...optional('output', parts.planOutput(value.output)),
    ...optional('export', parts.planOutput(value.export)),
  };
}

/** OWS dsl-reference, "Event Consumption Strategy"; the value has been found valid. */
export function planStrategy(value: JsonObject): EventStrategyPlan {
  if (value.one !== undefined) return { kind: 'one', filters: [planFilter(value.one)] };
  if (value.all !== undefined) return { kind: 'all', filters: (value.all as Json[]).map(planFilter) };
  const { until } = value;
  return {
    kind: 'any',
    filters: (value.any as Json[]).map(planFilter),
    ...optional('until', until === undefined ? undefined : planUntil(until)),
  };
}

function planUntil(until: Json): NonNullable<EventStrategyPlan['until']> {
  return typeof until === 'string' ? { expr: bareExpression(until) } : { consumed: planStrategy(until as JsonObject) };
}

function planFilter(value: Json): EventFilterPlan {
  const { with: attributes, correlate } = value as { with: JsonObject; correlate?: JsonObject };
  const literal: JsonObject = {};
  const computed: { attribute: string; value: Template }[] = [];
  for (const [attribute, expected] of Object.entries(attributes)) {
    const template = compileTemplate(expected);
    if (isConstant(template)) setOwn(literal, attribute, template.value);
    else computed.push({ attribute, value: template });
  }
  return {
    literal,
    ...(computed.length === 0 ? {} : { computed }),
    ...(correlate === undefined ? {} : { correlate: Object.entries(correlate).map(planCorrelation) }),
  };
}

function planCorrelation([key, value]: [string, Json]): NonNullable<EventFilterPlan['correlate']>[number] {
  const { from, expect } = value as { from: string; expect?: Json };
  return {
    key,
    from: { expr: bareExpression(from) },
    ...optional('expect', expect === undefined ? undefined : compileTemplate(expect)),
  };
}
