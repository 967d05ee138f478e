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
  catalog = makeCatalogFolder({ 'child.yaml': flowText('test/child:1.0.0', 'do: [{ rest: { wait: PT1H } }]') });
  test = await startTestWorker({ pools: 'sandbox', catalog: catalog.folder }, server);
}, 60_000);

afterAll(async () => {
  await test?.stop();
  catalog?.dispose();
  await server?.stop();
});

const HOUR = 3_600_000;

const dryRun = (flow: JsonObject, start?: JsonObject): Promise<DryRunReport> => dryRunOn(test, flow, start);

const LOOP = flowOf(`
do:
  - each:
      for: { in: '\${ [1, 2, 3, 4, 5, 6, 7, 8] }', each: n }
      do:
        - odd: { if: 'n % 2 == 1', call: fs.put, with: { path: '\${ "a/" + string(n) }', content: x } }
        - which:
            switch:
              - small: { when: n < 3, then: rest }
              - large: { when: n > 6, then: exit }
        - middle: { set: { a: 1 } }
        - rest: { wait: PT1H }
  - attempt:
      try: [{ broken: { raise: { error: { type: 'https://example.com/broken', status: 500 } } } }]
      catch: { retry: { delay: PT10M, limit: { attempt: { count: 2 } } }, do: [{ mend: { set: { a: 1 } } }] }
  - never: { if: 'false', call: fs.delete, with: { path: x } }
`);

describe('the coverage of a dry run', () => {
  it('counts what was come to, over all histories of the flow', async () => {
    const report = await dryRun(LOOP, { coverage: true });
    expect(report).toMatchObject({ status: 'completed', skippedMs: 6 * HOUR + 2 * 600_000 });
    expect(report.visits).toEqual({
      '/do/0/each': { ran: 1 },
      '/do/0/each/do/0/odd': { ran: 4, skipped: 4 },
      '/do/0/each/do/1/which': { ran: 8, cases: { small: 2, large: 2 }, noCase: 4 },
      '/do/0/each/do/2/middle': { ran: 4 },
      '/do/0/each/do/3/rest': { ran: 6 },
      '/do/1/attempt': { ran: 1, caught: 1 },
      '/do/1/attempt/try/0/broken': { ran: 3, failed: 3 },
      '/do/1/attempt/catch/do/0/mend': { ran: 1 },
      '/do/2/never': { ran: 0, skipped: 1 },
    });
    expect(report.omittedVisits).toBeUndefined();
    expect(report.steps.filter(({ name }) => name === 'which').map((step) => step.case)).toEqual([
      'small',
      'small',
      null,
      null,
      null,
      null,
      'large',
      'large',
    ]);
  });

  it('adds what batches of a loop count, and has the time of those that waited longest', async () => {
    const flow = flowOf(`
do:
  - each:
      for: { in: '\${ [1, 2, 3, 4, 5] }', each: n }
      metadata: { concurrency: 4, batchSize: 2 }
      do:
        - which: { switch: [{ one: { when: n == 1, then: continue } }, { other: { then: continue } }] }
        - rest: { wait: PT1H }
`);
    const report = await dryRun(flow, { coverage: true });
    expect(report.visits).toEqual({
      '/do/0/each': { ran: 1 },
      '/do/0/each/do/0/which': { ran: 5, cases: { one: 1, other: 4 } },
      '/do/0/each/do/1/rest': { ran: 5 },
    });
    // Four iterations at once: two batches of two side by side, and then the last one; in a batch side by side, too.
    expect(report.skippedMs).toBe(2 * HOUR);
  });

  it('counts nothing where it is not asked to, and not in flows that a step runs', async () => {
    const flow = flowOf(
      "do: [{ child: { run: { workflow: { namespace: test, name: child, version: '1.0.0' } } } }, { rest: { wait: PT1M } }]",
    );
    expect(await dryRun(flow)).not.toHaveProperty('visits');
    const { visits, skippedMs, steps } = await dryRun(flow, { coverage: true });
    expect(Object.keys(visits ?? {})).toEqual(['/do/0/child', '/do/1/rest']);
    expect(skippedMs).toBe(HOUR + 60_000);
    expect(steps[0]?.flow).toMatchObject({ skippedMs: HOUR });
    expect(steps[0]?.flow).not.toHaveProperty('visits');
  });
});

describe('one step alone', () => {
  it('goes on over several histories, with its tasks and what it was given', async () => {
    const report = await dryRun(LOOP, { only: { step: 'each', context: { kept: true } }, coverage: true, input: 'x' });
    expect(report).toMatchObject({ only: '/do/0/each', status: 'completed', context: { kept: true }, next: 'attempt' });
    expect(report.visits?.['/do/0/each/do/3/rest']).toEqual({ ran: 6 });
    expect(report.skippedMs).toBe(6 * HOUR);
    expect(Object.keys(report.visits ?? {}).filter((path) => !path.startsWith('/do/0/each'))).toEqual([]);
  });
});

describe('the time that a dry run skips', () => {
  it.each<[string, string, JsonObject, number | undefined, string?]>([
    ['nothing where nothing is waited', 'keep: { call: fs.put, with: { path: p, content: x } }', {}, undefined],
    [
      'pauses between attempts of a step',
      'keep: { call: fs.put, with: { path: p, content: x } }',
      { keep: [{ error: { code: 'BLW_FS_IO' } }, { error: { code: 'BLW_FS_IO' } }, { output: { size: 1 } }] },
      3_000,
    ],
    [
      'attempts that run out of time, at most the time of the step',
      "get: { call: http, with: { method: get, endpoint: 'https://example.com/' }, timeout: { after: PT20S } }",
      { get: [{ timeout: true }, { output: 1 }] },
      20_000,
      'failed',
    ],
    [
      'the time of an approval on which nobody decides',
      'ask: { call: human.approval, with: { title: x, timeout: P2D, onTimeout: continue } }',
      { ask: { decision: 'timedOut' } },
      48 * HOUR,
    ],
  ])('has %s', async (_, step, mocks, skippedMs, status = 'completed') => {
    const report = await dryRun(flowOf(`do: [{ ${step} }]`), { mocks });
    expect([report.status, report.skippedMs]).toEqual([status, skippedMs]);
  });

  it('counts where tries are limited by it, of batches too', async () => {
    const flow = flowOf(`
do:
  - attempt:
      try:
        - each:
            for: { in: '\${ [1, 2, 3] }' }
            metadata: { batchSize: 1, concurrency: 1 }
            do: [{ rest: { wait: PT1H } }]
        - broken: { raise: { error: { type: 'https://example.com/broken', status: 500 } } }
      catch: { retry: { delay: PT1S, limit: { duration: PT5H } } }
`);
    const { visits } = await dryRun(flow, { coverage: true });
    expect(visits?.['/do/0/attempt/try/1/broken']).toEqual({ ran: 2, failed: 2 });
  });
});
