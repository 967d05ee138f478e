import { randomUUID } from 'node:crypto';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type StartOptions, startIdentityWorker } from '../helpers/identity-worker';
import { errorOf, flowOf } from '../helpers/test-worker';
import {
  attack,
  control,
  firstProblem,
  type IdentityCase,
  type IdentityWorld,
  refusedAs,
  sameAs,
} from './identity-world';

const KIND = 'starts';
const NAMESPACES = 'namespaces';
const INVALID = 'BLW_TOKEN_INVALID';

const newId = () => `flow-${randomUUID()}`;

const plain: IdentityCase[] = [
  attack(KIND, 'without a token', async (world) => {
    const error = await world.refusalOf({ flow: flowOf(world.pinging), tenant: 'acme' });
    return refusedAs(error, 'BLW_TOKEN_REQUIRED') ?? sameAs(error.status, 401);
  }),
  attack(KIND, 'with a plain token, which is told to be revoked, and not repeated', async (world) => {
    const token = await world.acme.identity.token();
    const error = await world.refusalOf({ flow: flowOf(world.pinging), token });
    if (JSON.stringify(error).includes(token.slice(0, 20))) return 'the error has the token in it';
    return refusedAs(error, INVALID, 'revoke');
  }),
  ...(
    [
      ['a number', 5],
      ['an object', { jwt: 'x' }],
      ['nothing', ''],
      ['an endless text', 'x'.repeat(70_000)],
    ] as const
  ).map(([name, token]) =>
    attack(KIND, `with ${name} for a token`, async (world) =>
      refusedAs(await world.refusalOf({ flow: flowOf(world.pinging), token }), 'BLW_START_INVALID'),
    ),
  ),
  ...['hello', 'a.b.c.d.e', '....'].map((token) =>
    attack(KIND, `with ${token} for a sealed token`, async (world) =>
      refusedAs(await world.refusalOf({ flow: flowOf(world.pinging), token }), INVALID),
    ),
  ),
  attack(KIND, 'with a sealed token in which a byte is changed', async (world) => {
    const workflowId = newId();
    const sealed = await world.acme.sealed(workflowId, world.pinging);
    const parts = String(sealed.token).split('.');
    const [text = ''] = parts.slice(3);
    parts[3] = `${text.startsWith('A') ? 'B' : 'A'}${text.slice(1)}`;
    return refusedAs(await world.refusalOf({ ...sealed, token: parts.join('.') }, workflowId), INVALID, 'opened');
  }),
  attack(KIND, 'with a token that was sealed for other workers', async (world) => {
    const { address } = world;
    const target = { address, namespace: 'default' };
    const other = await startIdentityWorker([tenantPolicy('acme', ALL_SCOPES)], { pools: 'io' }, target);
    try {
      const workflowId = newId();
      const sealed = await other.sealed(workflowId, world.pinging);
      return refusedAs(await world.refusalOf(sealed, workflowId), INVALID, 'key');
    } finally {
      await other.stop();
    }
  }),
  attack(KIND, 'in the name of another person', async (world) => {
    const flow = await world.acme.start(world.pinging, { extra: { requestedBy: 'bob' } });
    return refusedAs(await errorOf(flow), INVALID, 'requestedBy');
  }),
  attack(KIND, 'for another tenant, which says nothing of whether there is one', async (world) => {
    const errors: JsonObject[] = [];
    for (const tenant of ['globex', 'nothere']) {
      const { detail, instance: _, ...error } = await errorOf(await world.acme.start(world.pinging, { tenant }));
      errors.push({ ...error, detail: String(detail).replace(/"\w+"/, '') });
    }
    const [known = {}, unknown] = errors;
    return refusedAs(known, 'BLW_TENANT_DENIED') ?? sameAs(unknown, known);
  }),
];

/** What a token that is sealed for one start is sent with. */
const COPIED: readonly (readonly [name: string, change: (sealed: JsonObject) => JsonObject, isOtherId?: true])[] = [
  ['another workflow id', (sealed) => sealed, true],
  ['another document', (sealed) => ({ ...sealed, flow: flowOf('do: [{s: {set: {a: 1}}}]') })],
  ['another input', (sealed) => ({ ...sealed, input: { n: 2 } })],
  ['no input', ({ input: _, ...rest }) => rest],
  ['a tenant that was not sealed', (sealed) => ({ ...sealed, tenant: 'acme' })],
  ['the name of a flow', (sealed) => ({ ...sealed, flow: 'sub/inner:1.0.0' })],
];

const copied: IdentityCase[] = COPIED.map(([name, change, isOtherId]) =>
  attack(KIND, `with a token that was copied to ${name}`, async (world) => {
    const id = newId();
    const sealed = await world.acme.sealed(id, world.pinging, { input: { n: 1 } });
    const workflowId = isOtherId === true ? `${id}-2` : id;
    return refusedAs(await world.refusalOf(change(sealed), workflowId), INVALID, 'sealed for');
  }),
);

const FINE: readonly (readonly [name: string, options: StartOptions])[] = [
  ['with a token that is sealed for it', {}],
  ['that names the tenant of the token', { tenant: 'acme' }],
  ['that names the person of the token', { extra: { requestedBy: 'alice' } }],
  ['with an input', { input: { b: [1, 'ü'], a: null } }],
];

const fine: IdentityCase[] = [
  ...FINE.map(([name, options]) =>
    control(KIND, name, async (world) => pong(world, async () => world.acme.start(world.pinging, options))),
  ),
  control(KIND, 'whose keys come in another order', async (world) => {
    const workflowId = newId();
    const { flow, ...rest } = await world.acme.sealed(workflowId, world.pinging, { input: { a: 1, b: 2 } });
    const input = { ...rest, input: { b: 2, a: 1 }, flow: reversed(flow as JsonObject) };
    return pong(world, async () => world.acme.send(input, { workflowId }));
  }),
];

function reversed(value: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(value).reverse());
}

/** Undefined where the flow has called the service once. */
async function pong(
  world: IdentityWorld,
  start: () => Promise<{ result(): Promise<unknown> }>,
): Promise<string | undefined> {
  const before = world.effects;
  const output = await (await start()).result();
  return sameAs([output, world.effects - before], ['pong', 1]);
}

function startElsewhere({ elsewhere, acme }: IdentityWorld, workflowId: string, input: Json) {
  const { taskQueue } = acme;
  return elsewhere.client.workflow.start(RUN_FLOW, { workflowId, taskQueue, args: [input] });
}

/** Workers of two namespaces that have all in common. */
const namespaces: IdentityCase[] = [
  attack(NAMESPACES, 'a sealed start that was copied out of another namespace, with its workflow id', async (world) => {
    const workflowId = newId();
    const sealed = await world.acme.sealed(workflowId, world.pinging);
    return refusedAs(
      await errorOf(await startElsewhere(world, workflowId, sealed)),
      INVALID,
      'another Temporal namespace',
    );
  }),
  attack(NAMESPACES, 'a sealed start that was copied out of a history of another namespace', async (world) => {
    const handle = await world.acme.start('do: [{s: {set: {a: 1}}}]');
    await handle.result();
    const { events } = await handle.fetchHistory();
    const data = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
    const input = JSON.parse(Buffer.from(data as Uint8Array).toString()) as JsonObject;
    return refusedAs(await errorOf(await startElsewhere(world, handle.workflowId, input)), INVALID, 'namespace');
  }),
  attack(NAMESPACES, 'a grant of a flow in another namespace, for a start under its workflow id', async (world) =>
    world.besideFlow(async ({ handle, grant }) => {
      const input = { flow: flowOf(world.pinging), tenant: 'acme', grant };
      return refusedAs(await errorOf(await startElsewhere(world, handle.workflowId, input)), INVALID, 'namespace');
    }),
  ),
  control(NAMESPACES, 'the same start in each, with a token that is sealed for it', async (world) =>
    firstProblem(
      () => pong(world, async () => world.acme.start(world.pinging)),
      () =>
        pong(world, async () => {
          const id = newId();
          return startElsewhere(world, id, await world.acme.sealed(id, world.pinging, { namespace: 'elsewhere' }));
        }),
    ),
  ),
];

/** Starts that are not a tenant's own. */
export const startCases: readonly IdentityCase[] = [...plain, ...copied, ...fine, ...namespaces];
