import { findBlockByCall } from '../block-registry';
import type { BlockSpec, ResourceClass, RetryPolicySpec } from '../block-spec';
import { parseDuration } from '../durations';
import type { ExpressionLanguage } from '../expressions/language';
import { compileTemplate, compileUri, type Template } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject } from '../json';
import type { Dispatching } from '../local-step';
import { SCRIPT_BLOCK, SCRIPT_POOL, withoutCode } from '../script';
import type { CallPlan, TaskPlanBase } from './plan';
import { planAuthentication, resolveAuthentication } from './plan-authentication';
import { planCache } from './plan-cache';
import { optional, type PlanContext } from './plan-context';
import { planSecrets } from './plan-secrets';

/** Plans a call: the block's defaults, overridden by the document's `metadata`, overridden by the step's. */
export function planCall(base: TaskPlanBase, task: JsonObject, context: PlanContext): CallPlan {
  const spec = findBlockByCall(String(task.call));
  if (spec === undefined)
    throw new Error(`${base.path}: no block "${String(task.call)}" in a document that was found valid`);
  const metadata: JsonObject = { ...context.defaults, ...((task.metadata ?? {}) as JsonObject) };
  const heartbeatMs = durationMs(metadata.heartbeat) ?? spec.heartbeatMs;
  const args = resolveAuthentication((task.with ?? {}) as JsonObject, context.use);
  const template = argumentPlanner(spec.call)(args, context.language);
  const templates = [template, ...(base.input?.from === undefined ? [] : [base.input.from])];
  const resources =
    spec.type === SCRIPT_BLOCK ? SCRIPT_POOL : ((metadata.resources as ResourceClass | undefined) ?? spec.resources);
  const idempotent = (metadata.idempotent as boolean | undefined) ?? spec.idempotent;
  return {
    ...base,
    kind: 'call',
    block: spec.type,
    ...(spec.kind === 'human' ? { human: true as const } : {}),
    with: template,
    ...optional('secrets', planSecrets({ args, templates }, context.language)),
    resources,
    startToCloseMs: durationMs(metadata.timeout) ?? spec.startToCloseMs,
    heartbeatMs,
    retry: planRetryPolicy(spec, [context.defaults.retry, (task.metadata as JsonObject | undefined)?.retry]),
    idempotent,
    ...optional('dispatch', metadata.dispatch as Dispatching | undefined),
    ...optional('priorityKey', metadata.priorityKey as number | undefined),
    ...optional('fairnessWeight', metadata.fairnessWeight as number | undefined),
    ...optional('onFailure', planOnFailure(task, spec, context)),
    ...optional('cache', planCache(task.metadata, context.language)),
    ...optional('summary', stepSummary(task, context)),
    summaryArguments: spec.summaryArguments,
  };
}

/**
 * The document's default is for failures that nothing else deals with, and not for approvals: what nobody has approved must not go on by the
 * way. A step's own word counts everywhere.
 */
function planOnFailure(
  { metadata }: JsonObject,
  { kind }: BlockSpec,
  { defaults, isHandled }: PlanContext,
): CallPlan['onFailure'] {
  const own = isJsonObject(metadata) ? metadata.onFailure : undefined;
  const policy = own ?? (isHandled === true || kind === 'human' ? undefined : defaults.onFailure);
  return policy === 'continue' || policy === 'deadLetter' ? policy : undefined;
}

/** A summary is the step's own; the document's `metadata.summary` would say the same of every step. */
function stepSummary(task: JsonObject, { language }: PlanContext): Template | undefined {
  const summary = (task.metadata as JsonObject | undefined)?.summary;
  return summary === undefined ? undefined : compileTemplate(summary, language);
}

function argumentPlanner(call: string): (args: JsonObject, language: ExpressionLanguage) => Template {
  if (call === SCRIPT_BLOCK) return planScript;
  return call === 'openapi' ? planOpenApi : planArguments;
}

/** A script's code is text, whatever stands in it (script.ts). */
function planScript(args: JsonObject, language: ExpressionLanguage): Template {
  const evaluated = withoutCode(SCRIPT_BLOCK, args, language);
  const entries = Object.entries(args).map(([key, value]): [string, Template] => [
    key,
    key in evaluated ? compileTemplate(value, language) : { value },
  ]);
  return { map: entries };
}

/** Arguments as templates; an endpoint in its object form, its URI and those of its authentication with `{name}`. */
function planArguments(args: JsonObject, language: ExpressionLanguage): Template {
  const { endpoint } = args;
  if (endpoint === undefined) return compileTemplate(args, language);
  const { endpoint: _, ...others } = args;
  const rest = Object.entries(others).map(([key, value]) => [key, compileTemplate(value, language)] as const);
  return { map: [['endpoint', planEndpoint(endpoint, language)], ...rest] };
}

function planEndpoint(endpoint: Json, language: ExpressionLanguage): Template {
  if (typeof endpoint === 'string') return { map: [['uri', compileUri(endpoint, language)]] };
  if (!isJsonObject(endpoint)) return compileTemplate(endpoint, language);
  const entries: [string, Template][] = [['uri', compileUri(String(endpoint.uri), language)]];
  if (isJsonObject(endpoint.authentication)) {
    entries.push(['authentication', planAuthentication(endpoint.authentication, language)]);
  }
  return { map: entries };
}

/** Arguments of `call: openapi`: the document's endpoint is one as any other, the authentication stands beside it. */
function planOpenApi(args: JsonObject, language: ExpressionLanguage): Template {
  return {
    map: Object.entries(args).map(([key, value]): [string, Template] => {
      if (key === 'document' && isJsonObject(value)) return [key, planArguments(value, language)];
      if (key === 'authentication' && isJsonObject(value)) return [key, planAuthentication(value, language)];
      return [key, compileTemplate(value, language)];
    }),
  };
}

function planRetryPolicy(spec: BlockSpec, overrides: readonly (Json | undefined)[]): RetryPolicySpec {
  const merged: JsonObject = {};
  for (const override of overrides) if (isJsonObject(override)) Object.assign(merged, override);
  const initialIntervalMs = durationMs(merged.initialInterval) ?? spec.retry.initialIntervalMs;
  return {
    initialIntervalMs,
    backoffCoefficient: (merged.backoffCoefficient as number | undefined) ?? spec.retry.backoffCoefficient,
    // Temporal refuses a maximum below the initial interval.
    maximumIntervalMs: Math.max(initialIntervalMs, durationMs(merged.maximumInterval) ?? spec.retry.maximumIntervalMs),
    maximumAttempts: (merged.maximumAttempts as number | undefined) ?? spec.retry.maximumAttempts,
    ...optional('nonRetryableErrorTypes', merged.nonRetryableErrorTypes as string[] | undefined),
  };
}

function durationMs(value: Json | undefined): number | undefined {
  if (value === undefined) return undefined;
  const parsed = parseDuration(value);
  return 'ms' in parsed ? parsed.ms : undefined;
}
