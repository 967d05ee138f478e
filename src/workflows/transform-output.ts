import type { Variables } from '../dsl/expressions/batch';
import type { Json } from '../dsl/json';
import { exportItems, outputItems } from '../dsl/planning/definition-items';
import type { OutputPlan } from '../dsl/planning/plan';
import type { Routine } from './drive';
import type { FlowRun } from './flow-run';
import { validate } from './validation';

/** What a task, or a listen for one of its events, does with what it got. */
export interface Transformation {
  readonly output?: OutputPlan | undefined;
  readonly export?: OutputPlan | undefined;
  /** The output where nothing transforms it; absent: the raw one. */
  readonly fallback?: Json;
  /** What is said of it in messages, e.g. ` of foreach`. */
  readonly of?: string;
}

/**
 * Evaluates `output.as` on the raw output, which is the `data` of the variables, then `export.as` on the transformed one, which
 * it returns (OWS dsl, "Data Flow", 5 to 8). Throws BLW_EXPR_FAILED or BLW_DATA_INVALID.
 */
export function* transformOutput(run: FlowRun, parts: Transformation, variables: Variables): Routine<Json> {
  if (run.prepared.exportsInTurn !== true) return yield* transformAtOnce(run, parts, variables);
  const { output, fallback = variables.data, of = '' } = parts;
  if (output?.schema === undefined) return yield* exportInTurn(run, parts, variables);
  const { output: result = fallback } = yield* run.evaluate(outputItems(output), variables);
  yield* validate(run, output.schema, result, `output${of}`);
  const { output: _, ...rest } = parts;
  const data = output.as === undefined ? variables.data : result;
  yield* exportInTurn(run, rest, { ...variables, output: data, data });
  return result;
}

/**
 * What makes a new context of the one before has it to itself meanwhile: of two branches that export at once none is lost.
 */
function* exportInTurn(run: FlowRun, parts: Transformation, variables: Variables): Routine<Json> {
  const transform = () => transformAtOnce(run, parts, { ...variables, context: run.context });
  return parts.export?.as === undefined ? yield* transform() : yield* run.exports.run(transform);
}

/** All expressions in one batch, the schemas after. */
function* transformAtOnce(run: FlowRun, parts: Transformation, variables: Variables): Routine<Json> {
  const { output, export: exported, fallback = variables.data, of = '' } = parts;
  const items = [...outputItems(output), ...exportItems(exported)];
  const values = yield* run.evaluate(items, { ...variables, output: variables.output ?? variables.data });
  const { output: result = fallback, context = run.context } = values;
  if (output?.schema !== undefined) yield* validate(run, output.schema, result, `output${of}`);
  if (exported?.schema !== undefined) yield* validate(run, exported.schema, context, `export${of}`);
  if (values.context !== undefined) run.context = values.context;
  return result;
}
