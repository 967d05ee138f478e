import { shortText } from '../problems';
import type { MockAnswer } from './mock';
import { answersFrom } from './mock-table';
import type { FailedAttempt } from './report';

/** Most attempts that a report tells of, the first first. */
const MAX_ATTEMPTS = 20;

const MAX_DETAIL_LENGTH = 200;

/**
 * What the attempts of a step were answered that were made again: all but the last. `before`: attempts of earlier tries, which have had
 * answers of the same list.
 */
export function failedAttempts(
  answers: readonly MockAnswer[],
  { before, attempts }: { before: number; attempts: number },
): FailedAttempt[] {
  const failed: FailedAttempt[] = [];
  for (let attempt = 1; attempt < attempts && failed.length < MAX_ATTEMPTS; attempt += 1) {
    const [answer] = answersFrom(answers, before + attempt - 1);
    if (answer === undefined) continue;
    if ('timeout' in answer) failed.push({ attempt, code: 'BLW_STEP_TIMEOUT' });
    if (!('error' in answer)) continue;
    const { code, type, status, detail } = answer.error;
    failed.push({
      attempt,
      ...(code === undefined ? {} : { code }),
      ...(type === undefined ? {} : { type: shortText(type, MAX_DETAIL_LENGTH) }),
      ...(status === undefined ? {} : { status }),
      ...(detail === undefined ? {} : { detail: shortText(detail, MAX_DETAIL_LENGTH) }),
    });
  }
  return failed;
}
