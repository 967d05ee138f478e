import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, expectProblems, flowText } from './marked-flow';

const REJECTS = 'rejects %s with %s';

/** A list with the task `a`, followed by the task `b`. */
function expectInTask(task: string, code: string, message: string): void {
  expectProblem(flowText(`- a: ${task}\n- b: { wait: PT1S }`), code, message);
}

describe('lists of tasks', () => {
  it.each(
    badRows([
      'BLW_VALUE_INVALID | task: got a string, expected an object | - «pause',
      'BLW_VALUE_INVALID | task: got null | -«',
      'BLW_VALUE_INVALID | got 2 keys, expected one: the name of the task (is the text below it indented?) | - «a:\n  wait: PT1S',
      'BLW_VALUE_INVALID | got 0 keys | - «{}',
      'BLW_VALUE_INVALID | task "a": got null | - a:«',
      'BLW_VALUE_INVALID | task "a": got an array | - a: «[]',
      "BLW_VALUE_INVALID | the name must have 1 to 128 characters | - «'': { wait: PT1S }",
      `BLW_VALUE_INVALID | the name must have 1 to 128 characters | - «${'x'.repeat(129)}: { wait: PT1S }`,
      'BLW_VALUE_INVALID | and not be __proto__ | - «__proto__: { wait: PT1S }',
      'BLW_NAME_DUPLICATE | there is a step "a" in this list already | - a: { wait: PT1S }\n- «a: { wait: PT2S }',
      'BLW_NAME_DUPLICATE | rename one | - g: { do: [{ a: { wait: PT1S } }, { «a: { wait: PT1S } }] }',
      'BLW_NAME_DUPLICATE | rename one | - g: { fork: { branches: [{ a: { wait: PT1S } }, { «a: { wait: PT1S } }] } }',
    ]),
  )(REJECTS, (text, code, message) => {
    expectProblem(flowText(text), code, message);
  });

  it('lets different lists use the same names', () => {
    const group = '{ do: [{ a: { wait: PT1S } }] }';
    expect(validateFlowText(flowText(`- a: ${group}\n- b: ${group}`)).problems).toEqual([]);
  });

  it.each(['constructor', 'toString', 'a/b~c', 'mit Leerzeichen', 'end', '名前'])('takes the name %s', (name) => {
    expect(validateFlowText(flowText(`- ${name}: { wait: PT1S }`)).problems).toEqual([]);
  });
});

describe('kinds of task', () => {
  it.each(
    badRows(
      [
        'BLW_TASK_UNKNOWN | the task has no kind; it needs one of call, do, emit, for, fork, listen, raise, run, set, switch, try, wait | {}',
        'BLW_TASK_UNKNOWN | a loop with `while` needs `for` as well | { while: x }',
        'BLW_TASK_UNKNOWN | `catch` needs `try` beside it | { catch: {} }',
        'BLW_TASK_UNKNOWN | several kinds (call, set), expected one | { call: http, set: { a: 1 } }',
        'BLW_TASK_UNKNOWN | several kinds (for, set), expected one | { for: { in: data }, do: [], set: { a: 1 } }',
      ].map((row) => `${row}«`),
    ),
  )(REJECTS, (task, code, message) => {
    expectProblem(flowText(`- «a: ${task.replace('«', '')}`), code, message);
  });

  it.each(
    badRows([
      'BLW_TASK_UNKNOWN | did you mean "switch"? | { «swithc: [] }',
      'BLW_KEY_UNKNOWN | "retry" is not known in a wait task | { wait: PT1S, «retry: {} }',
      'BLW_KEY_UNKNOWN | did you mean "then"? | { wait: PT1S, «them: end }',
      'BLW_KEY_UNKNOWN | "while" is not known in a do task | { do: [{ c: { wait: PT1S } }], «while: x }',
      'BLW_VALUE_INVALID | if: got a boolean, expected an expression; put it in quotes | { if: «true, wait: PT1S }',
      'BLW_VALUE_INVALID | if: got null | { if: «null, wait: PT1S }',
      'BLW_VALUE_INVALID | then: got null, expected text | { wait: PT1S, then: «null }',
      'BLW_VALUE_INVALID | input: got a string | { wait: PT1S, input: «data }',
      'BLW_KEY_UNKNOWN | "as" is not known in input | { wait: PT1S, input: { «as: data } }',
      'BLW_KEY_UNKNOWN | "from" is not known in output | { wait: PT1S, output: { «from: data } }',
      'BLW_KEY_UNKNOWN | it has: schema, as | { wait: PT1S, export: { «to: data } }',
      'BLW_SCHEMA_INVALID | required: got a string, expected array | { wait: PT1S, export: { schema: { document: { required: «a } } } }',
      'BLW_REF_UNKNOWN | use.timeouts has no "short" | { wait: PT1S, timeout: «short }',
      'BLW_VALUE_INVALID | timeout: got 5, expected { after: DURATION } or the name of one of use.timeouts; write { after: PT5S } | { wait: PT1S, timeout: «5 }',
    ]),
  )(REJECTS, expectInTask);
});

describe('then', () => {
  it.each(
    badRows([
      'BLW_THEN_UNKNOWN | there is no step "c" in this list; expected continue, exit, end or one of: a, b | { wait: PT1S, then: «c }',
      'BLW_THEN_UNKNOWN | did you mean "continue"? | { wait: PT1S, then: «contiune }',
      'BLW_THEN_UNKNOWN | did you mean "end"? | { wait: PT1S, then: «END }',
      'BLW_THEN_UNKNOWN | no step "c" in this list; expected continue, exit, end or one of: a, b | { do: [{ c: { wait: PT1S } }], then: «c }',
      'BLW_THEN_UNKNOWN | no step "b" in this list | { do: [{ c: { wait: PT1S, then: «b } }] }',
      'BLW_THEN_UNKNOWN | no step "c" in this list | { switch: [{ x: { then: «c } }] }',
      'BLW_THEN_UNKNOWN | no step "x" in this list | { switch: [{ x: { then: «x } }] }',
      'BLW_THEN_UNKNOWN | no step "c" in this list | { try: [{ c: { wait: PT1S } }], catch: { then: «c } }',
      'BLW_THEN_UNKNOWN | no step "b" in this list | { try: [{ c: { wait: PT1S } }], catch: { do: [{ d: { wait: PT1S, then: «b } }] } }',
      'BLW_THEN_UNKNOWN | branches run side by side | { fork: { branches: [{ c: { wait: PT1S, then: «d } }, { d: { wait: PT1S } }] } }',
      'BLW_THEN_UNKNOWN | branches run side by side | { fork: { branches: [{ c: { wait: PT1S, then: «nowhere } }] } }',
      'BLW_THEN_UNKNOWN | branches run side by side | { fork: { branches: [{ c: { switch: [{ x: { then: «c } }] } }] } }',
      `BLW_THEN_UNKNOWN | no step "${'y'.repeat(79)}… | { wait: PT1S, then: «${'y'.repeat(500)} }`.replace(
        '… |',
        '…" |',
      ),
    ]),
  )(REJECTS, expectInTask);

  it.each(['continue', 'exit', 'end', 'a', 'b'])('may be %s', (target) => {
    expect(validateFlowText(flowText(`- a: { wait: PT1S, then: ${target} }\n- b: { wait: PT1S }`)).problems).toEqual(
      [],
    );
  });

  it('may be continue, exit or end in a branch', () => {
    const branches = ['continue', 'exit', 'end'].map((then) => `{ ${then}: { wait: PT1S, then: ${then} } }`);
    expect(validateFlowText(flowText(`- a: { fork: { branches: [${branches}] } }`)).problems).toEqual([]);
  });
});

describe('set, wait and raise', () => {
  it.each(
    badRows([
      'BLW_VALUE_INVALID | set: the object is empty | { set: «{} }',
      'BLW_VALUE_INVALID | set (or an object): got an array, expected an expression | { set: «[1] }',
      'BLW_VALUE_INVALID | set (or an object): got null | { set: «null }',
      'BLW_DURATION_INVALID | wait: got "5 minutes", expected ISO 8601 such as PT30S | { wait: «5 minutes }',
      'BLW_DURATION_INVALID | expected ISO 8601 text or an object such as { seconds: 30 } | { wait: «30 }',
      'BLW_DURATION_INVALID | expected at least one of days, hours | { wait: «{} }',
      'BLW_DURATION_INVALID | "second" is not known | { wait: «{ second: 1 } }',
      'BLW_DURATION_INVALID | "seconds" must be a whole number that is not negative | { wait: «{ seconds: -1 } }',
      'BLW_DURATION_INVALID | "seconds" must be a whole number | { wait: «{ seconds: 1.5 } }',
      'BLW_DURATION_INVALID | expected a duration that is not negative | { wait: «-PT1S }',
      'BLW_VALUE_INVALID | raise: got a string | { raise: «soldOut }',
      'BLW_KEY_MISSING | raise needs "error" | { «raise: {} }',
      'BLW_REF_UNKNOWN | use.errors has no "soldOut"; it has: none | { raise: { error: «soldOut } }',
      "BLW_VALUE_INVALID | {a b} in a URI: expected the name of a property | { raise: { error: { type: «'https://x.test/{a b}', status: 400 } } }",
      'BLW_KEY_MISSING | error needs "type" | { raise: { «error: { status: 400 } } }',
      'BLW_KEY_UNKNOWN | did you mean "status"? | { raise: { error: { type: a, status: 400, «statsu: 4 } } }',
      'BLW_VALUE_INVALID | status: got "teapot" | { raise: { error: { type: a, status: «teapot } } }',
      "BLW_EXPR_SYNTAX | not known here | { raise: { error: { type: a, status: «'${ status }' } } }",
    ]),
  )(REJECTS, expectInTask);
});

describe('switch', () => {
  it.each(
    badRows([
      'BLW_VALUE_INVALID | switch: got an empty list, expected cases | { switch: «[] }',
      'BLW_VALUE_INVALID | switch: got an object | { switch: «{ x: { then: end } } }',
      'BLW_VALUE_INVALID | case: got a string | { switch: [«x] }',
      'BLW_VALUE_INVALID | case "x": got a string | { switch: [{ x: «end }] }',
      'BLW_VALUE_INVALID | the name of the case | { switch: [«{ x: { then: end }, y: { then: end } }] }',
      'BLW_KEY_MISSING | case "x" needs "then" | { switch: [{ «x: { when: data } }] }',
      'BLW_KEY_UNKNOWN | did you mean "when"? | { switch: [{ x: { «wehn: data, then: end } }] }',
      'BLW_VALUE_INVALID | when: got a boolean | { switch: [{ x: { when: «true, then: end } }] }',
      'BLW_VALUE_INVALID | only one may be the default | { switch: [{ x: { then: end } }, { «y: { then: end } }] }',
      'BLW_EXPR_SYNTAX | it ends too early | { switch: [{ x: { when: «data.a ==, then: end } }] }',
    ]),
  )(REJECTS, expectInTask);
});

describe('for', () => {
  const LIST = 'do: [{ c: { wait: PT1S } }]';
  it.each(
    badRows([
      'BLW_KEY_MISSING | a for task needs "do" | { for: { in: data } }«',
      `BLW_KEY_MISSING | for needs "in" | { «for: {}, ${LIST} }`,
      `BLW_VALUE_INVALID | for: got a string | { for: «data, ${LIST} }`,
      `BLW_VALUE_INVALID | for: in: got a number, expected an expression | { for: { in: «5 }, ${LIST} }`,
      `BLW_KEY_UNKNOWN | did you mean "each"? | { for: { «eahc: x, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | for: each: got "my item", expected a name of letters | { for: { each: «my item, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | for: each: got "$item" | { for: { each: «$item, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "steps" is an argument of every expression | { for: { each: «steps, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "secrets" is an argument | { for: { each: «secrets, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "int" is a word of CEL; take another name | { for: { each: «int, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "in" is a word of CEL | { for: { at: «in, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "for" is a word of CEL | { for: { each: «for, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "google" is a word of CEL | { for: { each: «google, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | "__proto__" is a word of CEL | { for: { each: «__proto__, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | the item and its index are both called "x" | { for: { each: x, at: «x, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | both called "index" | { for: { each: «index, in: data }, ${LIST} }`,
      `BLW_VALUE_INVALID | while: got a number | { for: { in: data }, while: «1, ${LIST} }`,
      'BLW_VALUE_INVALID | do: the list is empty | { for: { in: data }, do: «[] }',
    ]),
  )(REJECTS, (task, code, message) => {
    if (task.endsWith('«')) expectProblem(flowText(`- «a: ${task.slice(0, -1)}`), code, message);
    else expectInTask(task, code, message);
  });
});

describe('fork and try', () => {
  const LIST = '[{ c: { wait: PT1S } }]';
  it.each(
    badRows([
      'BLW_KEY_MISSING | fork needs "branches" | { «fork: {} }',
      'BLW_VALUE_INVALID | branches: got an object | { fork: { branches: «{ c: { wait: PT1S } } } }',
      'BLW_VALUE_INVALID | branches: the list is empty | { fork: { branches: «[] } }',
      `BLW_VALUE_INVALID | fork: compete: got a string, expected true or false | { fork: { branches: ${LIST}, compete: «'yes' } }`,
      `BLW_VALUE_INVALID | catch: got a string | { try: ${LIST}, catch: «all }`,
      `BLW_VALUE_INVALID | try: got an object | { try: «{ c: { wait: PT1S } }, catch: {} }`,
      `BLW_KEY_UNKNOWN | did you mean "errors"? | { try: ${LIST}, catch: { «error: {} } }`,
      `BLW_KEY_UNKNOWN | it has: with | { try: ${LIST}, catch: { errors: { «status: 404 } } }`,
      `BLW_VALUE_INVALID | errors.with: it is empty | { try: ${LIST}, catch: { errors: { with: «{} } } }`,
      `BLW_VALUE_INVALID | errors.with.status: got "404", expected a whole number | { try: ${LIST}, catch: { errors: { with: { status: «'404' } } } }`,
      `BLW_VALUE_INVALID | errors.with.type: got a number | { try: ${LIST}, catch: { errors: { with: { type: «404 } } } }`,
      `BLW_VALUE_INVALID | use catch.when for an expression | { try: ${LIST}, catch: { errors: { with: { title: «'\${ data }' } } } }`,
      `BLW_VALUE_INVALID | "error-1", expected a name | { try: ${LIST}, catch: { as: «error-1 } }`,
      `BLW_VALUE_INVALID | "task" is an argument of every expression | { try: ${LIST}, catch: { as: «task } }`,
      `BLW_REF_UNKNOWN | use.retries has no "thrice" | { try: ${LIST}, catch: { retry: «thrice } }`,
      `BLW_VALUE_INVALID | retry: got a number | { try: ${LIST}, catch: { retry: «3 } }`,
      `BLW_DURATION_INVALID | retry: delay | { try: ${LIST}, catch: { retry: { delay: «1 } } }`,
      `BLW_VALUE_INVALID | do: the list is empty | { try: ${LIST}, catch: { do: «[] } }`,
      `BLW_EXPR_SYNTAX | did you mean "problem"? | { try: ${LIST}, catch: { as: problem, when: «problm.status == 404 } }`,
    ]),
  )(REJECTS, expectInTask);

  it('reports a try without catch at the task', () => {
    expectProblems(flowText(`- «a: { try: ${LIST} }`), ['BLW_KEY_MISSING a try task needs "catch"']);
  });
});

describe('metadata', () => {
  const CALL = 'call: fs.list';
  it.each(
    badRows([
      `BLW_VALUE_INVALID | resources: got "tpu", expected one of io, cpu, gpu | { ${CALL}, metadata: { resources: «tpu } }`,
      `BLW_VALUE_INVALID | priorityKey: got 9, expected a whole number from 1 to 5 | { ${CALL}, metadata: { priorityKey: «9 } }`,
      `BLW_VALUE_INVALID | fairnessWeight: got 0, expected a number from 0.001 | { ${CALL}, metadata: { fairnessWeight: «0 } }`,
      `BLW_VALUE_INVALID | idempotent: got a string | { ${CALL}, metadata: { idempotent: «'yes' } }`,
      `BLW_VALUE_INVALID | summary: got a number | { ${CALL}, metadata: { summary: «1 } }`,
      `BLW_EXPR_SYNTAX | "\${" is never closed | { ${CALL}, metadata: { summary: «'List of \${ data' } }`,
      `BLW_DURATION_INVALID | metadata: timeout: got "\${ data.t }", expected ISO 8601 | { ${CALL}, metadata: { timeout: «'\${ data.t }' } }`,
      `BLW_DURATION_INVALID | metadata: timeout: expected at least 1 ms | { ${CALL}, metadata: { timeout: «PT0S } }`,
      `BLW_DURATION_INVALID | metadata: heartbeat | { ${CALL}, metadata: { heartbeat: «often } }`,
      `BLW_DURATION_INVALID | metadata: heartbeat: expected at least 2000 ms | { ${CALL}, metadata: { heartbeat: «PT1S } }`,
      `BLW_VALUE_INVALID | metadata: retry: got a number | { ${CALL}, metadata: { retry: «3 } }`,
      `BLW_KEY_UNKNOWN | did you mean "maximumAttempts"? | { ${CALL}, metadata: { retry: { «maximumAttempt: 3 } } }`,
      `BLW_VALUE_INVALID | maximumAttempts: got 0 | { ${CALL}, metadata: { retry: { maximumAttempts: «0 } } }`,
      `BLW_VALUE_INVALID | backoffCoefficient: expected a number from 1 | { ${CALL}, metadata: { retry: { backoffCoefficient: «0.5 } } }`,
      `BLW_DURATION_INVALID | retry: initialInterval | { ${CALL}, metadata: { retry: { initialInterval: «{} } } }`,
      `BLW_DURATION_INVALID | retry: maximumInterval: expected at least 1 ms | { ${CALL}, metadata: { retry: { maximumInterval: «PT0S } } }`,
      `BLW_VALUE_INVALID | expected a list of error codes | { ${CALL}, metadata: { retry: { nonRetryableErrorTypes: «BLW_FS_IO } } }`,
      `BLW_KEY_UNKNOWN | did you mean "timeout" instead of "timeot"? | { ${CALL}, metadata: { «timeot: PT1S } }`,
      `BLW_UNSUPPORTED | metadata.concurrency has no effect on a call task; it belongs to for | { ${CALL}, metadata: { «concurrency: 3 } }`,
      'BLW_VALUE_INVALID | concurrency: got 0 | { for: { in: data }, do: [{ c: { wait: PT1S } }], metadata: { concurrency: «0 } }',
      'BLW_VALUE_INVALID | batchSize: got 5000 | { for: { in: data }, do: [{ c: { wait: PT1S } }], metadata: { batchSize: «5000 } }',
      'BLW_VALUE_INVALID | toleratedFailures: got "101%", expected a whole number from 0, or a share such as 5% | { for: { in: data }, do: [{ c: { wait: PT1S } }], metadata: { toleratedFailures: «101% } }',
      'BLW_UNSUPPORTED | while: the iterations run side by side | { for: { in: data }, «while: data, do: [{ c: { wait: PT1S } }], metadata: { concurrency: 2 } }',
      'BLW_UNSUPPORTED | export: the iterations run side by side | { for: { in: data }, do: [{ c: { wait: PT1S, «export: { as: data } } }], metadata: { concurrency: 2 } }',
      `BLW_VALUE_INVALID | metadata: onFailure: got "park" | { ${CALL}, metadata: { onFailure: «park } }`,
      'BLW_UNSUPPORTED | metadata.onFailure has no effect on a do task | { do: [{ c: { wait: PT1S } }], metadata: { «onFailure: continue } }',
      `BLW_VALUE_INVALID | compensate: got a string, expected a list of tasks | { ${CALL}, metadata: { compensate: «x } }`,
      `BLW_UNSUPPORTED | what undoes a step is not undone itself | { ${CALL}, metadata: { compensate: [{ u: { ${CALL}, metadata: { «compensate: [{ v: { wait: PT1S } }] } } }] } }`,
      `BLW_THEN_UNKNOWN | no step "t" in this list | { ${CALL}, metadata: { compensate: [{ u: { ${CALL}, then: «t } }] } }`,
      `BLW_EXPR_SYNTAX | "eror" is not known here; did you mean "error"? | { ${CALL}, metadata: { compensate: [{ u: { set: { x: «'\${ eror }' } } }] } }`,
      'BLW_UNSUPPORTED | metadata.retry has no effect on a do task | { do: [{ c: { wait: PT1S } }], metadata: { «retry: {} } }',
      'BLW_UNSUPPORTED | write it on its calls or in document.metadata | { wait: PT1S, metadata: { «timeout: PT1S } }',
      `BLW_VALUE_INVALID | metadata: dispatch: got "x" | { ${CALL}, metadata: { dispatch: «x } }`,
      'BLW_UNSUPPORTED | metadata.dispatch: local is not for a step that sends a method that changes something | { call: http, with: { method: post, endpoint: http://a.example }, metadata: { dispatch: «local } }',
      'BLW_UNSUPPORTED | is not for a step that is a http.stream | { call: http.stream, with: { endpoint: http://a.example, to: a }, metadata: { dispatch: «local } }',
      'BLW_UNSUPPORTED | is not for a step that runs in the pool cpu | { call: fs.list, metadata: { resources: cpu, dispatch: «local } }',
      'BLW_UNSUPPORTED | is not for a step that writes without the ledger | { call: sql.execute, with: { database: a, statement: DELETE FROM t }, metadata: { idempotent: true, dispatch: «local } }',
      'BLW_UNSUPPORTED | metadata.dispatch has no effect on human.approval | { call: human.approval, with: { title: a }, metadata: { «dispatch: local } }',
      `BLW_VALUE_INVALID | metadata: mock: got a string, expected {"output": …} | { ${CALL}, metadata: { mock: «x } }`,
      `BLW_VALUE_INVALID | metadata: mock: got {"outptu":1}, did you mean "output"? | { ${CALL}, metadata: { mock: «{ outptu: 1 } } }`,
      `BLW_VALUE_INVALID | metadata: mock: output.size: got "x", expected a whole number | { call: fs.put, with: { path: a, content: b }, metadata: { mock: { output: { size: «x } } } }`,
      `BLW_VALUE_INVALID | metadata: mock: output: got an object, expected text | { run: { script: { language: js, code: x } }, metadata: { mock: { output: «{ a: 1 } } } }`,
      `BLW_VALUE_INVALID | metadata: mock: got {"mocks":{}}, expected {"output": …} | { run: { script: { language: js, code: x } }, metadata: { mock: «{ mocks: {} } } }`,
      'BLW_UNSUPPORTED | metadata.mock has no effect on a set task | { set: { a: 1 }, metadata: { «mock: { output: 1 } } }',
    ]),
  )(REJECTS, expectInTask);
});
