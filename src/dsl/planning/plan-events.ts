import type { ReadMode } from '../events/cloud-event';
import type { ExpressionLanguage } from '../expressions/language';
import { bareExpression, compileTemplate, compileWithUris, isConstant, type Template } from '../expressions/template';
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
  readonly language: ExpressionLanguage;
  planTasks(tasks: Json, path: string): TaskPlan[];
  planOutput(value: Json | undefined): OutputPlan | undefined;
}

/** Attributes of an emitted event that are URI templates (OWS schema, "eventProperties"). */
export const EVENT_URIS = ['source', 'dataschema'];

/** OWS dsl-reference, "Emit". What the document leaves out (`id`, `source`, `time` …) is made when the event is emitted. */
export function planEmit(base: TaskPlanBase, task: JsonObject, language: ExpressionLanguage): EmitPlan {
  const { event } = task.emit as JsonObject;
  const attributes = (event as JsonObject).with as JsonObject;
  return { ...base, kind: 'emit', event: compileWithUris(attributes, EVENT_URIS, language) };
}

/** OWS dsl-reference, "Listen". */
export function planListen(base: TaskPlanBase, task: JsonObject, parts: ListenParts): ListenPlan {
  const listen = task.listen as JsonObject;
  return {
    ...base,
    kind: 'listen',
    to: planStrategy(listen.to as JsonObject, parts.language),
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
export function planStrategy(value: JsonObject, language: ExpressionLanguage): EventStrategyPlan {
  const filters = (list: Json) => (list as Json[]).map((filter) => planFilter(filter, language));
  if (value.one !== undefined) return { kind: 'one', filters: [planFilter(value.one, language)] };
  if (value.all !== undefined) return { kind: 'all', filters: filters(value.all) };
  const { until } = value;
  return {
    kind: 'any',
    filters: filters(value.any ?? []),
    ...optional('until', until === undefined ? undefined : planUntil(until, language)),
  };
}

function planUntil(until: Json, language: ExpressionLanguage): NonNullable<EventStrategyPlan['until']> {
  if (typeof until === 'string') return { expr: bareExpression(until, language) };
  return { consumed: planStrategy(until as JsonObject, language) };
}

function planFilter(value: Json, language: ExpressionLanguage): EventFilterPlan {
  const { with: attributes, correlate } = value as { with: JsonObject; correlate?: JsonObject };
  const literal: JsonObject = {};
  const computed: { attribute: string; value: Template }[] = [];
  for (const [attribute, expected] of Object.entries(attributes)) {
    const template = compileTemplate(expected, language);
    if (isConstant(template)) setOwn(literal, attribute, template.value);
    else computed.push({ attribute, value: template });
  }
  return {
    literal,
    ...(computed.length === 0 ? {} : { computed }),
    ...(correlate === undefined
      ? {}
      : { correlate: Object.entries(correlate).map((entry) => planCorrelation(entry, language)) }),
  };
}

function planCorrelation(
  [key, value]: [string, Json],
  language: ExpressionLanguage,
): NonNullable<EventFilterPlan['correlate']>[number] {
  const { from, expect } = value as { from: string; expect?: Json };
  return {
    key,
    from: { expr: bareExpression(from, language) },
    ...optional('expect', expect === undefined ? undefined : compileTemplate(expect, language)),
  };
}
