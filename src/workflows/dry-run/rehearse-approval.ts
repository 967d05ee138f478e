import type { ApprovalResult, Decision } from '../../dsl/approval';
import { generateValue } from '../../dsl/dry-run/generate-value';
import { type MockDecision, mockedError } from '../../dsl/dry-run/mock';
import { FlowError, flowError } from '../../dsl/errors';
import { requireObject } from '../../dsl/expressions/batch';
import type { Json, JsonObject } from '../../dsl/json';
import type { CallPlan } from '../../dsl/planning/plan';
import type { Routine } from '../drive';
import type { TaskFrame, TaskResult } from '../task-frame';
import { durationOf } from '../timeouts';
import { validate, validateArguments } from '../validation';
import { endAfter, type StepEnd } from './end-after';
import type { Rehearsal } from './rehearsal';

/** Who decides where the mock does not say. */
const DECIDER = 'dry-run';

/** Decides as the mock says, else approves; nobody is asked, and no workflow is started. */
export function* rehearseApproval(task: CallPlan, frame: TaskFrame, rehearsal: Rehearsal): Routine<TaskResult> {
  const { run, scope, values } = frame;
  const args = requireObject(values, 'with');
  yield* validateArguments(run, task.block, args);
  const answer = rehearsal.answers.nextAnswer(task, scope) ?? { decision: 'approved' };
  if ('error' in answer) throw new FlowError(mockedError(answer.error));
  const decided: MockDecision = 'decision' in answer ? answer : { decision: 'timedOut' };
  rehearsal.note(frame.step, { decision: decided.decision });
  if (decided.decision === 'timedOut') {
    const ms = args.timeout === undefined ? 0 : durationOf(args.timeout, 'timeout');
    return yield* endAfter(ms, timedOut(args), { frame, rehearsal });
  }
  if (decided.form !== undefined && args.form !== undefined)
    yield* validate(run, args.form, decided.form, 'form of the mocked decision');
  const result: ApprovalResult = { decision: decided.decision, decisions: decisionsOf(decided, args) };
  return { output: result as unknown as Json };
}

/** As an approval ends where its time is up (approval.ts). */
function timedOut({ title, onTimeout }: JsonObject): StepEnd {
  if (onTimeout === 'reject') return { output: { decision: 'rejected', decisions: [] } };
  if (onTimeout === 'continue') return { output: { decision: 'timedOut', decisions: [] } };
  return { error: flowError('BLW_APPROVAL_TIMEOUT', `nobody decided on "${String(title)}" in time`) };
}

/** A rejection counts at once, an approval once there are enough of them. */
function decisionsOf(
  { decision, by = DECIDER, comment, form }: MockDecision,
  { requiredApprovals = 1, form: schema }: JsonObject,
): Decision[] {
  const isApproved = decision === 'approved';
  const filled = form ?? (isApproved && schema !== undefined ? generateValue(schema) : undefined);
  return Array.from({ length: isApproved ? Number(requiredApprovals) : 1 }, (_, index) => ({
    decision: isApproved ? 'approved' : 'rejected',
    by: index === 0 ? by : `${by}-${index + 1}`,
    at: new Date(Date.now()).toISOString(),
    ...(comment === undefined ? {} : { comment }),
    ...(filled === undefined ? {} : { form: filled }),
  }));
}
