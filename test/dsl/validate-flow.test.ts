import type { Json } from '../../src/dsl/json';
import { MAX_PROBLEMS } from '../../src/dsl/problems';
import { validateFlow, validateFlowText } from '../../src/dsl/validation/validate-flow';
import { type Expected, expectProblems, flowText } from './marked-flow';

const TASK = 'do: [{ pause: { wait: PT1S } }]\n';
const HEADER = "document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }\n";

describe('the document as a whole', () => {
  it.each<[string, string, Expected[]]>(
    [
      ['nothing', '«', [['BLW_VALUE_INVALID', 'the document is empty']]],
      ['only comments', '«# soon\n# to come\n', [['BLW_VALUE_INVALID', 'the document is empty']]],
      ['a list', '«- a\n- b\n', [['BLW_VALUE_INVALID', 'flow: got an array, expected an object']]],
      ['text', '«hello', [['BLW_VALUE_INVALID', 'flow: got a string']]],
      [
        'an empty object',
        '«{}',
        [
          ['BLW_KEY_MISSING', 'a flow needs "document"'],
          ['BLW_KEY_MISSING', 'a flow needs "do"'],
        ].slice(0, 1) as Expected[],
      ],
      ['a slip in a key', `${HEADER}${TASK}«ouptut: { as: x }\n`, [['BLW_KEY_UNKNOWN', 'did you mean "output"?']]],
      ['a key of its own', `${HEADER}${TASK}«version: 1\n`, [['BLW_KEY_UNKNOWN', 'it has: document, do, input, use']]],
      ['no tasks', `${HEADER}do: «[]\n`, [['BLW_VALUE_INVALID', 'do: the list is empty']]],
      [
        'tasks that are no list',
        `${HEADER}do: «{ a: { wait: PT1S } }\n`,
        [['BLW_VALUE_INVALID', 'got an object, expected a list']],
      ],
      [
        'a schedule',
        `${HEADER}${TASK}«schedule: { cron: '0 0 * * *' }\n`,
        [['BLW_UNSUPPORTED', 'a Temporal schedule']],
      ],
    ].filter(([name]) => name !== 'an empty object') as [string, string, Expected[]][],
  )('rejects %s', (_name, text, expected) => {
    expectProblems(text, expected);
  });

  it('names every key that an empty object lacks', () => {
    const { problems } = validateFlowText('{}');
    expect(problems.map(({ code, message }) => `${code} ${message}`)).toEqual([
      'BLW_KEY_MISSING a flow needs "document"',
      'BLW_KEY_MISSING a flow needs "do"',
    ]);
  });

  it('reports the problems of all parts at once, in the order of the text', () => {
    expectProblems(
      `document: { dsl: «'2.0.0', namespace: «under_score, name: ok, version: '1.0.0', «nmae: x }
evaluate: { language: cel, mode: «loose }
«inputs: {}
do:
  - «first: { cal: http }
  - second: { set: { a: «'\${ data. }' }, then: «nowhere }
  - «second: { wait: «1s }
output:
  as: «steps.third.output
`,
      [
        ['BLW_UNSUPPORTED', 'dsl: got 2.0.0, expected 1.0.x'],
        ['BLW_VALUE_INVALID', 'namespace: got "under_score"'],
        ['BLW_KEY_UNKNOWN', 'did you mean "name"?'],
        ['BLW_UNSUPPORTED', 'mode loose is not supported'],
        ['BLW_KEY_UNKNOWN', 'did you mean "input"?'],
        ['BLW_TASK_UNKNOWN', 'did you mean "call"?'],
        ['BLW_EXPR_SYNTAX', 'Expected IDENTIFIER'],
        ['BLW_THEN_UNKNOWN', 'there is no step "nowhere" in this list'],
        ['BLW_NAME_DUPLICATE', 'there is a step "second" in this list already'],
        ['BLW_DURATION_INVALID', 'wait: got "1s", expected ISO 8601'],
        ['BLW_STEP_UNKNOWN', 'steps.third: there is no such step in scope'],
      ],
    );
  });

  it('stops at as many problems as a report lists', () => {
    const keys = Array.from({ length: 5_000 }, (_, index) => `key${index}: 1`).join('\n');
    expect(validateFlowText(`${HEADER}${TASK}${keys}\n`).problems).toHaveLength(MAX_PROBLEMS);
  });

  it('finds the same problems in data as in text, without positions', () => {
    const { problems } = validateFlow({ document: {}, do: [{ a: { wait: 'soon' } }] });
    expect(problems.map(({ code, path }) => `${code} ${path.join('/')}`)).toEqual([
      'BLW_KEY_MISSING document',
      'BLW_KEY_MISSING document',
      'BLW_KEY_MISSING document',
      'BLW_KEY_MISSING document',
      'BLW_DURATION_INVALID do/0/a/wait',
    ]);
    expect(problems.every(({ position }) => position === undefined)).toBe(true);
  });

  it('refuses data that is nested deeper than the stack is', () => {
    let value: Json = {};
    for (let depth = 0; depth < 100_000; depth += 1) value = [value];
    expect(validateFlow({ document: value })).toMatchObject({ problems: [{ code: 'BLW_DOC_TOO_LARGE', path: [] }] });
  });

  it('refuses tasks that are nested too deeply', () => {
    const nested = (depth: number): string =>
      flowText(`${'[{ group: { do: '.repeat(depth)}[{ pause: { wait: PT1S } }]${' } }]'.repeat(depth)}`);
    expect(validateFlowText(nested(48)).problems).toEqual([]);
    expect(validateFlowText(nested(60)).problems).toMatchObject([
      { code: 'BLW_DOC_TOO_LARGE', message: 'tasks are nested deeper than 50 levels' },
    ]);
  });
});

describe('document', () => {
  const inHeader = (part: string) => `document: { ${part} }\n${TASK}`;
  const rest = "dsl: '1.0.0', namespace: a, name: b, version: '1.0.0'";
  it.each<[string, string, Expected]>([
    [
      'no version',
      `«document: { dsl: '1.0.0', namespace: a, name: b }\n${TASK}`,
      ['BLW_KEY_MISSING', 'document needs "version"'],
    ],
    [
      'a version that is a number',
      inHeader("dsl: '1.0.0', namespace: a, name: b, version: «1.0"),
      ['BLW_VALUE_INVALID', 'version: got a number, expected text; put it in quotes'],
    ],
    [
      'a version that is none',
      inHeader("dsl: '1.0.0', namespace: a, name: b, version: «v1"),
      ['BLW_VALUE_INVALID', "expected a semantic version such as '1.0.0'"],
    ],
    [
      'a version with zeros in front',
      inHeader("dsl: '1.0.0', namespace: a, name: b, version: «1.0.0-01"),
      ['BLW_VALUE_INVALID', 'semantic version'],
    ],
    [
      'a later DSL',
      inHeader("dsl: «'1.1.0', namespace: a, name: b, version: '1.0.0'"),
      ['BLW_UNSUPPORTED', 'expected 1.0.x'],
    ],
    [
      'an empty name',
      inHeader("dsl: '1.0.0', namespace: a, name: «'', version: '1.0.0'"),
      ['BLW_VALUE_INVALID', 'name: got empty text'],
    ],
    [
      'a name with a slash',
      inHeader("dsl: '1.0.0', namespace: a, name: «a/b, version: '1.0.0'"),
      ['BLW_VALUE_INVALID', 'letters, digits and -'],
    ],
    [
      'a name of 64 characters',
      inHeader(`dsl: '1.0.0', namespace: «${'a'.repeat(64)}, name: b, version: '1.0.0'`),
      ['BLW_VALUE_INVALID', 'at most 63'],
    ],
    ['a title that is no text', inHeader(`${rest}, title: «5`), ['BLW_VALUE_INVALID', 'title: got a number']],
    ['tags that are a list', inHeader(`${rest}, tags: «[a]`), ['BLW_VALUE_INVALID', 'tags: got an array']],
    ['metadata that is text', inHeader(`${rest}, metadata: «fast`), ['BLW_VALUE_INVALID', 'metadata: got a string']],
    [
      'a slip in metadata',
      inHeader(`${rest}, metadata: { «reties: {} }`),
      ['BLW_KEY_UNKNOWN', 'did you mean "retry"'],
    ],
    [
      'metadata for later',
      inHeader(`${rest}, metadata: { «onFailure: continue }`),
      ['BLW_UNSUPPORTED', 'metadata.onFailure is not supported yet'],
    ],
  ])('rejects %s', (_name, text, expected) => {
    expectProblems(text, [expected]);
  });

  it("keeps an author's own metadata and tags", () => {
    const text = inHeader(`${rest}, tags: { team: x }, metadata: { owner: me, costs: { centre: 1 } }`);
    expect(validateFlowText(text).problems).toEqual([]);
  });
});

describe('evaluate', () => {
  const withEvaluate = (evaluate: string, tasks = "[{ a: { set: { b: '${ data }' } } }]") =>
    `${HEADER}${evaluate}do: ${tasks}\n`;
  it.each<[string, string, Expected]>([
    ['no language', `«${withEvaluate('')}`, ['BLW_EXPR_LANGUAGE', 'names no language, which means jq']],
    [
      'jq',
      withEvaluate('evaluate: { language: «jq }\n'),
      ['BLW_EXPR_LANGUAGE', 'expressions in jq are not supported yet'],
    ],
    ['jsonata', withEvaluate('evaluate: { language: «jsonata }\n'), ['BLW_EXPR_LANGUAGE', 'expressions in jsonata']],
    ['CEL in capitals', withEvaluate('evaluate: { language: «CEL }\n'), ['BLW_EXPR_LANGUAGE', 'did you mean "cel"?']],
    [
      'a language that is no text',
      withEvaluate('evaluate: { language: «1 }\n', '[{ a: { wait: PT1S } }]'),
      ['BLW_VALUE_INVALID', 'evaluate: language: got a number'],
    ],
    [
      'a mode that is unknown',
      withEvaluate('evaluate: { language: cel, mode: «lax }\n'),
      ['BLW_VALUE_INVALID', 'got "lax", expected one of strict'],
    ],
    [
      'an unknown key',
      withEvaluate('evaluate: { language: cel, «lang: cel }\n'),
      ['BLW_KEY_UNKNOWN', 'it has: language, mode'],
    ],
  ])('rejects %s', (_name, text, expected) => {
    expectProblems(text, [expected]);
  });

  it.each([
    ['`${ }`', "{ set: { a: '${ .a }' } }"],
    ['an unclosed `${`, which another language may close elsewhere', "{ set: { a: '${ .a # it' } }"],
    ['a field that is an expression', '{ if: .a, wait: PT1S }'],
    ['several expressions in a field', "{ set: '${ .a } ${ .b }' }"],
    ['a URI', '{ call: http, with: { method: get, endpoint: "https://x.test/${ .a }" } }'],
  ])('wants a language where the only expression is in %s', (_name, task) => {
    expectProblems(`«${withEvaluate('', `[{ a: ${task} }]`)}`, [['BLW_EXPR_LANGUAGE', 'names no language']]);
  });

  it('wants no language where there is no expression', () => {
    const task = '{ call: http, with: { method: get, endpoint: "https://x.test/{id}" } }';
    expect(validateFlowText(withEvaluate('', `[{ a: ${task} }]`)).problems).toEqual([]);
  });
});

describe('input, output and timeout of the flow', () => {
  it.each<[string, string, Expected]>(
    [
      ['an unknown key', 'input: { «form: data }\n', ['BLW_KEY_UNKNOWN', 'did you mean "from"?']],
      ['an input that is text', 'input: «data\n', ['BLW_VALUE_INVALID', 'input: got a string']],
      [
        'input.from as a list',
        'input: { from: «[data] }\n',
        ['BLW_VALUE_INVALID', 'input: from (or an object): got an array'],
      ],
      [
        'an empty expression',
        "output: { as: «'' }\n",
        ['BLW_VALUE_INVALID', 'output: as: got empty text, expected an expression'],
      ],
      [
        'a schema without document',
        'input: { «schema: { format: json } }\n',
        ['BLW_KEY_MISSING', 'schema needs "document"'],
      ],
      [
        'a schema of another format',
        'input: { schema: { format: «avro, document: {} } }\n',
        ['BLW_UNSUPPORTED', 'format "avro" is not supported'],
      ],
      [
        'a schema elsewhere',
        'input: { schema: { «resource: { endpoint: "https://x.test" } } }\n',
        ['BLW_UNSUPPORTED', 'put the schema under document'],
      ],
      [
        'a schema that is none',
        'input: { schema: { document: { properties: { a: { type: «strin } } } } }\n',
        ['BLW_SCHEMA_INVALID', 'schema: properties.a.type: got "strin"'],
      ],
      [
        'a schema that is text',
        'input: { schema: { document: «string } }\n',
        ['BLW_SCHEMA_INVALID', 'expected a JSON Schema'],
      ],
      ['a timeout without after', '«timeout: { afer: PT1S }\n', ['BLW_KEY_MISSING', 'timeout needs "after"']],
      [
        'a timeout that is no duration',
        'timeout: { after: «1 hour }\n',
        ['BLW_DURATION_INVALID', 'timeout: after: got "1 hour"'],
      ],
      [
        'a timeout of a month',
        'timeout: { after: «P1M }\n',
        ['BLW_DURATION_INVALID', 'years and months have no fixed length'],
      ],
      [
        'a timeout in years',
        'timeout: { after: «{ years: 1 } }\n',
        ['BLW_DURATION_INVALID', '"years" is not known'],
      ],
      [
        'a timeout that use does not define',
        'timeout: «long\n',
        ['BLW_REF_UNKNOWN', 'use.timeouts has no "long"; it has: none'],
      ],
    ].map(([name, before, expected]) => [name, before, expected] as [string, string, Expected]),
  )('rejects %s', (name, before, expected) => {
    const text = flowText('- pause: { wait: PT1S }', before);
    if (name === 'a timeout without after') {
      expectProblems(text.replace('{ afer', '{ «afer'), [expected, ['BLW_KEY_UNKNOWN', 'did you mean "after"?']]);
    } else expectProblems(text, [expected]);
  });
});

describe('use', () => {
  it.each<[string, string, Expected]>([
    ['secrets', '«secrets: [a]', ['BLW_UNSUPPORTED', 'use.secrets is not supported yet']],
    ['functions', '«functions: { f: { wait: PT1S } }', ['BLW_UNSUPPORTED', 'use.functions']],
    ['extensions', '«extensions: []', ['BLW_UNSUPPORTED', 'use.extensions']],
    ['catalogs', '«catalogs: {}', ['BLW_UNSUPPORTED', 'use.catalogs']],
    ['a slip', '«error: {}', ['BLW_KEY_UNKNOWN', 'did you mean "errors"?']],
    ['errors as a list', 'errors: «[a]', ['BLW_VALUE_INVALID', 'use.errors: got an array']],
    ['an error without status', 'errors: { «a: { type: b } }', ['BLW_KEY_MISSING', 'error needs "status"']],
    [
      'a status that is a name',
      'errors: { a: { type: b, status: «gone } }',
      ['BLW_VALUE_INVALID', 'error: status: got "gone", expected a whole number from 100 to 599'],
    ],
    ['a status out of range', 'errors: { a: { type: b, status: «1000 } }', ['BLW_VALUE_INVALID', 'got 1000']],
    [
      'an error without a type',
      "errors: { a: { type: «'', status: 400 } }",
      ['BLW_VALUE_INVALID', 'error: type: got empty text'],
    ],
    [
      'an expression in an error that does not parse',
      "errors: { a: { type: b, status: 400, detail: «'${ 1 + }' } }",
      ['BLW_EXPR_SYNTAX', 'it ends too early'],
    ],
    [
      'an expression in a timeout that does not parse',
      "timeouts: { a: { after: «'${ 1 + }' } }",
      ['BLW_EXPR_SYNTAX', 'it ends too early'],
    ],
    [
      'an expression in a delay that does not parse',
      "retries: { a: { delay: «'${ 1 + }' } }",
      ['BLW_EXPR_SYNTAX', 'it ends too early'],
    ],
    ['a delay', 'retries: { a: { delay: «5s } }', ['BLW_DURATION_INVALID', 'retry: delay']],
    [
      'two kinds of backoff',
      'retries: { a: { backoff: «{ linear: {}, constant: {} } } }',
      ['BLW_VALUE_INVALID', 'exactly one of constant, linear, exponential'],
    ],
    [
      'an unknown backoff',
      'retries: { a: { backoff: { «exponental: {} } } }',
      ['BLW_KEY_UNKNOWN', 'did you mean "exponential"?'],
    ],
    [
      'a backoff with settings',
      'retries: { a: { backoff: { linear: { «increment: PT1S } } } }',
      ['BLW_KEY_UNKNOWN', '"increment" is not known'],
    ],
    [
      'a limit of no attempt',
      'retries: { a: { limit: { attempt: { count: «0 } } } }',
      ['BLW_VALUE_INVALID', 'from 1 to 10000'],
    ],
    [
      'an attempt without a unit',
      'retries: { a: { limit: { attempt: { duration: «10 } } } }',
      ['BLW_DURATION_INVALID', 'retry: limit.attempt.duration'],
    ],
    [
      'jitter without an end',
      'retries: { a: { «jitter: { from: PT1S } } }',
      ['BLW_KEY_MISSING', 'retry: jitter needs "to"'],
    ],
    ['a retry that is text', 'retries: { a: «always }', ['BLW_VALUE_INVALID', 'retry: got a string']],
    ['a timeout that is text', 'timeouts: { a: «PT1S }', ['BLW_VALUE_INVALID', 'timeout: got a string']],
    [
      'a condition that is true',
      'retries: { a: { when: «true } }',
      ['BLW_VALUE_INVALID', 'got a boolean, expected an expression; put it in quotes'],
    ],
    [
      'oauth2',
      'authentications: { a: { «oauth2: {} } }',
      ['BLW_UNSUPPORTED', 'oauth2 is not supported yet; there are basic and bearer'],
    ],
    ['digest', 'authentications: { a: { «digest: {} } }', ['BLW_UNSUPPORTED', 'digest']],
    ['oidc', 'authentications: { a: { «oidc: {} } }', ['BLW_UNSUPPORTED', 'oidc']],
    [
      'two schemes',
      'authentications: { a: «{ basic: {}, bearer: {} } }',
      ['BLW_VALUE_INVALID', 'exactly one of use, basic, bearer'],
    ],
    [
      'basic from a secret',
      'authentications: { a: { basic: { «use: secret } } }',
      ['BLW_UNSUPPORTED', 'basic from a secret'],
    ],
    [
      'basic without a password',
      'authentications: { a: { «basic: { username: a } } }',
      ['BLW_KEY_MISSING', 'authentication: basic needs "password"'],
    ],
    [
      'a password that is a number',
      'authentications: { a: { basic: { username: a, password: «1234 } } }',
      ['BLW_VALUE_INVALID', 'basic: password: got a number'],
    ],
    ['bearer without a token', 'authentications: { a: { «bearer: {} } }', ['BLW_KEY_MISSING', 'needs "token"']],
    [
      'a policy that refers to another',
      'authentications: { a: { use: «b }, b: { bearer: { token: x } } }',
      ['BLW_REF_UNKNOWN', 'use.authentications has no "b"'],
    ],
  ])('rejects %s', (_name, use, expected) => {
    expectProblems(flowText('- pause: { wait: PT1S }', `use: { ${use} }\n`), [expected]);
  });

  it('lets a reusable retry look at the error', () => {
    const text = flowText(
      '- a: { try: [{ b: { wait: PT1S } }], catch: { retry: patient } }',
      "use: { retries: { patient: { when: 'error.status == 503', delay: '${ \"PT1S\" }' } } }\n",
    );
    expect(validateFlowText(text).problems).toEqual([]);
  });
});
