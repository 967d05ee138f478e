import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { eventually } from '../helpers/test-worker';
import { shown } from './attack';
import { carriedOf, without } from './identity-flows';
import { attack, CROWDED, control, type IdentityCase, type IdentityWorld, preparedOf } from './identity-world';

const KIND = 'places of flows';

/** What can be copied, and what can be left out. */
const GRANTS = [
  ['no grant', without],
  ['a copied grant', (prepared: JsonObject) => prepared],
] as const;

/** A tenant that may have one open flow: whose place somebody else takes, or gives away. */
export const placeCases: readonly IdentityCase[] = [
  ...GRANTS.map(([name, change]) =>
    attack(KIND, `taken by a foreign workflow that goes on as a flow of the tenant, with ${name}`, async (world) =>
      world.besideFlow(async ({ prepared }) => {
        const state = { ...carriedOf(prepared), prepared: forged(change(prepared), `flow:${randomUUID()}`) };
        const foreign = await goOn(world, state);
        await eventually(() => waits(foreign));
        try {
          return await withFlow(world, async (_, waiting) =>
            waiting ? 'a flow of the tenant has to wait' : undefined,
          );
        } finally {
          await foreign.terminate();
        }
      }),
    ),
  ),
  ...GRANTS.map(([name, change]) =>
    attack(KIND, `given away by a foreign workflow that ends as a flow of the tenant, with ${name}`, async (world) =>
      world.besideFlow(async ({ prepared }) =>
        withFlow(world, async (place) => {
          const foreign = await goOn(world, carriedOf(forged(change(prepared), place)));
          await foreign.result().catch(() => undefined);
          return await withFlow(world, async (__, waiting) =>
            waiting ? undefined : 'another flow has the place, too',
          );
        }),
      ),
    ),
  ),
  control(KIND, 'a flow waits for the place of another, and begins when that has ended', async (world) => {
    const again = () => withFlow(world, async (_, waiting) => (waiting ? 'the place was not given back' : undefined));
    return (
      (await withFlow(world, async () =>
        withFlow(world, async (_, waiting) => (waiting ? undefined : 'it does not wait')),
      )) ?? (await again())
    );
  }),
];

const forged = (prepared: JsonObject, place: string): JsonObject => ({ ...prepared, tenant: CROWDED, place });

const goOn = (world: IdentityWorld, carried: JsonObject) =>
  world.foreign('continueForeign', [RUN_FLOW, [{}, carried], world.acme.taskQueue]);

/** Begins a flow of the tenant, tells its place and whether it has to wait for it, and ends the flow. */
async function withFlow(
  { acme }: IdentityWorld,
  use: (place: string, isWaiting: boolean) => Promise<string | undefined>,
): Promise<string | undefined> {
  const flow = await acme.start('do: [{w: {wait: PT1H}}]', { claims: { tenant: CROWDED } });
  const prepared = await eventually(() => preparedOf(flow));
  try {
    const { place, waiting } = prepared;
    if (typeof place !== 'string') return `the flow has no place: ${shown(prepared)}`;
    return await use(place, waiting !== undefined);
  } finally {
    await flow.cancel();
    await flow.result().catch(() => undefined);
  }
}

/** True once the workflow waits for a time: its first workflow task has ended by then, with all that the worker does for it. */
async function waits(handle: WorkflowHandle): Promise<true | undefined> {
  const { events } = await handle.fetchHistory();
  return (events ?? []).some((event) => event.timerStartedEventAttributes != null) ? true : undefined;
}
