import { printDryRun } from '../../src/cli/dry-run-report';
import { createOutput } from '../../src/cli/output';
import type { DryRunReport, ReportedStep } from '../../src/dsl/dry-run/report';
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
