import type { DryRunReport } from '../../src/dsl/dry-run/report';
import type { JsonObject } from '../../src/dsl/json';
import type { TemporalServer } from '../../temporal-dev/server';
import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { dryRunOn } from '../helpers/dry-run';
import { startTemporalOfShortHistories } from '../helpers/temporal';
import { flowOf, startTestWorker, type TestWorker } from '../helpers/test-worker';

/** A server that suggests a new history after a few events already, so that all is counted over several of them. */
let server: TemporalServer;
let catalog: CatalogFolder;
let test: TestWorker;

beforeAll(async () => {
  server = await startTemporalOfShortHistories(20);
  catalog = makeCatalogFolder({
    'child.yaml': flowText(
      'test/child:1.0.0',
      "do: [{ pay: { call: http, with: { method: get, endpoint: 'https://a.example.com' } } }]",
    ),
  });
  test = await startTestWorker({ pools: 'sandbox', catalog: catalog.folder }, server);
}, 60_000);

afterAll(async () => {
  await test?.stop();
  catalog?.dispose();
  await server?.stop();
});

const dryRun = (flow: JsonObject, start?: JsonObject): Promise<DryRunReport> => dryRunOn(test, flow, start);

/** What came of each time that a step ran, in the order of its iterations. */
function outputsOf({ steps }: DryRunReport, name: string) {
  return steps
    .filter((step) => step.name === name)
    .sort((left, right) => Number(left.iteration ?? 0) - Number(right.iteration ?? 0))
    .map(({ output, error }) => output ?? error?.code);
}

const GET = "call: http, with: { method: get, endpoint: 'https://a.example.com' }";
const DOWN = { error: { code: 'BLW_HTTP_STATUS', status: 404 } };
const output = (value: number) => ({ output: value });

describe('mocks for rounds of a loop', () => {
  it('are those of the iterations, over all histories of the flow', async () => {
    const flow = flowOf(`
do:
  - each:
      for: { in: '\${ [1, 2, 3, 4, 5, 6, 7, 8, 9] }', each: n }
      do: [{ ask: { ${GET}, metadata: { retry: { maximumAttempts: 2, initialInterval: PT1S } } } }]
`);
    const busy = { error: { code: 'BLW_HTTP_STATUS', status: 503 } };
    const ask = { rounds: [...[0, 1, 2, 3, 4, 5].map(output), [busy, output(6)], output(7)] };
    const report = await dryRun(flow, { mocks: { ask } });
    expect(outputsOf(report, 'ask')).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 7]);
    expect(report.steps.filter(({ attempts }) => attempts === 2).map(({ iteration }) => iteration)).toEqual(['6']);
  });

  it('let one iteration fail of those that run in batches', async () => {
    const flow = flowOf(`
do:
  - each:
      for: { in: '\${ [1, 2, 3, 4, 5] }', each: n }
      metadata: { concurrency: 4, batchSize: 2, toleratedFailures: 1 }
      do: [{ ask: { ${GET} } }]
`);
    const report = await dryRun(flow, {
      mocks: { ask: { rounds: [output(0), output(1), output(2), DOWN, output(4)] } },
    });
    expect(report.status).toBe('completed');
    expect(outputsOf(report, 'ask')).toEqual([0, 1, 2, 'BLW_HTTP_STATUS', 4]);
  });

  it('are those of the visits where `then` leads back, and tries are none', async () => {
    const flow = flowOf(`
do:
  - poll:
      try: [{ ask: { ${GET} } }]
      catch: { retry: { delay: PT1S, limit: { attempt: { count: 3 } } } }
  - which: { switch: [{ done: { when: data.done, then: end } }] }
  - pause: { wait: PT1M, then: poll }
`);
    const ask = {
      rounds: [{ output: { done: false } }, [DOWN, { output: { done: false } }], { output: { done: true } }],
    };
    const report = await dryRun(flow, { mocks: { ask } });
    expect(report).toMatchObject({ status: 'completed', output: { done: true } });
    expect(
      report.steps.filter(({ name }) => name === 'ask').map(({ iteration, status }) => [iteration, status]),
    ).toEqual([
      [undefined, 'completed'],
      ['~1', 'failed'],
      ['~1', 'completed'],
      ['~2', 'completed'],
    ]);
  });

  it('are those of the events of a listen, and of flows that a step runs', async () => {
    const flow = flowOf(`
do:
  - hear:
      listen: { to: { any: [{ with: { type: order } }], until: 'false' } }
      foreach:
        item: order
        do: [{ order: { run: { workflow: { namespace: test, name: child, version: '1.0.0' } } } }]
`);
    const mocks = {
      hear: { output: [{ id: 1 }, { id: 2 }] },
      order: { rounds: [{ mocks: { pay: output(1) } }, { mocks: { pay: output(2) } }] },
    };
    expect(outputsOf(await dryRun(flow, { mocks }), 'order')).toEqual([1, 2]);
  });
});

describe('the report of mocks', () => {
  it.each<[string, JsonObject | undefined, string]>([
    ['document', undefined, 'document'],
    ['request', { child: { mocks: { pay: output(2) } } }, 'request'],
  ])('says of a flow that a step runs that its mocks are from the %s', async (_, mocks, answer) => {
    const flow = flowOf(`
do:
  - child:
      run: { workflow: { namespace: test, name: child, version: '1.0.0' } }
      metadata: { mock: { mocks: { pay: { output: 1 } } } }
`);
    const { steps } = await dryRun(flow, mocks === undefined ? {} : { mocks });
    expect(steps).toMatchObject([{ name: 'child', flow: { steps: [{ name: 'pay', answer }] } }]);
  });

  it('says what attempts were answered that were made again', async () => {
    const ask = [{ error: { code: 'BLW_HTTP_STATUS', status: 503, detail: 'closed' } }, { timeout: true }, output(1)];
    const { steps } = await dryRun(flowOf(`do: [{ ask: { ${GET} } }]`), { mocks: { ask } });
    expect(steps).toMatchObject([
      {
        attempts: 3,
        failedAttempts: [
          { attempt: 1, code: 'BLW_HTTP_STATUS', status: 503, detail: 'closed' },
          { attempt: 2, code: 'BLW_STEP_TIMEOUT' },
        ],
        output: 1,
      },
    ]);
  });

  it('names mocks of steps that did not run, over batches and flows that steps run', async () => {
    const flow = flowOf(`
do:
  - each:
      for: { in: '\${ [1, 2, 3, 4, 5, 6, 7, 8] }', each: n }
      metadata: { batchSize: 2, concurrency: 2 }
      do:
        - ask: { ${GET} }
        - never: { if: 'n > 100', ${GET} }
  - child: { run: { workflow: { namespace: test, name: child, version: '1.0.0' } } }
  - last: { ${GET} }
`);
    const mocks = {
      ask: output(1),
      never: output(2),
      last: DOWN,
      child: { mocks: { pay: output(3) } },
    };
    const report = await dryRun(flow, { mocks });
    expect(report.unusedMocks).toEqual(['/do/0/each/do/1/never']);
    expect((await dryRun(flow, { mocks: { ...mocks, ask: DOWN } })).unusedMocks).toEqual([
      '/do/0/each/do/1/never',
      '/do/2/last',
      '/do/1/child',
    ]);
  });
});
