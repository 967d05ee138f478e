import { ERROR_CODES } from '../../src/dsl/error-codes';
import type { Json } from '../../src/dsl/json';
import { MAX_PROBLEMS } from '../../src/dsl/problems';
import { validateFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText, HEADER } from './marked-flow';

const TASKS = 'do: [{ pause: { wait: PT1S } }]\n';

describe('the document as a whole', () => {
  it.each(
    badRows([
      'BLW_VALUE_INVALID | the document is empty | «',
      'BLW_VALUE_INVALID | the document is empty | «# soon\n# to come\n',
      'BLW_VALUE_INVALID | the document is empty | «null\n',
      'BLW_VALUE_INVALID | flow: got an array, expected an object | «- a\n- b\n',
      'BLW_VALUE_INVALID | flow: got a string | «hello',
      `BLW_KEY_MISSING | a flow needs "do" | «${HEADER}`,
      `BLW_KEY_MISSING | a flow needs "document" | «${TASKS}`,
      `BLW_KEY_UNKNOWN | did you mean "output"? | ${HEADER}${TASKS}«ouptut: { as: x }\n`,
      `BLW_KEY_UNKNOWN | it has: document, do, input, use | ${HEADER}${TASKS}«other: 1\n`,
      `BLW_KEY_UNKNOWN | "__proto__" is not known | ${HEADER}${TASKS}«__proto__: { do: [] }\n`,
      `BLW_VALUE_INVALID | do: the list is empty | ${HEADER}do: «[]\n`,
      `BLW_VALUE_INVALID | got an object, expected a list of tasks | ${HEADER}do: «{ a: { wait: PT1S } }\n`,
      `BLW_VALUE_INVALID | do: got null | ${HEADER}do:«\n`,
    ]),
  )('rejects %j with %s', expectProblem);

  it('reports the problems of all parts at once, in the order of the text', () => {
    expectProblems(
      `document: { dsl: «'2.0.0', namespace: «under_score, name: ok, version: '1.0.0', «nmae: x }
evaluate: { language: cel, mode: «loose }
«inputs: {}
do:
  - first: { «cal: http }
  - second: { set: { a: «'\${ data. }' }, then: «nowhere }
  - «second: { wait: «1s }
output:
  as: «steps.third.output
`,
      [
        'BLW_UNSUPPORTED dsl: got 2.0.0, expected 1.0.x',
        'BLW_VALUE_INVALID namespace: got "under_score"',
        'BLW_KEY_UNKNOWN did you mean "name"?',
        'BLW_UNSUPPORTED mode loose is not supported',
        'BLW_KEY_UNKNOWN did you mean "input"?',
        'BLW_TASK_UNKNOWN did you mean "call"?',
        'BLW_EXPR_SYNTAX it ends too early',
        'BLW_THEN_UNKNOWN there is no step "nowhere" in this list',
        'BLW_NAME_DUPLICATE there is a step "second" in this list already',
        'BLW_DURATION_INVALID wait: got "1s", expected ISO 8601',
        'BLW_STEP_UNKNOWN steps.third: there is no such step in scope',
      ],
    );
  });

  it('stops at as many problems as a report lists', () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `key${index}: 1`).join('\n');
    expect(validateFlowText(`${HEADER}${TASKS}${keys}\n`).problems).toHaveLength(MAX_PROBLEMS);
  });

  it('finds the same problems in data as in text, without positions', () => {
    const { problems } = validateFlow({ document: {}, do: [{ a: { wait: 'soon' } }] });
    expect(problems.map(({ code, path, message }) => `${code} ${path.join('/')} ${message}`)).toEqual([
      'BLW_KEY_MISSING document document needs "dsl"',
      'BLW_KEY_MISSING document document needs "namespace"',
      'BLW_KEY_MISSING document document needs "name"',
      'BLW_KEY_MISSING document document needs "version"',
      expect.stringContaining('BLW_DURATION_INVALID do/0/a/wait'),
    ]);
    expect(problems.every(({ position }) => position === undefined)).toBe(true);
  });

  it('refuses data that is nested deeper than the stack', () => {
    let value: Json = {};
    for (let depth = 0; depth < 100_000; depth += 1) value = [value];
    expect(validateFlow({ document: value })).toMatchObject({ problems: [{ code: 'BLW_DOC_TOO_LARGE', path: [] }] });
  });

  it('refuses tasks that are nested too deeply', () => {
    const nested = (depth: number): string =>
      flowText(`${'[{ group: { do: '.repeat(depth)}[{ pause: { wait: PT1S } }]${' } }]'.repeat(depth)}`);
    expect(validateFlowText(nested(45)).problems).toEqual([]);
    expect(validateFlowText(nested(60)).problems).toMatchObject([
      { code: 'BLW_DOC_TOO_LARGE', message: 'tasks are nested deeper than 50 levels' },
    ]);
  });
});

describe('codes of validation', () => {
  const PROVOKED: Record<string, string> = {
    BLW_DOC_SYNTAX: 'a: [',
    BLW_DOC_TOO_LARGE: '['.repeat(500),
    BLW_KEY_UNKNOWN: `${HEADER}${TASKS}other: 1\n`,
    BLW_KEY_MISSING: HEADER,
    BLW_VALUE_INVALID: `${HEADER}do: 5\n`,
    BLW_TASK_UNKNOWN: flowText('- a: {}'),
    BLW_BLOCK_UNKNOWN: flowText('- a: { call: mail.send }'),
    BLW_ARG_INVALID: flowText('- a: { call: fs.get }'),
    BLW_NAME_DUPLICATE: flowText('- a: { wait: PT1S }\n- a: { wait: PT1S }'),
    BLW_THEN_UNKNOWN: flowText('- a: { wait: PT1S, then: nowhere }'),
    BLW_REF_UNKNOWN: flowText('- a: { wait: PT1S, timeout: nothing }'),
    BLW_SECRET_PLACE: flowText('- a: { set: secrets.a }', 'use: { secrets: [a] }\n'),
    BLW_STEP_UNKNOWN: flowText('- a: { set: steps.nothing }'),
    BLW_EXPR_SYNTAX: flowText('- a: { set: data. }'),
    BLW_EXPR_LANGUAGE: `${HEADER}evaluate: { language: lua }\ndo: [{ a: { set: .a } }]\n`,
    BLW_SCHEMA_INVALID: flowText('- a: { wait: PT1S, input: { schema: { document: 5 } } }'),
    BLW_DURATION_INVALID: flowText('- a: { wait: soon }'),
    BLW_UNSUPPORTED: flowText('- a: { run: { shell: { command: ls } } }'),
  };

  it('are all provoked here', () => {
    const codes = Object.keys(ERROR_CODES);
    expect(Object.keys(PROVOKED)).toEqual(codes.slice(0, codes.indexOf('BLW_START_INVALID')));
  });

  it.each(Object.entries(PROVOKED))('include %s', (code, text) => {
    expect(new Set(validateFlowText(text).problems.map((problem) => problem.code))).toEqual(new Set([code]));
  });
});

describe('document', () => {
  const REST = "dsl: '1.0.0', namespace: a, name: b, version: '1.0.0'";
  it.each(
    badRows([
      "BLW_VALUE_INVALID | version: got a number, expected text: a semantic version such as '1.0.0'; put it in quotes | dsl: '1.0.0', namespace: a, name: b, version: «1.0",
      "BLW_VALUE_INVALID | expected a semantic version | dsl: '1.0.0', namespace: a, name: b, version: «v1",
      "BLW_VALUE_INVALID | expected a semantic version | dsl: '1.0.0', namespace: a, name: b, version: «1.0.0-01",
      "BLW_UNSUPPORTED | dsl: got 1.1.0, expected 1.0.x | dsl: «'1.1.0', namespace: a, name: b, version: '1.0.0'",
      "BLW_VALUE_INVALID | name: got empty text | dsl: '1.0.0', namespace: a, name: «'', version: '1.0.0'",
      "BLW_VALUE_INVALID | letters, digits and - | dsl: '1.0.0', namespace: a, name: «a/b, version: '1.0.0'",
      `BLW_VALUE_INVALID | at most 63 | dsl: '1.0.0', namespace: «${'a'.repeat(64)}, name: b, version: '1.0.0'`,
      `BLW_VALUE_INVALID | title: got a number | ${REST}, title: «5`,
      `BLW_VALUE_INVALID | tags: got an array | ${REST}, tags: «[a]`,
      `BLW_VALUE_INVALID | metadata: got a string | ${REST}, metadata: «fast`,
      `BLW_KEY_UNKNOWN | did you mean "retry" | ${REST}, metadata: { «rerty: {} }`,
      `BLW_VALUE_INVALID | metadata: dispatch: got "remote", expected one of queue, local | ${REST}, metadata: { dispatch: «remote }`,
    ]),
  )('rejects %s with %s', (text, code, message) => {
    expectProblem(`document: { ${text} }\n${TASKS}`, code, message);
  });

  it("keeps an author's own metadata and tags", () => {
    const text = `document: { ${REST}, tags: { team: x }, metadata: { owner: me, costs: { centre: 1 } } }\n${TASKS}`;
    expect(validateFlowText(text).problems).toEqual([]);
  });
});

describe('evaluate', () => {
  const EXPRESSION = "do: [{ a: { set: { b: '${ data }' } } }]\n";
  it.each(
    badRows([
      'BLW_EXPR_LANGUAGE | expressions in lua are not supported; there are cel, jq, jsonata | { language: «lua }',
      'BLW_EXPR_LANGUAGE | did you mean "jsonata"? | { language: «JSONata }',
      'BLW_EXPR_LANGUAGE | did you mean "cel"? | { language: «CEL }',
      'BLW_VALUE_INVALID | mode: got "lax", expected one of strict | { language: cel, mode: «lax }',
      'BLW_UNSUPPORTED | write ${ } around expressions | { language: cel, mode: «loose }',
      'BLW_KEY_UNKNOWN | it has: language, mode | { language: cel, «lang: cel }',
    ]),
  )('rejects evaluate: %s with %s', (text, code, message) => {
    expectProblem(`${HEADER}evaluate: ${text}\n${EXPRESSION}`, code, message);
  });

  it('refuses a language that is no text', () => {
    expectProblem(`${HEADER}evaluate: { language: «1 }\n${TASKS}`, 'BLW_VALUE_INVALID', 'language: got a number');
  });

  it.each([
    "{ set: { a: '${ .a }' } }",
    '{ if: .a, wait: PT1S }',
    "{ call: http, with: { method: get, endpoint: '${ .a }' } }",
    "{ wait: '${ .a }' }",
    "{ timeout: { after: '${ .a }' }, wait: PT1S }",
  ])('takes jq where no language is named: %s', (task) => {
    const { problems, unchecked } = validateFlowText(`${HEADER}do: [{ a: ${task} }]\n`);
    expect(problems).toEqual([]);
    expect(unchecked.map(({ expression }) => expression)).toEqual(['.a']);
  });

  it('wants no language where there is no expression', () => {
    const task = "{ call: http, with: { method: get, endpoint: 'https://x.test/{id}' } }";
    expect(validateFlowText(`${HEADER}do: [{ a: ${task} }]\n`).problems).toEqual([]);
  });
});

describe('input, output and timeout of the flow', () => {
  it.each(
    badRows([
      'BLW_KEY_UNKNOWN | did you mean "from"? | input: { «form: data }',
      'BLW_VALUE_INVALID | input: got a string | input: «data',
      'BLW_VALUE_INVALID | input: from (or an object): got an array | input: { from: «[data] }',
      "BLW_VALUE_INVALID | output: as: got empty text, expected an expression | output: { as: «'' }",
      'BLW_KEY_MISSING | schema needs "document" | input: { «schema: { format: json } }',
      'BLW_UNSUPPORTED | format "avro" is not supported | input: { schema: { format: «avro, document: {} } }',
      "BLW_UNSUPPORTED | put the schema under document | input: { schema: { «resource: { endpoint: 'https://x.test' } } }",
      'BLW_SCHEMA_INVALID | properties.a.type: got "strin" | input: { schema: { document: { properties: { a: { type: «strin } } } } }',
      'BLW_SCHEMA_INVALID | got a string, expected a JSON Schema | input: { schema: { document: «string } }',
      'BLW_SCHEMA_INVALID | nothing is fetched | output: { schema: { document: «{ $ref: https://x.test/schema } } }',
      'BLW_SCHEMA_INVALID | error parsing regexp | output: { schema: { document: «{ pattern: ( } } }',
      'BLW_DURATION_INVALID | timeout: after: got "1 hour" | timeout: { after: «1 hour }',
      'BLW_DURATION_INVALID | years and months have no fixed length | timeout: { after: «P1M }',
      'BLW_DURATION_INVALID | "years" is not known | timeout: { after: «{ years: 1 } }',
      'BLW_DURATION_INVALID | longer than 10 years | timeout: { after: «P4000D }',
      'BLW_KEY_MISSING | timeout needs "after" | «timeout: {}',
      'BLW_REF_UNKNOWN | use.timeouts has no "long"; it has: none | timeout: «long',
      'BLW_REF_UNKNOWN | use.timeouts has no "constructor" | timeout: «constructor',
    ]),
  )('rejects %s with %s', (text, code, message) => {
    expectProblem(flowText('- pause: { wait: PT1S }', `${text}\n`), code, message);
  });
});

describe('use', () => {
  it.each(
    badRows([
      'BLW_UNSUPPORTED | use.extensions is not supported yet | «extensions: []',
      'BLW_KEY_UNKNOWN | did you mean "errors"? | «error: {}',
      'BLW_VALUE_INVALID | use.errors: got an array | errors: «[a]',
      'BLW_KEY_MISSING | error needs "status" | errors: { «a: { type: b } }',
      'BLW_VALUE_INVALID | got "gone", expected a whole number from 100 to 599 | errors: { a: { type: b, status: «gone } }',
      'BLW_VALUE_INVALID | status: got 1000 | errors: { a: { type: b, status: «1000 } }',
      "BLW_VALUE_INVALID | type: got empty text | errors: { a: { type: «'', status: 400 } }",
      "BLW_EXPR_SYNTAX | it ends too early | errors: { a: { type: b, status: 400, detail: «'${ 1 + }' } }",
      "BLW_EXPR_SYNTAX | it ends too early | timeouts: { a: { after: «'${ 1 + }' } }",
      "BLW_EXPR_SYNTAX | it ends too early | retries: { a: { delay: «'${ 1 + }' } }",
      "BLW_EXPR_SYNTAX | it ends too early | retries: { a: { limit: { attempt: { duration: «'${ 1 + }' } } } }",
      "BLW_EXPR_SYNTAX | it ends too early | retries: { a: { jitter: { from: PT1S, to: «'${ 1 + }' } } }",
      'BLW_DURATION_INVALID | retry: delay | retries: { a: { delay: «5s } }',
      'BLW_VALUE_INVALID | exactly one of constant, linear, exponential | retries: { a: { backoff: «{ linear: {}, constant: {} } } }',
      'BLW_KEY_UNKNOWN | did you mean "exponential"? | retries: { a: { backoff: { «exponental: {} } } }',
      'BLW_KEY_UNKNOWN | "increment" is not known | retries: { a: { backoff: { linear: { «increment: PT1S } } } }',
      'BLW_VALUE_INVALID | from 1 to 10000 | retries: { a: { limit: { attempt: { count: «0 } } } }',
      'BLW_DURATION_INVALID | retry: limit.attempt.duration | retries: { a: { limit: { attempt: { duration: «10 } } } }',
      'BLW_DURATION_INVALID | retry: limit.duration | retries: { a: { limit: { duration: «{} } } }',
      'BLW_VALUE_INVALID | retry: jitter: from is longer than to | retries: { a: { jitter: «{ from: PT2S, to: PT1S } } }',
      'BLW_KEY_MISSING | retry: jitter needs "to" | retries: { a: { «jitter: { from: PT1S } } }',
      'BLW_VALUE_INVALID | retry: got a string | retries: { a: «always }',
      'BLW_VALUE_INVALID | timeout: got a string | timeouts: { a: «PT1S }',
      'BLW_VALUE_INVALID | got a boolean, expected an expression; put it in quotes | retries: { a: { when: «true } }',
    ]),
  )('rejects %s with %s', (text, code, message) => {
    expectProblem(flowText('- pause: { wait: PT1S }', `use: { ${text} }\n`), code, message);
  });

  it('lets a reusable retry look at the error', () => {
    const text = flowText(
      '- a: { try: [{ b: { wait: PT1S } }], catch: { retry: patient } }',
      "use: { retries: { patient: { when: 'error.status == 503', delay: '${ \"PT1S\" }' } } }\n",
    );
    expect(validateFlowText(text).problems).toEqual([]);
  });
});
