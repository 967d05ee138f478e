import {
  allHandlersFinished,
  condition,
  defineQuery,
  defineSignal,
  defineUpdate,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { DecisionAdmission } from '../dsl/admission';
import type { ApprovalRequest, ApprovalResult, ApprovalState, Decider, DecisionInput } from '../dsl/approval';
import { FlowError, flowError, messageOf } from '../dsl/errors';
import type { FlowNews } from '../dsl/flow-news';
import { inline } from '../dsl/inline-values';
import { isJsonObject, type Json } from '../dsl/json';
import { APPROVAL_STATE_QUERY, APPROVE_SIGNAL, DECIDE_UPDATE, REJECT_SIGNAL } from '../dsl/names';
import { undecodableReason } from '../dsl/undecodable';
import { ApprovalLedger } from './approval-ledger';
import { asWorkflowFailure, toFlowError, toWorkflowFailure } from './failures';
import { tellNews } from './flow-news';
import { belongToStated } from './flow-owner';
import { interpreterActivities } from './interpreter-activities';
import { proxyBoundedActivities } from './local-activities';
import { readable } from './lost-payload';
import { runOrigin } from './run-origin';
import { publishAttributes } from './search-attributes';
import { finishApproval } from './tracing/approval-span';

const stateQuery = defineQuery<ApprovalState>(APPROVAL_STATE_QUERY);
const decideUpdate = defineUpdate<ApprovalState, [Json]>(DECIDE_UPDATE);
const approveSignal = defineSignal<[Json]>(APPROVE_SIGNAL);
const rejectSignal = defineSignal<[Json]>(REJECT_SIGNAL);

/** Says who decides, where the flow was started with a token. */
const { admitDecision } = proxyBoundedActivities<{ admitDecision(request: DecisionAdmission): Promise<Decider> }>({
  startToCloseTimeout: '20 s',
  retry: { initialInterval: '100 ms', maximumAttempts: 5 },
});

/**
 * Awaits people's decisions. Ends with the outcome; a timeout with `onTimeout: fail` fails with BLW_APPROVAL_TIMEOUT.
 * A decision that arrives together with the timeout has one outcome: whichever the history holds first.
 */
export async function approval(request: ApprovalRequest): Promise<ApprovalResult> {
  refuseForeignStart(request);
  const ledger = new ApprovalLedger(request, Date.now());
  setHandler(stateQuery, () => inline(ledger.state()), {
    description: 'What is to be decided, by whom, and the decisions so far.',
  });
  setHandler(decideUpdate, (input) => decide(ledger, input), {
    validator: (input) => refuseInvalid(ledger, input),
    description: `${exampleOf(request)}; "comment" and "form" may be added`,
  });
  const receive = (decision: DecisionInput['decision']) => (input: Json) => receiveSignal(ledger, decision, input);
  const likeDecide = 'As the update decide, without "decision"; what is refused shows in the query state.';
  setHandler(approveSignal, receive('approved'), { description: likeDecide });
  setHandler(rejectSignal, receive('rejected'), { description: likeDecide });
  publishAttributes({
    tenant: request.tenant,
    flow: request.flow,
    status: 'AwaitingApproval',
    block: 'human.approval',
  });
  setCurrentDetails(describe(request));
  // How long it waited for a worker belongs to it.
  const begunAt = workflowInfo().startTime.getTime();
  const tell = (status: FlowNews['status']) => {
    const { tenant, flow } = request;
    tellNews({ status, tenant, flow, ...(status === 'started' ? {} : { durationMs: Date.now() - begunAt }) });
  };
  tell('started');

  try {
    await awaitOutcome(ledger);
  } catch (error) {
    if (isCancellation(error)) {
      publishAttributes({ status: 'Cancelled', block: null });
      finishApproval(request, { outcome: 'cancelled', decisions: ledger.decisions });
      tell('cancelled');
    }
    throw error;
  }
  await condition(allHandlersFinished);

  const { outcome, decisions } = ledger;
  finishApproval(request, { outcome: outcome ?? 'timedOut', decisions });
  tell(outcome ?? 'timedOut');
  if (outcome === undefined || (outcome === 'timedOut' && request.onTimeout === 'fail')) {
    publishAttributes({ status: 'Failed' });
    throw toWorkflowFailure(
      flowError('BLW_APPROVAL_TIMEOUT', `nobody decided on "${request.title}" within ${request.timeoutMs} ms`),
    );
  }
  publishAttributes({ status: 'Completed' });
  const decision = outcome === 'timedOut' && request.onTimeout === 'reject' ? 'rejected' : outcome;
  return { decision, decisions: ledger.decisions };
}

async function awaitOutcome(ledger: ApprovalLedger): Promise<void> {
  const { timeoutMs } = ledger.request;
  const isDecided = () => ledger.outcome !== undefined;
  if (timeoutMs === undefined) await condition(isDecided);
  else if (!(await condition(isDecided, timeoutMs))) ledger.timeOut();
}

/**
 * An approval is started by a flow, which has checked its arguments; a start by hand fails at once, since what it brings
 * could fail its workflow task for ever.
 */
function refuseForeignStart(request: unknown): void {
  if (workflowInfo().parent !== undefined && isJsonObject(request) && undecodableReason(request) === undefined) {
    asWorkflowFailure(() => {
      belongToStated(request);
      readable(request, 'the request');
    });
    return;
  }
  throw toWorkflowFailure(
    flowError('BLW_START_INVALID', 'approvals are started by flows; use a step "call: human.approval"'),
  );
}

/** Checks once before the update enters history: what is refused here leaves no trace. */
function refuseInvalid(ledger: ApprovalLedger, input: Json): void {
  asWorkflowFailure(() => ledger.check(input));
}

async function decide(ledger: ApprovalLedger, input: Json): Promise<ApprovalState> {
  try {
    const sent = readable(input, 'the decision');
    const decision = ledger.check(sent);
    const decider = await deciderOf(ledger, decision);
    const { form } = ledger.request;
    if (form !== undefined && decision.decision === 'approved')
      await interpreterActivities.validateData({ schema: form, data: decision.form ?? null, what: 'form' });
    // During a wait, however short, others may have decided, the same person too, or time may have run out.
    ledger.record(ledger.check(sent, decider), Date.now());
    return inline(ledger.state());
  } catch (thrown) {
    const error = toFlowError(thrown);
    throw error instanceof FlowError ? toWorkflowFailure(error) : error;
  }
}

/** Who decides, as the token says; undefined where the approval asks for none, and the decision says it. */
async function deciderOf({ request }: ApprovalLedger, decision: DecisionInput): Promise<Decider | undefined> {
  const { grant, tenant } = request;
  return grant === undefined ? undefined : await admitDecision({ decision, grant, tenant, origin: runOrigin() });
}

async function receiveSignal(ledger: ApprovalLedger, decision: DecisionInput['decision'], input: Json): Promise<void> {
  const complete =
    typeof input === 'object' && input !== null && !Array.isArray(input) ? { ...input, decision } : input;
  try {
    await decide(ledger, complete);
  } catch (error) {
    ledger.refuse(complete, messageOf(error), Date.now());
  }
}

/** What to send. */
function exampleOf({ grant }: ApprovalRequest): string {
  return grant === undefined
    ? '{"decision": "approved" or "rejected", "by": "…", "groups"?: […]}'
    : '{"decision": "approved" or "rejected", "token": "…"}, with a token that is sealed for this decision';
}

function describe(request: ApprovalRequest): string {
  const { title, description, assignees, requiredApprovals } = request;
  const people = [...(assignees?.users ?? []), ...(assignees?.groups ?? []).map((group) => `group ${group}`)];
  const who = people.length === 0 ? 'anyone' : people.join(', ');
  return `**${title}**\n\n${description ?? ''}\n\nAwaits ${requiredApprovals} approval(s) by ${who}: update \`decide\` ${exampleOf(request)}`;
}
