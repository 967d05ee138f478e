import { formatDuration, parseDuration } from '../durations';
import type { Template } from '../expressions/template';
import { isJsonObject } from '../json';
import type { ListenPlan, TryPlan } from '../planning/plan';

/** What a catch takes: `catch status 503 when …`. */
export function catchLabel({ catch: clause }: TryPlan): string {
  const filter = clause.errorsWith ?? {};
  const parts = Object.entries(filter).map(
    ([key, value]) => `${key} ${typeof value === 'string' ? lastSegment(value) : JSON.stringify(value)}`,
  );
  if (clause.when !== undefined) parts.push(`when ${clause.when}`);
  if (clause.exceptWhen !== undefined) parts.push(`unless ${clause.exceptWhen}`);
  return ['catch', ...parts].join(' ');
}

/** The telling end of an error type's URI. */
function lastSegment(text: string): string {
  return text.split('/').at(-1) || text;
}

/** An attribute of an event that is emitted. */
export function attributeOf(event: Template, name: string): string | undefined {
  if ('value' in event) return isJsonObject(event.value) ? String(event.value[name] ?? '') : undefined;
  const template = 'map' in event ? event.map.find(([key]) => key === name)?.[1] : undefined;
  return template === undefined ? undefined : describe(template);
}

/** `one order.placed`, `all 2 events`, `any event`. */
export function describeStrategy({ kind, filters }: ListenPlan['to']): string {
  const [only] = filters;
  if (only === undefined) return 'listen to any event';
  const type = only.literal.type ?? only.literal.source;
  return filters.length === 1 && type !== undefined
    ? `listen to ${String(type)}`
    : `listen to ${kind} of ${filters.length}`;
}

/** Title, or end of the type, of an error that is raised. */
export function errorOf(error: Template): string {
  const field = (name: string) => ('map' in error ? error.map.find(([key]) => key === name)?.[1] : undefined);
  if ('value' in error && typeof error.value === 'object' && error.value !== null && !Array.isArray(error.value)) {
    const { title, type } = error.value;
    return String(title ?? lastSegment(String(type ?? 'error')));
  }
  const title = field('title') ?? field('type');
  return title === undefined ? 'error' : lastSegment(describe(title));
}

/** A duration for people, or the expression that gives it. */
export function durationText(duration: Template): string {
  const parsed = 'value' in duration ? parseDuration(duration.value) : undefined;
  return parsed !== undefined && 'ms' in parsed ? formatDuration(parsed.ms) : describe(duration);
}

/** A template as text for people. */
export function describe(template: Template): string {
  if ('expr' in template) return template.expr;
  if ('value' in template) return typeof template.value === 'string' ? template.value : JSON.stringify(template.value);
  if ('text' in template)
    return template.text.map((part) => (typeof part === 'string' ? part : `{${part.expr}}`)).join('');
  return '…';
}
