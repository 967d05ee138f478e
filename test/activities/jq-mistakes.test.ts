import { checkJqExpressions } from '../../src/activities/expressions/check-jq-expressions';
import { createExpressionEngine, type ExpressionEngine } from '../../src/activities/expressions/expression-engine';
import { validateFlowText } from '../../src/dsl/validation/validate-flow';
import { HEADER } from '../dsl/marked-flow';
import { type Compiled, compileSources } from '../helpers/compiled';

let compiled: Compiled;
let engine: ExpressionEngine;

beforeAll(() => {
  compiled = compileSources();
  engine = createExpressionEngine({
    entry: compiled.path('src/activities/expressions/host-main.js'),
    limits: { deadlineMs: 20_000 },
  });
}, 120_000);

afterAll(async () => {
  await engine?.close();
  compiled?.remove();
});

describe('what people of other languages write in jq', () => {
  it.each<[string, string]>([
    ['data.x', 'write .name for data.name, here .x; CEL needs evaluate: { language: cel }'],
    ['$data.x', 'write .x for $data.x'],
    ['$json.x', '$json is not known here; write .x'],
    ['$.foo', 'write .foo for $.foo'],
    ['workflow.input.x', 'in jq it is written $workflow'],
    ['one.output', 'write $steps.one.output'],
    ["$input.a == 'x'", 'jq has text in double quotes only'],
    ['.a && .b', 'jq writes `and` for &&'],
    ['.a || .b', 'jq writes `or` for ||'],
    ['.a ? .b : .c', 'jq writes if … then … else … end'],
    ['.a ? 1', 'jq writes if … then … else … end'],
    ['if .a then 1', 'jq closes it with end'],
    ['.a ?? 1', 'jq writes .a // "none" for a default'],
    ['.a.orValue(1)', 'this looks like CEL'],
    ['.name.toUpperCase()', 'jq has functions and no methods'],
    ['.items[*].a', 'jq writes .items[] for each item'],
    ['size(.items)', 'write .items | length'],
    ['items | length', 'for a property of the data write .items'],
    ['yes', 'write true'],
    ['.my-key', 'a name with - is written in quotes: ."my-key"'],
    ['{ .a }', 'braces are doubled: write ${ .a }'],
  ])('%s', async (expression, message) => {
    const set = JSON.stringify({ b: `\${ ${expression} }` });
    const result = validateFlowText(`${HEADER}do: [{ one: { wait: PT1S } }, { a: { set: ${set} } }]\n`);
    const { problems } = await checkJqExpressions(result, engine);
    expect(problems).toMatchObject([{ code: 'BLW_EXPR_SYNTAX', message: expect.stringContaining(message) }]);
  });
});
