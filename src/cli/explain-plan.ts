import type { Json, JsonObject } from '../dsl/json';
import { localUseOf } from '../dsl/local-step';
import type { CallPlan, FlowPlan } from '../dsl/planning/plan';
import { callsOf } from '../dsl/planning/tasks-of';
import type { TextOutput } from './output';
import { printable } from './output';
import { formatTable } from './table';

/** How a worker would run a step. */
export interface ExplainedStep {
  readonly path: string;
  readonly block: string;
  readonly pool: string;
  /** `queue`, `local`, or `auto`: as the worker has measured it, unless its `--dispatch` says queue. */
  readonly dispatch: 'queue' | 'local' | 'auto';
  readonly why: string;
}

/** How each call of a plan would be dispatched, in the order of the document. */
export function explainSteps(plan: FlowPlan): ExplainedStep[] {
  return callsOf(plan).map((task) => ({ path: task.path, block: task.block, pool: poolOf(task), ...dispatchOf(task) }));
}

/** Prints the steps as a table. */
export function printExplained(steps: readonly ExplainedStep[], out: TextOutput): void {
  const rows = steps.map(({ path, block, pool, dispatch, why }) => [path, block, pool, dispatch, why].map(printable));
  for (const line of formatTable(['STEP', 'BLOCK', 'POOL', 'DISPATCH', 'WHY'], rows, out.style)) out.line(`  ${line}`);
}

/** What a step looks like to scripts. */
export function explainedToJson({ path, block, pool, dispatch, why }: ExplainedStep): JsonObject {
  return { path, block, pool, dispatch, why };
}

function poolOf({ human, resources }: CallPlan): string {
  return human === true ? '-' : resources;
}

function dispatchOf(task: CallPlan): Pick<ExplainedStep, 'dispatch' | 'why'> {
  if (task.human === true) return { dispatch: 'queue', why: 'a workflow of its own, which waits for people' };
  if (task.dispatch === 'queue') return { dispatch: 'queue', why: 'metadata.dispatch' };
  const method = methodOf(task);
  const use = localUseOf(task, method === undefined ? {} : { method });
  if (typeof use !== 'string') return { dispatch: 'queue', why: use.refusal };
  if (task.dispatch === 'local') return { dispatch: 'local', why: 'metadata.dispatch' };
  if (use === 'recorded') return { dispatch: 'queue', why: 'has an effect; metadata.dispatch: local runs it in place' };
  if (task.retry.maximumAttempts === 1) return { dispatch: 'queue', why: 'has one attempt only' };
  if (method === undefined && task.block === 'http.request')
    return {
      dispatch: 'auto',
      why: 'in place once its worker knows it to be quick, where its method only reads; until then, or with --dispatch queue, queue',
    };
  return {
    dispatch: 'auto',
    why: 'has no effect: in place once its worker knows it to be quick; until then, or with --dispatch queue, queue',
  };
}

/** The method of an HTTP call, where the document says it. */
function methodOf({ with: template }: CallPlan): Json | undefined {
  if ('value' in template) return (template.value as JsonObject).method ?? 'GET';
  if (!('map' in template)) return undefined;
  const found = template.map.find(([key]) => key === 'method')?.[1];
  if (found === undefined) return 'GET';
  return 'value' in found ? found.value : undefined;
}
