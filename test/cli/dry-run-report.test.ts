import { printDryRun } from '../../src/cli/dry-run-report';
import { createOutput } from '../../src/cli/output';
import { printStep } from '../../src/cli/step-report';
import type { DryRunReport, ReportedStep } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { CollectedText } from '../helpers/collected-text';

const STEP: ReportedStep = { path: '/do/0/ask', name: 'ask', block: 'http.request', status: 'completed' };

function reportOf(steps: ReportedStep[], more: Partial<DryRunReport> = {}): DryRunReport {
  return { dryRun: true, flow: 'a/b:1.0.0', tenant: 'acme', status: 'completed', output: 1, steps, ...more };
}

function printed(report: DryRunReport): string {
  const stream = new CollectedText();
  printDryRun(report, createOutput(stream, { env: {}, onBroken: () => undefined }));
  return stream.text;
}

describe('the report of a dry run, as it is printed', () => {
  it('says what attempts were answered', () => {
    const failedAttempts = [
      { attempt: 1, code: 'BLW_HTTP_STATUS', status: 503, detail: 'closed' },
      { attempt: 2, code: 'BLW_STEP_TIMEOUT' },
      { attempt: 3, type: 'https://example.com/mine' },
    ] as const;
    expect(printed(reportOf([{ ...STEP, attempts: 4, failedAttempts, answer: 'request' }]))).toContain(
      `✓ /do/0/ask http.request, 4 attempts
    attempt 1: BLW_HTTP_STATUS, status 503: closed
    attempt 2: BLW_STEP_TIMEOUT
    attempt 3: https://example.com/mine
    from: mocks of this run
`,
    );
  });

  it('names mocks that no step used, also of a flow that a step runs', () => {
    const flow = reportOf([STEP], { unusedMocks: ['/do/4/pay'] });
    const text = printed(reportOf([{ ...STEP, block: 'subflow', flow }], { unusedMocks: ['/do/1/a', '/do/2/b'] }));
    expect(text).toContain('\n    mocks that no step used: /do/4/pay\nmocks that no step used: /do/1/a, /do/2/b\n');
  });
});

describe('what a script printed that failed', () => {
  const stdout = `${Array.from({ length: 7 }, (_, index) => `line ${index + 1}`).join('\n')}\n`;
  const error = { code: 'BLW_SCRIPT_FAILED', detail: 'it threw', data: { stdout, stderr: 'x'.repeat(300) } };
  const script: ReportedStep = { ...STEP, block: 'script.run', status: 'failed', answer: 'computed', error };
  const failed = reportOf([script], { status: 'failed', error });

  it('is shown by its last lines, none of them long', () => {
    const text = printed(failed);
    expect(text).toMatch(/stdout: …\n +line 3\n(.*\n){3} +line 7\n +stderr: x{199}…\n +from: the script itself\n/);
  });

  it('is shown of a step alone, too, and of no other error', () => {
    const stream = new CollectedText();
    const print = (report: DryRunReport) =>
      printStep(report, { step: 'ask' }, createOutput(stream, { env: {}, onBroken: () => undefined }));
    print(failed);
    expect(stream.text).toMatch(/it would fail: it threw \[BLW_SCRIPT_FAILED\]\n +stdout: +…\n +line 3\n/);
    print(reportOf([STEP], { status: 'failed', error: { ...error, code: 'BLW_HTTP_STATUS' } }));
    expect(stream.text.split('stdout:')).toHaveLength(2);
  });
});

describe('the hint at a made-up value', () => {
  const exprError = (instance: string, detail = '${ data.orderId } at character 6: No such key: orderId') => ({
    code: 'BLW_EXPR_FAILED',
    detail,
    instance,
  });
  const get = { ...STEP, path: '/do/0/getOrder', name: 'getOrder', answer: 'generated' } as const;
  const list = { ...get, path: '/do/1/list', name: 'list' };
  const price: ReportedStep = { path: '/do/2/price', name: 'price', block: 'set', status: 'failed' };
  const failing = (steps: ReportedStep[], error: JsonObject) => reportOf(steps, { status: 'failed', error });
  const HINT = (path: string, mock: string) =>
    `\nhint: the answer of ${path} is made up: if that is why it fails, mock it (--mocks): ${mock}\n`;

  it.each<[string, DryRunReport, string]>([
    [
      'the step before',
      failing([get, list, price], exprError('/do/2/price')),
      HINT('/do/1/list', 'list: { output: … }'),
    ],
    [
      'the step that the expression names',
      failing([get, list, price], exprError('/do/2/price', '${ steps.getOrder.output.id } at …')),
      HINT('/do/0/getOrder', 'getOrder: { output: … }'),
    ],
    [
      'a step with the name of another by its path',
      failing([{ ...list, name: 'getOrder' }, get, price], exprError('/do/2/price')),
      HINT('/do/0/getOrder', '/do/0/getOrder: { output: … }'),
    ],
    [
      'an approval',
      failing([{ ...get, block: 'human.approval', decision: 'approved' }, price], exprError('/do/2/price')),
      HINT('/do/0/getOrder', 'getOrder: { decision: … }'),
    ],
    [
      'a step before the output of the flow',
      failing([get], { code: 'BLW_DATA_INVALID', detail: 'output: …' }),
      HINT('/do/0/getOrder', 'getOrder: { output: … }'),
    ],
    [
      'a step of a flow that a step runs',
      failing(
        [{ ...price, block: 'subflow', flow: failing([get, price], exprError('/do/2/price')) }],
        exprError('/do/2/price'),
      ),
      HINT('/do/0/getOrder', 'price: { mocks: { getOrder: { output: … } } }'),
    ],
  ])('names %s', (_, report, hint) => {
    expect(printed(report)).toContain(hint);
  });

  it.each<[string, DryRunReport]>([
    ['nothing was made up', failing([{ ...get, answer: 'request' }, price], exprError('/do/2/price'))],
    ['only a later step was', failing([price, get], exprError('/do/2/price'))],
    ['it fails for another reason', failing([get, price], { code: 'BLW_SCOPE_DENIED', instance: '/do/2/price' })],
    ['it would complete', reportOf([get])],
  ])('is absent where %s', (_, report) => {
    expect(printed(report)).not.toContain('hint:');
  });
});
