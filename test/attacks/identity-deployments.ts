import { randomUUID } from 'node:crypto';
import type { BusOverview } from '../../src/dsl/events/bus-messages';
import type { Json, JsonObject } from '../../src/dsl/json';
import { AUTHORIZE_DEPLOYMENT, EVENT_BUS, RUN_FLOW } from '../../src/dsl/names';
import { deploymentPurpose } from '../../src/worker/identity/sealed-token';
import { triggerPrefix } from '../../src/worker/identity/token-gate';
import { errorOf, eventually, flowOf } from '../helpers/test-worker';
import { attack, control, type IdentityCase, type IdentityWorld, refusedAs, sameAs } from './identity-world';

const KIND = 'deployments';
const INVALID = 'BLW_TOKEN_INVALID';

/** What `beamline deploy` asks the workers to let run. */
function requestOf({ pinging }: IdentityWorld, more: JsonObject = {}): JsonObject {
  return { tenant: 'acme', flow: flowOf(pinging), input: null, idPrefix: `acme/jobs/${randomUUID()}-`, ...more };
}

/** Asks for it with a sealed token; `sent` is what is sent in the place of what was sealed. */
async function authorize(
  { acme }: IdentityWorld,
  request: JsonObject,
  { claims, sent = request }: { claims?: JsonObject; sent?: JsonObject } = {},
) {
  const { client } = acme.worker;
  const workflowId = `beamline-authorize:${randomUUID()}`;
  const purpose = deploymentPurpose({ namespace: client.options.namespace, workflowId }, request);
  const token = await acme.identity.seal(await acme.identity.token(claims), purpose);
  return client.workflow.start(AUTHORIZE_DEPLOYMENT, {
    workflowId,
    taskQueue: acme.taskQueue,
    args: [{ ...sent, token }],
  });
}

async function grantFor(world: IdentityWorld, request: JsonObject): Promise<string> {
  return ((await (await authorize(world, request)).result()) as { grant: string }).grant;
}

/** Tokens that give no deployment. */
const DENIED: readonly (readonly [name: string, options: Parameters<typeof authorize>[2], code: string])[] = [
  ['a token of another tenant', { claims: { tenant: 'globex' } }, 'BLW_TENANT_DENIED'],
  ['a token that may not start flows', { claims: { scope: 'block:*' } }, 'BLW_SCOPE_DENIED'],
  ['a token that has expired', { claims: { exp: 1_000 } }, INVALID],
];

/** What is made of the start of a deployment that is in a schedule for all to copy. */
const COPIED: readonly (readonly [name: string, change: (start: JsonObject) => JsonObject, code: string])[] = [
  ['another flow', (start) => ({ ...start, flow: 'sub/inner:1.0.0' }), INVALID],
  ['another input', (start) => ({ ...start, input: { n: 1 } }), INVALID],
  ['another tenant', (start) => ({ ...start, tenant: 'globex' }), 'BLW_TENANT_DENIED'],
  ['another person', (start) => ({ ...start, requestedBy: 'mallory' }), INVALID],
];

const starts: IdentityCase[] = [
  ...DENIED.map(([name, options, code]) =>
    attack(KIND, `with ${name}`, async (world) =>
      refusedAs(await errorOf(await authorize(world, requestOf(world), options)), code),
    ),
  ),
  attack(KIND, 'of another flow than the token was sealed for', async (world) => {
    const request = requestOf(world);
    const sent = { ...request, flow: 'sub/inner:1.0.0' };
    return refusedAs(await errorOf(await authorize(world, request, { sent })), INVALID, 'sealed for');
  }),
  attack(KIND, 'of all workflow ids', async (world) =>
    refusedAs(await errorOf(await authorize(world, requestOf(world, { idPrefix: '' }))), 'BLW_START_INVALID'),
  ),
  ...COPIED.map(([name, change, code]) =>
    attack(KIND, `a grant for ${name}`, async (world) => {
      const request = requestOf(world);
      const { flow, input, tenant, idPrefix } = request;
      const start = { flow, input, tenant, grant: await grantFor(world, request) } as JsonObject;
      return refusedAs(await world.refusalOf(change(start), `${String(idPrefix)}1`), code);
    }),
  ),
  attack(KIND, 'a grant for another workflow id', async (world) => {
    const request = requestOf(world);
    const { flow, input, tenant } = request;
    const start = { flow, input, tenant, grant: await grantFor(world, request) };
    return refusedAs(await world.refusalOf(start, 'acme/jobs/other-1'), INVALID, 'other workflow ids');
  }),
  attack(KIND, 'a grant of another namespace', async (world) => {
    const request = requestOf(world);
    const { flow, input, tenant, idPrefix } = request;
    const start = { flow, input, tenant, grant: await grantFor(world, request) } as Json;
    const { taskQueue } = world.acme;
    const options = { workflowId: `${String(idPrefix)}1`, taskQueue, args: [start] };
    const flowElsewhere = await world.elsewhere.client.workflow.start(RUN_FLOW, options);
    return refusedAs(await errorOf(flowElsewhere), INVALID, 'another Temporal namespace');
  }),
  control(KIND, 'a run of what was deployed', async (world) => {
    const request = requestOf(world);
    const { flow, input, tenant, idPrefix } = request;
    const start = { flow, input, tenant, grant: await grantFor(world, request) } as Json;
    const before = world.effects;
    const run = await world.acme.send(start, { workflowId: `${String(idPrefix)}1` });
    return sameAs([await run.result(), world.effects - before], ['pong', 1]);
  }),
];

type MakeGrant = (world: IdentityWorld, id: string) => Promise<string | undefined>;

/** Grants of triggers that nobody deployed. */
const TRIGGERS: readonly (readonly [name: string, grant: MakeGrant, reason: string, isElsewhere?: true])[] = [
  ['without a grant', async () => undefined, '--token-file'],
  ['with the grant of a step', (world) => grantOfStep(world), 'it is for steps'],
  ['with the grant of another trigger', (world) => triggerGrant(world, 'other'), 'it is for another trigger'],
  ['with the grant of another namespace', triggerGrant, 'another Temporal namespace', true],
];

async function grantOfStep(world: IdentityWorld): Promise<string> {
  const { handle, grant } = await world.runningFlow();
  await handle.terminate();
  return grant;
}

function triggerGrant(world: IdentityWorld, id: string): Promise<string> {
  const { tenant, flow } = requestOf(world);
  return grantFor(world, { tenant, flow, idPrefix: triggerPrefix('acme', id) } as JsonObject);
}

/** Sets a trigger by hand, sends an event that it waits for, and gives what the bus says. */
async function setTrigger(
  world: IdentityWorld,
  id: string,
  { grant, isElsewhere = false }: { grant: string | undefined; isElsewhere?: boolean },
): Promise<BusOverview> {
  const { client } = isElsewhere ? world.elsewhere : world.acme.worker;
  const { taskQueue, worker } = world.acme;
  const trigger = { id, flow: flowOf(world.pinging), on: { one: { with: { type: id } } } };
  const bus = await client.workflow.signalWithStart(EVENT_BUS, {
    workflowId: `${worker.queuePrefix}-events:acme`,
    taskQueue,
    signal: 'trigger',
    signalArgs: [grant === undefined ? trigger : { ...trigger, grant }],
  });
  await bus.executeUpdate('emit', { args: [{ specversion: '1.0', id, source: '/x', type: id }] });
  return eventually(async () => {
    const now = await bus.query<BusOverview>('subscriptions');
    return now.pending === 0 ? now : undefined;
  });
}

const triggers: IdentityCase[] = [
  ...TRIGGERS.map(([name, makeGrant, reason, isElsewhere]) =>
    attack(KIND, `a trigger that is set by hand ${name}`, async (world) => {
      const id = `bait-${randomUUID()}`;
      const grant = await makeGrant(world, id);
      const overview = await setTrigger(world, id, { grant, isElsewhere: isElsewhere === true });
      const last = overview.refused.at(-1)?.reason ?? 'nothing';
      if (!last.includes(reason)) return `expected a refusal with "${reason}", got ${last}`;
      return overview.triggers.some((trigger) => trigger.id === id) ? 'the bus has the trigger' : undefined;
    }),
  ),
  control(KIND, 'a trigger that was deployed', async (world) => {
    const id = `real-${randomUUID()}`;
    const before = world.effects;
    const overview = await setTrigger(world, id, { grant: await triggerGrant(world, id) });
    if (!overview.triggers.some((trigger) => trigger.id === id)) return 'the bus does not have it';
    await eventually(async () => (world.effects > before ? true : undefined));
    return undefined;
  }),
];

/** Flows that run by themselves, though nobody who may has deployed them. */
export const deploymentCases: readonly IdentityCase[] = [...starts, ...triggers];
