import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText, validFlow } from './marked-flow';

const inTask = (task: string) => flowText(`- a: ${task}`);

describe('run', () => {
  it.each(
    badRows([
      'BLW_UNSUPPORTED | run.shell is not supported yet; call a service | { run: { «shell: { command: ls } } }',
      'BLW_UNSUPPORTED | run.container is not supported yet | { run: { «container: { image: alpine } } }',
      'BLW_VALUE_INVALID | run: expected one of workflow, script, container, shell | { run: «{} }',
      'BLW_VALUE_INVALID | run: got a string | { run: «flow }',
      'BLW_KEY_UNKNOWN | did you mean "workflow"? | { run: { «workfow: {}, workflow: { namespace: a, name: b, version: latest } } }',
      'BLW_KEY_MISSING | run: workflow needs "version" | { run: { «workflow: { namespace: a, name: b } } }',
      'BLW_VALUE_INVALID | version: got "1" | { run: { workflow: { namespace: a, name: b, version: «"1" } } }',
      'BLW_VALUE_INVALID | version: got a number, expected text; put it in quotes | { run: { workflow: { namespace: a, name: b, version: «1 } } }',
      'BLW_VALUE_INVALID | name: got "${ data.name }" | { run: { workflow: { namespace: a, name: «"${ data.name }", version: latest } } }',
      'BLW_VALUE_INVALID | run: await: got a string | { run: { workflow: { namespace: a, name: b, version: latest }, await: «"no" } }',
      'BLW_VALUE_INVALID | return is for processes | { run: { workflow: { namespace: a, name: b, version: latest }, «return: stdout } }',
      'BLW_EXPR_SYNTAX | nope | { run: { workflow: { namespace: a, name: b, version: latest, input: { x: «"${ nope }" } } } }',
      'BLW_UNSUPPORTED | metadata.retry has no effect on a run task | { run: { workflow: { namespace: a, name: b, version: latest } }, metadata: { «retry: {} } }',
    ]),
  )('rejects %s with %s', (task, code, message) => {
    expectProblem(inTask(task), code, message);
  });

  it('lists flows that cannot be looked up without a catalog, and is valid', () => {
    const text = inTask('{ run: { workflow: { namespace: a, name: b, version: 1.0.0 } } }');
    expect(validateFlowText(text)).toMatchObject({ problems: [], unresolved: ['flow a/b:1.0.0'] });
  });

  it('is planned with its name, its input, and whether it is awaited', () => {
    const text = inTask(
      "{ run: { workflow: { namespace: a, name: b, version: latest, input: { n: '${ data.n }' } }, await: false } }",
    );
    expect(planFlow(validFlow(text)).tasks).toEqual([
      {
        name: 'a',
        path: '/do/0/a',
        kind: 'subflow',
        flow: 'a/b:latest',
        with: { map: [['n', { expr: 'data.n' }]] },
        await: false,
      },
    ]);
  });
});

describe('functions', () => {
  const withFunctions = (functions: string, task = '{ call: f }') =>
    flowText(`- a: ${task}`, `use: { functions: ${functions} }\n`);

  it.each(
    badRows([
      'BLW_VALUE_INVALID | function "f": got null | { f: «null }',
      'BLW_TASK_UNKNOWN | the task has no kind | { «f: {} }',
      'BLW_NAME_DUPLICATE | "fs.put" is a call that is there already | { f: { wait: PT1S }, «fs.put: { wait: PT1S } }',
      'BLW_NAME_DUPLICATE | "openapi" is a call that is there already | { f: { wait: PT1S }, «openapi: { wait: PT1S } }',
      'BLW_VALUE_INVALID | a name has no "@", ":" and "/" | { f: { wait: PT1S }, «"g:1.0.0": { wait: PT1S } }',
      'BLW_STEP_UNKNOWN | steps.a | { f: { set: «"${ steps.a.output }" } }',
      'BLW_EXPR_SYNTAX | item | { f: { set: «"${ item }" } }',
      'BLW_THEN_UNKNOWN | there is no step "a" | { f: { wait: PT1S, then: «a } }',
      'BLW_FUNCTION_RECURSIVE | f, f | { «f: { call: f } }',
      'BLW_FUNCTION_RECURSIVE | g, h, g | { f: { call: g }, «g: { do: [{ x: { call: h } }] }, h: { call: g } }',
    ]),
  )('rejects use.functions %s with %s', (functions, code, message) => {
    expectProblem(withFunctions(functions), code, message);
  });

  it.each(
    badRows([
      'BLW_VALUE_INVALID | with: got an array | { call: f, with: «[] }',
      'BLW_ARG_INVALID | f: "n" is missing | { call: f, with: «{ m: 1 } }',
      'BLW_ARG_INVALID | f: n: got a string, expected number | { call: f, with: { n: «many } }',
      'BLW_ARG_INVALID | f: "n" is missing | { call: «f }',
      'BLW_UNSUPPORTED | metadata.timeout has no effect on a function call | { call: f, with: { n: 1 }, metadata: { «timeout: PT1S } }',
      'BLW_VALUE_INVALID | expected name:version@catalog | { call: «f@default }',
      'BLW_VALUE_INVALID | got the version "1" | { call: «"f:1@default" }',
      'BLW_REF_UNKNOWN | use.catalogs has no "defualt"; did you mean "default"? | { call: «"f:1.0.0@defualt" }',
      'BLW_UNSUPPORTED | functions by URL | { call: «file:///f/1.0.0/function.yaml }',
    ]),
  )('rejects the call %s with %s', (task, code, message) => {
    const schema = '{ type: object, required: [n], properties: { n: { type: number } } }';
    expectProblem(
      withFunctions(`{ f: { input: { schema: { document: ${schema} } }, wait: PT1S } }`, task),
      code,
      message,
    );
  });

  it.each(
    badRows([
      'BLW_UNSUPPORTED | catalogs at https: are not supported yet | { c: { endpoint: «https://github.com/serverlessworkflow/catalog } }',
      'BLW_UNSUPPORTED | catalogs at HTTP: are not supported yet | { c: { endpoint: { uri: HTTP://x.test } } }«',
      'BLW_UNSUPPORTED | authentication is not supported | { c: { endpoint: { uri: "file:///c", «authentication: { basic: { username: a, password: b } } } } }',
      'BLW_VALUE_INVALID | endpoint: got a number | { c: { endpoint: «5 } }',
      'BLW_VALUE_INVALID | endpoint: expected no expression | { c: { endpoint: «"${ data.c }" } }',
      'BLW_KEY_MISSING | catalog "c" needs "endpoint" | { «c: {} }',
    ]).map(([text, code, message]): [string, string, string] =>
      text.endsWith('«')
        ? [text.replace('endpoint: { uri', 'endpoint: «{ uri').slice(0, -1), code, message]
        : [text, code, message],
    ),
  )('rejects use.catalogs %s with %s', (catalogs, code, message) => {
    expectProblem(flowText('- a: { wait: PT1S }', `use: { catalogs: ${catalogs} }\n`), code, message);
  });

  it('lists functions that cannot be looked up without a catalog, and is valid', () => {
    expect(validateFlowText(flowText("- a: { call: 'log:1.0.0@default', with: { x: 1 } }"))).toMatchObject({
      problems: [],
      unresolved: ['function log:1.0.0@default'],
    });
  });

  it('refuses functions that come to too many calls', () => {
    const levels = Array.from(
      { length: 12 },
      (_, level) => `f${level}: { do: [{ x: { call: f${level + 1} } }, { y: { call: f${level + 1} } }] }`,
    );
    const functions = `{ ${levels.join(', ')}, f12: { wait: PT1S } }`;
    expectProblems(`«${withFunctions(functions, '{ call: f0 }')}`, [
      'BLW_DOC_TOO_LARGE the functions come to 8191 calls',
    ]);
  });

  it('refuses functions that call each other too deeply', () => {
    const levels = Array.from({ length: 22 }, (_, level) => `f${level}: { call: f${level + 1} }`);
    expectProblems(`«${withFunctions(`{ ${levels.join(', ')}, f22: { wait: PT1S } }`, '{ call: f0 }')}`, [
      'BLW_DOC_TOO_LARGE the functions come to 23 calls, 23 levels deep',
    ]);
  });

  it('plans each call with a copy of the function, at a place of its own', () => {
    const text = flowText(
      "- a: { call: f, with: { n: '${ data.n }' } }\n- b: { call: f, with: { n: 2 } }",
      "use: { functions: { f: { set: { m: '${ data.n }' } } } }\n",
    );
    const inner = (path: string) => ({ name: 'f', path, kind: 'set', value: { map: [['m', { expr: 'data.n' }]] } });
    expect(planFlow(validFlow(text)).tasks).toEqual([
      {
        name: 'a',
        path: '/do/0/a',
        kind: 'function',
        function: 'f',
        with: { map: [['n', { expr: 'data.n' }]] },
        task: inner('/do/0/a/function'),
      },
      {
        name: 'b',
        path: '/do/1/b',
        kind: 'function',
        function: 'f',
        with: { value: { n: 2 } },
        task: inner('/do/1/b/function'),
      },
    ]);
  });
});
