import { ApplicationFailure } from '@temporalio/activity';
import type { Catalog, FlowLibrary } from '../dsl/catalog/library';
import { parseFlowReference } from '../dsl/catalog/references';
import type { DryRunPlan, OnlyPlan, RunMode } from '../dsl/dry-run/dry-run';
import { resolveOnly } from '../dsl/dry-run/only-step';
import { resolveMocks } from '../dsl/dry-run/resolve-mocks';
import type { ErrorCode } from '../dsl/error-codes';
import { FlowError, flowErrorData, flowErrorToJson } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import type { CallPlan, FlowPlan } from '../dsl/planning/plan';
import { flowInputSchema, planFlow } from '../dsl/planning/plan-flow';
import { callsOf } from '../dsl/planning/tasks-of';
import { formatProblem, type Problem, toJsonPointer } from '../dsl/problems';
import { type PreparedFlow, parseStartInput, type StartInput } from '../dsl/start';
import { compileSchema } from '../dsl/validation/json-schemas';
import { validateFlow } from '../dsl/validation/validate-flow';
import { RUNTIME_VERSION } from '../dsl/version';
import { requireScope } from './access/access';
import { needWord } from './access/scopes';
import { checkJqExpressions } from './expressions/check-jq-expressions';
import type { ExpressionEngine } from './expressions/expression-engine';
import type { PlannedFlow, PlannedFlows } from './planned-flows';
import type { Admission } from './ports/gate';
import { toApplicationFailure } from './step-failure';
import { describeViolations } from './validate-data';

/** Problems that the message of a failed start spells out; the details have all. */
const SPELLED_OUT = 10;

/** A plan is read again whenever a flow is rebuilt; 20,000 steps take about 6 MB. */
const MAX_PLAN_BYTES = 33_554_432;

/** What a flow is prepared with. */
export interface Preparation {
  readonly engine: Pick<ExpressionEngine, 'checkJq'>;
  /** Absent: what a document refers to is not looked up, which is a check before the start: its plan does not run. */
  readonly catalog?: Catalog;
  /** Comes before all else, so that nobody who may not start flows learns anything; absent: nobody is checked. */
  readonly admit?: Admit;
  /** Where the flow runs; absent: either mode is prepared. */
  readonly place?: FlowPlace;
  /** Plans of earlier starts; absent: each is made anew. */
  readonly plannedFlows?: PlannedFlows;
}

/**
 * Local activity: reads the start input, finds the document where the input names one of the catalog, validates it, makes its
 * plan, and checks the flow's input against the document's schema. Fails, not retried, with BLW_START_INVALID,
 * BLW_FLOW_UNKNOWN, BLW_FLOW_INVALID, BLW_DATA_INVALID or BLW_CATALOG_INVALID.
 */
export async function prepareFlow(value: unknown, preparation: Preparation): Promise<PreparedFlow> {
  try {
    return await prepare(value, preparation);
  } catch (error) {
    throw error instanceof FlowError ? toApplicationFailure(error, { attempt: 1 }) : error;
  }
}

/** Which flows run here, and on which queue the others do. */
export interface FlowPlace {
  readonly mode: RunMode;
  readonly otherQueue: string;
  /** True where a step may be tried in place without being asked to; absent: no step is tried. */
  readonly isQuick?: (tenant: string, flow: string, stepId: string) => boolean;
}

/** Says who may start a flow; `tenant` is what was sent. */
type Admit = (start: StartInput, sent: { tenant: string | undefined }) => Promise<Admission>;

async function prepare(
  value: unknown,
  { engine, catalog, admit = admitAnybody, place, plannedFlows }: Preparation,
): Promise<PreparedFlow> {
  const parsed = parseStartInput(value);
  if ('problems' in parsed) throw refuse('BLW_START_INVALID', parsed.problems.join('; '), parsed.problems);
  const { start } = parsed;
  refuseOtherMode(start, place);
  // A tenant was sent, or it is the default of whoever checks nobody.
  const sent = { tenant: (value as JsonObject).tenant === undefined ? undefined : start.tenant };
  const { tenant, requestedBy, grant, access, share } = await admit(start, sent);
  const library = catalog === undefined ? undefined : await readLibrary(catalog);
  const { document, source } = documentOf(start, library);
  const isDryRun = start.mode === 'dry-run';
  const make = () => makePlan({ document, source }, { engine, library, isDryRun });
  const planned = plannedFlows?.planned(document, { library, isDryRun }, make) ?? make();
  const { plan, inputSchema } = await planned;
  checkInput(start, inputSchema);
  const dryRun = planDryRun(start, plan);
  if (access !== undefined && asksForApproval(plan)) {
    // Approvals are workflows of their own, which no worker checks as it checks steps.
    requireScope(access, needWord('approval', 'request'));
  }
  const { priorityKey, depth } = start;
  const quickSteps = place?.isQuick === undefined ? undefined : quickStepsOf(plan, tenant, place.isQuick);
  return {
    // First: the codec reads off the beginning whose it is (encryption-codec.ts).
    tenant,
    plan,
    runtimeVersion: RUNTIME_VERSION,
    largePayloads: true,
    continuesAsNew: true,
    offloadsExpressions: true,
    exportsInTurn: true,
    countsFailures: true,
    tellsUnknownOutcomes: true,
    tellsUnknownTimeouts: true,
    namesExecutions: true,
    remembersDeeds: true,
    recordsTimes: true,
    hearsInRounds: true,
    ...(priorityKey === undefined ? {} : { priorityKey }),
    ...(requestedBy === undefined ? {} : { requestedBy }),
    ...(depth === undefined ? {} : { depth }),
    ...(grant === undefined ? {} : { grant }),
    ...(share === undefined ? {} : { share }),
    ...(dryRun === undefined ? {} : { dryRun }),
    ...(quickSteps === undefined ? {} : { quickSteps, triesTogether: true as const }),
  };
}

async function makePlan(
  { document, source }: { readonly document: JsonObject; readonly source: string },
  { engine, library, isDryRun }: Pick<Preparation, 'engine'> & Parameters<PlannedFlows['planned']>[1],
): Promise<PlannedFlow> {
  const { flow, problems } = await checkJqExpressions(validateFlow(document, { library }), engine);
  if (flow === undefined) throw refuseFlow(problems, source);
  const inputSchema = flowInputSchema(flow);
  const plan = planFlow(flow, { library, isDryRun });
  const json = JSON.stringify(plan);
  const bytes = Buffer.byteLength(json);
  if (bytes > MAX_PLAN_BYTES) {
    throw refuse(
      'BLW_FLOW_INVALID',
      `the flow's plan has ${bytes} bytes, at most ${MAX_PLAN_BYTES} fit; split the flow`,
      null,
    );
  }
  return { plan, planSize: json.length, ...(inputSchema === undefined ? {} : { inputSchema }) };
}

function quickStepsOf(plan: FlowPlan, tenant: string, isQuick: NonNullable<FlowPlace['isQuick']>): string[] {
  return callsOf(plan)
    .map(({ path }) => path)
    .filter((path) => isQuick(tenant, plan.flow, path));
}

/** A live flow on a worker of the sandbox would do nothing and say that it did; a dry run elsewhere would do everything. */
function refuseOtherMode({ mode = 'live' }: StartInput, place: FlowPlace | undefined): void {
  if (place === undefined || place.mode === mode) return;
  const detail = `mode: this worker runs ${place.mode === 'live' ? 'live flows' : 'dry runs'} only, got "${mode}"; start it on the task queue ${place.otherQueue}`;
  throw refuse('BLW_START_INVALID', detail, [detail]);
}

/** The mocks of a dry run, by the steps that they are for. */
function planDryRun(start: StartInput, plan: FlowPlan): DryRunPlan | undefined {
  const { mode, mocks, waits, coverage } = start;
  if (mode !== 'dry-run') return undefined;
  const resolved = resolveMocks(plan, mocks);
  if ('problems' in resolved) {
    const problems = resolved.problems.map(({ message }) => `mocks: ${message}`);
    throw refuse('BLW_START_INVALID', problems.join('; '), problems);
  }
  const only = planOnly(start, plan);
  return {
    mocks: resolved.mocks,
    ...(waits === 'real' ? { waits: true } : {}),
    ...(coverage === true ? { coverage } : {}),
    countsTime: true,
    ...(waits === 'real' ? {} : { keepsTime: true }),
    ...(only === undefined ? {} : { only }),
  };
}

/** The one step that is to run, where the start names one. */
function planOnly({ only, input }: StartInput, plan: FlowPlan): OnlyPlan | undefined {
  if (only === undefined) return undefined;
  const resolved = resolveOnly(plan, only, input);
  if ('problems' in resolved) throw refuse('BLW_START_INVALID', resolved.problems.join('; '), resolved.problems);
  return resolved.only;
}

async function admitAnybody({ tenant, requestedBy }: StartInput): Promise<Admission> {
  return { tenant, ...(requestedBy === undefined ? {} : { requestedBy }) };
}

/** Wherever in the plan the step is: in a branch, a function, a compensation. */
function asksForApproval(node: unknown): boolean {
  if (Array.isArray(node)) return node.some(asksForApproval);
  if (typeof node !== 'object' || node === null) return false;
  const { kind, human } = node as Partial<CallPlan>;
  return (kind === 'call' && human === true) || Object.values(node).some(asksForApproval);
}

async function readLibrary(catalog: Catalog): Promise<FlowLibrary> {
  try {
    return await catalog.read();
  } catch (error) {
    if (!(error instanceof FlowError) || error.data.code === undefined) throw error;
    throw refuse(error.data.code, error.message, null);
  }
}

/** The document of a start, and how it is called in messages. */
function documentOf({ flow }: StartInput, library: FlowLibrary | undefined): { document: JsonObject; source: string } {
  if (typeof flow !== 'string') return { document: flow, source: 'flow' };
  const reference = parseFlowReference(flow);
  if ('problem' in reference) throw refuse('BLW_START_INVALID', `flow: ${reference.problem}`, null);
  if (library === undefined) throw refuse('BLW_FLOW_UNKNOWN', `there is no catalog to find "${flow}" in`, null);
  const found = library.findFlow(reference);
  if ('code' in found) throw refuse(found.code, found.message, null);
  return { document: found.document, source: found.source };
}

function checkInput({ input, only }: StartInput, schema: Json | undefined): void {
  // That of a step is none of the flow's.
  if (schema === undefined || only !== undefined) return;
  const violations = compileSchema(schema)(input);
  if (violations.length > 0) {
    throw refuse('BLW_DATA_INVALID', `input of the flow: ${describeViolations(violations)}`, null, '/input');
  }
}

function refuseFlow(problems: readonly Problem[], source: string): ApplicationFailure {
  const lines = problems.slice(0, SPELLED_OUT).map((problem) => formatProblem(problem, source));
  const more = problems.length > lines.length ? `\nand ${problems.length - lines.length} more` : '';
  const details = problems.map<JsonObject>(({ code, path, message }) => ({ code, path: toJsonPointer(path), message }));
  return refuse('BLW_FLOW_INVALID', `${problems.length} problem(s)\n${lines.join('\n')}${more}`, details);
}

/** `data` lists what is wrong, for programs; `instance` is the place in the document, where it is one. */
function refuse(code: ErrorCode, detail: string, problems: Json, instance?: string): ApplicationFailure {
  const place = instance === undefined ? {} : { instance };
  const data = problems === null ? place : { ...place, data: { problems } };
  return ApplicationFailure.create({
    message: detail,
    type: code,
    nonRetryable: true,
    details: [flowErrorToJson(flowErrorData(code, detail, data))],
  });
}
