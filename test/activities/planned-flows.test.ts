import { ApplicationFailure } from '@temporalio/common';
import { type PlannedFlow, PlannedFlows } from '../../src/activities/planned-flows';
import { NO_CATALOG } from '../../src/activities/ports/no-catalog';
import { prepareFlow } from '../../src/activities/prepare-flow';
import type { Catalog, FlowLibrary } from '../../src/dsl/catalog/library';
import type { JsonObject } from '../../src/dsl/json';
import { planFlow } from '../../src/dsl/planning/plan-flow';
import { validateFlow } from '../../src/dsl/validation/validate-flow';
import { flowOf } from '../helpers/test-worker';

const engine = { checkJq: async () => [] };
const LIVE = { library: undefined, isDryRun: false };

/** Tells how many plans it really made. */
function counting(): { readonly plannedFlows: PlannedFlows; made(): number } {
  const plannedFlows = new PlannedFlows();
  let count = 0;
  const { planned } = plannedFlows;
  plannedFlows.planned = (document, options, make) =>
    planned.call(plannedFlows, document, options, () => {
      count += 1;
      return make();
    });
  return { plannedFlows, made: () => count };
}

const greeting = (name: string) => flowOf(`do: [{ greet: { set: { text: '${name}' } } }]`) as unknown as JsonObject;

const document = (index: number, length = 0): JsonObject => ({ index, text: 'x'.repeat(length) });

const made = (planSize = 10): PlannedFlow => ({ plan: { tasks: [] } as unknown as PlannedFlow['plan'], planSize });

describe('flows of a document that was started before', () => {
  test('have the same plan without another look at the document', async () => {
    const { plannedFlows, made: count } = counting();
    const first = await prepareFlow({ flow: greeting('a') }, { engine, catalog: NO_CATALOG, plannedFlows });
    const second = await prepareFlow({ flow: greeting('a') }, { engine, catalog: NO_CATALOG, plannedFlows });
    expect([second.plan === first.plan, count()]).toEqual([true, 1]);
    const { flow } = validateFlow(greeting('a'));
    if (flow === undefined) throw new Error('expected a valid flow');
    expect(second.plan).toEqual(planFlow(flow));
    await prepareFlow({ flow: greeting('b') }, { engine, catalog: NO_CATALOG, plannedFlows });
    expect(count()).toBe(2);
  });

  test('have their own input checked', async () => {
    const { plannedFlows, made: count } = counting();
    const flow = { ...greeting('a'), input: { schema: { document: { type: 'object', required: ['id'] } } } };
    await prepareFlow({ flow, input: { id: 1 } }, { engine, plannedFlows });
    const refused = await prepareFlow({ flow, input: {} }, { engine, plannedFlows }).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(ApplicationFailure);
    expect(refused).toMatchObject({ type: 'BLW_DATA_INVALID' });
    expect(count()).toBe(1);
  });

  test('live and in a dry run have plans of their own', async () => {
    const { plannedFlows, made: count } = counting();
    const flow = greeting('a');
    const live = await prepareFlow({ flow }, { engine, plannedFlows });
    const dry = await prepareFlow({ flow, mode: 'dry-run' }, { engine, plannedFlows });
    expect([count(), dry.plan === live.plan]).toEqual([2, false]);
  });

  test('are planned anew once the catalog has changed', async () => {
    const { plannedFlows, made: count } = counting();
    const flow = flowOf(`do: [{ hello: { call: 'hello:1.0.0@default' } }]`) as unknown as JsonObject;
    const saying = (text: string): FlowLibrary => ({
      findFlow: () => ({ code: 'BLW_FLOW_UNKNOWN', message: 'none' }),
      findFunction: () => ({ source: 'hello.yaml', definition: { set: { text } } }),
    });
    let library = saying('old');
    const catalog: Catalog = { read: async () => library };
    const prepare = async () => JSON.stringify(await prepareFlow({ flow }, { engine, catalog, plannedFlows }));
    expect(await prepare()).toContain('old');
    expect(await prepare()).toContain('old');
    library = saying('new');
    expect(await prepare()).toContain('new');
    expect(count()).toBe(2);
  });

  test('are refused as before where the document is nested too deep to be written', async () => {
    const deep = JSON.parse(`${'['.repeat(100_000)}${']'.repeat(100_000)}`) as JsonObject;
    const plannedFlows = new PlannedFlows();
    await expect(plannedFlows.planned(deep, LIVE, async () => made())).resolves.toEqual(made());
    const flow = { ...greeting('a'), do: [{ greet: { set: { deep: JSON.parse('[]') } } }] };
    const nested = JSON.parse(`${'['.repeat(300)}${']'.repeat(300)}`);
    const tooDeep = { ...flow, do: [{ greet: { set: { nested } } }] };
    const refused = prepareFlow({ flow: tooDeep }, { engine, plannedFlows });
    await expect(refused).rejects.toMatchObject({ type: 'BLW_FLOW_INVALID' });
  });

  test('are refused each time where the document is not valid', async () => {
    const { plannedFlows, made: count } = counting();
    const flow = { ...greeting('a'), do: [{ greet: { sett: {} } }] };
    for (const _ of [1, 2])
      await expect(prepareFlow({ flow }, { engine, plannedFlows })).rejects.toMatchObject({ type: 'BLW_FLOW_INVALID' });
    expect(count()).toBe(2);
  });
});

describe('what is kept', () => {
  test('is of one library: what was made with another is never asked for again', async () => {
    const [first, second] = [await NO_CATALOG.read(), { ...(await NO_CATALOG.read()) }];
    const flows = new PlannedFlows();
    let count = 0;
    const make = async () => {
      count += 1;
      return made();
    };
    for (const library of [first, first, second, second, first])
      await flows.planned(document(1), { library, isDryRun: false }, make);
    expect(count).toBe(3);
    const late = flows.planned(document(2), { library: first, isDryRun: false }, async () => {
      await flows.planned(document(3), { library: second, isDryRun: false }, make);
      return make();
    });
    await late;
    await flows.planned(document(2), { library: second, isDryRun: false }, make);
    expect(count).toBe(6);
  });

  const planAll = async (flows: PlannedFlows, documents: readonly JsonObject[], planSize?: number) => {
    let count = 0;
    for (const each of documents)
      await flows.planned(each, LIVE, async () => {
        count += 1;
        return made(planSize);
      });
    return count;
  };

  test('is of the 200 documents that were started last', async () => {
    const flows = new PlannedFlows();
    const documents = Array.from({ length: 200 }, (_, index) => document(index));
    expect(await planAll(flows, documents)).toBe(200);
    expect(await planAll(flows, [document(0), document(200)])).toBe(1);
    // That of index 1 was the one that nobody had asked for since.
    expect(await planAll(flows, [document(0), document(2), document(199)])).toBe(0);
    expect(await planAll(flows, [document(1)])).toBe(1);
  });

  test('has at most 4,000,000 characters, and a document with its plan at most a tenth of them', async () => {
    const flows = new PlannedFlows();
    const documents = Array.from({ length: 11 }, (_, index) => document(index, 1_000));
    expect(await planAll(flows, documents, 390_000)).toBe(11);
    expect(await planAll(flows, [document(1, 1_000), document(10, 1_000)], 390_000)).toBe(0);
    expect(await planAll(flows, [document(0, 1_000)], 390_000)).toBe(1);
    expect(await planAll(flows, [document(50, 1_000), document(50, 1_000)], 400_000)).toBe(2);
    expect(await planAll(flows, [document(51, 400_000), document(51, 400_000)])).toBe(2);
  });
});
