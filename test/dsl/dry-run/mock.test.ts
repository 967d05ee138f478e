import { isRetriedError, mockedError } from '../../../src/dsl/dry-run/mock';

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
