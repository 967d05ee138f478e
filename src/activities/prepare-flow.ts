import { ApplicationFailure } from '@temporalio/activity';
import type { ErrorCode } from '../dsl/error-codes';
import { flowErrorData, flowErrorToJson } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import { flowInputSchema, planFlow } from '../dsl/planning/plan-flow';
import { formatProblem, type Problem, toJsonPointer } from '../dsl/problems';
import { type PreparedFlow, parseStartInput, type StartInput } from '../dsl/start';
import { compileSchema } from '../dsl/validation/json-schemas';
import { validateFlow } from '../dsl/validation/validate-flow';
import { RUNTIME_VERSION } from '../dsl/version';
import { describeViolations } from './validate-data';

/** Problems that the message of a failed start spells out; the details have all. */
const SPELLED_OUT = 10;

/** A plan is one entry of a Temporal history, which holds 2 MiB. */
const MAX_PLAN_BYTES = 1_800_000;

/**
 * Local activity: reads the start input, validates the document, makes its plan, and checks the flow's input against the
 * document's schema. Fails, not retried, with BLW_START_INVALID, BLW_FLOW_INVALID or BLW_DATA_INVALID.
 */
export async function prepareFlow(value: unknown): Promise<PreparedFlow> {
  const parsed = parseStartInput(value);
  if ('problems' in parsed) throw refuse('BLW_START_INVALID', parsed.problems.join('; '), parsed.problems);
  const { start } = parsed;
  const result = validateFlow(start.flow);
  if (result.flow === undefined) throw refuseFlow(result.problems);
  checkInput(start, flowInputSchema(result.flow));
  const plan = planFlow(result.flow);
  const bytes = Buffer.byteLength(JSON.stringify(plan));
  if (bytes > MAX_PLAN_BYTES) {
    throw refuse(
      'BLW_FLOW_INVALID',
      `the flow's plan has ${bytes} bytes, at most ${MAX_PLAN_BYTES} fit; split the flow`,
      null,
    );
  }
  const { tenant, priorityKey, requestedBy } = start;
  return {
    plan,
    tenant,
    runtimeVersion: RUNTIME_VERSION,
    continuesAsNew: true,
    ...(priorityKey === undefined ? {} : { priorityKey }),
    ...(requestedBy === undefined ? {} : { requestedBy }),
  };
}

function checkInput({ input }: StartInput, schema: Json | undefined): void {
  if (schema === undefined) return;
  const violations = compileSchema(schema)(input);
  if (violations.length > 0) {
    throw refuse('BLW_DATA_INVALID', `input of the flow: ${describeViolations(violations)}`, null);
  }
}

function refuseFlow(problems: readonly Problem[]): ApplicationFailure {
  const lines = problems.slice(0, SPELLED_OUT).map((problem) => formatProblem(problem, 'flow'));
  const more = problems.length > lines.length ? `\nand ${problems.length - lines.length} more` : '';
  const details = problems.map<JsonObject>(({ code, path, message }) => ({ code, path: toJsonPointer(path), message }));
  return refuse('BLW_FLOW_INVALID', `${problems.length} problem(s)\n${lines.join('\n')}${more}`, details);
}

/** `data` lists what is wrong, for programs. */
function refuse(code: ErrorCode, detail: string, problems: Json): ApplicationFailure {
  const data = problems === null ? {} : { data: { problems } };
  return ApplicationFailure.create({
    message: detail,
    type: code,
    nonRetryable: true,
    details: [flowErrorToJson(flowErrorData(code, detail, data))],
  });
}
