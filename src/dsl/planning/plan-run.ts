import { DEFAULT_CATALOG, formatFlowReference, parseFunctionReference } from '../catalog/references';
import { compileTemplate } from '../expressions/template';
import { getOwn, isJsonObject, type JsonObject, setOwn } from '../json';
import type { FunctionPlan, SubflowPlan, TaskPlan, TaskPlanBase } from './plan';
import { optional, type PlanContext } from './plan-context';

/** How the planning goes on below a function. */
type PlanTask = (name: string, task: JsonObject, path: string, context: PlanContext) => TaskPlan;

/** Plans `run.workflow`. */
export function planSubflow(base: TaskPlanBase, run: JsonObject, { language }: PlanContext): SubflowPlan {
  const { namespace, name, version, input } = run.workflow as JsonObject;
  return {
    ...base,
    kind: 'subflow',
    flow: formatFlowReference({ namespace: String(namespace), name: String(name), version: String(version) }),
    ...optional('with', input === undefined ? undefined : compileTemplate(input, language)),
    await: run.await !== false,
  };
}

/** Plans a call of a function, with a copy of the task that it is defined as: the plan has all that the flow does. */
export function planFunctionCall(
  base: TaskPlanBase,
  task: JsonObject,
  context: PlanContext & { readonly planTask: PlanTask },
): FunctionPlan {
  const { planTask, ...shared } = context;
  const name = String(task.call);
  const inline = isJsonObject(shared.use.functions) ? getOwn(shared.use.functions, name) : undefined;
  const definition = isJsonObject(inline) ? inline : catalogedFunction(name, shared);
  // A cataloged function has none of the components of the flow that calls it.
  const inner: PlanContext = isJsonObject(inline) ? shared : { ...shared, use: {} };
  const path = `${base.path}/function`;
  if (definition !== undefined) setOwn(shared.functionDefinitions, path, definition);
  return {
    ...base,
    kind: 'function',
    function: name,
    with: compileTemplate(task.with ?? {}, shared.language),
    ...optional('task', definition && planTask(name, definition, path, inner)),
  };
}

function catalogedFunction(call: string, { library, use }: PlanContext): JsonObject | undefined {
  const reference = parseFunctionReference(call);
  if (library === undefined || 'problem' in reference) return undefined;
  const { name, version, catalog } = reference;
  const defined = isJsonObject(use.catalogs) ? getOwn(use.catalogs, catalog) : undefined;
  const endpoint = isJsonObject(defined) ? defined.endpoint : undefined;
  const uri = isJsonObject(endpoint) ? endpoint.uri : endpoint;
  const isDefault = catalog === DEFAULT_CATALOG && uri === undefined;
  const found = library.findFunction({ name, version, ...(isDefault ? {} : { endpoint: String(uri) }) });
  return 'code' in found ? undefined : found.definition;
}
