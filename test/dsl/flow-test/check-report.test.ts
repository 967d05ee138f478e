import type { DryRunReport, ReportedStep } from '../../../src/dsl/dry-run/report';
import { checkOutcome } from '../../../src/dsl/flow-test/check-report';
import { parseFlowTest } from '../../../src/dsl/flow-test/parse-flow-test';
import type { Json } from '../../../src/dsl/json';
import { planFlow } from '../../../src/dsl/planning/plan-flow';
import { Checker } from '../../../src/dsl/validation/checker';
import { validateFlow } from '../../../src/dsl/validation/validate-flow';

const { flow } = validateFlow({
  document: { dsl: '1.0.3', namespace: 'shop', name: 'order', version: '1.0.0' },
  evaluate: { language: 'cel' },
  do: [
    { get: { call: 'http', with: { method: 'get', endpoint: 'https://example.com' } } },
    { each: { for: { in: '[1, 2]' }, do: [{ put: { call: 'fs.put', with: { path: 'a', content: 'b' } } }] } },
    { approve: { call: 'human.approval', with: { title: 'Go on?' } } },
    { sub: { run: { workflow: { namespace: 'shop', name: 'refund', version: '1.0.0' } } } },
  ],
});

const STEPS: readonly ReportedStep[] = [
  { path: '/do/0/get', name: 'get', block: 'http.request', status: 'completed', attempts: 2, output: { total: 12 } },
  { path: '/do/1/each', name: 'each', block: 'for', status: 'completed' },
  step('put', { path: '/do/1/each/do/0/put', iteration: '0', input: { path: 'a', content: 'one' } }),
  step('put', { path: '/do/1/each/do/0/put', iteration: '1', input: { path: 'a', content: 'two' } }),
  step('approve', { path: '/do/2/approve', block: 'human.approval', decision: 'rejected', input: { title: 'Go on?' } }),
  step('sub', {
    path: '/do/3/sub',
    block: 'subflow',
    flow: report({ output: 1, steps: [step('pay', { path: '/do/0/pay', input: { total: 12 } })], skippedMs: 60_000 }),
  }),
  step('late', { path: '/do/4/late', status: 'skipped' }),
];

function step(name: string, rest: Partial<ReportedStep>): ReportedStep {
  return { name, path: `/do/0/${name}`, block: 'fs.put', status: 'completed', ...rest };
}

function report(rest: Partial<DryRunReport>): DryRunReport {
  return { dryRun: true, flow: 'shop/order:1.0.0', tenant: 'default', status: 'completed', steps: [], ...rest };
}

const COMPLETED = report({ output: { total: 12 }, steps: STEPS, skippedMs: 7_265_500 });
const FAILED = report({ status: 'failed', error: { code: 'BLW_HTTP_STATUS', status: 503, detail: 'got 503' } });

/** What differs, as lines, for an `expect` as a file has it. */
function differences(expected: Json, outcome: DryRunReport = COMPLETED): string[] {
  if (flow === undefined) throw new Error('the flow of the test is not valid');
  const checker = new Checker();
  const { cases } = parseFlowTest(
    { cases: [{ name: 'a', expect: expected }] },
    { plan: planFlow(flow), planOf: () => undefined },
    checker,
  );
  expect(checker.problems).toEqual([]);
  const [{ expect: expectation } = { expect: {} }] = cases;
  return checkOutcome(expectation, outcome).map(
    ({ at, expected: wanted, got }) => `${at}: expected ${wanted}, got ${got}`,
  );
}

describe('how the flow ends', () => {
  it('has to be its completion where nothing else is said', () => {
    expect(differences({})).toEqual([]);
    expect(differences({}, FAILED)).toEqual([
      'the flow: expected to complete, got a failure: got 503 [BLW_HTTP_STATUS]',
    ]);
  });

  it('is compared with the output', () => {
    expect(differences({ output: { total: 12 } })).toEqual([]);
    expect(differences({ output: { total: 13 } })).toEqual(['output.total: expected 13, got 12']);
  });

  it.each<[Json]>([
    ['BLW_HTTP_STATUS'],
    [{ code: 'BLW_HTTP_STATUS' }],
    [{ status: 503, detail: { $contains: '503' } }],
  ])('is compared with the keys of the error %j', (error) => {
    expect(differences({ error }, FAILED)).toEqual([]);
  });

  it('is told where an error is missing or another one', () => {
    expect(differences({ error: 'BLW_SQL_FAILED' }, FAILED)).toEqual([
      'error.code: expected "BLW_SQL_FAILED", got "BLW_HTTP_STATUS"',
    ]);
    expect(differences({ error: 'BLW_SQL_FAILED' })).toEqual([
      'the flow: expected to fail with "BLW_SQL_FAILED", got completion with {"total":12}',
    ]);
  });
});

it('takes matchers around an error, of which only some keys are named within them, too', () => {
  expect(differences({ error: { $oneOf: [{ code: 'BLW_SQL_FAILED' }, { code: 'BLW_HTTP_STATUS' }] } }, FAILED)).toEqual(
    [],
  );
  for (const error of ['BLW_HTTP_STATUS', { code: 'BLW_HTTP_STATUS' }])
    expect(differences({ error: { $not: error } }, FAILED)).toEqual([
      expect.stringContaining('error: expected not {"code":"BLW_HTTP_STATUS"}'),
    ]);
  expect(differences({ error: { $not: { $oneOf: ['BLW_HTTP_STATUS'] } } }, FAILED)).toHaveLength(1);
});

describe('the path', () => {
  it.each<[Json]>([
    [['get', 'each', 'put', 'put', 'approve', 'sub']],
    [['/do/0/get', 'each', 'put', 'put', '/do/2/approve', 'sub']],
    [{ $inOrder: ['get', 'approve'] }],
    [{ $contains: ['sub', 'get'] }],
    [{ $length: 6 }],
  ])('is %j', (path) => {
    expect(differences({ path })).toEqual([]);
  });

  it('is told as a whole where it is another one', () => {
    expect(differences({ path: ['get', 'approve'] })).toEqual([
      'path: expected get, approve, got get, each, put, put, approve, sub',
    ]);
    expect(differences({ path: [] }, report({ steps: [] }))).toEqual([]);
    expect(differences({ path: ['get'] }, report({ steps: [] }))).toEqual(['path: expected get, got no steps']);
  });
});

describe('a step', () => {
  it.each<[Json]>([
    [{ get: { attempts: 2, output: { total: 12 } } }],
    [{ '/do/0/get': { status: 'completed' } }],
    [{ put: { times: 2, attempts: 1, input: { $contains: { path: 'a' } } } }],
    [{ put: [{ input: { path: 'a', content: 'one' } }, {}] }],
    [{ sub: { flow: { output: 1, path: ['pay'], waited: 'PT1M', steps: { pay: { input: { total: 12 } } } } } }],
  ])('is as expected: %j', (steps) => {
    expect(differences({ steps })).toEqual([]);
  });

  it.each<[Json, string]>([
    [{ get: { ran: false } }, 'step get: expected to run never, got once'],
    [{ put: { ran: false } }, 'step put: expected to run never, got 2 times'],
    [{ put: { times: 3 } }, 'step put: times: expected 3, got 2'],
    [{ put: [{}] }, 'step put: expected to run once, got 2 times'],
    [{ put: [{}, { input: { path: 'a', content: 'x' } }] }, 'step put (2): input.content: expected "x", got "two"'],
    [{ put: { input: { path: 'a', content: 'two' } } }, 'step put (1): input.content: expected "two", got "one"'],
    [{ get: { error: 'BLW_HTTP_STATUS' } }, 'step get: error: expected {"code":"BLW_HTTP_STATUS"}, got nothing'],
    [{ sub: { flow: { output: 2 } } }, 'step sub: output: expected 2, got 1'],
  ])('is not as expected: %j', (steps, line) => {
    expect(differences({ steps })).toEqual([line]);
  });

  it('has its rounds in the order of the items, in whichever order they began', () => {
    const rounds = ['10', '2', '0'].map((iteration) =>
      step('put', { path: '/do/1/each/do/0/put', iteration, input: { path: iteration } }),
    );
    const steps = { put: ['0', '2', '10'].map((path) => ({ input: { path } })) };
    expect(differences({ steps }, report({ steps: rounds }))).toEqual([]);
  });

  it('counts only where it ran, unless it is expected to be skipped', () => {
    const rounds = [
      step('put', { path: '/do/1/each/do/0/put', iteration: '0', status: 'skipped' }),
      step('put', { path: '/do/1/each/do/0/put', iteration: '1' }),
    ];
    expect(differences({ steps: { put: { status: 'completed' } } }, report({ steps: rounds }))).toEqual([]);
    expect(differences({ steps: { put: { times: 1 } } }, report({ steps: rounds }))).toEqual([]);
    expect(differences({ steps: { put: { status: 'skipped' } } }, report({ steps: rounds }))).toEqual([
      'step put (2): status: expected "skipped", got "completed"',
    ]);
  });

  it('has to run where something is expected of it', () => {
    const steps = { get: { times: { $atMost: 1 }, input: { any: 1 } } };
    expect(differences({ steps }, report({ steps: [] }))).toEqual(['step get: expected to run, got never']);
  });

  it('that its if skipped has not run', () => {
    const outcome = report({ steps: [step('get', { path: '/do/0/get', status: 'skipped' })] });
    expect(differences({ steps: { get: { ran: false } } }, outcome)).toEqual([]);
    expect(differences({ steps: { get: { status: 'skipped' } } }, outcome)).toEqual([]);
    expect(differences({ steps: { get: {} } }, outcome)).toEqual([
      'step get: expected to run, got that its if said no',
    ]);
    expect(differences({ steps: { sub: {} } }, outcome)).toEqual(['step sub: expected to run, got never']);
  });

  it('of which the report has no room is never taken for one that is as expected', () => {
    const cut = report({ steps: [step('get', { path: '/do/0/get', cut: ['output'] })] });
    expect(differences({ steps: { get: { output: { $not: 1 } } } }, cut)).toEqual([
      expect.stringContaining('step get: output: expected to be in the report, got no room for it'),
    ]);
    const omitted = report({ omittedSteps: 3 });
    for (const expected of [{ steps: { get: { ran: false } } }, { path: [] }, { approvals: [] }])
      expect(differences(expected, omitted)).toEqual([expect.stringContaining('got no room for it')]);
  });
});

describe('approvals', () => {
  it('are those that were asked for, with what was decided', () => {
    const approvals = [{ step: 'approve', decision: 'rejected', input: { title: 'Go on?' } }];
    expect(differences({ approvals })).toEqual([]);
    expect(differences({ approvals: [{ step: '/do/2/approve' }] })).toEqual([]);
    expect(differences({ approvals: [] })).toEqual(['approvals: expected none, got approve']);
    expect(differences({ approvals: [{ step: 'approve', decision: 'approved' }] })).toEqual([
      'approval approve: decision: expected "approved", got "rejected"',
    ]);
  });
});

describe('time', () => {
  it('is what the flow was not made to wait', () => {
    expect(differences({ waited: 'PT2H1M5.5S' })).toEqual([]);
    expect(differences({ waited: { $atLeast: 'PT2H', $atMost: 'PT3H' } })).toEqual([]);
    expect(differences({ waited: { seconds: 0 } }, report({ steps: [] }))).toEqual([]);
    expect(differences({ waited: 'PT2H' })).toEqual(['waited: expected PT2H, got PT2H1M5.5S']);
    expect(differences({ waited: { $atLeast: 'P1D', $atMost: 'P2D' } })).toEqual([
      'waited: expected at least PT24H and at most PT48H, got PT2H1M5.5S',
    ]);
    expect(differences({ waited: 'PT0.001S' }, report({ steps: [] }))).toEqual(['waited: expected PT0.001S, got PT0S']);
  });
});
