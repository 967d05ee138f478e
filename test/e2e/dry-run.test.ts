import { randomUUID } from 'node:crypto';
import type { DryRunReport, ReportedStep } from '../../src/dsl/dry-run/report';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

let test: TestWorker;

beforeAll(async () => {
  test = await startTestWorker({ pools: 'io,sandbox' });
});

afterAll(async () => {
  await test.stop();
});

/** Runs a dry run to its end, in the sandbox. */
async function dryRun(flow: JsonObject, start: JsonObject = {}): Promise<DryRunReport> {
  const result: unknown = await test.client.workflow.execute(RUN_FLOW, {
    workflowId: `dry-${randomUUID()}`,
    taskQueue: `${test.queuePrefix}-sandbox`,
    args: [{ flow, tenant: 'acme', mode: 'dry-run', ...start }],
  });
  return result as DryRunReport;
}

function stepOf(report: DryRunReport, name: string): ReportedStep {
  const found = report.steps.find((step) => step.name === name);
  if (found === undefined) throw new Error(`no step ${name} in ${JSON.stringify(report)}`);
  return found;
}

const ORDER = flowOf(`
do:
  - getOrder:
      call: http
      with: { method: get, endpoint: 'https://api.example.com/orders/{id}?key=1', headers: { accept: text/plain, x: y } }
      metadata: { mock: { output: { id: 7, total: 12 } } }
  - keep:
      call: fs.put
      with: { path: 'orders/7.json', content: '\${ data }' }
  - insert:
      call: sql.execute
      with: { database: shop, statement: 'INSERT INTO orders VALUES (:id)', parameters: { id: '\${ 7 }' } }
  - ask:
      call: human.approval
      with: { title: Pay it?, assignees: { groups: [finance] } }
  - decide:
      switch:
        - yes: { when: data.decision == "approved", then: pay }
        - otherwise: { then: end }
  - pay:
      set: { paid: true }
`);

describe('a dry run', () => {
  it('tells of each step what it would have done, and where its answer comes from', async () => {
    const report = await dryRun(ORDER, { input: { id: 7 } });
    expect(report).toMatchObject({ dryRun: true, status: 'completed', output: { paid: true }, tenant: 'acme' });
    expect(report.steps.map(({ name }) => name)).toEqual(['getOrder', 'keep', 'insert', 'ask', 'decide', 'pay']);
    expect(stepOf(report, 'getOrder')).toMatchObject({
      path: '/do/0/getOrder',
      block: 'http.request',
      status: 'completed',
      attempts: 1,
      would: 'would send GET https://api.example.com/orders/7 with 2 headers',
      answer: 'document',
      output: { id: 7, total: 12 },
    });
    expect(stepOf(report, 'keep')).toMatchObject({
      would: 'would write 19 bytes to blob orders/7.json',
      answer: 'generated',
      output: { path: 'orders/7.json' },
    });
    expect(stepOf(report, 'insert').would).toBe(
      'would run 1 statement on database shop: INSERT INTO orders VALUES (:id)',
    );
    expect(stepOf(report, 'ask')).toMatchObject({
      would: 'would ask group finance for approval: Pay it?',
      answer: 'generated',
      output: { decision: 'approved' },
    });
  });

  it('takes answers from the request before those of the document', async () => {
    const mocks = { getOrder: { output: 'from the request' }, '/do/3/ask': { decision: 'rejected', by: 'eve' } };
    const report = await dryRun(ORDER, { input: { id: 7 }, mocks });
    expect(stepOf(report, 'getOrder')).toMatchObject({ answer: 'request', output: 'from the request' });
    expect(stepOf(report, 'ask').output).toMatchObject({ decision: 'rejected', decisions: [{ by: 'eve' }] });
    expect(report.steps.map(({ name }) => name)).not.toContain('pay');
  });

  it('retries as a live step does, an answer for each attempt, without waiting', async () => {
    const mocks: Json = {
      getOrder: [{ error: { code: 'BLW_HTTP_STATUS', status: 503 } }, { timeout: true }, { output: 'third time' }],
    };
    const report = await dryRun(ORDER, { input: { id: 7 }, mocks });
    expect(stepOf(report, 'getOrder')).toMatchObject({ attempts: 3, output: 'third time', status: 'completed' });
  });

  it('fails as the flow would, with a report', async () => {
    const report = await dryRun(ORDER, {
      input: { id: 7 },
      mocks: { insert: { error: { code: 'BLW_SQL_CONSTRAINT', detail: 'it is there already' } } },
    });
    expect(report).toMatchObject({
      status: 'failed',
      error: { code: 'BLW_SQL_CONSTRAINT', detail: 'it is there already', instance: '/do/2/insert' },
    });
    expect(stepOf(report, 'insert')).toMatchObject({ status: 'failed', attempts: 1 });
  });
});
