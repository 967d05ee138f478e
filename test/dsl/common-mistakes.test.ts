import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText, HEADER } from './marked-flow';

const REJECTS = 'rejects %s with %s';

/** A document in a language, with these tasks. */
const flowIn = (language: string, tasks: string): string =>
  `${HEADER}evaluate: { language: ${language} }\ndo:\n${tasks.replace(/^/gm, '  ')}\n`;

/** Each is one mistake, so one problem, at the mark, that says what to write instead. */
describe('keys of other systems', () => {
  const DO = 'do: [{ a: { wait: PT1S } }]\n';
  it.each(
    badRows([
      `BLW_KEY_UNKNOWN | "steps" is not known in a flow; did you mean "do"? | ${HEADER}«steps: [{ a: { wait: PT1S } }]\n`,
      `BLW_KEY_UNKNOWN | did you mean "do"? | ${HEADER}«tasks: []\n`,
      `BLW_KEY_UNKNOWN | did you mean "schedule"? | ${HEADER}${DO}«triggers: []\n`,
      `BLW_KEY_UNKNOWN | write evaluate: { language: … } | ${HEADER}${DO}«language: cel\n`,
      `BLW_KEY_UNKNOWN | write it under use: use: { secrets: … } | ${HEADER}${DO}«secrets: [a]\n`,
      `BLW_KEY_UNKNOWN | there are no global variables | ${HEADER}${DO}«variables: { a: 1 }\n`,
      `BLW_KEY_UNKNOWN | write document: { summary: … } | ${HEADER}${DO}«description: x\n`,
      `BLW_KEY_UNKNOWN | "namespace", "name", "version": write them under document | «name: a\nnamespace: b\nversion: '1'\n${DO}`,
      `BLW_VALUE_INVALID | evaluate: got a string, expected an object such as { language: cel } | ${HEADER}evaluate: «cel\n${DO}`,
      `BLW_KEY_UNKNOWN | input: { schema: { document: … } } | ${HEADER}${DO}input: { «orderId: string }\n`,
      `BLW_UNSUPPORTED | this is a state machine in Amazon States Language | «StartAt: a\nStates: {}\n`,
      'BLW_UNSUPPORTED | this is a workflow of GitHub Actions | «name: a\non: push\njobs: {}\n',
      'BLW_UNSUPPORTED | this is a Kubernetes resource, such as a workflow of Argo | «apiVersion: v1\nkind: Workflow\nspec: {}\n',
      'BLW_UNSUPPORTED | this is a flow of Kestra | «id: a\nnamespace: b\ntasks: []\n',
      "BLW_UNSUPPORTED | this is a document of Serverless Workflow 0.8 or older | «id: a\nspecVersion: '0.8'\nstates: []\n",
    ]),
  )(REJECTS, expectProblem);

  it.each(
    badRows([
      'BLW_KEY_UNKNOWN | "retry" is not known in a call task; the retries of one step are metadata: { retry: | call: fs.list, «retry: { maximumAttempts: 3 }',
      'BLW_KEY_UNKNOWN | put the step into `try` | call: fs.list, «on-error: x',
      'BLW_KEY_UNKNOWN | did you mean "if"? | call: fs.list, «when: data.a',
      'BLW_KEY_UNKNOWN | did you mean "then"? | call: fs.list, «next: b',
      'BLW_KEY_UNKNOWN | did you mean "with"? | call: fs.list, «args: {}',
      'BLW_KEY_UNKNOWN | in the order of the list | call: fs.list, «dependsOn: [x]',
      'BLW_KEY_UNKNOWN | the name of a step is its key in the list | call: fs.list, «name: x',
      'BLW_KEY_UNKNOWN | metadata: { summary: … } | call: fs.list, «description: x',
      'BLW_KEY_UNKNOWN | a loop is a task of its own | call: fs.list, «withItems: []',
      'BLW_KEY_UNKNOWN | write it under metadata: metadata: { priorityKey: … } | call: fs.list, «priorityKey: 1',
      'BLW_KEY_UNKNOWN | "method", "endpoint": arguments of http belong under with | call: http, «method: get, endpoint: "https://x.test"',
      'BLW_TASK_UNKNOWN | did you mean "call"? | «cal: http',
      'BLW_TASK_UNKNOWN | the block of a step is under call | «type: http, with: { method: get }',
      'BLW_TASK_UNKNOWN | the block of a step is under call | «uses: actions/checkout',
      'BLW_TASK_UNKNOWN | write call: sql.query, and its arguments under with | «sql.query: { database: a }',
      'BLW_TASK_UNKNOWN | an HTTP request is call: http | «url: https://x.test',
      'BLW_TASK_UNKNOWN | did you mean "fork"? | «parallel: []',
      'BLW_TASK_UNKNOWN | did you mean "wait"? | «sleep: 5',
      'BLW_TASK_UNKNOWN | shell commands and containers are not supported | «shell: echo',
      'BLW_TASK_UNKNOWN | a script is run with run: | «script: echo',
      'BLW_VALUE_INVALID | shell commands are not supported | run: «echo hello',
      'BLW_BLOCK_UNKNOWN | did you mean "http"? | call: «rest',
      'BLW_VALUE_INVALID | each: got "$item", expected a name of letters, digits and _; write item, without a dollar | for: { each: «$item, in: data }, do: [{ x: { wait: PT1S } }]',
      'BLW_KEY_UNKNOWN | "items" is not known in for; did you mean "in"? | for: { «items: data }, do: [{ x: { wait: PT1S } }]',
      'BLW_KEY_UNKNOWN | "type" is not known in emit; write emit: { event: { with: | emit: { «type: placed }',
      'BLW_KEY_UNKNOWN | write listen: { to: { one: | listen: { «event: placed }',
      'BLW_KEY_UNKNOWN | write with: { type: … } | listen: { to: { one: { «type: placed } } }',
      'BLW_VALUE_INVALID | call: got an object, expected text: the name of a block, such as http | call: «{ http: {} }',
      'BLW_VALUE_INVALID | emit: got a string, expected an object such as { event: { with: { type: … } } } | emit: «placed',
      'BLW_KEY_UNKNOWN | a case only says where to go on | switch: [{ x: { «do: [] } }]',
      'BLW_VALUE_INVALID | raise: got a string, expected an object such as { error: NAME } | raise: «soldOut',
      'BLW_VALUE_INVALID | fork: got an array, expected an object such as { branches: [ … ] } | fork: «[]',
    ]),
  )(REJECTS, (task, code, message) => expectProblem(flowText(`- a: { ${task} }`), code, message));
});

describe('lists and names of tasks', () => {
  it.each(
    badRows([
      'BLW_VALUE_INVALID | put a dash before each name: - a: … - b: … | do: «{ a: { wait: PT1S }, b: { wait: PT1S } }\n',
      'BLW_VALUE_INVALID | give the task a name: - NAME: { … } | do: «{ call: fs.list }\n',
      'BLW_VALUE_INVALID | "wait" is a kind of task: give the task a name, - NAME: { wait: … } | do:\n  - wait: «PT5S\n',
      'BLW_VALUE_INVALID | write "- CheckOut:" for "- name: …", and the rest (uses, with) below it | do:\n  - «name: Check out\n    uses: x\n    with: {}\n',
      'BLW_VALUE_INVALID | (is the text below it indented?) | do:\n  - «a:\n    wait: PT1S\n',
      'BLW_VALUE_INVALID | give it one: - NAME: { call: …, with: … } | do:\n  - «call: fs.list\n    with: {}\n',
      'BLW_VALUE_INVALID | give it one: - NAME: { when: …, then: … } | do: [{ a: { switch: [«{ when: x, then: end }] } }]\n',
      'BLW_VALUE_INVALID | put a dash before each name: - big: … | do: [{ a: { switch: «{ big: { then: end } } } }]\n',
    ]),
  )(REJECTS, (text, code, message) => expectProblem(`${HEADER}${text}`, code, message));

  it.each(
    badRows([
      'BLW_THEN_UNKNOWN | "c" is in the list around, and `then` stays in its own; leave this list with "then: exit", and write "then: c" at "a" | - a: { do: [{ b: { wait: PT1S, then: «c } }] }\n- c: { wait: PT1S }',
      'BLW_THEN_UNKNOWN | "b" is inside of "a" | - a: { do: [{ b: { wait: PT1S } }] }\n- c: { wait: PT1S, then: «b }',
      'BLW_THEN_UNKNOWN | did you mean "end"? | - a: { wait: PT1S, then: «stop }',
      'BLW_VALUE_INVALID | then: got a number, expected text: continue, exit, end, or the name of a step | - a: { wait: PT1S, then: «3 }',
      'BLW_STEP_UNKNOWN | in scope: none; "later" runs after this step | - a: { set: «steps.later.output }\n- later: { wait: PT1S }',
      'BLW_STEP_UNKNOWN | "b" is another branch, which runs at the same time | - g: { fork: { branches: [{ a: { set: «steps.b.output } }, { b: { wait: PT1S } }] } }',
      'BLW_STEP_UNKNOWN | "a" is this step itself | - a: { set: «steps.a.output }',
      'BLW_STEP_UNKNOWN | "b" is inside of "a", and read only there | - a: { do: [{ b: { wait: PT1S } }] }\n- c: { set: «steps.b.output }',
      'BLW_STEP_UNKNOWN | "g" is the group around, which has no output yet | - g: { do: [{ a: { set: «steps.g.output } }] }',
      'BLW_STEP_UNKNOWN | steps.a.outputs: a step has nothing but "output"; write steps.a.output | - a: { wait: PT1S }\n- b: { set: «steps.a.outputs }',
      'BLW_STEP_UNKNOWN | write steps.a.output.total | - a: { wait: PT1S }\n- b: { set: «"steps.a.?total" }',
    ]),
  )(REJECTS, (tasks, code, message) => expectProblem(flowText(tasks), code, message));
});

describe('durations of other systems', () => {
  it.each<[string, string]>([
    ['10s', 'PT10S'],
    ['5m', 'PT5M'],
    ['15 minutes', 'PT15M'],
    ['1h30m', 'PT1H30M'],
    ['2 days and 3 hours', 'P2DT3H'],
    ['500ms', '{ milliseconds: 500 }'],
    ['1d', 'P1D'],
    ["'30'", 'PT30S for seconds'],
    ['30', 'PT30S for seconds'],
    ['00:05:00', 'PT5M'],
    ['pt5m', 'PT5M'],
    ['P10S', 'PT10S'],
    ['{ minute: 5 }', '{ minutes: 5 }'],
  ])('%s is %s', (written, meant) => {
    expectProblem(flowText(`- a: { wait: «${written} }`), 'BLW_DURATION_INVALID', `; write ${meant}`);
  });

  it.each(['soon', '5 parsecs', '5 years', '99999999999999999999s', 'm', '1h 5'])('%j is not guessed at', (written) => {
    const { problems } = validateFlowText(flowText(`- a: { wait: "${written}" }`));
    expect(problems).toMatchObject([{ message: expect.not.stringContaining('; write') }]);
  });

  it.each<[string, string]>([
    ['PT10S', '{ after: PT10S }'],
    ['10s', '{ after: PT10S }'],
    ['30', '{ after: PT30S }'],
    ['{ seconds: 30 }', '{ after: { seconds: 30 } }'],
  ])('a timeout %s is %s', (written, meant) => {
    expectProblem(flowText(`- a: { wait: PT1S, timeout: «${written} }`), 'BLW_VALUE_INVALID', `; write ${meant}`);
  });

  it('lets use.timeouts have a name that looks like a duration', () => {
    const text = flowText('- a: { wait: PT1S, timeout: 10s }', 'use: { timeouts: { 10s: { after: PT10S } } }\n');
    expect(validateFlowText(text).problems).toEqual([]);
  });
});

describe('arguments', () => {
  it.each(
    badRows([
      'BLW_ARG_INVALID | http: "url" is not known; did you mean "endpoint"? | call: http, with: { method: get, «url: "https://x.test" }',
      'BLW_ARG_INVALID | with: got null, expected an object of arguments (is the text below it indented?) | call: fs.list, with: «null',
      'BLW_ARG_INVALID | did you mean "statement"? | call: sql.query, with: { database: a, «query: SELECT 1 }',
      'BLW_ARG_INVALID | did you mean "path"? | call: fs.get, with: { «file: a }',
      'BLW_ARG_INVALID | did you mean "content"? | call: fs.put, with: { path: a, «data: b }',
      'BLW_ARG_INVALID | did you mean "body"? | call: http, with: { method: post, endpoint: "https://x.test", «json: {} }',
      'BLW_ARG_INVALID | write endpoint: { uri: …, authentication: … } | call: http, with: { method: get, endpoint: "https://x.test", «auth: {} }',
      'BLW_ARG_INVALID | timeout: { after: PT30S } beside call | call: http, with: { method: get, endpoint: "https://x.test", «timeout: 30 }',
      'BLW_ARG_INVALID | expected an absolute http or https URL, such as https://api.x.test/a | call: http, with: { method: get, endpoint: «api.x.test/a }',
      'BLW_ARG_INVALID | maxRows: got a string, expected integer; write 10, without quotes | call: sql.query, with: { database: a, statement: b, maxRows: «"10" }',
      'BLW_ARG_INVALID | redirect: got a string, expected boolean; write true, without quotes | call: http, with: { method: get, endpoint: "https://x.test", redirect: «yes }',
      "BLW_ARG_INVALID | path: got a number, expected string; put it in quotes: '7' | call: fs.get, with: { path: «7 }",
      "BLW_ARG_INVALID | maxRows: got a string, expected integer; that is what ${ 'ten' } gives | call: sql.query, with: { database: a, statement: b, maxRows: «\"${ 'ten' }\" }",
      'BLW_ARG_INVALID | maxRows: ${ string(data.n) } gives a string, expected integer | call: sql.query, with: { database: a, statement: b, maxRows: «"${ string(data.n) }" }',
      'BLW_ARG_INVALID | requiredApprovals: got 0, expected at least 1 | call: human.approval, with: { title: a, requiredApprovals: «0 }',
      'BLW_DURATION_INVALID | got "10s", expected ISO 8601 such as PT30S, PT1H30M or P2D; write PT10S | call: human.approval, with: { title: a, timeout: «"${ \'10s\' }" }',
      'BLW_SCHEMA_INVALID | form: type: got "text", expected | call: human.approval, with: { title: a, form: { type: «text } }',
    ]),
  )(REJECTS, (task, code, message) => expectProblem(flowText(`- a: { ${task} }`), code, message));

  it.each(['${ data.n }', '${ size(data.list) }', '${ 5 + 5 }', '${ data.n * 2.0 }', '${ data.a ? 1 : 2 }'])(
    'may be computed: maxRows: %s',
    (expression) => {
      const args = `{ database: a, statement: b, maxRows: '${expression}' }`;
      expect(validateFlowText(flowText(`- a: { call: sql.query, with: ${args} }`)).problems).toEqual([]);
    },
  );
});

describe('conditions and loops', () => {
  it.each(
    badRows([
      `BLW_EXPR_SYNTAX | it gives text, if needs an expression that gives true or false | if: «"'yes'", wait: PT1S`,
      'BLW_EXPR_SYNTAX | "yes" is not known here; write true, or in quotes for text | if: «yes, wait: PT1S',
      'BLW_VALUE_INVALID | when: got a number, expected an expression that gives true or false, such as data.total > 100 | switch: [{ x: { when: «1, then: end } }]',
      "BLW_EXPR_SYNTAX | when needs an expression that gives true or false | switch: [{ x: { when: «'1', then: end } }]",
      'BLW_EXPR_SYNTAX | it gives a number, if needs | if: «size(data.list), wait: PT1S',
      'BLW_VALUE_INVALID | for: in: got a number, expected an expression that gives a list, such as data.items | for: { in: «5 }, do: [{ x: { wait: PT1S } }]',
      "BLW_EXPR_SYNTAX | for: in needs an expression that gives a list | for: { in: «'5' }, do: [{ x: { wait: PT1S } }]",
      'BLW_EXPR_SYNTAX | "status" is not known here; there are: | if: «status == "open", wait: PT1S',
      'BLW_EXPR_SYNTAX | there is no truthiness: compare it | if: «data.a && "x", wait: PT1S',
      `BLW_EXPR_SYNTAX | "{{ .env }}" is not replaced; write data.env in its place, without quotes | if: «"'{{ .env }}' == 'prod'", wait: PT1S`,
      'BLW_EXPR_SYNTAX | braces are doubled; write ${ data.open } | if: «"{{ .open }}", wait: PT1S',
    ]),
  )(REJECTS, (task, code, message) => expectProblem(flowText(`- a: { ${task} }`), code, message));

  it.each(['jq', 'jsonata'])('of one literal are found in %s', (language) => {
    expectProblem(flowIn(language, `- a: { if: «'"yes"', wait: PT1S }`), 'BLW_EXPR_SYNTAX', 'it gives text, if needs');
  });
});

describe('text of other template languages', () => {
  const IN_SET = (value: string) => flowText(`- one: { wait: PT1S }\n- a: { set: { b: ${value} } }`);
  it.each<[string, string]>([
    ["'{{ data.foo }}'", 'for its value write ${ data.foo }; for the braces themselves write ${ "{{ data.foo }}" }'],
    ["'Hello {{name}}!'", 'for its value write ${ data.name }'],
    ["'{{ .id }}'", 'for its value write ${ data.id }'],
    ["'{{- .id -}}'", 'for its value write ${ data.id }'],
    ["'{{ . }}'", 'for its value write ${ data }'],
    ["'={{ $json.id }}'", 'for its value write ${ data.id }'],
    ["'{{ $input.id }}'", 'for its value write ${ input.id }'],
    ["'{{ inputs.id }}'", 'for its value write ${ workflow.input.id }'],
    ["'{{ outputs.one.value }}'", 'for its value write ${ steps.one.output }'],
    ["'{{ outputs.one.total }}'", 'for its value write ${ steps.one.output.total }'],
    ["'{{ name | upper }}'", 'an expression stands in ${ … } here'],
    ["'{{ if .a }}x{{ end }}'", 'an expression stands in ${ … } here'],
    ["'{{{ name }}}'", 'for its value write ${ data.name }'],
    ["'$data.x'", '"$data.x" is text: for its value write ${ data.x }; for the text itself write ${ "$data.x" }'],
    ["'$input.items[0].id'", 'write ${ input.items[0].id }'],
    ["'steps.one.output.id'", 'write ${ steps.one.output.id }'],
    ["'workflow.input.id'", 'write ${ workflow.input.id }'],
  ])('is refused: %s', (value, message) => {
    expectProblem(IN_SET(`«${value}`), 'BLW_EXPR_SYNTAX', message);
  });

  it.each([
    "'{{}}'",
    "'{{1,2},{3,4}}'",
    "'{{a,b},{c,d}}'",
    "'{{a,b}}'",
    "'{{ 5 }}'",
    '\'{{"a": 1}}\'',
    "'{{#each items}}'",
    "'a { b } and {name} and }} or {{'",
    '\'${ "{{ data.foo }}" }\'',
    '\'Dear ${ "{{name}}" }\'',
    '\'${ data.text.contains("{{name}}") }\'',
    "'$5'",
    "'$.a'",
    "'$total'",
    "'$item.price'",
    "'$USER.name'",
    "'.gitignore'",
    "'data.json'",
    "'input.txt'",
    "'steps.two.output'",
    "'workflow.input'",
    "'steps.one.output is read'",
  ])('is text: %s', (value) => {
    expect(validateFlowText(IN_SET(value)).problems).toEqual([]);
  });

  it('is refused in a URI once, and {name} is not', () => {
    const call = (uri: string) => flowText(`- a: { call: http, with: { method: get, endpoint: ${uri} } }`);
    expectProblem(call('«"https://x.test/{{ .id }}"'), 'BLW_EXPR_SYNTAX', 'a property of the data is {id} there');
    expectProblem(call('{ uri: «"https://x.test/{{ a.b | c }}" }'), 'BLW_EXPR_SYNTAX', 'all of it is one ${ … }');
    expect(validateFlowText(call('"https://x.test/{id}"')).problems).toEqual([]);
  });

  it('is explained in the language of the flow', () => {
    const tasks = "- a: { set: { b: «'{{ .id }}', c: «'$context.x' } }";
    expectProblems(flowIn('jq', tasks), ['BLW_EXPR_SYNTAX write ${ .id }', 'BLW_EXPR_SYNTAX write ${ $context.x }']);
    expectProblems(flowIn('jsonata', tasks), [
      'BLW_EXPR_SYNTAX write ${ id }',
      'BLW_EXPR_SYNTAX write ${ $context.x }',
    ]);
  });

  it('is refused in the keys of Step Functions', () => {
    const text = flowText("- a: { set: { «'id.$': $.order.id } }");
    expectProblem(text, 'BLW_EXPR_SYNTAX', '"id.$" is not read as in Step Functions; write id: ${ data.order.id }');
  });

  it('is found in linear time', () => {
    for (const text of ['{{'.repeat(200_000), '{{ a '.repeat(80_000), '}}'.repeat(200_000), '{{a}'.repeat(100_000)]) {
      const before = performance.now();
      expect(validateFlowText(IN_SET(`'${text}'`)).problems).toEqual([]);
      expect(performance.now() - before).toBeLessThan(1_000);
    }
  });
});

describe('expressions of other languages in CEL', () => {
  it.each<[string, string]>([
    ['.foo', 'write data.foo for .foo'],
    ['.x > 1', 'write data.x for .x'],
    ['1 + .x', 'write data.x for .x'],
    ['$input.x', 'write input.x for $input.x'],
    ['$.foo', 'write data.foo for $.foo'],
    ['$steps.one.output.a', 'write steps.one.output.a'],
    ['.', 'write data'],
    ['.items | length', 'write size(data.items)'],
    ['.items[].price', 'write data.items.map(item, item.price) for .items[].price'],
    ['data.a | length', 'CEL has no | to pass a value on: write size(data.a)'],
    ['data.a | upper', 'write data.a.upperAscii()'],
    ['data.a | default("x")', 'write data.?a.orValue("x")'],
    ['data.a | frobnicate', 'call a function, such as size(data.items)'],
    ['data.items[].price', 'write data.items.map(item, item.price) for each item'],
    ['data.items[*].price', 'write data.items.map(item, item.price) for each item'],
    ['data.a and data.b', 'write && for and'],
    ['not data.a', 'write ! for not'],
    ['data.a = 1', 'CEL compares with =='],
    ['data.a === 1', 'CEL compares with =='],
    ['data.items.map(x => x.a)', 'there are no arrow functions'],
    ['data?.a', 'optional access is written .? in CEL'],
    ['data.a ?? 1', 'write data.?name.orValue("none")'],
    ['data.foo == "x" ? 1', 'expected ":" and the other value: a condition is written test ? value : other'],
    ['if data.a then 1 else 2 end', 'a condition is written test ? value : other'],
    ['{ data.x }', 'braces are doubled; write ${ data.x }'],
    ['`a`', 'text stands in "…" or \'…\''],
    ['data.x-y', 'a name with - is written in brackets: data["x-y"]'],
    ['data.0', 'other names are written in brackets'],
    ['one.output.total', '"one" is not known here; write steps.one.output.total'],
    ['outputs.one.total', 'write steps.one.output.total'],
    ['inputs.id', 'write workflow.input.id'],
    ['env.HOME', 'there are no environment variables here'],
    ['item.a', '`item` exists only inside of a `for`'],
    ['len(data.a)', 'write size(x)'],
    ['data.a.toUpperCase()', 'write x.upperAscii()'],
    ['now()', 'write workflow.startedAt.iso8601'],
    ['data.a.startWith("x")', 'did you mean "startsWith"?'],
    ['1 + "a"', 'convert one side with int(…), double(…) or string(…)'],
  ])('%s', (expression, message) => {
    const quoted = JSON.stringify(`\${ ${expression} }`);
    expectProblem(flowText(`- one: { wait: PT1S }\n- a: { set: { b: «${quoted} } }`), 'BLW_EXPR_SYNTAX', message);
  });
});

describe('expressions of other languages in JSONata', () => {
  it.each<[string, string]>([
    ['.foo', 'write foo for .foo'],
    ['size(items)', 'size() is no function; write $count(…)'],
    ['sum(items)', 'write $sum(…)'],
    ['$data.x', 'write x for $data.x'],
    ['$json.x', 'write x'],
    ['a && b', 'JSONata writes `and` for &&'],
    ['items | length', 'this looks like jq'],
    ['if a then b', 'JSONata writes test ? value : other'],
    ['{ .a }', 'braces are doubled: write ${ a }'],
  ])('%s', (expression, message) => {
    const quoted = JSON.stringify(`\${ ${expression} }`);
    expectProblem(flowIn('jsonata', `- a: { set: { b: «${quoted} } }`), 'BLW_EXPR_SYNTAX', message);
  });

  it.each(['$steps.one.outputs', '$steps.one.total'])('%s is no output', (expression) => {
    for (const language of ['jsonata', 'jq']) {
      const text = flowIn(language, `- one: { wait: PT1S }\n- a: { set: «${expression} }`);
      expectProblem(text, 'BLW_STEP_UNKNOWN', 'a step has nothing but "output"');
    }
  });
});

describe('jq before jq itself checks it', () => {
  it('knows that `input` is not the input there', () => {
    expectProblem(flowIn('jq', '- a: { set: «input.x }'), 'BLW_EXPR_SYNTAX', 'write $input');
    for (const expression of ['.input.x', '{input: .x}', '$input.x', '"input.x"', '[.input]']) {
      expect(validateFlowText(flowIn('jq', `- a: { set: '${expression}' }`)).problems).toEqual([]);
    }
  });
});

describe('traps of YAML', () => {
  it.each(
    badRows([
      `BLW_EXPR_SYNTAX | Is there a " #" in it, which begins a comment | ${HEADER}evaluate: { language: cel }\ndo:\n  - a:\n      set:\n        b: «\${ data.a # b }\n`,
      'BLW_DOC_SYNTAX | tabs cannot indent; use spaces | a:\n«\tb: 1\n',
      'BLW_DOC_SYNTAX | write quotes around an expression that has | a: «${ data.x ? "a": "b" }\n',
      'BLW_DOC_SYNTAX | write quotes around an expression that has | a: "${ "«x" }"\n',
      'BLW_DOC_SYNTAX | write quotes around an expression that has | a: { b: $«{ data.x } }\n',
      'BLW_DOC_SYNTAX | text that begins with {{ needs quotes | a: {«{ x }}\n',
      "BLW_DOC_SYNTAX | begins with ! needs quotes: '!data.closed' | if: «!data.x\n",
      'BLW_DOC_SYNTAX | text that begins with > or | when: >«= 5\n',
      'BLW_DOC_SYNTAX | such a sign needs quotes | a: «@x\n',
      'BLW_DOC_SYNTAX | write quotes of the other kind around all of it | if: "a" «== data.b\n',
      'BLW_DOC_SYNTAX | text that has ": " in it needs quotes | a: «b: c\n',
      'BLW_DOC_SYNTAX | is there a space missing after a colon? | «key:value\nb: 1\n',
      'BLW_DOC_SYNTAX | in double quotes a backslash is written twice | a: "«\\d"\n',
      'BLW_DOC_SYNTAX | indent the dash like those of the list | do:\n  - a: 1\n« - b: 2\n',
      'BLW_DOC_SYNTAX | a list begins in the line below its key | do: «- a: 1\n',
      'BLW_VALUE_INVALID | 007 is the number 7 in YAML | a: «007\n',
      "BLW_VALUE_INVALID | version: got a number, expected text: a semantic version such as '1.0.0'; put it in quotes | document: { dsl: '1.0.3', namespace: a, name: b, version: «1.0 }\ndo: [{ a: { wait: PT1S } }]\n",
      "BLW_VALUE_INVALID | expected the version of OWS in quotes, such as '1.0.3' | document: { dsl: «'0.8', namespace: a, name: b, version: '1.0.0' }\ndo: [{ a: { wait: PT1S } }]\n",
    ]),
  )(REJECTS, expectProblem);
});
