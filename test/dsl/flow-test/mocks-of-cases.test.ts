import { parse } from 'yaml';
import { parseFlowTest } from '../../../src/dsl/flow-test/parse-flow-test';
import type { Json } from '../../../src/dsl/json';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { toJsonPointer } from '../../../src/dsl/problems';
import { Checker } from '../../../src/dsl/validation/checker';
import { validateFlow } from '../../../src/dsl/validation/validate-flow';

const { flow } = validateFlow(
  parse(`
document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
do:
  - count: { call: sql.query, with: { database: shop, statement: SELECT 1 } }
  - keep: { call: fs.put, with: { path: a, content: b } }
`) as Json,
);

it('says what is wrong with mocks once, where it stands', () => {
  if (flow === undefined) throw new Error('the flow of the test is not valid');
  const file = parse(`
mocks: { count: { output: { rows: 5 } } }
cases:
  - name: a
    mocks: { keep: [{ output: {} }, { output: { size: x } }], kep: { output: {} } }
  - name: b
    mocks: { count: { output: { rows: [] } } }
`) as Json;
  const checker = new Checker();
  parseFlowTest(file, { plan: planFlow(flow), planOf: () => undefined }, checker);
  expect(checker.problems.map(({ path, message }) => [toJsonPointer(path), message])).toEqual([
    ['/mocks/count/output/rows', 'mocks: "count": output.rows: got 5, expected an array'],
    ['/cases/0/mocks/keep/1/output/size', 'mocks: "keep": answer 2: output.size: got "x", expected a whole number'],
    ['/cases/0/mocks/kep', 'mocks: no step is called "kep"; did you mean "keep"?'],
  ]);
});
