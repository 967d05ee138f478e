import type { Json } from '../dsl/json';
import { type Routine, waitFor } from './drive';
import { toFlowError } from './failures';
import type { FlowRun } from './flow-run';
import { interpreterActivities } from './interpreter-activities';

/** Checks data against a JSON Schema of the flow. Throws BLW_DATA_INVALID. */
export function* validate(run: FlowRun, schema: Json, data: Json, what: string): Routine<void> {
  yield* verdict(run, interpreterActivities.validateData({ schema, data, what }));
}

/** Checks a block's resolved arguments in the workflow, for blocks that have no activity to do it. Throws BLW_ARG_INVALID. */
export function* validateArguments(run: FlowRun, block: string, args: Json): Routine<void> {
  yield* verdict(run, interpreterActivities.validateArguments({ block, args, tenant: run.tenant, ...run.proof }));
}

function* verdict(run: FlowRun, promise: Promise<void>): Routine<void> {
  run.waits();
  try {
    yield* waitFor(promise);
  } catch (error) {
    throw toFlowError(error);
  }
}
