import { randomUUID } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DryRunReport, ReportedStep } from '../../src/dsl/dry-run/report';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { runInProcess } from '../helpers/cli-in-process';
import { dryRunOn } from '../helpers/dry-run';
import { projectRoot } from '../helpers/project-root';
import { testTemporal } from '../helpers/temporal';
import { errorOf, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

let test: TestWorker;

beforeAll(async () => {
  test = await startTestWorker({ pools: 'io,sandbox' });
});

afterAll(async () => {
  await test.stop();
});

const dryRun = (flow: JsonObject, start?: JsonObject): Promise<DryRunReport> => dryRunOn(test, flow, start);

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

describe('a dry run of what is no call', () => {
  it('consumes mocked events, one for each round of foreach, and emits none', async () => {
    const flow = flowOf(`
do:
  - hear:
      listen: { to: { any: [{ with: { type: order.placed } }], until: 'false' } }
      foreach: { item: order, do: [{ keep: { call: fs.put, with: { path: '\${ "o/" + string(order.id) }', content: x } } }] }
  - told: { emit: { event: { with: { source: /shop, type: order.done, data: { a: 1 } } } } }
  - rest: { wait: PT48H }
`);
    const report = await dryRun(flow, { mocks: { hear: { output: [{ id: 1 }, { id: 2 }] } } });
    expect(report.steps.map(({ name, would }) => [name, would])).toEqual([
      ['hear', 'would listen for events (order.placed)'],
      ['keep', 'would write 1 byte to blob o/1'],
      ['keep', 'would write 1 byte to blob o/2'],
      ['told', 'would emit the event order.done'],
      ['rest', 'would wait 48 h 0 min'],
    ]);
  });

  it('makes events up where none are mocked, one for each filter', async () => {
    const flow = flowOf(
      'do: [{ hear: { listen: { to: { all: [{ with: { type: a } }, { with: { type: b } }] }, read: envelope } } }]',
    );
    const report = await dryRun(flow);
    expect(report.output).toMatchObject([{ type: 'a' }, { type: 'b' }]);
    expect(stepOf(report, 'hear').answer).toBe('generated');
  });

  it('counts attempts over the tries of a try, and anew for each iteration, without waiting', async () => {
    const flow = flowOf(`
do:
  - each:
      for: { in: '\${ [1, 2] }', each: n }
      do:
        - attempt:
            try: [{ pay: { call: fs.put, with: { path: p, content: '\${ string(n) }' }, metadata: { retry: { maximumAttempts: 1 } } } }]
            catch: { retry: { delay: PT10M, limit: { attempt: { count: 5 } } } }
`);
    const pay: Json = [{ error: { code: 'BLW_FS_IO' } }, { error: { code: 'BLW_FS_IO' } }, { output: { size: 1 } }];
    const report = await dryRun(flow, { mocks: { pay } });
    expect(report.status).toBe('completed');
    expect(
      report.steps.filter(({ name }) => name === 'pay').map(({ status, iteration }) => [iteration, status]),
    ).toEqual(
      ['0', '0', '0', '1', '1', '1'].map((iteration, index) => [iteration, index % 3 === 2 ? 'completed' : 'failed']),
    );
  });

  it('counts time that is not waited where tries are limited by it', async () => {
    const flow = flowOf(`
do:
  - attempt:
      try: [{ pay: { call: fs.put, with: { path: p, content: x }, metadata: { retry: { maximumAttempts: 1 } } } }]
      catch: { retry: { delay: PT10M, limit: { duration: PT25M } } }
`);
    const report = await dryRun(flow, { mocks: { pay: { error: { code: 'BLW_FS_IO' } } } });
    expect(report.steps.filter(({ name }) => name === 'pay')).toHaveLength(3);
    // Caught, and nothing said what to do then.
    expect(report.status).toBe('completed');
  });

  it('says of a step what would become of it as a dead letter, and does not wait', async () => {
    const flow = flowOf(
      'do: [{ keep: { call: fs.put, with: { path: p, content: x }, metadata: { onFailure: deadLetter } } }]',
    );
    const report = await dryRun(flow, { mocks: { keep: { error: { code: 'BLW_FS_PRECONDITION' } } } });
    expect(report).toMatchObject({ status: 'failed', error: { code: 'BLW_FS_PRECONDITION' } });
    expect(stepOf(report, 'keep').would).toContain('it would wait for people as a dead letter');
  });

  it.each<[string, JsonObject]>([
    ['fail', { status: 'failed', error: { code: 'BLW_APPROVAL_TIMEOUT' } }],
    ['reject', { status: 'completed', output: { decision: 'rejected' } }],
    ['continue', { status: 'completed', output: { decision: 'timedOut' } }],
  ])('lets an approval run out of time with onTimeout: %s', async (onTimeout, end) => {
    const flow = flowOf(
      `do: [{ ask: { call: human.approval, with: { title: x, timeout: P2D, onTimeout: ${onTimeout} } } }]`,
    );
    expect(await dryRun(flow, { mocks: { ask: { decision: 'timedOut' } } })).toMatchObject(end);
  });

  it('checks the form of a mocked decision', async () => {
    const flow = flowOf(
      'do: [{ ask: { call: human.approval, with: { title: x, form: { type: object, required: [amount], properties: { amount: { type: integer } } } } } }]',
    );
    expect(await dryRun(flow)).toMatchObject({ output: { decisions: [{ form: { amount: 0 } }] } });
    const mocks = { ask: { decision: 'approved', form: { amount: 'much' } } };
    expect(await dryRun(flow, { mocks })).toMatchObject({ status: 'failed', error: { code: 'BLW_DATA_INVALID' } });
  });

  it('takes the schema of a step for what it makes up', async () => {
    const flow = flowOf(`
do:
  - get:
      call: http
      with: { method: get, endpoint: 'https://example.com/' }
      output: { schema: { document: { type: object, properties: { total: { type: number, minimum: 5 } } } } }
  - next: { set: { total: '\${ data.total }' } }
`);
    expect(await dryRun(flow)).toMatchObject({ status: 'completed', output: { total: 5 } });
  });
});

describe('what a dry run is refused', () => {
  const flow = flowOf("do: [{ put: { call: fs.put, with: { path: '${ data }', content: x } } }]");

  it.each<[string, string, JsonObject, string]>([
    ['a dry run of a live worker', 'io', { mode: 'dry-run' }, 'start it on the task queue'],
    ['a live flow of the sandbox', 'sandbox', {}, 'this worker runs dry runs only, got "live"'],
    ['a mock of no step', 'sandbox', { mode: 'dry-run', mocks: { pt: { output: 1 } } }, 'no step is called "pt"'],
    [
      'a mock that is none of its block',
      'sandbox',
      { mode: 'dry-run', mocks: { put: { output: { size: 'much' } } } },
      '"put": output.size: got "much", expected a whole number',
    ],
  ])('refuses %s', async (_, pool, start, detail) => {
    const handle = await test.client.workflow.start(RUN_FLOW, {
      workflowId: `refused-${randomUUID()}`,
      taskQueue: `${test.queuePrefix}-${pool}`,
      args: [{ flow, input: 'a', ...start }],
    });
    const error = await errorOf(handle);
    expect(error).toMatchObject({ code: 'BLW_START_INVALID' });
    expect(error.detail).toContain(detail);
  });

  it.each<[string, string, Json]>([
    ['a blob path', 'BLW_FS_PATH', '../x'],
    ['an argument', 'BLW_ARG_INVALID', 5],
  ])('fails where %s is wrong, as the live step would', async (_, code, input) => {
    expect(await dryRun(flow, { input })).toMatchObject({ status: 'failed', error: { code } });
  });

  it('shows in lists as what it is', async () => {
    const workflowId = `listed-${randomUUID()}`;
    const args: [JsonObject] = [{ flow, input: '../x', mode: 'dry-run' }];
    await test.client.workflow.execute(RUN_FLOW, { workflowId, taskQueue: `${test.queuePrefix}-sandbox`, args });
    const { searchAttributes, status } = await test.client.workflow.getHandle(workflowId).describe();
    expect([searchAttributes.BeamlineStatus, status.name]).toEqual([['DryRunFailed'], 'COMPLETED']);
  });
});

describe('beamline run --dry-run', () => {
  const { address, namespace } = testTemporal();
  const connection = ['--address', address, '--namespace', namespace];

  /** Runs the flow from a file. */
  async function run(flow: JsonObject, ...flags: string[]) {
    const file = join(test.folder, `${randomUUID()}.json`);
    writeFileSync(file, JSON.stringify(flow));
    return await runInProcess(['run', file, '--queue-prefix', test.queuePrefix, ...connection, ...flags], {
      env: process.env,
      cwd: test.folder,
    });
  }

  it('prints what each step would have done', async () => {
    const { code, stdout } = await run(ORDER, '--dry-run', '--input', '{"id": 7}');
    expect(stdout).toContain('dry run of test/flow:1.0.0 for default: nothing was done');
    expect(stdout).toContain('✓ /do/0/getOrder http.request\n    would send GET https://api.example.com/orders/7');
    expect(stdout).toContain("    from: the flow's metadata.mock");
    expect(stdout).toContain('✓ /do/4/decide switch\n    case: yes');
    expect(stdout).toContain('it would complete with\n{\n  "paid": true\n}');
    expect(code).toBe(0);
  });

  it('may be made again under an id, and leaves that to the live flow', async () => {
    const id = `order-${randomUUID()}`;
    const flow = flowOf('do: [{ s: { set: { a: 1 } } }]');
    for (const flags of [['--dry-run'], ['--dry-run'], []]) {
      const { code, stdout } = await run(flow, '--id', id, '--json', ...flags);
      expect([code, JSON.parse(stdout).workflowId]).toEqual([0, flags.length === 0 ? id : `dry-run-${id}`]);
    }
  }, 60_000);

  it('ends as the flow would, and takes mocks from a file', async () => {
    writeFileSync(join(test.folder, 'mocks.yaml'), 'getOrder: { error: { code: BLW_HTTP_STATUS, status: 404 } }\n');
    const { code, stdout } = await run(ORDER, '--dry-run', '--mocks', 'mocks.yaml', '--input', '{"id": 7}', '--json');
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'Failed',
      error: { code: 'BLW_HTTP_STATUS', status: 404 },
      report: { dryRun: true, status: 'failed', steps: [{ name: 'getOrder', status: 'failed', answer: 'request' }] },
    });
    expect(code).toBe(1);
  });

  it.each([
    [['--mocks', 'mocks.yaml'], '--mocks: counts in a dry run only; add --dry-run'],
    [['--real-waits'], '--real-waits: counts in a dry run only'],
    [['--dry-run', '--mocks', 'none.yaml'], 'none.yaml: there is no such file'],
    [['--dry-run', '--mocks', 'list.yaml'], '--mocks: list.yaml: got an array, expected an object'],
    [['--dry-run', '--mocks', 'wrong.yaml'], 'no step is called "getOder"; did you mean "getOrder"?'],
  ])('starts nothing with %j', async (flags, message) => {
    writeFileSync(join(test.folder, 'mocks.yaml'), 'getOrder: { output: 1 }\n');
    writeFileSync(join(test.folder, 'list.yaml'), '[1]\n');
    writeFileSync(join(test.folder, 'wrong.yaml'), 'getOder: { output: 1 }\n');
    const { code, stderr } = await run(ORDER, ...flags);
    expect(stderr).toContain(message);
    expect(code).toBe(2);
  });

  it('prints what docs/sandbox.md shows, with the mocks that stand there', async () => {
    const page = readFileSync(join(projectRoot(), 'docs/sandbox.md'), 'utf8');
    const blocks = [...page.matchAll(/```text\n(.*?)```/gs)].map(([, text = '']) => text);
    const blockWith = (text: string) => blocks.find((block) => block.includes(text)) ?? '';
    writeFileSync(join(test.folder, 'documented.yaml'), blockWith('# mocks.yaml'));
    const example = (name: string) => join(projectRoot(), 'examples', name);
    const print = async (...flags: string[]) => {
      const input = `@${example('order-intake.input.json')}`;
      const args = ['run', example('order-intake.yaml'), '--input', input, '--dry-run', ...flags];
      return await runInProcess([...args, '--queue-prefix', test.queuePrefix, ...connection], {
        env: process.env,
        cwd: test.folder,
      });
    };
    const made = await print();
    expect(made.stdout).toContain(blockWith('hint: '));
    expect(made.code).toBe(1);
    const mocked = await print('--mocks', 'documented.yaml');
    for (const part of blockWith('dry run of shop/order-intake').split('…\n')) expect(mocked.stdout).toContain(part);
    expect(mocked.code).toBe(0);
  });
});
