import { generateOutput } from '../../dsl/dry-run/generate-output';
import { isRetriedError, type MockAnswer, mockedError } from '../../dsl/dry-run/mock';
import { answersFrom } from '../../dsl/dry-run/mock-table';
import type { FlowErrorData } from '../../dsl/errors';
import type { Json } from '../../dsl/json';
import { isRepeatable } from '../../dsl/repeatable';
import { SCRIPT_BLOCK } from '../../dsl/script';
import { BlockFailure, notRetryable, retryable } from '../block-failure';
import { outcomeUnknown } from '../outcome-unknown';
import type { ScriptPool } from '../script/script-pool';
import type { BlockRunner } from '../step-activities';
import { checkStep } from './check-step';

/**
 * Makes the runner of the sandbox. It checks what can be checked without reaching anything, and answers as the step's mock says for this
 * attempt, else with a value made for its arguments. `context.ports` is not touched; it has nothing. Only a script that no mock answers is
 * run: it reaches nothing either.
 */
export function createAnswerStep(runScript: ScriptPool['run']): BlockRunner {
  return async (blockType, args, context) => {
    const { step } = context;
    checkStep(blockType, args, step);
    const { answers = [], schema } = step.dryRun ?? {};
    const [answer] = answersFrom(answers, step.attempt - 1);
    if (answer !== undefined)
      return outputOf(answer, blockType, isRepeatable({ block: blockType, idempotent: step.idempotent }, args));
    return blockType === SCRIPT_BLOCK ? await runScript(args, context) : generateOutput(blockType, args, schema);
  };
}

function outputOf(answer: MockAnswer, blockType: string, mayRepeat: boolean): Json {
  if ('output' in answer) return answer.output;
  if ('error' in answer) throw new MockedFailure(mockedError(answer.error), isRetriedError(answer.error, mayRepeat));
  if ('decision' in answer) throw notRetryable('BLW_START_INVALID', `${blockType}: a decision is no answer to it`);
  // As Temporal takes an attempt of which it hears nothing: repeated where that does no harm.
  if (mayRepeat) throw retryable('BLW_STEP_TIMEOUT', 'the step took longer than its timeout');
  throw outcomeUnknown(`${blockType}: the attempt took longer than its timeout`);
}

/** An error that a mock says, with what the block would do after it. */
class MockedFailure extends BlockFailure {
  override readonly data: FlowErrorData;

  constructor(data: FlowErrorData, isRetried: boolean) {
    super(data.code ?? 'BLW_BLOCK_FAILED', data.detail ?? data.type, { retryable: isRetried });
    this.data = data;
  }
}
