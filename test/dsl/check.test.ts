import { compileExpression, ExpressionError } from '../../src/dsl/expressions/cel';
import { canBeVariable, expressionReferences } from '../../src/dsl/expressions/check';

describe('expressionReferences', () => {
  it.each<[string, string[] | true, boolean]>([
    ['data.a', [], false],
    ['steps.a.output', ['a'], false],
    ['steps.b.output + steps["a-b"].output + steps.?c.?output', ['b', 'a-b', 'c'], false],
    ['steps[?"d"]', ['d'], false],
    ['data.map(x, steps.a.output[x])', ['a'], false],
    ['has(steps.a.output)', ['a'], false],
    ['{"k": steps.a, steps.b.output: 1}', ['a', 'b'], false],
    ['data.yes ? steps.a : steps.b', ['a', 'b'], false],
    ['steps', true, false],
    ['steps[data.x]', true, false],
    ['steps["a" + "b"]', true, false],
    ['"a" in steps', true, false],
    ['cel.bind(s, steps, s.a)', true, false],
    ['size(steps)', true, false],
    ['data.steps.a', [], false],
    ['{"steps": 1}', [], false],
    ['workflow.definition.do', [], true],
    ['task.?definition', [], true],
    ['workflow["definition"]', [], true],
    ['cel.bind(w, workflow, w.definition)', [], true],
    ['workflow.input', [], false],
  ])('of %s', (expression, steps, definition) => {
    expect(expressionReferences(expression)).toEqual({ steps, definition });
  });

  it('fails where the expression does not parse', () => {
    expect(() => expressionReferences('1 +')).toThrow(ExpressionError);
  });
});

describe('canBeVariable', () => {
  it.each(['item', 'order', 'x', '_a', 'constructor', 'toString', 'data2', 'size', 'e'])('%s can', (name) => {
    expect(canBeVariable(name)).toBe(true);
    expect(compileExpression(`${name} + 1`)({ data: null, [name]: 1 })).toBe(2);
  });

  it.each([
    'in',
    'true',
    'null',
    'int',
    'string',
    'list',
    'type',
    'google',
    'cel',
    'optional',
    'for',
    'if',
    '__proto__',
    'a-b',
    '',
  ])('%s cannot', (name) => {
    expect(canBeVariable(name)).toBe(false);
  });
});
