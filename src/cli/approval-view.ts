import type { ApprovalState } from '../dsl/approval';
import { formatDuration } from '../dsl/durations';
import { flowErrorToJson } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import type { WaitingApproval } from './approval-list';
import { printable, type Style, type TextOutput } from './output';
import { formatTable } from './table';

const HEADER = ['ID', 'TITLE', 'FLOW', 'TENANT', 'APPROVALS', 'WAITING', 'EXPIRES', 'WHO'];

/** The table of `approvals list`. */
export function approvalTable(approvals: readonly WaitingApproval[], now: number, style: Style): string[] {
  return formatTable(
    HEADER,
    approvals.map((approval) => rowOf(approval, now).map(printable)),
    style,
  );
}

function rowOf(approval: WaitingApproval, now: number): string[] {
  const { id, since, state, unreadable } = approval;
  const waiting = formatDuration(Math.max(0, now - since.getTime()));
  if (state === undefined) {
    const { flow = '', tenant = '' } = approval;
    const why = unreadable === undefined ? 'no worker answers' : `cannot be read: ${unreadable.data.code}`;
    return [id, `(${why})`, flow, tenant, '', waiting, '', ''];
  }
  const { title, flow, tenant } = state;
  return [id, title, flow, tenant, countOf(state), waiting, expiryOf(state, now), whoOf(state)];
}

function countOf({ decisions, requiredApprovals }: ApprovalState): string {
  return `${decisions.filter(({ decision }) => decision === 'approved').length}/${requiredApprovals}`;
}

function expiryOf({ expiresAt }: ApprovalState, now: number): string {
  if (expiresAt === undefined) return 'never';
  const left = Date.parse(expiresAt) - now;
  return left <= 0 ? 'now' : `in ${formatDuration(left)}`;
}

function whoOf({ assignees, requestedBy }: ApprovalState): string {
  const people = [...(assignees?.users ?? []), ...(assignees?.groups ?? []).map((group) => `group ${group}`)];
  if (people.length > 0) return people.join(', ');
  return requestedBy === undefined ? 'anyone' : `anyone but ${requestedBy}`;
}

/** What scripts read of an approval in the list; `error` says why the rest cannot be read. */
export function waitingToJson({ id, since, flow, tenant, state, unreadable }: WaitingApproval): JsonObject {
  return {
    ...(flow === undefined ? {} : { flow }),
    ...(tenant === undefined ? {} : { tenant }),
    ...approvalToJson(id, state),
    requestedAt: state?.requestedAt ?? since.toISOString(),
    ...(unreadable === undefined ? {} : { error: flowErrorToJson(unreadable.data) }),
  };
}

/** What scripts read of an approval. */
export function approvalToJson(id: string, state: ApprovalState | undefined): JsonObject {
  // A state has come as JSON; its type only says what is in it.
  return { id, ...(state as unknown as JsonObject | undefined) };
}

/** Prints all that is known of one approval. */
export function printApproval(id: string, state: ApprovalState, output: TextOutput): void {
  const { style } = output;
  output.line(style.bold(printable(state.title)));
  const rows: [string, string | undefined][] = [
    ['id', id],
    ['status', `${state.status}, ${countOf(state)} approvals`],
    ['flow', `${state.flow}, ${state.flowId} ${state.stepId}`],
    ['tenant', state.tenant],
    ['requested', `${state.requestedAt}${state.requestedBy === undefined ? '' : ` by ${state.requestedBy}`}`],
    ['expires', state.expiresAt ?? 'never'],
    ['who', whoOf(state)],
    ['form', state.form === undefined ? undefined : JSON.stringify(state.form)],
  ];
  for (const [name, value] of rows) {
    if (value !== undefined) output.line(`  ${name.padEnd(10)} ${printable(value)}`);
  }
  for (const { decision, by, at, comment, form } of state.decisions) {
    output.line(`  ${decision.padEnd(10)} by ${printable(by)} at ${at}${noteOf(comment, form)}`);
  }
  for (const { by, at, reason } of state.refused) {
    output.line(`  ${'refused'.padEnd(10)} signal by ${printable(by)} at ${at}: ${printable(reason)}`);
  }
  if (state.description !== undefined) {
    output.line();
    for (const line of state.description.split('\n')) output.line(`  ${printable(line)}`);
  }
}

function noteOf(comment: string | undefined, form: Json | undefined): string {
  const parts = [...(comment === undefined ? [] : [comment]), ...(form === undefined ? [] : [JSON.stringify(form)])];
  return parts.length === 0 ? '' : `: ${printable(parts.join('; '))}`;
}

/** One line that says what a decision did. */
export function decisionLine(state: ApprovalState): string {
  const title = `"${printable(state.title)}"`;
  if (state.status === 'pending') return `recorded: ${title} has ${countOf(state)} approvals and waits for more`;
  return `${state.status}: ${title}`;
}
