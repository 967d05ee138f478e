import { ERROR_CODES, isErrorCode } from '../../src/dsl/error-codes';
import {
  FlowError,
  flowError,
  flowErrorData,
  flowErrorToJson,
  isSameErrorType,
  standardErrorType,
} from '../../src/dsl/errors';

const ROOTS = [
  'https://open-workflow-specification.org/spec/1.0.0/errors/',
  'https://open-workflow-specification.org/dsl/errors/types/',
  'https://serverlessworkflow.io/spec/1.0.0/errors/',
  'https://serverlessworkflow.io/dsl/errors/types/',
];

describe('isSameErrorType', () => {
  it.each(ROOTS.flatMap((left) => ROOTS.map((right) => [left, right])))(
    'knows %scommunication as %scommunication',
    (left, right) => {
      expect(isSameErrorType(`${left}communication`, `${right}communication`)).toBe(true);
      expect(isSameErrorType(`${left}communication`, `${right}timeout`)).toBe(false);
    },
  );

  it.each([
    ['https://x.test/e', 'https://x.test/e', true],
    ['https://x.test/e', 'https://x.test/E', false],
    ['', '', true],
    ['communication', standardErrorType('communication'), false],
    ['https://x.test/spec/1.0.0/errors/timeout', standardErrorType('timeout'), false],
    [`${standardErrorType('timeout')}/`, standardErrorType('timeout'), false],
    [`${standardErrorType('timeout')}#a`, standardErrorType('timeout'), false],
    [ROOTS[0] ?? '', ROOTS[3] ?? '', true],
  ])('of %j and %j is %s', (left, right, same) => {
    expect(isSameErrorType(left, right)).toBe(same);
    expect(isSameErrorType(right, left)).toBe(same);
  });
});

describe('error codes', () => {
  it.each(Object.entries(ERROR_CODES))('%s has a title, help, a status and a standard type', (code, info) => {
    expect(code).toMatch(/^BLW_[A-Z0-9_]+$/);
    expect(info.title.length * info.help.length).toBeGreaterThan(0);
    expect(info.status).toBeGreaterThanOrEqual(400);
    expect(info.status).toBeLessThan(600);
    expect(standardErrorType(info.type)).toBe(`${ROOTS[0]}${info.type}`);
  });

  it.each(['BLW_NOPE', 'constructor', '__proto__', 'toString', ''])('%j is none', (code) => {
    expect(isErrorCode(code)).toBe(false);
  });
});

describe('flowErrorData', () => {
  it('takes type, status and title from the row of the code', () => {
    expect(flowErrorData('BLW_FS_NOT_FOUND', 'a.txt is not there')).toEqual({
      type: `${ROOTS[0]}runtime`,
      status: 404,
      title: 'The blob does not exist',
      detail: 'a.txt is not there',
      code: 'BLW_FS_NOT_FOUND',
    });
  });

  it('takes another status, the place and data', () => {
    const data = flowErrorData('BLW_HTTP_STATUS', 'd', { status: 418, instance: '/do/0/a', data: { a: 1 } });
    expect(Object.keys(flowErrorToJson(data))).toEqual([
      'type',
      'status',
      'title',
      'detail',
      'instance',
      'code',
      'data',
    ]);
    expect(data).toMatchObject({ status: 418, instance: '/do/0/a', data: { a: 1 } });
  });

  it('becomes JSON without what is absent', () => {
    expect(flowErrorToJson({ type: 't', status: 400 })).toEqual({ type: 't', status: 400 });
    expect(flowErrorToJson({ type: 't', status: 400, data: null, detail: '' })).toEqual({
      type: 't',
      status: 400,
      detail: '',
      data: null,
    });
  });
});

describe('FlowError', () => {
  it('says its detail, else its title, else its type', () => {
    expect(new FlowError({ type: 't', status: 1, title: 'T', detail: 'D' }).message).toBe('D');
    expect(new FlowError({ type: 't', status: 1, title: 'T' }).message).toBe('T');
    expect(new FlowError({ type: 't', status: 1 }).message).toBe('t');
  });

  it('keeps the innermost place, and its cause', () => {
    const cause = new Error('why');
    const error = flowError('BLW_FS_IO', 'd', { cause });
    expect(error.cause).toBe(cause);
    const placed = error.at('/do/0/a');
    expect(placed.data.instance).toBe('/do/0/a');
    expect(placed.cause).toBe(error);
    expect(placed.at('/do/0')).toBe(placed);
  });
});
