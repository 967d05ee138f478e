import { randomUUID } from 'node:crypto';
import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { dryRunOn } from '../helpers/dry-run';
import { errorOf, flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

let test: TestWorker;

beforeAll(async () => {
  test = await startTestWorker({ pools: 'io,sandbox' });
});

afterAll(async () => {
  await test.stop();
});

const dryRun = (flow: JsonObject, start?: JsonObject): Promise<DryRunReport> => dryRunOn(test, flow, start);

const ORDER = flowOf(`
input: { schema: { document: { type: object, required: [orderId] } }, from: '\${ 1 / 0 }' }
output: { as: '\${ 1 / 0 }' }
timeout: { after: PT1S }
do:
  - getOrder: { call: fs.get, with: { path: a } }
  - each:
      for: { in: '\${ data.lines }', each: line }
      do:
        - charge:
            if: index < 3
            call: http
            with:
              method: post
              endpoint: '\${ "https://pay.example.com/" + workflow.input.shop }'
              body: { line: '\${ line }', order: '\${ steps.getOrder.output.id }', sum: '\${ data.sum }', by: '\${ context.by }' }
            output: { as: '\${ {"done": data.ok} }' }
            export: { as: '\${ {"by": context.by, "paid": output.done} }' }
        - note: { set: { line: '\${ line }' }, then: exit }
  - choose:
      switch: [{ some: { when: data.sum > 0, then: last } }, { none: { then: end } }]
  - undoable:
      do:
        - keep: { call: fs.put, with: { path: a, content: b }, metadata: { compensate: [{ drop: { call: fs.delete, with: { path: a } } }] } }
        - broken: { raise: { error: { type: 'https://example.com/broken', status: 500 } } }
  - last: { set: { a: 1 } }
`);

const CHARGE = '/do/1/each/do/0/charge';

describe('one step alone', () => {
  it('runs with what it is given, and tells what the flow would go on with', async () => {
    const report = await dryRun(ORDER, {
      input: { sum: 7 },
      only: {
        step: 'charge',
        context: { by: 'ann' },
        variables: { line: 'a', index: 0 },
        steps: { getOrder: { id: 4711 } },
        workflowInput: { shop: 'books' },
      },
      mocks: { charge: { output: { ok: true } } },
    });
    expect(report).toMatchObject({
      only: CHARGE,
      status: 'completed',
      output: { done: true },
      context: { by: 'ann', paid: true },
      next: 'note',
      steps: [
        {
          path: CHARGE,
          would: 'would send POST https://pay.example.com/books with a body of 44 bytes',
          input: { body: { line: 'a', order: 4711, sum: 7, by: 'ann' } },
          answer: 'request',
        },
      ],
    });
    expect(report.steps).toHaveLength(1);
    expect(report).not.toHaveProperty('notGiven');
  });

  it.each<[string, JsonObject, string | null]>([
    ['the case of a switch', { only: { step: 'choose' }, input: { sum: 1 } }, 'last'],
    ['the end', { only: { step: 'choose' }, input: { sum: 0 } }, 'end'],
    ['what leaves its list', { only: { step: 'note', variables: { line: 1 } } }, 'exit'],
    ['the next of its list', { only: { step: 'getOrder' } }, 'each'],
    ['the next where its if says no', { only: { step: 'charge', variables: { index: 3 } } }, 'note'],
    ['nothing at the end of its list', { only: { step: 'last' } }, null],
  ])('goes on with %s', async (_, start, next) => {
    expect(await dryRun(ORDER, start)).toMatchObject({ status: 'completed', next });
  });

  it('runs with the steps in it, and undoes nothing', async () => {
    const report = await dryRun(ORDER, { only: { step: 'undoable' }, mocks: { keep: { output: {} } } });
    expect(report).toMatchObject({
      only: '/do/3/undoable',
      status: 'failed',
      error: { instance: '/do/3/undoable/do/1/broken' },
    });
    expect(report.steps.map(({ name }) => name)).toEqual(['undoable', 'keep', 'broken']);
    expect(report).not.toHaveProperty('next');
  });

  it('says which key gives what an expression lacks', async () => {
    const report = await dryRun(ORDER, { only: { step: 'charge', variables: { index: 0 } } });
    expect(report).toMatchObject({ status: 'failed', error: { code: 'BLW_EXPR_FAILED', instance: CHARGE } });
    const missing = ['context', 'workflowInput', 'variables.line', 'steps.getOrder'];
    expect(report.error?.detail).toContain(`the step reads what it was not given: ${missing.join(', ')}`);
    expect(report.notGiven).toEqual(missing);
  });

  it.each<[string, JsonObject, string]>([
    ['a live start', { mode: 'live', only: { step: 'last' } }, 'only: is for a dry run only'],
    ['an unknown step', { only: { step: 'lst' } }, 'no step is called "lst"; did you mean "last"?'],
    ['a variable that is not around it', { only: { step: 'note', variables: { lien: 1 } } }, 'did you mean "line"?'],
  ])('refuses %s', async (_, start, detail) => {
    const handle = await test.client.workflow.start(RUN_FLOW, {
      workflowId: `refused-${randomUUID()}`,
      taskQueue: `${test.queuePrefix}-sandbox`,
      args: [{ flow: ORDER, mode: 'dry-run', ...start }],
    });
    const error = await errorOf(handle);
    expect(error).toMatchObject({ code: 'BLW_START_INVALID' });
    expect(error.detail).toContain(detail);
  });
});
