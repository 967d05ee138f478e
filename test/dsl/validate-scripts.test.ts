import { planFlow } from '../../src/dsl/planning/plan-flow';
import { badRows, expectProblem, flowText, validFlow } from './marked-flow';

const inTask = (task: string) => flowText(`- a: ${task}`);
const script = (more: string) => `{ run: { script: { language: js, code: x${more} } } }`;

describe('run.script', () => {
  it.each(
    badRows([
      'BLW_UNSUPPORTED | language: python is not supported; write it in js, or call a service | { run: { script: { language: «python, code: x } } }',
      'BLW_UNSUPPORTED | language: javascript is not supported; write js | { run: { script: { language: «javascript, code: x } } }',
      'BLW_KEY_MISSING | run: script needs "language" | { run: { «script: { code: x } } }',
      'BLW_KEY_MISSING | run: script needs "code" | { run: { «script: { language: js } } }',
      'BLW_UNSUPPORTED | run.script.source is not supported | { run: { script: { language: js, «source: { endpoint: "https://example.com/a.js" } } } }',
      'BLW_KEY_UNKNOWN | "args" is not known in run: script | { run: { script: { language: js, code: x, «args: [a] } } }',
      `BLW_VALUE_INVALID | arguments: got 1001, expected at most 1000 | { run: { script: { language: js, code: x, arguments: «[${'1,'.repeat(1_001)}] } } }`,
      'BLW_KEY_UNKNOWN | "retrun" is not known in run: script; "return" stands beside it | { run: { script: { language: js, code: x, «retrun: all } } }',
      'BLW_KEY_UNKNOWN | "shell" is not known in run: script; it has: language, code, source, stdin, arguments, environment | { run: { script: { language: js, code: x, «shell: sh } } }',
      'BLW_UNSUPPORTED | a script is awaited | { run: { script: { language: js, code: x }, «await: false } }',
      'BLW_VALUE_INVALID | run: return | { run: { script: { language: js, code: x }, return: «result } }',
      'BLW_VALUE_INVALID | arguments: got an object, expected a list, each a text, number or boolean | { run: { script: { language: js, code: x, arguments: «{ a: 1 } } } }',
      'BLW_VALUE_INVALID | arguments: got an array, expected a text, number or boolean | { run: { script: { language: js, code: x, arguments: [a, «[b]] } } }',
      'BLW_VALUE_INVALID | environment: got null, expected a text, number or boolean | { run: { script: { language: js, code: x, environment: { a: «null } } } }',
      'BLW_EXPR_SYNTAX | nope | { run: { script: { language: js, code: x, stdin: «"${ nope }" } } }',
      'BLW_EXPR_SYNTAX | nope | { run: { script: { language: js, code: «"${ nope }" } } }',
      'BLW_UNSUPPORTED | metadata.resources: got io, expected cpu | { run: { script: { language: js, code: x } }, metadata: { resources: «io } }',
      'BLW_UNSUPPORTED | metadata.resources: got gpu, expected cpu | { call: script.run, with: { code: x }, metadata: { resources: «gpu } }',
      'BLW_VALUE_INVALID | run: expected one of | { run: «{ script: { language: js, code: x }, workflow: { namespace: a, name: b, version: latest } } }',
    ]),
  )('rejects %s with %s', (task, code, message) => {
    expectProblem(inTask(task), code, message);
  });

  it('is planned as a call of script.run, with the metadata of one', () => {
    const task = `
    run:
      script:
        language: js
        code: 'console.log(\`\${process.argv[2]}\`)'
        stdin: \${ data.text }
        arguments: [a, '\${ data.b }']
        environment: { A: 1 }
      return: all
    metadata: { resources: cpu, timeout: PT5S, summary: a script }`;
    const [plan] = planFlow(validFlow(inTask(task))).tasks;
    expect(plan).toMatchObject({
      kind: 'call',
      block: 'script.run',
      resources: 'cpu',
      startToCloseMs: 5_000,
      idempotent: true,
      with: {
        map: [
          ['code', { value: 'console.log(`${process.argv[2]}`)' }],
          [
            'process',
            {
              map: [
                ['arguments', { list: [{ value: 'a' }, { expr: 'data.b' }] }],
                ['stdin', { expr: 'data.text' }],
                ['environment', { value: { A: 1 } }],
                ['return', { value: 'all' }],
              ],
            },
          ],
        ],
      },
    });
  });

  it('is of the class cpu whatever the document says of its steps', () => {
    const text = flowText(
      '- a: { call: script.run, with: { code: x } }\n- b: { call: fs.get, with: { path: a } }',
    ).replace("version: '1.0.0'", "version: '1.0.0', metadata: { resources: io }");
    const classes = planFlow(validFlow(text)).tasks.map((task) => (task.kind === 'call' ? task.resources : ''));
    expect(classes).toEqual(['cpu', 'io']);
  });

  it('leaves code alone that has what would be expressions', () => {
    expect(() => validFlow(inTask(script('').replace('code: x', "code: '`${a} {{ b }} ${`'")))).not.toThrow();
  });
});

describe('call: script.run', () => {
  it.each(
    badRows([
      'BLW_ARG_INVALID | code | { call: script.run, with: «{ input: 1 } }',
      'BLW_DURATION_INVALID | timeout | { call: script.run, with: { code: x, timeout: «soon } }',
      'BLW_ARG_INVALID | timeout: got "PT10M", expected more than nothing and at most 5 minutes (PT5M) | { call: script.run, with: { code: x, timeout: «PT10M } }',
      'BLW_ARG_INVALID | timeout: got {"minutes":6}, expected more than nothing and at most | { call: script.run, with: { code: x, timeout: «{ minutes: 6 } } }',
      `BLW_ARG_INVALID | timeout: got "PT10M" | { call: script.run, with: { code: x, timeout: «"\${ 'PT10M' }" } }`,
      'BLW_DURATION_INVALID | timeout: | { call: script.run, with: { code: x, timeout: «10 } }',
      'BLW_ARG_INVALID | input: a process has none, give it stdin | { call: script.run, with: { code: x, «input: 1, process: {} } }',
      'BLW_ARG_INVALID | code: got "", expected at least 1 character | { call: script.run, with: { code: «"" } }',
      'BLW_EXPR_SYNTAX | nope | { call: script.run, with: { code: x, input: «"${ nope }" } }',
      'BLW_BLOCK_UNKNOWN | did you mean "script.run"? | { call: «javascript, with: { code: x } }',
    ]),
  )('rejects %s with %s', (task, code, message) => {
    expectProblem(inTask(task), code, message);
  });

  it('evaluates the input and leaves the code as it is, unless that is one expression', () => {
    const withOf = (task: string) => {
      const [plan] = planFlow(validFlow(inTask(task))).tasks;
      return plan?.kind === 'call' ? plan.with : undefined;
    };
    expect(withOf("{ call: script.run, with: { code: 'return `${input}`', input: '${ data }' } }")).toEqual({
      map: [
        ['code', { value: 'return `${input}`' }],
        ['input', { expr: 'data' }],
      ],
    });
    expect(withOf("{ call: script.run, with: { code: '${ workflow.input.code }' } }")).toEqual({
      map: [['code', { expr: 'workflow.input.code' }]],
    });
  });

  it('may be reused without a key, since it does nothing but compute', () => {
    const task = '{ call: script.run, with: { code: return 1 }, metadata: { cache: { maxAge: PT1H } } }';
    expect(() => validFlow(inTask(task))).not.toThrow();
  });
});
