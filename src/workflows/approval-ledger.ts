import type { ApprovalRequest, ApprovalResult, ApprovalState, Decider, Decision, DecisionInput } from '../dsl/approval';
import { flowError } from '../dsl/errors';
import { describeJsonType, isJsonObject, type Json } from '../dsl/json';
import { shortJson, shortText } from '../dsl/problems';
import { isSealed, MAX_TOKEN_LENGTH } from '../dsl/start';

/** Refused signals that are kept for the query, and the longest text of one: anybody may send a signal. */
const KEPT_REFUSALS = 20;
const MAX_REFUSAL_LENGTH = 300;

/** All decisions together, in characters of JSON: they are one result, and an answer to each update and query. */
const MAX_DECISIONS_LENGTH = 500_000;

const KEYS = ['decision', 'by', 'groups', 'comment', 'form', 'token'];
const MAX_COMMENT_LENGTH = 10_000;

/** The decisions on one approval, and the rules of who may decide what and when it is decided. */
export class ApprovalLedger {
  readonly decisions: Decision[] = [];
  outcome: ApprovalResult['decision'] | undefined;
  readonly #refused: { by: string; at: string; reason: string }[] = [];

  constructor(
    readonly request: ApprovalRequest,
    private readonly requestedAt: number,
  ) {}

  /**
   * The decision, if it may be recorded now. Throws BLW_APPROVAL_INVALID, _DENIED or _CLOSED, and BLW_TOKEN_REQUIRED or _INVALID.
   * Where a token is needed, its word is the `decider`; as long as that is absent, it is not known who decides.
   */
  check(input: Json, decider?: Decider): DecisionInput {
    const sent = parseDecision(input);
    if (this.outcome !== undefined) {
      throw flowError('BLW_APPROVAL_CLOSED', `"${this.request.title}" is closed already: ${this.outcome}`);
    }
    this.#checkToken(sent);
    if (this.needsToken && decider === undefined) return sent;
    const decision = decider === undefined ? sent : spokenBy(sent, decider);
    const { by = '' } = decision;
    this.#checkPerson(by, decision.groups);
    if (this.decisions.some((entry) => entry.by === by)) {
      throw flowError('BLW_APPROVAL_CLOSED', `${by} has decided already; one person counts once`);
    }
    const length = JSON.stringify([...this.decisions, decision]).length;
    if (length > MAX_DECISIONS_LENGTH) {
      throw flowError(
        'BLW_APPROVAL_INVALID',
        `the decisions would have ${length} characters of JSON, at most ${MAX_DECISIONS_LENGTH} fit; send less in the form`,
      );
    }
    return decision;
  }

  record(input: DecisionInput, now: number): void {
    const { decision, by = '', comment, form } = input;
    this.decisions.push({
      decision,
      by,
      at: new Date(now).toISOString(),
      ...(comment === undefined ? {} : { comment }),
      ...(form === undefined ? {} : { form }),
    });
    const approvals = this.decisions.filter((entry) => entry.decision === 'approved').length;
    if (decision === 'rejected') this.outcome = 'rejected';
    else if (approvals >= this.request.requiredApprovals) this.outcome = 'approved';
  }

  timeOut(): void {
    this.outcome ??= 'timedOut';
  }

  /** Remembers a signal that did not count: a signal cannot answer. */
  refuse(input: Json, reason: string, now: number): void {
    // Where a token would say it, what was sent says nothing.
    const by = !this.needsToken && isJsonObject(input) && typeof input.by === 'string' ? input.by : 'unknown';
    this.#refused.push({
      by: shortText(by, MAX_REFUSAL_LENGTH),
      at: new Date(now).toISOString(),
      reason: shortText(reason, MAX_REFUSAL_LENGTH),
    });
    if (this.#refused.length > KEPT_REFUSALS) this.#refused.shift();
  }

  state(): ApprovalState {
    const { timeoutMs, onTimeout: _, selfApproval: __, grant: ___, trace: ____, ...shown } = this.request;
    return {
      status: this.outcome ?? 'pending',
      ...shown,
      ...(this.needsToken ? { needsToken: true as const } : {}),
      requestedAt: new Date(this.requestedAt).toISOString(),
      ...(timeoutMs === undefined ? {} : { expiresAt: new Date(this.requestedAt + timeoutMs).toISOString() }),
      decisions: [...this.decisions],
      refused: [...this.#refused],
    };
  }

  get needsToken(): boolean {
    return this.request.grant !== undefined;
  }

  #checkToken({ by, token }: DecisionInput): void {
    if (!this.needsToken) {
      if (token !== undefined)
        throw flowError(
          'BLW_APPROVAL_INVALID',
          'token: the flow was started without one, so that nobody checks it; leave it out',
        );
      if (by === undefined) throw invalid('by: expected who decides, 1 to 200 characters');
      return;
    }
    if (token === undefined) {
      const advice = 'use `beamline approvals approve --token-file FILE`, or seal it with `beamline token seal`';
      throw flowError('BLW_TOKEN_REQUIRED', `a decision on "${this.request.title}" needs a token; ${advice}`);
    }
    // Before the update enters history: a token that is not sealed could be read there.
    if (!isSealed(token)) {
      throw flowError(
        'BLW_TOKEN_INVALID',
        'token: it is not sealed; use `beamline token seal`, or `approvals approve --token-file`',
      );
    }
  }

  #checkPerson(by: string, groups: readonly string[] | undefined): void {
    const { assignees, selfApproval, requestedBy } = this.request;
    if (!selfApproval && by === requestedBy) {
      throw flowError('BLW_APPROVAL_DENIED', `${by} asked for this and may not decide on it; somebody else has to`);
    }
    if (assignees === undefined) return;
    const isAssignee = assignees.users?.includes(by) || assignees.groups?.some((group) => groups?.includes(group));
    if (!isAssignee) throw flowError('BLW_APPROVAL_DENIED', `${by} is not one of the assignees`);
  }
}

/** The decision in the words of the token: what was sent of the person cannot make it another one. */
function spokenBy({ token: _, ...sent }: DecisionInput, { by, groups }: Decider): DecisionInput {
  if (sent.by !== undefined && sent.by !== by) {
    throw flowError(
      'BLW_APPROVAL_DENIED',
      `by: got ${shortJson(sent.by)}, the token is another person's; leave it out`,
    );
  }
  return { ...sent, by, groups };
}

function invalid(detail: string): Error {
  return flowError('BLW_APPROVAL_INVALID', `${detail}; send {"decision": "approved", "by": "alice"}`);
}

/** Reads the argument of `decide`, which anyone may send. */
function parseDecision(input: Json): DecisionInput {
  if (!isJsonObject(input)) throw invalid(`got ${describeJsonType(input)}, expected an object`);
  const unknown = Object.keys(input).find((key) => !KEYS.includes(key));
  if (unknown !== undefined) throw invalid(`"${shortText(unknown)}" is not known, there are ${KEYS.join(', ')}`);
  const { decision, by, groups, comment, form, token } = input;
  if (decision !== 'approved' && decision !== 'rejected') {
    throw invalid(
      `decision: got ${decision === undefined ? 'nothing' : shortJson(decision)}, expected "approved" or "rejected"`,
    );
  }
  if (by !== undefined && (typeof by !== 'string' || by.trim() === '' || by.length > 200))
    throw invalid('by: expected who decides, 1 to 200 characters');
  if (groups !== undefined && !(Array.isArray(groups) && groups.every((group) => typeof group === 'string'))) {
    throw invalid('groups: expected a list of names');
  }
  if (comment !== undefined && (typeof comment !== 'string' || comment.length > MAX_COMMENT_LENGTH)) {
    throw invalid(`comment: expected text of at most ${MAX_COMMENT_LENGTH} characters`);
  }
  if (token !== undefined && (typeof token !== 'string' || token.length > MAX_TOKEN_LENGTH)) {
    throw invalid(`token: expected the text of a sealed token, at most ${MAX_TOKEN_LENGTH} characters`);
  }
  return {
    decision,
    ...(by === undefined ? {} : { by: by as string }),
    ...(groups === undefined ? {} : { groups: groups as string[] }),
    ...(comment === undefined ? {} : { comment: comment as string }),
    ...(form === undefined ? {} : { form }),
    ...(token === undefined ? {} : { token: token as string }),
  };
}
