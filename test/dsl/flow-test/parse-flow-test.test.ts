import { parseFlowTest } from '../../../src/dsl/flow-test/parse-flow-test';
import type { Json } from '../../../src/dsl/json';
import type { FlowPlan } from '../../../src/dsl/planning/plan';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { Checker } from '../../../src/dsl/validation/checker';
import { validateFlowText } from '../../../src/dsl/validation/validate-flow';

function planOf(name: string, tasks: string): FlowPlan {
  const header = `document: { dsl: '1.0.3', namespace: shop, name: ${name}, version: '1.0.0' }\nevaluate: { language: cel }\ndo:\n`;
  const { flow, problems } = validateFlowText(header + tasks);
  if (flow === undefined) throw new Error(JSON.stringify(problems));
  return planFlow(flow);
}

const ORDER = planOf(
  'order',
  `
  - get: { call: http, with: { method: get, endpoint: https://example.com } }
  - loop: { for: { in: '[1, 2]' }, do: [{ put: { call: fs.put, with: { path: a, content: b } } }] }
  - choose: { switch: [{ all: { then: continue } }] }
  - approve: { call: human.approval, with: { title: Go on? } }
  - refund: { run: { workflow: { namespace: shop, name: refund, version: '1.0.0' } } }
`,
);
const REFUND = planOf('refund', '  - pay: { call: http, with: { method: post, endpoint: https://example.com } }');

/** What is wrong with a file, as `/path message`. */
function problemsOf(file: Json): string[] {
  const checker = new Checker();
  const planOfFlow = (flow: string) => (flow === 'shop/refund:1.0.0' ? REFUND : undefined);
  parseFlowTest(file, { plan: ORDER, planOf: planOfFlow }, checker);
  return checker.problems.map(({ path, message }) => `/${path.join('/')} ${message}`);
}

const expecting = (expect: Json): Json => ({ cases: [{ name: 'a', expect }] });

it.each<[Json]>([
  [expecting({ path: ['get', { $type: 'string' }], steps: { '/do/0/get': { times: 0 } } })],
  [expecting({ path: { $not: { $contains: ['loop'] } }, steps: { choose: { case: 'all' } } })],
  [expecting({ steps: { put: [{}, { input: { $contains: { path: 'a' } } }], loop: { status: 'completed' } } })],
  [expecting({ steps: { refund: { flow: { path: ['pay'], steps: { pay: { ran: false } } } } } })],
  [expecting({ error: { $not: { code: 'BLW_HTTP_STATUS' } }, waited: { $atMost: 'PT1H' } })],
  [expecting({ approvals: [{ step: 'approve', decision: 'approved' }] })],
])('takes %j', (file) => {
  expect(problemsOf(file)).toEqual([]);
});

it.each<[Json, string]>([
  [{ cases: [] }, '/cases cases: got an empty list, expected at least one case'],
  [{}, '/ a flow test needs "cases"'],
  [
    expecting({ steps: { put: [{ ran: false }] } }),
    '/cases/0/expect/steps/put/0/ran ran: a list has an object for each time',
  ],
  [expecting({ steps: { put: [{ times: 7 }] } }), '/cases/0/expect/steps/put/0/times times: a list has an object'],
  [
    expecting({ steps: { get: { times: 0, output: 5 } } }),
    '/cases/0/expect/steps/get times: got 0, so that nothing else',
  ],
  [
    expecting({ steps: { get: { ran: false, output: 5 } } }),
    '/cases/0/expect/steps/get ran: got false, so that nothing',
  ],
  [
    expecting({ steps: { get: { times: -1 } } }),
    '/cases/0/expect/steps/get/times times: got -1, expected a whole number',
  ],
  [
    expecting({ steps: { get: { attempts: 'two' } } }),
    '/cases/0/expect/steps/get/attempts attempts: got "two", expected',
  ],
  [
    expecting({ steps: { get: { case: 'all' } } }),
    '/cases/0/expect/steps/get/case case: /do/0/get is a call task, of which',
  ],
  [
    expecting({ steps: { get: { flow: {} } } }),
    '/cases/0/expect/steps/get/flow flow: /do/0/get is a call task, of which',
  ],
  [
    expecting({ steps: { get: { decision: 'approved' } } }),
    '/cases/0/expect/steps/get/decision decision: /do/0/get is a',
  ],
  [
    expecting({ steps: { loop: { output: {} } } }),
    '/cases/0/expect/steps/loop/output output: /do/1/loop is a for task, of',
  ],
  [
    expecting({ path: { $not: { $contains: ['gett'] } } }),
    '/cases/0/expect/path/$not/$contains/0 no step is called "gett"; did',
  ],
  [
    expecting({ steps: { refund: { flow: { steps: { payy: {} } } } } }),
    '/cases/0/expect/steps/refund/flow/steps/payy no step is called "payy"; did you mean "pay"?',
  ],
  [expecting({ approvals: [{ step: 'get' }] }), '/cases/0/expect/approvals/0/step step: /do/0/get is no approval'],
  [
    expecting({ error: { cod: 'X' } }),
    '/cases/0/expect/error/cod "cod" is not known in an error; did you mean "code"?',
  ],
  [expecting({ error: 'BLW_HTTP_STATU' }), '/cases/0/expect/error code: got "BLW_HTTP_STATU", expected a code such as'],
  [
    expecting({ error: { code: { $not: 'BLW_HTPP_STATUS' } } }),
    '/cases/0/expect/error/code/$not code: got "BLW_HTPP_STATUS"',
  ],
  [expecting({ error: { $not: 'BLW_HTPP_STATUS' } }), '/cases/0/expect/error/$not code: got "BLW_HTPP_STATUS"'],
  [
    expecting({ steps: { choose: { input: 1 } } }),
    '/cases/0/expect/steps/choose/input input: /do/2/choose is a switch',
  ],
  [expecting({ waited: {} }), '/cases/0/expect/waited waited: expected at least one of days'],
  [
    expecting({ waited: { $atMots: 'PT1H' } }),
    '/cases/0/expect/waited/$atMots "$atMots" is not known in waited; did you',
  ],
  [
    expecting({ steps: { get: { answer: 'made-up' } } }),
    '/cases/0/expect/steps/get/answer answer: got "made-up", expected',
  ],
])('refuses %j', (file, start) => {
  expect(problemsOf(file)).toEqual([expect.stringContaining(start)]);
});
