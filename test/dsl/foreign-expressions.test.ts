import { foreignReferences } from '../../src/dsl/expressions/foreign-references';
import { jqDirective, jqIsSelfContained } from '../../src/dsl/expressions/jq-text';
import type { ExpressionLanguage } from '../../src/dsl/expressions/language';
import { bareExpression, splitString } from '../../src/dsl/expressions/template';
import type { TaskPlan } from '../../src/dsl/planning/plan';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { badRows, expectProblem, HEADER, validFlow } from './marked-flow';

/** A document in a language, with these tasks. */
const flowIn = (language: string, tasks: string): string =>
  `${HEADER}evaluate: { language: ${language} }\ndo:\n${tasks.replace(/^/gm, '  ')}\n`;

describe('text with expressions is split as the language has its quotes:', () => {
  it.each<[ExpressionLanguage, string, string[]]>([
    ['jq', '${ {"a": "}"} }', ['{"a": "}"}']],
    ['jq', '${ "\\(.a | {b: "}"} | .b)}" } end', ['"\\(.a | {b: "}"} | .b)}"', ' end']],
    ['jq', 'x ${ "it\'s }" } y ${ .b }', ['x ', '"it\'s }"', ' y ', '.b']],
    ['jq', '${ .a # }\n + 1 }', ['.a # }\n + 1']],
    ['jq', '${ "\\"}" }', ['"\\"}"']],
    ['jq', '${ {a: {b: 1}} | .a }!', ['{a: {b: 1}} | .a', '!']],
    ['jq', '${ "\\("\\("}")")" }', ['"\\("\\("}")")"']],
    ['jsonata', "${ {'a': '}'} }", ["{'a': '}'}"]],
    ['jsonata', '${ `a}b` & "x" } end', ['`a}b` & "x"', ' end']],
    ['jsonata', '${ a /* } */ + b }', ['a /* } */ + b']],
    ['jsonata', '${ $contains(a, /[{"}]+/i) }', ['$contains(a, /[{"}]+/i)']],
    ['jsonata', '${ $match(a, /("|\\/\\})/) }', ['$match(a, /("|\\/\\})/)']],
    ['jsonata', '${ a / b } and ${ c / d }', ['a / b', ' and ', 'c / d']],
    ['jsonata', '${ (a) / $b[0] / 2 }', ['(a) / $b[0] / 2']],
    ['jsonata', '${ a in b or /\\}/ }', ['a in b or /\\}/']],
    ['jsonata', "${ a{b: '}'} }", ["a{b: '}'}"]],
    ['cel', "${ '}' }", ["'}'"]],
  ])('%s: %s', (language, source, expected) => {
    const { parts, unclosedAt } = splitString(source, language);
    expect(unclosedAt).toBeUndefined();
    expect(parts.map((part) => ('expr' in part ? part.expr : part.text))).toEqual(expected);
  });

  it.each<[ExpressionLanguage, string]>([
    ['jq', '${ .a # comment }'],
    ['jq', '${ "a }'],
    ['jq', '${ "\\(.a }" }'],
    ['jq', '${ {a: 1 }'],
    ['jsonata', "${ 'a }"],
    ['jsonata', '${ a /* }'],
    ['jsonata', '${ a // "none" }'],
    ['jsonata', '${ `a }'],
  ])('%s: %s is never closed', (language, source) => {
    expect(splitString(source, language).unclosedAt).toBe(0);
  });

  it('takes an expression without ${ } as it stands, whatever its own text holds', () => {
    expect(bareExpression('"costs ${ " + .a', 'jq')).toBe('"costs ${ " + .a');
    expect(bareExpression(' ${ .a } ', 'jq')).toBe('.a');
  });

  it('does not run out of stack, however deep strings are nested', () => {
    const source = `\${ ${'"\\('.repeat(50_000)} }`;
    expect(splitString(source, 'jq').unclosedAt).toBe(0);
  });
});

describe('an expression in jq holds together in brackets', () => {
  it.each([
    '.a',
    '(.a) | [.b]',
    '"\\(.a)"',
    'def f(x): x; f(.a)',
    '. as [$a, {b: $c}] | $a',
    '"a)b"',
    '@base64 "\\([1])"',
  ])('where they close in it: %s', (expression) => expect(jqIsSelfContained(expression)).toBe(true));

  it.each(['1) | (2', ')(', '(.a', '[.a)', '"\\(.a', '"', '"\\( ] )" [', '("\\( )" )"', '{a: [}]', '"\\([)]")'])(
    'but not where they do not: %s',
    (expression) => expect(jqIsSelfContained(expression)).toBe(false),
  );

  it.each([
    ['include "a"; .', 'include'],
    [' # c\n import "a" as a; .', 'import'],
    ['module {}; .', 'module'],
    ['.import', undefined],
    ['{import: 1}', undefined],
    ['"include"', undefined],
  ])('%j begins with the directive %s', (expression, directive) => {
    expect(jqDirective(expression)).toBe(directive);
  });
});

describe('references are read off the text', () => {
  it.each<['jq' | 'jsonata', string, readonly string[] | true]>([
    ['jq', '.a', []],
    ['jq', '$steps.a.output + $steps . b', ['a', 'b']],
    ['jq', '$steps["a b"].output', ['a b']],
    ['jq', '$steps.["a"].output', ['a']],
    ['jq', '$steps."a".output', ['a']],
    ['jq', '$steps[.name]', true],
    ['jq', '$steps."\\(.name)"', true],
    ['jq', '$steps["a" + "b"]', true],
    ['jq', '$steps | keys', true],
    ['jq', '{$steps}', true],
    ['jq', '"\\($steps.a.output)"', ['a']],
    ['jq', '"$steps.a"', []],
    ['jq', '.a # $steps', []],
    ['jq', '$stepsize', []],
    ['jsonata', '$steps.a.output', ['a']],
    ['jsonata', '$steps.`a b`.output', ['a b']],
    ['jsonata', '$steps."a".output', ['a']],
    ['jsonata', '$steps.*', true],
    ['jsonata', '$steps.(a)', true],
    ['jsonata', '$steps["a"]', true],
    ['jsonata', '$lookup($steps, name)', true],
    ['jsonata', '/* $steps */ "$steps.a"', []],
  ])('%s: %s reads the steps %j', (language, expression, steps) => {
    expect(foreignReferences(expression, language).steps).toEqual(steps);
  });

  it.each<['jq' | 'jsonata', string, boolean]>([
    ['jq', '$workflow.input', false],
    ['jq', '$workflow.definition.document', true],
    ['jq', '$workflow["definition"]', true],
    ['jq', '$workflow', true],
    ['jq', '$task[.x]', true],
    ['jq', '$task.name', false],
    ['jsonata', '$workflow.input', false],
    ['jsonata', '$workflow.**', true],
    ['jsonata', '$task.`definition`', true],
  ])('%s: %s may read a definition: %s', (language, expression, definition) => {
    expect(foreignReferences(expression, language).definition).toBe(definition);
  });
});

describe('the plan of a flow in jq or JSONata', () => {
  it('names the language, the steps that are read, and finds the expressions as the language has them', () => {
    const tasks = '- a: { set: { x: \'${ "\\(.b)}" }!\' } }\n- b: { if: .ok, set: $steps.a.output }';
    const plan = planFlow(validFlow(flowIn('jq', tasks)));
    expect(plan).toMatchObject({ language: 'jq', stepOutputs: ['a'] });
    expect(
      plan.tasks.map(({ kind, ...task }: TaskPlan) => (kind === 'set' && 'value' in task ? task.value : kind)),
    ).toEqual([{ map: [['x', { text: [{ expr: '"\\(.b)}"' }, '!'] }]] }, { expr: '$steps.a.output' }]);
  });

  it('has no language where there is no expression, or where it is CEL', () => {
    expect(planFlow(validFlow(`${HEADER}do: [{ a: { wait: PT1S } }]\n`))).not.toHaveProperty('language');
    expect(planFlow(validFlow(flowIn('cel', '- a: { set: data }')))).not.toHaveProperty('language');
  });
});

describe('expressions in JSONata', () => {
  it.each(
    badRows([
      'BLW_EXPR_SYNTAX | ${ a + } at character 4: | - a: { set: «a + }',
      'BLW_EXPR_SYNTAX | JSONata writes = for == | - a: { if: «a == 1, wait: PT1S }',
      'BLW_EXPR_SYNTAX | JSONata writes `and` for && | - a: { if: «a && b, wait: PT1S }',
      'BLW_EXPR_SYNTAX | JSONata has no dot in front: write a for .a | - a: { set: «.a }',
      'BLW_EXPR_SYNTAX | this looks like jq | - a: { set: «items | length }',
      'BLW_EXPR_SYNTAX | at character 1: $contxt is not known here; did you mean $context? | - a: { set: «$contxt.a }',
      'BLW_EXPR_SYNTAX | there is no $data; what the expression is evaluated on is $ | - a: { set: «$data.a }',
      'BLW_EXPR_SYNTAX | $eval is not available | - a: { set: «$eval(a) }',
      "BLW_EXPR_SYNTAX | patterns are of RE2's syntax | - a: { if: «'$contains(a, /(?=b)/)', wait: PT1S }",
      'BLW_EXPR_SYNTAX | is never closed | - a: { set: { b: «\'${ a // "none" }\' } }',
      'BLW_EXPR_SYNTAX | ${ } is empty | - a: { set: { b: «"${ }" } }',
      'BLW_STEP_UNKNOWN | $steps.frist: there is no such step in scope; did you mean "first"? | - first: { wait: PT1S }\n- a: { set: «$steps.frist.output }',
    ]),
  )('rejects %s with %s', (tasks, code, message) => {
    expectProblem(flowIn('jsonata', tasks), code, message);
  });

  it.each([
    '$sum(items.(price * quantity))',
    '($total := $sum(items.price); $total > 10)',
    '$map(items, function($item, $i) { $item.price * $i })',
    'items@$it.($it.price)',
    'items#$n.{"n": $n}',
    '$context.a & $workflow.input.b & $$.c & $.d',
    '$now() & $millis()',
    'items[price > $max(prices)]',
    '$ ~> |items|{"price": price * 2}|',
  ])('takes %s', (expression) => {
    const text = flowIn('jsonata', `- a: { set: { x: ${JSON.stringify(`\${ ${expression} }`)} } }`);
    expect(validateFlowText(text).problems).toEqual([]);
  });

  it('sees the variables of loops', () => {
    const loop = (expression: string) =>
      flowIn('jsonata', `- a: { for: { each: pet, in: pets }, do: [{ b: { set: ${expression} } }] }`);
    expect(validateFlowText(loop('$pet.name & $index')).problems).toEqual([]);
    expectProblem(loop('«$pett.name'), 'BLW_EXPR_SYNTAX', 'did you mean $pet?');
  });

  it('may use words of CEL for variables', () => {
    expect(
      validateFlowText(flowIn('jsonata', '- a: { for: { each: size, in: a }, do: [{ b: { set: $size } }] }')).problems,
    ).toEqual([]);
  });

  it('bounds the length of an expression', () => {
    const text = flowIn('jsonata', `- a: { set: «"${'a'.repeat(100_001)}" }`);
    expectProblem(text, 'BLW_EXPR_SYNTAX', 'at most 100000 are allowed');
  });
});

describe('expressions in jq', () => {
  it('are left to jq, with the variables that they may use', () => {
    const tasks = "- a: { for: { each: pet, in: .pets }, do: [{ b: { set: { x: 'is ${ $pet.name }' } } }] }";
    const { unchecked, problems } = validateFlowText(flowIn('jq', tasks));
    expect(problems).toEqual([]);
    expect(unchecked).toEqual([
      expect.objectContaining({ expression: '.pets', path: ['do', 0, 'a', 'for', 'in'] }),
      expect.objectContaining({
        expression: '$pet.name',
        variables: expect.arrayContaining(['pet', 'index', 'steps']),
      }),
    ]);
    expect(unchecked.flatMap(({ variables }) => variables)).not.toContain('data');
  });

  it.each(
    badRows([
      'BLW_STEP_UNKNOWN | $steps.frist: there is no such step in scope; did you mean "first"? | - first: { wait: PT1S }\n- a: { set: «$steps.frist.output }',
      'BLW_EXPR_SYNTAX | Is there a quote that is not closed, or a # that begins a comment? | - a: { set: { b: «"${ .a # }" } }',
      'BLW_VALUE_INVALID | expected an expression | - a: { if: «true, wait: PT1S }',
    ]),
  )('are rejected before: %s with %s', (tasks, code, message) => {
    expectProblem(flowIn('jq', tasks), code, message);
  });
});
