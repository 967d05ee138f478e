import type { FlowLibrary } from '../catalog/library';
import { type ExpressionLanguage, isExpressionLanguage } from '../expressions/language';
import { bareExpression, compileTemplate, compileWithUris, type Template } from '../expressions/template';
import { isJsonObject, type Json, type JsonObject } from '../json';
import { isScriptTask, scriptCall } from '../script';
import { isFunctionCall } from '../validation/check-function';
import type { ValidFlow } from '../validation/validate-flow';
import type {
  CompensatePlan,
  FlowPlan,
  InputPlan,
  OutputPlan,
  RetryPlan,
  TaskPlan,
  TaskPlanBase,
  TryPlan,
} from './plan';
import { planCall } from './plan-call';
import { optional, type PlanContext, reference } from './plan-context';
import { planEmit, planListen } from './plan-events';
import { planParallel } from './plan-parallel';
import { collectReferences } from './plan-references';
import { planFunctionCall, planSubflow } from './plan-run';

/**
 * Makes the plan of a valid document. Pure: the same document gives the same plan, with the same library. Without one, what
 * cataloged functions do is left out: such a plan can be looked at, not run.
 */
export function planFlow(
  flow: ValidFlow,
  { library, isDryRun = false }: { library?: FlowLibrary | undefined; isDryRun?: boolean } = {},
): FlowPlan {
  const header = flow.document as JsonObject;
  const use = isJsonObject(flow.use) ? flow.use : {};
  const defaults = isJsonObject(header.metadata) ? header.metadata : {};
  const language = languageOf(flow);
  const functionDefinitions: Record<string, JsonObject> = {};
  const context: PlanContext = {
    use,
    defaults,
    language,
    functionDefinitions,
    ...optional('library', library),
    ...(isDryRun ? { isDryRun } : {}),
  };
  const { from } = planInput(flow.input, context) ?? {};
  const plan = {
    planVersion: 1 as const,
    flow: `${String(header.namespace)}/${String(header.name)}:${String(header.version)}`,
    ...optional('title', header.title as string | undefined),
    ...optional('summary', header.summary as string | undefined),
    ...optional('inputFrom', from),
    ...optional('output', planOutput(flow.output, context)),
    ...optional('timeout', planTimeout(flow.timeout, context)),
    tasks: planTasks(flow.do, '/do', context),
  };
  const { steps, definition, hasExpressions } = collectReferences(plan, language);
  return {
    ...plan,
    ...(language === 'cel' || !hasExpressions ? {} : { language }),
    stepOutputs: steps,
    ...(definition ? { definition: flow } : {}),
    ...(definition && Object.keys(functionDefinitions).length > 0 ? { functionDefinitions } : {}),
  };
}

/** The schema of the flow's input, if the document has one. */
export function flowInputSchema(flow: ValidFlow): Json | undefined {
  return isJsonObject(flow.input) ? schemaOf(flow.input) : undefined;
}

/**
 * The language of its expressions; jq where none is named (OWS dsl, "Runtime Expressions"). A flow without expressions may
 * name any.
 */
function languageOf({ evaluate }: ValidFlow): ExpressionLanguage {
  const named = isJsonObject(evaluate) ? evaluate.language : undefined;
  return typeof named === 'string' && isExpressionLanguage(named) ? named : 'jq';
}

function planTasks(value: Json | undefined, path: string, context: PlanContext): TaskPlan[] {
  return (value as JsonObject[]).map((item, index) => {
    const [name = ''] = Object.keys(item);
    const pointer = `${path}/${index}/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`;
    return planTask(name, item[name] as JsonObject, pointer, context);
  });
}

function planTask(name: string, task: JsonObject, path: string, context: PlanContext): TaskPlan {
  const base: TaskPlanBase = {
    name,
    path,
    ...optional('if', expressionOf(task.if, context)),
    ...optional('input', planInput(task.input, context)),
    ...optional('output', planOutput(task.output, context)),
    ...optional('export', planOutput(task.export, context)),
    ...optional('timeout', planTimeout(task.timeout, context)),
    ...optional('next', task.then as string | undefined),
    ...optional('compensate', planCompensate(task.metadata, path, context)),
    ...optional('mock', context.isDryRun === true && isJsonObject(task.metadata) ? task.metadata.mock : undefined),
  };
  if (isFunctionCall(task.call, context.use)) return planFunctionCall(base, task, { ...context, planTask });
  if (task.call !== undefined) return planCall(base, task, context);
  if (isScriptTask(task)) return planCall(base, scriptCall(task), context);
  if (task.run !== undefined) return planSubflow(base, task.run as JsonObject, context);
  if (task.set !== undefined) return { ...base, kind: 'set', value: transformation(task.set, context) };
  if (task.wait !== undefined) return { ...base, kind: 'wait', duration: compileTemplate(task.wait, context.language) };
  if (task.for !== undefined) return planFor(base, task, context);
  if (task.do !== undefined) return { ...base, kind: 'do', tasks: planTasks(task.do, `${path}/do`, context) };
  if (task.switch !== undefined) return planSwitch(base, task.switch as JsonObject[], context);
  if (task.fork !== undefined) return planFork(base, task.fork as JsonObject, context);
  if (task.try !== undefined) return planTry(base, task, context);
  if (task.emit !== undefined) return planEmit(base, task, context.language);
  if (task.listen !== undefined) {
    return planListen(base, task, {
      language: context.language,
      planTasks: (tasks, at) => planTasks(tasks, at, context),
      planOutput: (value) => planOutput(value, context),
    });
  }
  return { ...base, kind: 'raise', error: planError((task.raise as JsonObject).error, context) };
}

function planCompensate(metadata: Json | undefined, path: string, context: PlanContext): CompensatePlan | undefined {
  if (!isJsonObject(metadata) || metadata.compensate === undefined) return undefined;
  return { tasks: planTasks(metadata.compensate, `${path}/metadata/compensate`, { ...context, isHandled: true }) };
}

function planSwitch(base: TaskPlanBase, cases: readonly JsonObject[], context: PlanContext): TaskPlan {
  return {
    ...base,
    kind: 'switch',
    cases: cases.map((item) => {
      const [name = ''] = Object.keys(item);
      const branch = item[name] as JsonObject;
      return { name, ...optional('when', expressionOf(branch.when, context)), next: String(branch.then) };
    }),
  };
}

function planFor(base: TaskPlanBase, task: JsonObject, context: PlanContext): TaskPlan {
  const loop = task.for as JsonObject;
  return {
    ...base,
    kind: 'for',
    each: (loop.each as string | undefined) ?? 'item',
    at: (loop.at as string | undefined) ?? 'index',
    in: Array.isArray(loop.in)
      ? compileTemplate(loop.in, context.language)
      : { expr: bareExpression(loop.in as string, context.language) },
    ...optional('while', expressionOf(task.while, context)),
    tasks: planTasks(task.do, `${base.path}/do`, toleratesFailures(task) ? { ...context, isHandled: true } : context),
    ...optional('parallel', planParallel(task.metadata)),
  };
}

function toleratesFailures({ metadata }: JsonObject): boolean {
  return isJsonObject(metadata) && metadata.toleratedFailures !== undefined && metadata.toleratedFailures !== 0;
}

function planFork(base: TaskPlanBase, fork: JsonObject, context: PlanContext): TaskPlan {
  // A branch that fails does not lose a race that another one wins.
  const inner: PlanContext = fork.compete === true ? { ...context, isHandled: true } : context;
  return {
    ...base,
    kind: 'fork',
    branches: planTasks(fork.branches, `${base.path}/fork/branches`, inner),
    compete: fork.compete === true,
    ...(fork.compete === true ? { skippedLose: true as const } : {}),
  };
}

/** Variable of the caught error where `catch.as` names none (OWS dsl-reference, "Catch"). */
const DEFAULT_ERROR = 'error';

function planTry(base: TaskPlanBase, task: JsonObject, context: PlanContext): TryPlan {
  const clause = task.catch as JsonObject;
  const errors = clause.errors as JsonObject | undefined;
  const { as = DEFAULT_ERROR } = clause;
  return {
    ...base,
    kind: 'try',
    tasks: planTasks(task.try, `${base.path}/try`, { ...context, isHandled: true }),
    catch: {
      ...optional('errorsWith', errors?.with as JsonObject | undefined),
      as: as as string,
      ...optional('when', expressionOf(clause.when, context)),
      ...optional('exceptWhen', expressionOf(clause.exceptWhen, context)),
      ...optional('retry', planClauseRetry(clause, context)),
      ...optional('do', clause.do === undefined ? undefined : planTasks(clause.do, `${base.path}/catch/do`, context)),
      ...optional('next', clause.then as string | undefined),
    },
  };
}

/** What linear and exponential backoff begin with where no delay is given: times nothing they would be none. */
const DEFAULT_DELAY = 'PT1S';

/** A policy of the clause's own, or one of `use.retries`: that knows nothing of the clause, nor what it calls the error. */
function planClauseRetry({ retry, as = DEFAULT_ERROR }: JsonObject, context: PlanContext): RetryPlan | undefined {
  if (retry === undefined) return undefined;
  if (typeof retry !== 'string') return planRetry(retry as JsonObject, context);
  const policy = planRetry(reference(context.use, 'retries', retry) as JsonObject, context);
  return as === DEFAULT_ERROR ? policy : { ...policy, as: DEFAULT_ERROR };
}

function planRetry(policy: JsonObject, context: PlanContext): RetryPlan {
  const limit = (policy.limit ?? {}) as JsonObject;
  const attempt = (limit.attempt ?? {}) as JsonObject;
  const jitter = policy.jitter as JsonObject | undefined;
  const [backoff = 'constant'] = Object.keys((policy.backoff ?? {}) as JsonObject);
  return {
    ...optional('when', expressionOf(policy.when, context)),
    ...optional('exceptWhen', expressionOf(policy.exceptWhen, context)),
    ...optional('delay', templateOf(policy.delay ?? (backoff === 'constant' ? undefined : DEFAULT_DELAY), context)),
    backoff: backoff as RetryPlan['backoff'],
    ...optional('maxAttempts', attempt.count as number | undefined),
    ...optional('attemptDuration', templateOf(attempt.duration, context)),
    ...optional('maxDuration', templateOf(limit.duration, context)),
    ...optional(
      'jitter',
      jitter === undefined
        ? undefined
        : {
            from: compileTemplate(jitter.from ?? null, context.language),
            to: compileTemplate(jitter.to ?? null, context.language),
          },
    ),
  };
}

function planError(error: Json | undefined, { use, language }: PlanContext): Template {
  const definition = typeof error === 'string' ? reference(use, 'errors', error) : error;
  // `type` is a URI template (OWS dsl-reference, "Error").
  return compileWithUris(definition as JsonObject, ['type'], language);
}

function planTimeout(value: Json | undefined, context: PlanContext): Template | undefined {
  if (value === undefined) return undefined;
  const definition = typeof value === 'string' ? reference(context.use, 'timeouts', value) : value;
  return templateOf((definition as JsonObject).after, context);
}

function planInput(value: Json | undefined, context: PlanContext): InputPlan | undefined {
  if (!isJsonObject(value)) return undefined;
  return {
    ...optional('schema', schemaOf(value)),
    ...optional('from', value.from === undefined ? undefined : transformation(value.from, context)),
  };
}

function planOutput(value: Json | undefined, context: PlanContext): OutputPlan | undefined {
  if (!isJsonObject(value)) return undefined;
  return {
    ...optional('as', value.as === undefined ? undefined : transformation(value.as, context)),
    ...optional('schema', schemaOf(value)),
  };
}

function schemaOf(transformation: JsonObject): Json | undefined {
  return (transformation.schema as JsonObject | undefined)?.document;
}

/** An expression as a whole where it is text, else an object with expressions in it. */
function transformation(value: Json, { language }: PlanContext): Template {
  return typeof value === 'string' ? { expr: bareExpression(value, language) } : compileTemplate(value, language);
}

function expressionOf(value: Json | undefined, { language }: PlanContext): string | undefined {
  return value === undefined ? undefined : bareExpression(value as string, language);
}

function templateOf(value: Json | undefined, { language }: PlanContext): Template | undefined {
  return value === undefined ? undefined : compileTemplate(value, language);
}
