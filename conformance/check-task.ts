import type { StepProgress, StepStatus } from '../src/dsl/progress';
import { expectEqual, expectError } from './check-flow';
import type { Execution } from './execution';
import type { Check, Ending } from './steps';
import { AssertionFailure, asJson } from './verdict';

type TaskCheck = Extract<Check, { kind: 'runsFirst' | 'runsLast' | 'runsBefore' | 'taskEnds' }>;

const STATUS: Readonly<Record<Ending['status'], StepStatus>> = {
  cancelled: 'cancelled',
  completed: 'completed',
  faulted: 'failed',
};

/**
 * Checks the order of the tasks, or how one ended. A task may run several times: `first` and `last` are about any of its
 * executions, `before` about all, and it ends as its last one does. Throws AssertionFailure.
 */
export async function checkTask(check: TaskCheck, execution: Execution): Promise<void> {
  const ran = (await execution.steps()).filter(({ status }) => status !== 'skipped');
  const own = executionsOf(check.task, ran);
  switch (check.kind) {
    case 'runsFirst':
      expectEdge('first', own, ran);
      break;
    case 'runsLast':
      expectEdge('last', own, ran);
      break;
    case 'runsBefore':
      expectBefore(own, executionsOf(check.other, ran), ran);
      break;
    case 'taskEnds':
      await checkEnding(check, own, execution);
  }
}

function executionsOf(task: string, ran: readonly StepProgress[]): readonly StepProgress[] {
  const found = ran.filter(({ name }) => name === task);
  if (found.length > 0) return found;
  throw new AssertionFailure({ what: `the task ${task}`, got: `not run; there ran ${namesOf(ran)}`, expected: 'run' });
}

/** A task runs while those inside of it do, so neither what is around it nor what is in it runs before or after it. */
function expectEdge(edge: 'first' | 'last', own: readonly StepProgress[], ran: readonly StepProgress[]): void {
  const isBeyond = (other: StepProgress, step: StepProgress) =>
    edge === 'first' ? other.seq < step.seq : other.seq > step.seq;
  const isEdge = (step: StepProgress) =>
    ran.every((other) => !isBeyond(other, step) || isInside(other, step) || isInside(step, other));
  if (own.some(isEdge)) return;
  throw new AssertionFailure({ what: 'the order of the tasks', got: namesOf(ran), expected: `${nameOf(own)} ${edge}` });
}

function isInside(inner: StepProgress, outer: StepProgress): boolean {
  return inner.id === outer.id || inner.id.startsWith(`${outer.id}/`);
}

function expectBefore(earlier: readonly StepProgress[], later: readonly StepProgress[], ran: readonly StepProgress[]) {
  const lastBegin = Math.max(...earlier.map(({ seq }) => seq));
  const firstBegin = Math.min(...later.map(({ seq }) => seq));
  if (lastBegin < firstBegin) return;
  const expected = `${nameOf(earlier)} before ${nameOf(later)}`;
  throw new AssertionFailure({ what: 'the order of the tasks', got: namesOf(ran), expected });
}

async function checkEnding(
  { task, ending }: Extract<TaskCheck, { kind: 'taskEnds' }>,
  own: readonly StepProgress[],
  execution: Execution,
): Promise<void> {
  const last = own.at(-1);
  if (last?.status !== STATUS[ending.status]) {
    const error = last?.error === undefined ? '' : ` with the error ${asJson(last.error)}`;
    const got = `${last?.status}${error}`;
    throw new AssertionFailure({ what: `how the task ${task} ended`, got, expected: ending.status });
  }
  if (ending.status === 'completed' && ending.output !== undefined) {
    expectEqual(`the output of the task ${task}`, await execution.outputOf(task), ending.output);
  }
  if (ending.status === 'faulted' && ending.error !== undefined) {
    expectError(`the error of the task ${task}`, last.error ?? {}, ending.error);
  }
}

function nameOf([step]: readonly StepProgress[]): string {
  return step?.name ?? '';
}

function namesOf(steps: readonly StepProgress[]): string {
  return steps.map(({ name }) => name).join(', ') || 'none';
}
