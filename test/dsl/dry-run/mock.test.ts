import { isRetriedError, type MockedKind, mockedError, parseMock } from '../../../src/dsl/dry-run/mock';
import type { Json } from '../../../src/dsl/json';

describe('parseMock', () => {
  it.each<[MockedKind, Json, Json]>([
    ['block', { output: null }, [{ output: null }]],
    ['block', [{ timeout: true }, { output: 1 }], [{ timeout: true }, { output: 1 }]],
    ['block', { error: { code: 'BLW_SQL_FAILED' } }, [{ error: { code: 'BLW_SQL_FAILED' } }]],
    [
      'block',
      { error: { type: 'https://example.com/mine', status: 404 } },
      [{ error: { type: 'https://example.com/mine', status: 404 } }],
    ],
    [
      'approval',
      { decision: 'approved', by: 'ann', form: { a: 1 } },
      [{ decision: 'approved', by: 'ann', form: { a: 1 } }],
    ],
    ['listen', { output: [1] }, [{ output: [1] }]],
    ['emit', { error: { code: 'BLW_EVENT_INVALID' } }, [{ error: { code: 'BLW_EVENT_INVALID' } }]],
  ])('takes of a %s %j', (kind, value, answers) => {
    expect(parseMock(value, kind)).toEqual({ mock: { answers } });
  });

  it('takes mocks for the steps of another flow', () => {
    const value = { mocks: { pay: { output: 1 } } };
    expect(parseMock(value, 'subflow')).toEqual({ mock: { answers: [], inner: { pay: { output: 1 } } } });
  });

  it.each<[MockedKind, Json, string]>([
    ['block', 5, 'got a number, expected {"output": …} or {"error"'],
    ['block', [], 'got an empty list'],
    ['block', {}, 'got {}, expected {"output": …}'],
    ['block', { outptu: 1 }, 'did you mean "output"?'],
    ['block', { output: 1, error: {} }, 'got {"output":1,"error":{}}, expected'],
    ['block', { output: 1, status: 5 }, '"status" is not known beside "output"'],
    ['block', [{ output: 1 }, 5], 'answer 2: got a number'],
    ['block', { decision: 'approved' }, 'expected {"output": …}'],
    ['block', { mocks: {} }, 'expected {"output": …}'],
    ['block', { timeout: 'yes' }, 'timeout: got "yes", expected true'],
    ['block', { error: {} }, 'error: expected a code such as BLW_HTTP_STATUS, or a type'],
    ['block', { error: { code: 'BLW_HTP_STATUS' } }, 'did you mean BLW_HTTP_STATUS?'],
    ['block', { error: { code: 'constructor' } }, 'expected one of docs/errors.md'],
    ['block', { error: { code: 'BLW_SQL_FAILED', status: 5 } }, 'error: status: got 5'],
    ['block', { error: { code: 'BLW_SQL_FAILED', statsu: 5 } }, 'error: "statsu" is not known'],
    ['block', Array.from({ length: 101 }, () => ({ output: 1 })), 'got 101 answers, expected at most 100'],
    ['approval', { output: 1 }, 'expected {"decision": "approved"}'],
    ['approval', { decision: 'maybe' }, 'decision: got "maybe", expected approved, rejected, timedOut'],
    ['approval', { decision: 'approved', by: 5 }, 'by: got a number'],
    ['listen', { output: 1 }, 'expected the list of events'],
    ['emit', { output: 1 }, 'expected {"error"'],
    ['subflow', { mocks: 5 }, 'mocks: got a number'],
    ['subflow', { mocks: {}, output: 1 }, 'got mocks and "output"'],
  ])('refuses of a %s %j', (kind, value, problem) => {
    expect(parseMock(value, kind)).toEqual({ problem: expect.stringContaining(problem) });
  });
});

describe('the error of a mock', () => {
  it('is that of its code, with what the mock says', () => {
    expect(mockedError({ code: 'BLW_HTTP_STATUS', status: 503, detail: 'closed', data: { a: 1 } })).toMatchObject({
      type: expect.stringContaining('/communication'),
      code: 'BLW_HTTP_STATUS',
      status: 503,
      detail: 'closed',
      data: { a: 1 },
    });
  });

  it('may be its author’s own', () => {
    const error = mockedError({ type: 'https://example.com/mine', status: 404, title: 'Mine' });
    expect(error).toMatchObject({ type: 'https://example.com/mine', status: 404, title: 'Mine' });
    expect(error.code).toBeUndefined();
  });

  it.each<[Parameters<typeof isRetriedError>[0], boolean, boolean]>([
    [{ code: 'BLW_HTTP_STATUS', status: 503 }, false, true],
    [{ code: 'BLW_HTTP_STATUS', status: 500 }, false, false],
    [{ code: 'BLW_HTTP_STATUS', status: 500 }, true, true],
    [{ code: 'BLW_HTTP_STATUS', status: 404 }, true, false],
    [{ code: 'BLW_HTTP_UNREACHABLE' }, false, true],
    [{ code: 'BLW_HTTP_OUTCOME_UNKNOWN' }, false, false],
    [{ code: 'BLW_HTTP_OUTCOME_UNKNOWN' }, true, true],
    [{ code: 'BLW_SQL_CONSTRAINT' }, true, false],
    [{ code: 'BLW_SQL_CONSTRAINT', retryable: true }, false, true],
    [{ type: 'https://example.com/mine' }, true, false],
  ])('%j of a step that may be repeated (%s) is tried again: %s', (error, isRepeatable, isRetried) => {
    expect(isRetriedError(error, isRepeatable)).toBe(isRetried);
  });
});
