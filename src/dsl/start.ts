import { parseFlowReference } from './catalog/references';
import { type DryRunPlan, RUN_MODES, type RunMode, WAIT_MODES, type WaitMode } from './dry-run/dry-run';
import { mocksProblem } from './dry-run/mock-table';
import { type OnlyInput, onlyProblems } from './dry-run/only-input';
import { describeJsonType, isJsonObject, type Json, type JsonObject } from './json';
import type { FlowPlan } from './planning/plan';
import { closestName, shortJson, shortText } from './problems';
import type { QuotaWait } from './quota';
import type { FlowTrace } from './trace';
import { lostPayloadOf, undecodableReason } from './undecodable';

/** Start input of `runFlow`: one JSON object. The same from the Temporal CLI, the Temporal UI, a schedule or `beamline run`. */
export interface StartInput {
  /** An OWS document, or `namespace/name:version` of one in the worker's catalog. */
  readonly flow: JsonObject | string;
  /** Input of the flow; absent: null. */
  readonly input: Json;
  /** Owner of the flow and its data. */
  readonly tenant: string;
  /** 1 (first) to 5 (last); Temporal's default is 3. */
  readonly priorityKey?: number;
  /** Who asked for the flow; may not decide on its approvals unless these say `selfApproval: true`. */
  readonly requestedBy?: string;
  /**
   * Flows above this one, which run each other by `run.workflow`. Set by the worker, for the flows that it starts; whoever
   * else sets it only takes levels from his own flow.
   */
  readonly depth?: number;
  /** The flow above waits for this one, so it does not count as another open flow of the tenant. Set by the worker, as `depth`. */
  readonly awaited?: true;
  /** The starter's token, sealed for this start (docs/identity.md); never a plain one, which history would show. */
  readonly token?: string;
  /** Instead of a token: the grant of the flow that runs this one, or of a deployment. Set by the worker and by `beamline deploy`. */
  readonly grant?: string;
  /** Absent: live. `dry-run`: nothing is done, and the result is a report (docs/sandbox.md). */
  readonly mode?: RunMode;
  /** What steps of a dry run are answered, by their names or paths. */
  readonly mocks?: JsonObject;
  /** Whether a dry run waits where the flow does; absent: it does not. */
  readonly waits?: WaitMode;
  /** The report of a dry run counts visits of steps, cases and catches. */
  readonly coverage?: true;
  /** A dry run of one step alone; `input` is the step's then. */
  readonly only?: OnlyInput;
}

/** Most flows above a flow: one that runs itself would else never end. */
export const MAX_FLOW_DEPTH = 20;

/** What `prepareFlow` records in history: all that `runFlow` needs to go on. */
export interface PreparedFlow {
  readonly plan: FlowPlan;
  readonly tenant: string;
  readonly priorityKey?: number;
  readonly requestedBy?: string;
  /** Version of the program that prepared the flow; absent in histories from before it was recorded, all of 0.1.0. */
  readonly runtimeVersion?: string;
  /** Values may have 100 MiB and count in workflow tasks as the claims they become; absent in flows from before. */
  readonly largePayloads?: true;
  /** The flow goes on with a new history where the server suggests it; absent in histories of before. */
  readonly continuesAsNew?: true;
  /** Expressions in CEL that take long are evaluated outside of the workflow; absent in histories of before. */
  readonly offloadsExpressions?: true;
  /**
   * A step's output is checked before `export` is evaluated, and steps that run side by side export one after the other;
   * absent in histories of before.
   */
  readonly exportsInTurn?: true;
  /** Of the flow among those of its tenant that are open: to be given back at its end; absent: it does not count. */
  readonly place?: string;
  /** The flow has to wait for that place before its first step. */
  readonly waiting?: QuotaWait;
  /** Steps that failed without a word of their worker are counted by the flow; absent in histories of before. */
  readonly countsFailures?: true;
  /** A step that was lost and is not repeated says so by a code of its own; absent in histories of before. */
  readonly tellsUnknownOutcomes?: true;
  /** So does one whose time for all attempts passed before its worker reported; absent in histories of before. */
  readonly tellsUnknownTimeouts?: true;
  /** Requests of steps say which run of the step they are of, which makes them larger; absent in histories of before. */
  readonly namesExecutions?: true;
  /** A dead letter that gets arguments again that it had before is that deed again; absent in histories of before. */
  readonly remembersDeeds?: true;
  /** Times that decide what a flow does are in its history (`clock.ts`); absent in histories of before. */
  readonly recordsTimes?: true;
  /** What becomes of dead letters is told to others (`dead-letter-event.ts`); absent: on a worker without NATS, or in histories of before. */
  readonly publishesDeadLetters?: true;
  /** Steps of the tenant that may run at once, as of then; absent: any number. Results of steps have newer news. */
  readonly concurrentSteps?: number;
  /** Flows above this one; absent: none. */
  readonly depth?: number;
  /**
   * Steps may be tried in place (`local-step.ts`), these paths without being asked to, since their worker knows them to be quick; absent in
   * histories of before, and in dry runs.
   */
  readonly quickSteps?: readonly string[];
  /** Reads in place that begin together are one local activity (`steps-together.ts`); absent in histories of before, and where no step is tried in place. */
  readonly triesTogether?: true;
  /** The flow hears of local activities in rounds (`local-rounds.ts`); absent in histories of before. */
  readonly hearsInRounds?: true;
  /** What the flow's steps show to the workers (docs/identity.md); absent: these check nobody, or did not when it was prepared. */
  readonly grant?: string;
  /** The tenant's share of the workers; absent: there was no policy, or the flow is from before there were any. */
  readonly share?: TenantShare;
  /** Absent: the worker that prepared the flow traces nothing, or the flow is from before there were traces. */
  readonly trace?: FlowTrace;
  /** The flow is only tried, on a worker of the sandbox; absent: it is live, or from before there were dry runs. */
  readonly dryRun?: DryRunPlan;
}

/** What a policy says of a tenant's place beside others. In histories: add optional fields, never change one. */
export interface TenantShare {
  /** Counts for all steps of the tenant's flows, whatever these say: 0.001 to 1000. */
  readonly fairnessWeight: number;
  /** The best priority that the tenant's flows and steps get, 1 (first) to 5: with a better one they would always go before others'. */
  readonly priorityKey: number;
}

/** Which run of Temporal's asks, as the server tells it to the workflow: what tokens and grants are compared with. */
export interface RunOrigin {
  /** First run of the execution chain: the same after a retry, a reset and a continue-as-new. */
  readonly firstRunId: string;
  /** When this run began, in ms since 1970. */
  readonly startedAt: number;
  readonly parent?: { readonly workflowId: string; readonly runId: string };
}

/** Longest sealed token or grant, in characters. */
export const MAX_TOKEN_LENGTH = 65_536;

/** Five parts in base64url, of which the second and the fourth may not be empty: a JWE (RFC 7516, section 7.1). */
const SEALED = /^[\w-]+\.[\w-]*\.[\w-]+\.[\w-]+\.[\w-]+$/;

/** True for what looks like a sealed token, and not like one that everybody could read in the history. */
export function isSealed(token: string): boolean {
  return SEALED.test(token);
}

export const DEFAULT_TENANT = 'default';

const KEYS = [
  'flow',
  'input',
  'tenant',
  'priorityKey',
  'requestedBy',
  'depth',
  'awaited',
  'token',
  'grant',
  'mode',
  'mocks',
  'waits',
  'coverage',
  'only',
];

/** Set by the worker: no use to people. */
const OWN_KEYS = ['depth', 'awaited', 'grant'];

/** Names of tenants: part of workflow ids, file names and search attributes. */
export const TENANT = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;

/** Reads a start input of any origin; returns it, or everything that is wrong with it. */
export function parseStartInput(value: unknown): { start: StartInput } | { problems: string[] } {
  const unreadable = undecodableReason(value);
  if (unreadable !== undefined) return { problems: [`the payload cannot be read (${unreadable}), expected JSON`] };
  const lost = lostPayloadOf(value);
  if (lost !== undefined) return { problems: [`${lost.detail} [${lost.code}]`] };
  if (!isJsonObject(value)) {
    return {
      problems: [`got ${describeJsonType(value)}, expected one JSON object {"flow": …, "input": …, "tenant": "…"}`],
    };
  }
  const problems = [...unknownKeys(value), ...modeProblems(value)];
  const { flow, input = null, tenant = DEFAULT_TENANT, priorityKey, requestedBy, depth, awaited, token, grant } = value;
  const { mode, mocks, waits, coverage, only } = value;
  if (flow === undefined) problems.push('"flow" is missing, expected the flow document, or its namespace/name:version');
  else if (typeof flow === 'string') problems.push(...nameProblems(flow));
  else if (!isJsonObject(flow))
    problems.push(`flow: got ${describeJsonType(flow)}, expected the flow document, or its namespace/name:version`);
  if (typeof tenant !== 'string' || !TENANT.test(tenant)) {
    problems.push(`tenant: got ${shortJson(tenant)}, expected 1 to 63 letters, digits, ".", "_" or "-"`);
  }
  if (
    priorityKey !== undefined &&
    !(Number.isInteger(priorityKey) && Number(priorityKey) >= 1 && Number(priorityKey) <= 5)
  ) {
    problems.push(`priorityKey: got ${shortJson(priorityKey)}, expected a whole number from 1 (first) to 5 (last)`);
  }
  if (requestedBy !== undefined && (typeof requestedBy !== 'string' || requestedBy === '')) {
    problems.push(`requestedBy: got ${shortJson(requestedBy)}, expected a person's name`);
  }
  if (depth !== undefined && !(Number.isInteger(depth) && Number(depth) >= 0)) {
    problems.push(`depth: got ${shortJson(depth)}, expected nothing; the worker sets it on flows that flows run`);
  }
  if (awaited !== undefined && awaited !== true) {
    problems.push(
      `awaited: got ${shortJson(awaited)}, expected nothing; the worker sets it on flows that flows wait for`,
    );
  }
  problems.push(...tokenProblems('token', token), ...tokenProblems('grant', grant));
  if (problems.length > 0) return { problems };
  return {
    start: {
      flow: flow as JsonObject | string,
      input,
      tenant: tenant as string,
      ...(priorityKey === undefined ? {} : { priorityKey: priorityKey as number }),
      ...(requestedBy === undefined ? {} : { requestedBy: requestedBy as string }),
      ...(depth === undefined ? {} : { depth: depth as number }),
      ...(awaited === undefined ? {} : { awaited: true as const }),
      ...(token === undefined ? {} : { token: token as string }),
      ...(grant === undefined ? {} : { grant: grant as string }),
      ...(mode === 'dry-run' ? { mode } : {}),
      ...(mocks === undefined ? {} : { mocks: mocks as JsonObject }),
      ...(waits === undefined ? {} : { waits: waits as WaitMode }),
      ...(coverage === undefined ? {} : { coverage: true as const }),
      ...(only === undefined ? {} : { only: only as unknown as OnlyInput }),
    },
  };
}

/** Whatever was sent, it is not repeated: it may be a credential. */
function tokenProblems(name: string, value: Json | undefined): string[] {
  if (value === undefined) return [];
  if (typeof value !== 'string' || value === '')
    return [`${name}: got ${value === '' ? 'nothing' : describeJsonType(value)}, expected the text of a sealed token`];
  if (value.length > MAX_TOKEN_LENGTH)
    return [`${name}: got ${value.length} characters, expected at most ${MAX_TOKEN_LENGTH}`];
  return [];
}

function nameProblems(name: string): string[] {
  const reference = parseFlowReference(name);
  return 'problem' in reference ? [`flow: ${reference.problem}`] : [];
}

function unknownKeys(value: JsonObject): string[] {
  return Object.keys(value)
    .filter((key) => !KEYS.includes(key))
    .map((key) => {
      const meant = closestName(key, KEYS);
      return `"${shortText(key)}" is not known; ${meant === undefined ? `there are: ${KEYS.filter((known) => !OWN_KEYS.includes(known)).join(', ')}` : `did you mean "${meant}"?`}`;
    });
}

/** What only a dry run has is refused elsewhere: a live flow would not do what it asks for. */
function modeProblems({ mode, mocks, waits, coverage, only }: JsonObject): string[] {
  const problems: string[] = [];
  if (mode !== undefined && !RUN_MODES.some((known) => known === mode))
    problems.push(`mode: got ${shortJson(mode)}, expected "live" or "dry-run"`);
  for (const [name, value] of Object.entries({ mocks, waits, coverage, only }))
    if (value !== undefined && mode !== 'dry-run')
      problems.push(`${name}: is for a dry run only; add "mode": "dry-run", or leave it out`);
  if (mocks !== undefined) problems.push(...[mocksProblem(mocks)].filter((problem) => problem !== undefined));
  if (waits !== undefined && !WAIT_MODES.some((known) => known === waits))
    problems.push(`waits: got ${shortJson(waits)}, expected "skip" or "real"`);
  if (coverage !== undefined && coverage !== true)
    problems.push(`coverage: got ${shortJson(coverage)}, expected true, or nothing`);
  if (only !== undefined) problems.push(...onlyProblems(only));
  return problems;
}
