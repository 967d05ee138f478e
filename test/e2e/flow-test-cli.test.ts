import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { type CliResult, type RunningCli, runCli, startCli } from '../helpers/cli';
import { projectRoot } from '../helpers/project-root';

const START_MS = 60_000;

const ORDER = `document: { dsl: '1.0.3', namespace: shop, name: order, version: '1.0.0' }
evaluate: { language: cel }
input:
  schema:
    document: { type: object, required: [orderId] }
do:
  - getOrder:
      call: http
      with: { method: get, endpoint: 'https://api.example.com/orders/{orderId}' }
  - approve:
      if: data.total > 100
      call: human.approval
      with: { title: 'Order \${ workflow.input.orderId }?', timeout: PT2H, onTimeout: reject }
  - pause: { wait: PT1H }
  - pay:
      call: http
      with: { method: post, endpoint: 'https://pay.example.com/charges', body: { order: '\${ workflow.input.orderId }' } }
`;

const ORDER_TESTS = `mocks:
  getOrder: { output: { total: 12 } }
cases:
  - name: pays <a small order> & "waits"
    input: { orderId: '4711' }
    mocks: { pay: { output: { charged: true } } }
    expect:
      path: [getOrder, pause, pay]
      approvals: []
      waited: PT1H
      steps:
        pay: { input: { $contains: { body: { order: '4711' } } } }
      output: { charged: true }
  - name: expects too much
    input: { orderId: '4712' }
    mocks: { pay: { output: { charged: true } }, approve: { decision: approved } }
    expect:
      path: [getOrder, pay]
      output: { charged: false }
  - name: has the wrong input
    expect: { error: BLW_DATA_INVALID, path: [] }
  - name: comes later
    skip: not built
`;

/** One that goes round for ever, one that may not do what it does, and one that runs another flow. */
const ENDLESS = `document: { dsl: '1.0.3', namespace: shop, name: endless, version: '1.0.0' }
do:
  - ask:
      call: http
      with: { method: get, endpoint: https://api.example.com }
      then: ask
`;
const ENDLESS_TESTS = `tenant: acme
cases:
  - name: never ends
    expect: { error: {}, path: [], approvals: [], steps: { ask: { ran: false } } }
  - name: may not write
    tenant: reader
    expect: { error: { code: BLW_SCOPE_DENIED } }
`;
const PARENT = `document: { dsl: '1.0.3', namespace: shop, name: parent, version: '1.0.0' }
do:
  - child: { run: { workflow: { namespace: shop, name: order, version: '1.0.0', input: { orderId: '7' } } } }
`;
const PARENT_TESTS = `flow: parent.yaml
cases:
  - name: runs another flow
    mocks:
      /do/0/child/do/0/getOrder: { output: { total: 500 } }
      child: { mocks: { pay: { output: { paid: 7 } } } }
    expect:
      steps:
        child:
          flow:
            approvals: [{ step: approve, decision: approved }]
            steps: { pay: { answer: request } }
      output: { paid: 7 }
`;
const POLICY = `version: 1
tenants:
  default: { scopes: ['flow:start', 'block:*', 'resources:*', 'http:*:*', 'approval:request'] }
  acme: { scopes: ['flow:start', 'block:*', 'resources:*', 'http:*:*'] }
  reader: { scopes: ['flow:start'] }
`;

let folder: string;
const running: RunningCli[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'beamline-flow-tests-'));
});

afterEach(() => {
  for (const cli of running.splice(0)) cli.kill();
  rmSync(folder, { recursive: true, force: true });
});

function write(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
}

const test = (...args: string[]): Promise<CliResult> => runCli(['test', ...args], { cwd: folder });

it(
  'runs the cases beside flows, and says what differs, what was come to, and where that stands',
  async () => {
    write({ 'order.yaml': ORDER, 'order.flow-test.yaml': ORDER_TESTS, 'ignored.test.yaml': 'nothing' });
    const [text, json] = await Promise.all([test('--verbose'), test('.', '--json', '--junit', 'report.xml')]);
    expect(text.stderr).toBe('running 4 cases in 1 file\n');
    const lines = text.stdout.replace(/ \d+ ms$/gm, '').split('\n');
    expect(lines).toEqual(
      expect.arrayContaining([
        'order.flow-test.yaml (shop/order:1.0.0)',
        '  ✓ pays <a small order> & "waits"',
        '  ✗ expects too much',
        '      output.charged: expected false, got true',
        '      path: expected getOrder, pay, got getOrder, pause, pay',
        '          would send POST https://pay.example.com/charges with a body of 16 bytes',
        '      mocks that no step used: /do/1/approve',
        '  ✓ has the wrong input',
        '  - comes later: skipped, not built',
        'order.yaml  3 of 4 (75 %)  1 of 2 (50 %)',
        '  order.yaml:10:5 /do/1/approve: it never ran',
      ]),
    );
    expect(text.stdout).toMatch(/^1 failed, 2 passed, 1 skipped in 1 file, \d+\.\d s$/m);
    expect(text.code).toBe(1);

    expect(json.code).toBe(1);
    const result = JSON.parse(json.stdout);
    expect(result).toMatchObject({ passed: 2, failed: 1, skipped: 1 });
    expect(result.files[0].cases[1]).toMatchObject({
      name: 'expects too much',
      line: 14,
      status: 'failed',
      differences: [{ at: 'output.charged', expected: 'false', got: 'true' }, expect.anything()],
      report: { dryRun: true, status: 'completed' },
    });
    expect(result.coverage).toEqual([
      {
        file: 'order.yaml',
        flow: 'shop/order:1.0.0',
        steps: { covered: 3, total: 4 },
        branches: { covered: 1, total: 2 },
        missing: [{ path: '/do/1/approve', line: 10, column: 5, what: 'it never ran' }],
      },
    ]);

    const xml = readFileSync(join(folder, 'report.xml'), 'utf8');
    expect(XMLValidator.validate(xml)).toBe(true);
    const { testsuites } = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '' }).parse(xml);
    expect(testsuites).toMatchObject({ tests: '4', failures: '1', skipped: '1', errors: '0' });
    expect(testsuites.testsuite).toMatchObject({ name: 'order.flow-test.yaml', tests: '4', failures: '1' });
    const [passed, failed, , skipped] = testsuites.testsuite.testcase;
    expect(passed).toMatchObject({ name: 'pays <a small order> & "waits"', classname: 'shop/order:1.0.0', line: '4' });
    expect(failed.failure).toMatchObject({
      message: 'output.charged: expected false, got true',
      '#text': expect.stringContaining('path: expected getOrder, pay, got getOrder, pause, pay'),
    });
    expect(skipped.skipped).toMatchObject({ message: 'not built' });
  },
  START_MS,
);

it(
  'ends cases that do not end, and knows the scopes of tenants and the flows of a catalog',
  async () => {
    write({
      'order.yaml': ORDER,
      'endless.yaml': ENDLESS,
      'endless.flow-test.yaml': ENDLESS_TESTS,
      'parent.yaml': PARENT,
      'of-the-parent.flow-test.json': JSON.stringify((await import('yaml')).parse(PARENT_TESTS)),
      'policy.yaml': POLICY,
    });
    const { code, stdout } = await test('--policy', 'policy.yaml', '--catalog', '.', '--timeout', 'PT3S');
    expect(stdout).toMatch(/✗ never ends.*\n +the case\n +expected to end within 3\.0 s\n +got a flow that goes on/);
    expect(stdout).toContain('✓ may not write');
    expect(stdout).toContain('✓ runs another flow');
    expect(stdout).toMatch(/^1 failed, 2 passed in 2 files/m);
    expect(code).toBe(1);
  },
  START_MS,
);

it('starts nothing where something is written wrong', async () => {
  write({
    'order.yaml': ORDER,
    'order.flow-test.yaml': 'cases:\n  - name: a\n    expect: { steps: { pya: {} } }\n',
    'broken.yaml': 'do: []\n',
    'broken.flow-test.yaml': 'cases: []\n',
    'alone.flow-test.yaml': 'cases: []\n',
    'other.flow-test.yaml': 'flow: nowhere.yaml\ncases: []\n',
  });
  const { code, stdout, stderr } = await test();
  expect(stdout).toBe('');
  expect(stderr.split('\n')).toEqual([
    expect.stringMatching(
      /^alone\.flow-test\.yaml:1:1 BLW_VALUE_INVALID there is no flow beside the file that has its name; name one with flow: FILE$/,
    ),
    expect.stringMatching(/^broken\.yaml:1:1 BLW_KEY_MISSING a flow needs "document"/),
    expect.stringMatching(/^broken\.yaml:1:5 /),
    expect.stringMatching(
      /^order\.flow-test\.yaml:3:24 BLW_VALUE_INVALID no step is called "pya"; did you mean "pay"\?/,
    ),
    expect.stringMatching(/^other\.flow-test\.yaml:1:7 BLW_VALUE_INVALID flow: nowhere\.yaml: there is no such file/),
    '5 problems in 4 files',
    '',
  ]);
  expect(code).toBe(2);

  const json = await test('order.flow-test.yaml', '--json');
  expect(JSON.parse(json.stdout).problems).toEqual([
    expect.objectContaining({ file: 'order.flow-test.yaml', line: 3, column: 24, code: 'BLW_VALUE_INVALID' }),
  ]);
});

it.each([
  [['nowhere'], 'nowhere: there is no such file or folder'],
  [['.'], 'no flow tests in ., expected files called NAME.flow-test.yaml'],
  [['--min-coverage', '101'], 'Expected a whole number from 0 to 100.'],
  [['--junit', 'nowhere/report.xml'], '--junit nowhere/report.xml: cannot be written (ENOENT)'],
  [['--timeout', '5s'], 'Expected a duration such as PT30S.'],
  [['--min-coverage', '5', '--name', 'a'], '--min-coverage: counts for all cases of a flow'],
])('refuses %j', async (args, message) => {
  const { code, stderr } = await test(...args);
  expect(stderr).toContain(message);
  expect(stderr).toContain('[BLW_USAGE]');
  expect(code).toBe(2);
});

it(
  'passes the tests of the examples, and fails where more coverage is asked for',
  async () => {
    write({
      'order.yaml': ORDER,
      'order.flow-test.yaml': ORDER_TESTS.replace(/ {2}- name: expects too much[\s\S]*?(?= {2}- name: has)/, ''),
    });
    const [examples, order] = await Promise.all([
      runCli(['test', 'examples', '--min-coverage', '100'], { cwd: projectRoot() }),
      test('--min-coverage', '60'),
    ]);
    expect(examples.stderr).toBe('running 7 cases in 2 files\n');
    expect(examples.stdout).toMatch(/^7 passed in 2 files/m);
    expect(examples.code).toBe(0);
    expect(order.stderr).toBe(
      'running 3 cases in 1 file\norder.yaml: 50 % of its branches are covered, expected 60 %\n',
    );
    expect(order.stdout).toMatch(/^2 passed, 1 skipped in 1 file/m);
    expect(order.code).toBe(1);
  },
  START_MS,
);

it(
  'runs again what has changed, until Ctrl-C',
  async () => {
    write({ 'order.yaml': ORDER, 'order.flow-test.yaml': ORDER_TESTS });
    const cli = startCli(['test', '--watch', '--name', 'a small order'], { cwd: folder });
    running.push(cli);
    await cli.waitFor(/watching; Ctrl-C ends\n$/, { stream: 'stderr', timeoutMs: START_MS });
    expect(cli.stdout()).toMatch(/^1 passed in 1 file/m);

    write({ 'order.yaml': ORDER.replace('PT1H', 'PT2H') });
    await cli.waitFor(/^1 failed, 0 passed in 1 file/m, { timeoutMs: START_MS });
    expect(cli.stdout()).toContain('waited: expected PT1H, got PT2H');

    write({ 'order.yaml': 'document: {}\n' });
    await cli.waitFor(/^\d+ problems? in 1 file\nwatching/m, { stream: 'stderr', timeoutMs: START_MS });
    write({ 'order.yaml': ORDER });
    await cli.waitFor(/1 failed[\s\S]*1 passed in 1 file/, { timeoutMs: START_MS });

    write({ 'second.yaml': ORDER, 'second.flow-test.yaml': ORDER_TESTS });
    await cli.waitFor(/^second\.flow-test\.yaml/m, { timeoutMs: START_MS });

    for (const name of readdirSync(folder)) rmSync(join(folder, name));
    await cli.waitFor(/no flow tests in \., expected files/, { stream: 'stderr', timeoutMs: START_MS });
    write({ 'third.yaml': ORDER, 'third.flow-test.yaml': ORDER_TESTS });
    await cli.waitFor(/^third\.flow-test\.yaml/m, { timeoutMs: START_MS });

    cli.child.kill('SIGINT');
    const { code } = await cli.exited;
    expect(code).toBe(130);
  },
  4 * START_MS,
);

it(
  'runs all again where the catalog or the policy has changed',
  async () => {
    write({ 'parent.yaml': PARENT, 'parent.flow-test.yaml': PARENT_TESTS, 'order.yaml': ORDER, 'policy.yaml': POLICY });
    write({ 'order.flow-test.yaml': ORDER_TESTS.replace(/ {2}- name: expects too much[\s\S]*$/, '') });
    const cli = startCli(['test', '--watch', '--catalog', '.', '--policy', 'policy.yaml'], { cwd: folder });
    running.push(cli);
    await cli.waitFor(/watching; Ctrl-C ends\n$/, { stream: 'stderr', timeoutMs: START_MS });
    expect(cli.stdout()).toMatch(/^2 passed in 2 files/m);

    // The flow has tests of its own, and one that runs it.
    write({ 'order.yaml': ORDER.replace('total > 100', 'total > 1000') });
    await cli.waitFor(/approvals: expected approve, got none[\s\S]*^1 failed, 1 passed in 2 files/m, {
      timeoutMs: START_MS,
    });

    write({ 'policy.yaml': POLICY.replace("'block:*', ", '') });
    await cli.waitFor(/block:http\.request is needed/, { timeoutMs: START_MS });
    write({ 'policy.yaml': 'version: 2\n' });
    await cli.waitFor(/^policy\.yaml:1:10 BLW_POLICY_INVALID/m, { stream: 'stderr', timeoutMs: START_MS });
  },
  4 * START_MS,
);

it(
  'stops at Ctrl-C in the middle and leaves nothing behind',
  async () => {
    write({ 'endless.yaml': ENDLESS, 'endless.flow-test.yaml': ENDLESS_TESTS });
    const cli = startCli(['test'], { cwd: folder, env: { TMPDIR: folder } });
    running.push(cli);
    await cli.waitFor(/^running 2 cases/m, { stream: 'stderr', timeoutMs: START_MS });
    cli.child.kill('SIGINT');
    const { code, stderr } = await cli.exited;
    expect(stderr).toBe('running 2 cases in 1 file\n');
    expect(readdirSync(folder).sort()).toEqual(['endless.flow-test.yaml', 'endless.yaml']);
    expect(code).toBe(130);
  },
  START_MS,
);
