import { parse } from 'yaml';
import { blockStep, type MockedKind } from '../../../src/dsl/dry-run/mocked-step';
import { parseMock } from '../../../src/dsl/dry-run/read-mock';
import type { Template } from '../../../src/dsl/expressions/template';
import { compileTemplate } from '../../../src/dsl/expressions/template';
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
    expect(parseMock(value, { kind })).toEqual({ mock: { answers } });
  });

  it('takes mocks for the steps of another flow', () => {
    const value = { mocks: { pay: { output: 1 } } };
    expect(parseMock(value, { kind: 'subflow' })).toEqual({ mock: { answers: [], inner: { pay: { output: 1 } } } });
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
    ['block', { error: { code: 'BLW_HTTP_NETWORK' } }, 'such as BLW_HTTP_URL, BLW_HTTP_'],
    ['emit', { error: { code: 'BLW_HTTP_STATUS' } }, 'an emit does not fail; it may with: BLW_EVENT_INVALID'],
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
    expect(parseMock(value, { kind })).toMatchObject({ problem: expect.stringContaining(problem) });
  });
});

describe('rounds', () => {
  const read = (value: Json, kind: MockedKind = 'block') => parseMock(value, { kind });
  const ONE = { output: 1 };

  it('have an answer each, a list of them, or rounds of visits', () => {
    expect(read({ rounds: [ONE, [{ timeout: true }, ONE], { rounds: [ONE] }] })).toEqual({
      mock: {
        answers: [],
        rounds: [
          { answers: [ONE] },
          { answers: [{ timeout: true }, ONE] },
          { answers: [], rounds: [{ answers: [ONE] }] },
        ],
      },
    });
    expect(read({ rounds: [{ mocks: { pay: ONE } }] }, 'subflow')).toEqual({
      mock: { answers: [], rounds: [{ answers: [], inner: { pay: ONE } }] },
    });
  });

  it.each<[Json, string, (string | number)[] | undefined]>([
    [{ rounds: 5 }, 'rounds: got a number, expected a list of answers, one for each round', ['rounds']],
    [{ rounds: [] }, 'rounds: got an empty list', ['rounds']],
    [{ rounds: [ONE], output: 1 }, 'got rounds and "output", expected one of them', undefined],
    [{ rounds: [ONE, 5] }, 'round 2: got a number', ['rounds', 1]],
    [{ rounds: [[ONE, { timeout: 1 }]] }, 'round 1: answer 2: timeout: got 1', ['rounds', 0, 1, 'timeout']],
    [{ rounds: Array.from({ length: 1_001 }, () => ONE) }, 'rounds: got 1001, expected at most 1000', ['rounds']],
    [
      { rounds: [{ rounds: [{ rounds: [ONE] }] }] },
      'round 1: round 1: rounds: got rounds in rounds in rounds',
      ['rounds', 0, 'rounds', 0, 'rounds'],
    ],
    [{ round: [ONE] }, 'did you mean "rounds"?', undefined],
  ])('are not %j', (value, problem, at) => {
    expect(read(value)).toEqual({ problem: expect.stringContaining(problem), ...(at === undefined ? {} : { at }) });
  });
});

describe('a mocked output', () => {
  const argsOf = (yaml: string): Template => compileTemplate(parse(yaml) as Json, 'cel');
  const read = (block: string, args: string, output: Json) =>
    parseMock({ output }, { kind: 'block', ...blockStep(block, argsOf(args)) });

  it.each<[string, string, Json]>([
    ['sql.query', '{}', { rows: [{ id: 1 }] }],
    ['sql.query', '{}', {}],
    ['sql.execute', '{}', { rowsAffected: 1, lastInsertId: 4 }],
    ['sql.transaction', '{}', { results: [{ rowsAffected: 1, rows: [1] }] }],
    ['fs.get', '{ as: json }', { content: { a: 1 } }],
    ['fs.get', '{}', { content: 'a' }],
    ['fs.get', "{ as: '${ data.form }' }", { content: { a: 1 } }],
    ['http.request', '{}', null],
    ['http.request', '{ output: raw }', 'aGVsbG8='],
    ['http.request', '{ output: response }', { statusCode: 200, content: [1] }],
    ['http.request', "{ output: '${ data.form }' }", 5],
    ['http.request', "'${ data }'", 5],
    ['script.run', '{ code: return 1 }', { a: 1 }],
    ['script.run', '{ process: {} }', 'text'],
    ['script.run', '{ process: { return: all } }', { code: 1 }],
    ['script.run', '{ process: { return: none } }', null],
    ['script.run', "{ process: { arguments: ['${ 1 }'], return: code } }", 3],
    ['script.run', "{ process: '${ data }' }", 3],
  ])('of %s with %s may be %j', (block, args, output) => {
    expect(read(block, args, output)).toEqual({ mock: { answers: [{ output }] } });
  });

  it.each<[string, string, Json, string, (string | number)[]]>([
    [
      'sql.execute',
      '{}',
      { rowsAffected: 'many' },
      'output.rowsAffected: got "many", expected a whole number',
      ['output', 'rowsAffected'],
    ],
    [
      'sql.execute',
      '{}',
      { rowCount: 1 },
      'output.rowCount: "rowCount" is not known; there are: rowsAffected',
      ['output', 'rowCount'],
    ],
    ['sql.query', '{}', [{ id: 1 }], 'output: got an array, expected an object with columns, rows', ['output']],
    ['sql.query', '{}', { rows: 5 }, 'output.rows: got 5, expected an array', ['output', 'rows']],
    ['sql.query', '{}', { rows: [5] }, 'output.rows.0: got 5, expected an object', ['output', 'rows', 0]],
    ['sql.query', '{}', { rosw: [] }, 'did you mean "rows"?', ['output', 'rosw']],
    ['fs.get', '{}', { content: { a: 1 } }, 'output.content: got an object, expected text', ['output', 'content']],
    [
      'fs.list',
      '{}',
      { entries: [{ path: 1 }] },
      'output.entries.0.path: got 1, expected text',
      ['output', 'entries', 0, 'path'],
    ],
    ['http.request', '{ output: raw }', {}, 'output: got an object, expected text', ['output']],
    [
      'http.request',
      '{ output: response }',
      { statusCode: '200' },
      'output.statusCode: got "200"',
      ['output', 'statusCode'],
    ],
    [
      'openapi.call',
      '{ output: response }',
      { id: 5 },
      '"id" is not known; there are: request, statusCode',
      ['output', 'id'],
    ],
    ['script.run', '{ process: { return: stdout } }', { a: 1 }, 'output: got an object, expected text', ['output']],
    ['script.run', '{ process: { return: none } }', 'x', 'output: got "x", expected null', ['output']],
    [
      'script.run',
      "{ process: { stdin: '${ 1 }', return: code } }",
      'x',
      'output: got "x", expected a whole number',
      ['output'],
    ],
  ])('of %s with %s is not %j', (block, args, output, problem, at) => {
    expect(read(block, args, output)).toEqual({ problem: expect.stringContaining(problem), at });
  });

  it('of a later attempt is looked at, too', () => {
    const value = [{ timeout: true }, { output: 5 }];
    const step = { kind: 'block', ...blockStep('sql.query', argsOf('{}')) } as const;
    expect(parseMock(value, step)).toEqual({
      problem: expect.stringContaining('answer 2: output: got 5, expected an object'),
      at: [1, 'output'],
    });
  });
});

describe('a mocked error', () => {
  it.each<[string, string, string | undefined]>([
    ['sql.query', 'BLW_HTTP_STATUS', 'with which sql.query does not fail; it may with: BLW_SQL_DATABASE_UNKNOWN'],
    ['sql.query', 'BLW_SQL_FAILED', undefined],
    ['sql.query', 'BLW_STEP_TIMEOUT', undefined],
    ['http.stream', 'BLW_FS_IO', undefined],
    ['http.request', 'BLW_SCRIPT_FAILED', 'with which http.request does not fail'],
  ])('of %s may be %s: %s', (block, code, problem) => {
    const parsed = parseMock({ error: { code } }, { kind: 'block', block });
    expect(parsed).toMatchObject(
      problem === undefined ? { mock: {} } : { problem: expect.stringContaining(problem), at: ['error', 'code'] },
    );
  });
});
