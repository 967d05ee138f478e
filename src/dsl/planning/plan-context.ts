import type { FlowLibrary } from '../catalog/library';
import type { ExpressionLanguage } from '../expressions/language';
import { getOwn, type Json, type JsonObject } from '../json';

/** What the planning of one document shares. */
export interface PlanContext {
  readonly use: JsonObject;
  /** Defaults for the steps' `metadata`. */
  readonly defaults: JsonObject;
  /** Something around the tasks deals with their failures: a `try`, or a loop that tolerates some. */
  readonly isHandled?: true;
  /** Absent where there is no catalog at hand. */
  readonly library?: FlowLibrary;
  readonly language: ExpressionLanguage;
  /** The plan is that of a dry run: mocks of the document are in it. */
  readonly isDryRun?: true;
  /** Collects the tasks that functions are defined as, by their paths. */
  readonly functionDefinitions: Record<string, JsonObject>;
}

/** `{ key: value }` where there is a value, else nothing; plans travel as JSON, which has no undefined. */
export function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return (value === undefined ? {} : { [key]: value }) as { [P in K]?: V };
}

/** A component of `use`; that it exists has been validated. */
export function reference(use: JsonObject, kind: string, name: string): Json {
  return getOwn((use[kind] ?? {}) as JsonObject, name) ?? null;
}
