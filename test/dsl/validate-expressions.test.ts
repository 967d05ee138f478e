import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { expectProblem, flowText, HEADER } from './marked-flow';

/** A document with an expression at each place of the table of OWS dsl, "Runtime expression arguments". */
const PLACES: Record<string, (expression: string) => string> = {
  'input.from of the flow': (expression) => flowText('- a: { wait: PT1S }', `input: { from: ${expression} }\n`),
  'timeout of the flow': (expression) =>
    flowText('- a: { wait: PT1S }', `timeout: { after: ${templated(expression)} }\n`),
  'if of a task': (expression) => flowText(`- a: { if: ${expression}, wait: PT1S }`),
  'input.from of a task': (expression) => flowText(`- a: { input: { from: ${expression} }, wait: PT1S }`),
  'the definition of a task': (expression) => flowText(`- a: { set: { b: ${templated(expression)} } }`),
  'output.as of a task': (expression) => flowText(`- a: { wait: PT1S, output: { as: ${expression} } }`),
  'export.as of a task': (expression) => flowText(`- a: { wait: PT1S, export: { as: ${expression} } }`),
  'output.as of the flow': (expression) => flowText('- a: { wait: PT1S }', `output: { as: ${expression} }\n`),
};

function templated(marked: string): string {
  return marked.replace(/^(«?)(.*)$/, "$1'${ $2 }'");
}

/** Rows of that table; `data` is what the expression is evaluated on, `steps` is ours. */
const AVAILABLE: Record<string, readonly string[]> = {
  'input.from of the flow': ['data', 'workflow', 'runtime'],
  'timeout of the flow': ['data', 'workflow', 'runtime'],
  'if of a task': ['data', 'context', 'task', 'workflow', 'runtime', 'steps'],
  'input.from of a task': ['data', 'context', 'task', 'workflow', 'runtime', 'steps'],
  'the definition of a task': ['data', 'context', 'input', 'task', 'workflow', 'runtime', 'steps'],
  'output.as of a task': ['data', 'context', 'input', 'task', 'workflow', 'runtime', 'steps'],
  'export.as of a task': ['data', 'context', 'input', 'output', 'task', 'workflow', 'runtime', 'steps'],
  'output.as of the flow': ['data', 'context', 'workflow', 'runtime', 'steps'],
};
const ALL = ['data', 'context', 'input', 'output', 'task', 'workflow', 'runtime', 'steps', 'secrets', 'authorization'];

describe.each(Object.keys(PLACES))('in %s', (place) => {
  const textAt = (expression: string): string => PLACES[place]?.(expression) ?? '';
  const available = AVAILABLE[place] ?? [];

  it.each(available)('there is %s', (name) => {
    expect(validateFlowText(textAt(name)).problems).toEqual([]);
  });

  it.each(ALL.filter((name) => !available.includes(name)))('there is no %s', (name) => {
    expectProblem(textAt(`«${name}`), name === 'secrets' ? 'BLW_SECRET_PLACE' : 'BLW_EXPR_SYNTAX', name);
  });

  it('names what was probably meant', () => {
    expectProblem(textAt('«workfow.input'), 'BLW_EXPR_SYNTAX', '"workfow" is not known here; did you mean "workflow"?');
  });
});

describe('variables of loops and catches', () => {
  const LOOP = '{ for: { in: data, each: order, at: position }, while: order.open, do: [%] }';
  it.each([
    ['the loop', LOOP.replace('%', "{ b: { set: { c: '${ order.id + position }' } } }")],
    ['a loop with default names', "{ for: { in: data }, do: [{ b: { set: { c: '${ item.id + index }' } } }] }"],
    [
      'a loop in a loop',
      LOOP.replace('%', "{ b: { for: { in: order.lines }, do: [{ c: { set: { d: '${ order.id + item.id }' } } }] } }"),
    ],
    [
      'catch.when, retry and catch.do',
      "{ try: [{ b: { wait: PT1S } }], catch: { as: e, when: e.status > 1, exceptWhen: 'e.title == \"x\"', retry: { when: e.status > 2, delay: '${ e.detail }' }, do: [{ c: { set: { d: '${ e.code }' } } }] } }",
    ],
    ['a macro', "{ set: { b: '${ data.map(x, x.y) + data.filter(x, x > 1) }' } }"],
    ['cel.bind', "{ set: { b: '${ cel.bind(x, data.y, x * x) }' } }"],
  ])('are known in %s', (_place, task) => {
    expect(validateFlowText(flowText(`- a: ${task}`)).problems).toEqual([]);
  });

  it.each([
    ['after the loop', '{ for: { in: data, each: order }, do: [{ b: { wait: PT1S } }], output: { as: «order } }'],
    ['in for.in itself', '{ for: { in: «order.lines, each: order }, do: [{ b: { wait: PT1S } }] }'],
    [
      'under their default names where they have others',
      "{ for: { in: data, each: order }, do: [{ b: { set: { c: «'${ item }' } } }] }",
    ],
    ['of a catch in its try', "{ try: [{ b: { set: { c: «'${ error }' } } }], catch: {} }"],
    ['outside of a macro', "{ set: { b: «'${ data.map(x, x.y) + x }' } }"],
  ])('are unknown %s', (_place, task) => {
    expectProblem(flowText(`- a: ${task}`), 'BLW_EXPR_SYNTAX', 'is not known here');
  });
});

describe('steps', () => {
  const READ = (name: string) => `{ set: { x: '\${ steps.${name}.output }' } }`;
  it.each([
    ['of the same list', `- a: { wait: PT1S }\n- b: ${READ('a')}`],
    ['of the list around', `- a: { wait: PT1S }\n- g: { do: [{ b: ${READ('a')} }] }`],
    ['of the list around a loop', `- a: { wait: PT1S }\n- g: { for: { in: data }, do: [{ b: ${READ('a')} }] }`],
    ['before a fork', `- a: { wait: PT1S }\n- g: { fork: { branches: [{ b: ${READ('a')} }] } }`],
    [
      'before a try, in its catch',
      `- a: { wait: PT1S }\n- g: { try: [{ b: ${READ('a')} }], catch: { do: [{ c: ${READ('a')} }] } }`,
    ],
    ['that `then` may have gone to', `- a: ${READ('b')}\n- b: { wait: PT1S, then: a }`],
    ['with brackets', '- a-b: { wait: PT1S }\n- c: { set: { x: \'${ steps["a-b"].output }\' } }'],
    ['as an option', "- a: { wait: PT1S }\n- c: { set: { x: '${ steps.?a.?output.orValue(1) }' } }"],
    ['by a computed name', "- c: { set: { x: '${ steps[data.name].output }' } }"],
  ])('may be read: %s', (_place, tasks) => {
    expect(validateFlowText(flowText(tasks)).problems).toEqual([]);
  });

  it.each([
    [
      'that does not exist',
      "- a: { set: { x: «'${ steps.b.output }' } }",
      'steps.b: there is no such step in scope; in scope: none',
    ],
    [
      'with a slip',
      "- fetch: { wait: PT1S }\n- b: { set: { x: «'${ steps.fecth.output }' } }",
      'did you mean "fetch"?',
    ],
    ['itself', "- a: { set: { x: «'${ steps.a.output }' } }", 'in scope: none'],
    [
      'further down',
      "- a: { set: { x: «'${ steps.b.output }' }, then: c }\n- b: { wait: PT1S }\n- c: { wait: PT1S }",
      'in scope: none',
    ],
    [
      'of a group, outside of it',
      "- g: { do: [{ a: { wait: PT1S } }] }\n- b: { set: { x: «'${ steps.a.output }' } }",
      'in scope: g',
    ],
    [
      'of a group, in its own output',
      '- g: { do: [{ a: { wait: PT1S } }], output: { as: «steps.a.output } }',
      'in scope: none',
    ],
    [
      'of another branch',
      "- g: { fork: { branches: [{ a: { wait: PT1S } }, { b: { set: { x: «'${ steps.a.output }' } } }] } }",
      'in scope: none',
    ],
    [
      'of a try, in its catch',
      "- g: { try: [{ a: { wait: PT1S } }], catch: { do: [{ b: { set: { x: «'${ steps.a.output }' } } }] } }",
      'in scope: none',
    ],
    ['named constructor', "- a: { set: { x: «'${ steps.constructor }' } }", 'steps.constructor: there is no such step'],
    ['in brackets', '- a: { set: { x: «\'${ steps["b"].output }\' } }', 'steps.b: there is no such step'],
    ['as an option', "- a: { set: { x: «'${ steps.?b.?output }' } }", 'steps.b: there is no such step'],
  ])('may not be read: one %s', (_which, tasks, message) => {
    expectProblem(flowText(tasks), 'BLW_STEP_UNKNOWN', message);
  });

  it('may be read in the output of the flow where they stand at the top', () => {
    const tasks = '- g: { do: [{ a: { wait: PT1S } }] }';
    expect(validateFlowText(flowText(tasks, 'output: { as: steps.g.output }\n')).problems).toEqual([]);
    expectProblem(flowText(tasks, 'output: { as: «steps.a.output }\n'), 'BLW_STEP_UNKNOWN', 'in scope: g');
  });
});

describe('text of expressions', () => {
  it.each([
    ["«'${ }'", '${ } is empty; write an expression into it'],
    ["«'${}'", '${ } is empty'],
    ["«'a ${ } b'", '${ } is empty'],
    ["«'${ data'", '"${" is never closed'],
    ['«\'${ data.a ? "}" : "{ }\'', '"${" is never closed'],
    ["«'${ data. }'", 'at character 6: it ends too early'],
    ["«'${ data..a }'", 'at character 6: Expected IDENTIFIER'],
    ["«'x ${ data } ${ 1 + }'", '${ 1 + } at character 4: it ends too early'],
    ["«'${ (data }'", 'it ends too early, expected ")"'],
    ["«'${ .orders[0] }'", 'this looks like jq, but the flow is in CEL'],
    ["«'${ $context.a }'", 'this looks like jq'],
    ["«'${ data.null }'", 'is written in brackets: data["in"]'],
    [
      '«\'${ data.?a // "none" }\'',
      'at character 9: // begins a comment; for a value that may be absent write a.?b.orValue(c)',
    ],
    ['«\'${ data.a.matches("(?!x)") }\'', 'invalid or unsupported Perl syntax'],
    ["«'${ jq(data) }'", 'there is no function jq(dyn)'],
    ["«'${ data.length() }'", 'there is no function dyn.length()'],
    ['«\'${ 1 + "a" }\'', 'no such overload: int + string; convert one side'],
    ['«\'${ "a" + 1 }\'', 'convert one side with int(…), double(…) or string(…)'],
    ['«\'${ {"constructor": 1} }\'', 'an expression cannot make a key "constructor"'],
    ['«\'${ [{"__proto__": 1}] }\'', 'an expression cannot make a key "__proto__"'],
    ["«'${ __proto__ }'", 'Reserved identifier: __proto__'],
    ["«'${ constructor }'", '"constructor" is not known here'],
    ["«'${ globalThis.process }'", '"globalThis" is not known here'],
  ])('refuses %s', (value, message) => {
    expectProblem(flowText(`- a: { set: { b: ${value} } }`), 'BLW_EXPR_SYNTAX', message);
  });

  it.each([
    ["«'${ data.a } && ${ data.b }'", 'if: all of it is one expression'],
    ["«'${ }'", '${ } is empty'],
    ["«'${ data'", '"${" is never closed'],
    ['«data.a &&', 'it ends too early'],
    ['«$context.a', 'this looks like jq'],
  ])('refuses %s as a condition', (value, message) => {
    expectProblem(flowText(`- a: { if: ${value}, wait: PT1S }`), 'BLW_EXPR_SYNTAX', message);
  });

  it.each(["'${ data.a }'", 'data.a', "' ${data.a} '", '\'{"a": true}.a\''])('takes %s as a condition', (value) => {
    expect(validateFlowText(flowText(`- a: { if: ${value}, wait: PT1S }`)).problems).toEqual([]);
  });

  it.each([
    ['\'${ "}" + data.a + "{" }\''],
    ['\'${ {"a": {"b": 1}} }\''],
    ['\'${ "http://x.test" + data.a }\''],
    ["'${ data.a.matches('^https?://x') }'".replaceAll("'^https?://x'", '"^https?://x"')],
    ['\'${ "${" }\''],
    ["'$5 and {braces} and } and $ {'"],
    ["'${ data.a }${ data.b }'"],
  ])('takes %s as a value', (value) => {
    expect(validateFlowText(flowText(`- a: { set: { b: ${value} } }`)).problems).toEqual([]);
  });

  it.each([
    [
      'of more nodes than are allowed',
      `${'1 + '.repeat(90)}1`.replace(/^(.*)$/, `[${'$1, '.repeat(60)}1]`),
      'Exceeded',
    ],
    ['that is nested too deeply', `${'('.repeat(5_000)}1${')'.repeat(5_000)}`, 'Exceeded maxDepth'],
    ['of many words', 'x '.repeat(50_000), 'Unexpected'],
  ])('refuses an expression %s, and cuts it in the message', (_what, expression, message) => {
    const { problems } = validateFlowText(flowText(`- a: { set: { b: '\${ ${expression} }' } }`));
    expect(problems).toMatchObject([{ code: 'BLW_EXPR_SYNTAX', message: expect.stringContaining(message) }]);
    expect(problems[0]?.message.length).toBeLessThan(400);
  });

  it('stands at the very string, however deep', () => {
    expectProblem(
      flowText(
        "- a: { call: sql.execute, with: { database: d, statement: s, parameters: [1, { x: ['ok', «'${ nope }'] }] } }",
      ),
      'BLW_EXPR_SYNTAX',
      '"nope" is not known here',
    );
  });

  it('does not read expressions of a language that it does not know', () => {
    const text = `${HEADER}evaluate: { language: «lua }\ndo: [{ a: { if: '.a | .b', set: { c: '\${ .a # don"t }' } } }]\n`;
    expectProblem(text, 'BLW_EXPR_LANGUAGE', 'expressions in lua are not supported');
  });
});
