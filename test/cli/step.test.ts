import type { DryRunReport } from '../../src/dsl/dry-run/report';
import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { runCli } from '../helpers/cli';
import { runInProcess } from '../helpers/cli-in-process';

const ORDER = flowText(
  'shop/order:1.0.0',
  `
input: { schema: { document: { type: object, required: [orderId] } } }
do:
  - getOrder: { call: fs.get, with: { path: a } }
  - each:
      for: { in: '\${ data.lines }', each: line }
      do:
        - charge:
            call: http
            with:
              method: post
              endpoint: 'https://pay.example.com/charges'
              body: { line: '\${ line }', order: '\${ steps.getOrder.output.id }', sum: '\${ data.sum }' }
            output: { as: '\${ {"done": data.ok} }' }
            export: { as: '\${ {"paid": output.done} }' }
        - note: { set: { line: '\${ line }' }, then: exit }
  - refund: { run: { workflow: { namespace: shop, name: refund, version: '1.0.0' } } }
`,
);

let flows: CatalogFolder;

beforeAll(() => {
  const refund = flowText('shop/refund:1.0.0', 'do: [{ pay: { call: fs.delete, with: { path: x } } }]');
  flows = makeCatalogFolder({
    'order.yaml': ORDER,
    'refund.yaml': refund,
    'wrong.txt': 'do: 5',
    'mocks.yaml': 'charge: [{ output: { ok: true } }, { error: { code: BLW_HTTP_STATUS, status: 404 } }]',
  });
});

afterAll(() => flows.dispose());

describe('beamline step', () => {
  it('prints what the step would do, what comes of it, and where the flow would go on', async () => {
    const data = { variables: { line: 'a' }, steps: { getOrder: { id: 4711 } } };
    const mock = [{ error: { code: 'BLW_HTTP_STATUS', status: 503 } }, { output: { ok: true } }];
    const { code, stdout, stderr } = await runCli(
      [
        'step',
        'order.yaml',
        'charge',
        '--input',
        '-',
        '--data',
        JSON.stringify(data),
        '--mock',
        JSON.stringify(mock),
        '--catalog',
        '.',
      ],
      { cwd: flows.folder, stdin: '{"sum": 7}' },
    );
    expect(stdout).toBe(`one step of shop/order:1.0.0 for default: nothing was done
✓ /do/1/each/do/0/charge http.request, 2 attempts
    would send POST https://pay.example.com/charges with a body of 33 bytes
    attempt 1: BLW_HTTP_STATUS, status 503
    from: mocks of this run

resolved input
{
  "endpoint": {
    "uri": "https://pay.example.com/charges"
  },
  "method": "post",
  "body": {
    "line": "a",
    "order": 4711,
    "sum": 7
  }
}

it would complete with
{
  "done": true
}

context after it
{
  "paid": true
}

then: note
time skipped: 1.0 s
`);
    expect([code, stderr]).toEqual([0, '']);
  }, 60_000);

  it('runs a loop with the steps in it, and fails as it would', async () => {
    const { code, stdout } = await runCli(
      [
        'step',
        'order.yaml',
        'each',
        '--input',
        '{"lines": ["a", "b"], "sum": 1}',
        '--mocks',
        'mocks.yaml',
        '--catalog',
        '.',
      ],
      { cwd: flows.folder },
    );
    expect(stdout).toContain('✗ /do/1/each for\n    ✗ /do/1/each/do/0/charge [0] http.request');
    expect(stdout).toContain('it would fail: /do/1/each/do/0/charge: ${ steps.getOrder.output.id }');
    expect(stdout).toContain('the step reads what it was not given: steps.getOrder [BLW_EXPR_FAILED]');
    expect(code).toBe(1);
  }, 60_000);

  it('prints the report of a step that runs another flow, by their names in a catalog', async () => {
    const { code, stdout } = await runCli(
      ['step', 'shop/order', 'refund', '--catalog', '.', '--tenant', 'acme', '--json'],
      {
        cwd: flows.folder,
      },
    );
    const report = JSON.parse(stdout) as DryRunReport;
    expect(report).toMatchObject({ only: '/do/2/refund', tenant: 'acme', status: 'completed', next: null });
    expect(report.steps[0]?.flow?.steps).toMatchObject([{ name: 'pay', would: 'would delete blob x' }]);
    expect(code).toBe(0);
  }, 60_000);

  it.each<[string, string[], string]>([
    ['an unknown step', ['order.yaml', 'chrge'], 'no step is called "chrge"; did you mean "charge"?'],
    ['a step of another flow', ['order.yaml', '/do/2/refund/do/0/pay'], 'is a step of shop/refund:1.0.0'],
    ['a flow with problems', ['wrong.txt', 'a'], 'wrong.txt:1:'],
    ['a flow that is not there', ['none.yaml', 'a'], 'none.yaml: there is no such file'],
    ['a name without a catalog', ['shop/refund:1.0.0', 'pay'], 'no catalog to find a flow of that name in'],
    ['data that are no object', ['order.yaml', 'charge', '--data', '[]'], '--data: got an array'],
    ['a slip in data', ['order.yaml', 'charge', '--data', '{"vars": {}}'], '--data: "vars" is not known'],
    [
      'a dollar',
      ['order.yaml', 'charge', '--data', '{"variables": {"$line": 1}}'],
      '--data: variables: "$line": write the name without the dollar: "line"',
    ],
    ['variables in a list', ['order.yaml', 'charge', '--data', '{"variables": []}'], 'variables: got an array'],
    ['a slip in a mock', ['order.yaml', 'charge', '--mock', '{"outptu": 1}'], 'did you mean "output"?'],
    ['a mock of what reaches nothing', ['order.yaml', 'note', '--mock', '{"output": 1}'], 'is a set task'],
    [
      'two mocks of the step',
      ['order.yaml', 'charge', '--mock', '{"output": 1}', '--mocks', 'mocks.yaml'],
      '--mock: --mocks answers charge as well',
    ],
    ['stdin twice', ['order.yaml', 'charge', '--input', '-', '--data', '-'], '- can be given only once'],
  ])('starts nothing with %s', async (_, args, message) => {
    const { code, stdout, stderr } = await runInProcess(['step', ...args, '--json'], { cwd: flows.folder });
    expect(stderr).toContain(message);
    expect(JSON.parse(stdout)).toMatchObject({ status: 'NotStarted', error: { code: expect.stringMatching(/^BLW_/) } });
    expect(code).toBe(2);
  });
});
