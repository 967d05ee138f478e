import { failedAttempts } from '../../../src/dsl/dry-run/failed-attempts';
import type { MockAnswer } from '../../../src/dsl/dry-run/mock';

const BUSY: MockAnswer = { error: { code: 'BLW_HTTP_STATUS', status: 503, detail: 'closed' } };
const MINE: MockAnswer = { error: { type: 'https://example.com/mine', retryable: true } };

describe('failedAttempts', () => {
  it('tells of all attempts but the last', () => {
    expect(failedAttempts([BUSY, { timeout: true }, MINE, { output: 1 }], { before: 0, attempts: 4 })).toEqual([
      { attempt: 1, code: 'BLW_HTTP_STATUS', status: 503, detail: 'closed' },
      { attempt: 2, code: 'BLW_STEP_TIMEOUT' },
      { attempt: 3, type: 'https://example.com/mine' },
    ]);
  });

  it('goes on with the list in a later try, and repeats its last answer', () => {
    expect(failedAttempts([BUSY, MINE], { before: 1, attempts: 3 }).map(({ type }) => type)).toEqual([
      'https://example.com/mine',
      'https://example.com/mine',
    ]);
  });

  it('is empty where there was one attempt, or nothing is mocked', () => {
    expect(failedAttempts([BUSY], { before: 0, attempts: 1 })).toEqual([]);
    expect(failedAttempts([], { before: 0, attempts: 3 })).toEqual([]);
  });

  it('has a limit, and so has what it says', () => {
    const long: MockAnswer = { error: { code: 'BLW_HTTP_STATUS', detail: 'x'.repeat(1_000) } };
    const failed = failedAttempts([long], { before: 0, attempts: 1_000 });
    expect(failed).toHaveLength(20);
    expect(failed[0]?.detail).toHaveLength(200);
  });
});
