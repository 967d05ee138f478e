import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { JsonObject } from '../../src/dsl/json';
import { generateAuthKey, readAuthKeys } from '../../src/worker/identity/auth-key';
import { type Grant, Grants } from '../../src/worker/identity/grants';
import { flowOf } from '../helpers/test-worker';
import { attack, control, firstProblem, type IdentityCase, type IdentityWorld, sameAs } from './identity-world';

const STEPS = 'steps of foreign workflows';
const LOCAL = 'local activities from afar';
const INVALID = 'BLW_TOKEN_INVALID';
const REQUIRED = 'BLW_TOKEN_REQUIRED';

type Forge = (grant: string, world: IdentityWorld) => Promise<string>;

/** Grants that no worker of the namespace issued. */
const FORGED: readonly (readonly [name: string, forge: Forge])[] = [
  ['text', async () => 'x.y.z'],
  ['the claims of a good one and no signature', async (grant) => `${grant.split('.').slice(0, 2).join('.')}.`],
  ['the claims of another tenant', async (grant) => changeClaims(grant, { tenant: 'globex' })],
  ['another workflow id', async (grant) => changeClaims(grant, { id: 'x' })],
  ['more scopes', async (grant) => changeClaims(grant, { scopes: ['*'] })],
  ['a header that asks for no signature', async (grant) => changeHeader(grant, { alg: 'none' })],
  ['one that somebody signed with a key of his own', (grant, world) => signAgain(grant, world, 'own')],
  ['one of another namespace, signed by its workers', (grant, world) => signAgain(grant, world, 'elsewhere')],
  ['a token', (_, { acme }) => acme.identity.token()],
];

const schedule = (world: IdentityWorld, grant?: string, queue = world.onOurQueue) => [
  'http.request',
  [world.stepRequest(grant === undefined ? {} : { grant })],
  queue,
];

const steps: IdentityCase[] = [
  attack(STEPS, 'without a grant', (world) => world.foreignRefusal(REQUIRED, 'scheduleForeign', schedule(world))),
  ...['cpu', 'gpu'].map((pool) =>
    attack(STEPS, `without a grant, on the pool ${pool}`, (world) => {
      const taskQueue = world.acme.taskQueue.replace(/io$/, pool);
      return world.foreignRefusal(REQUIRED, 'scheduleForeign', schedule(world, undefined, { taskQueue }));
    }),
  ),
  ...FORGED.map(([name, forge]) =>
    attack(STEPS, `with ${name} for a grant`, async (world) =>
      world.besideFlow(async ({ grant }) =>
        world.foreignRefusal(INVALID, 'scheduleForeign', schedule(world, await forge(grant, world))),
      ),
    ),
  ),
  attack(STEPS, 'with a grant that was copied to another workflow id', async (world) =>
    world.besideFlow(({ grant }) => world.foreignRefusal(INVALID, 'scheduleForeign', schedule(world, grant))),
  ),
  attack(STEPS, 'with a grant that was copied to the same id and type, once the flow had ended', async (world) =>
    world.afterFlow(({ handle: { workflowId }, grant }) =>
      firstProblem(
        () => world.foreignRefusal(INVALID, 'scheduleForeign', schedule(world, grant), workflowId),
        () => world.foreignRefusal(INVALID, 'runFlow', schedule(world, grant), workflowId),
      ),
    ),
  ),
  control(STEPS, 'a step of a flow that was let in', async ({ acme }) =>
    sameAs(await (await acme.start(`do: [{ping: ${acme.ping}}]`)).result(), 'pong'),
  ),
  control(STEPS, 'a step of a flow in the pool cpu', async ({ acme }) => {
    const flow = await acme.start('do: [{a: {call: fs.put, with: {path: a, content: b}, metadata: {resources: cpu}}}]');
    return ((await flow.result()) as { path?: string }).path === 'a' ? undefined : 'it did not run';
  }),
];

/** What each would give to whoever could call it. */
const LOCAL_ACTIVITIES: readonly (readonly [activity: string, gain: string])[] = [
  ['prepareFlow', 'a plan and a grant'],
  ['admitWindow', 'a grant'],
  ['admitDecision', 'the word of a person'],
  ['admitResolution', 'the word of a person'],
  ['admitDeployment', 'a grant'],
  ['startTriggeredFlow', 'a flow'],
  ['emitEvent', 'an event'],
  ['subscribeEvents', 'events'],
  ['unsubscribeEvents', 'silence'],
  ['prepareTrigger', 'a trigger'],
  ['evaluateExpressions', 'computing time'],
  ['validateData', 'computing time'],
  ['validateArguments', 'computing time'],
];

const local: IdentityCase[] = [
  ...LOCAL_ACTIVITIES.map(([activity, gain]) =>
    attack(LOCAL, `${activity}, for ${gain}`, async (world) =>
      world.besideFlow(async ({ handle, grant }) => {
        const { workflowId, firstExecutionRunId: runId } = handle as typeof handle & { firstExecutionRunId: string };
        const origin = { firstRunId: runId, startedAt: Date.now(), parent: { workflowId, runId } };
        const flow = flowOf(world.pinging);
        const request = { grant, tenant: 'acme', origin, flow, input: null, workflowId: 'x' };
        const args = [activity, [request, origin], world.onOurQueue];
        return world.foreignRefusal('BLW_CALLER_DENIED', 'scheduleForeign', args);
      }),
    ),
  ),
  control(LOCAL, "the workers' own flows call them", async ({ acme }) => {
    const flow = await acme.start(
      `do: [{w: {for: {in: '[1]'}, metadata: {concurrency: 1, batchSize: 1}, do: [{s: {set: '\${ item }'}}]}}]`,
    );
    return sameAs(await flow.result(), [1]);
  }),
];

/** Steps and local activities that somebody else's workflow schedules. */
export const stepCases: readonly IdentityCase[] = [...steps, ...local];

/** The same claims, signed with a key of somebody's own, or with the workers' key for another namespace. */
async function signAgain(grant: string, { acme }: IdentityWorld, how: 'own' | 'elsewhere'): Promise<string> {
  const { namespace, ...claims } = readClaims(grant);
  if (how === 'elsewhere') {
    return new Grants(await readAuthKeys(acme.identity.authKeyFile), how).issue(claims as unknown as Grant);
  }
  const file = join(acme.identity.folder, 'other.json');
  writeFileSync(file, JSON.stringify((await generateAuthKey()).privateSet));
  return new Grants(await readAuthKeys(file), String(namespace)).issue(claims as unknown as Grant);
}

function readClaims(grant: string): JsonObject {
  return JSON.parse(Buffer.from(grant.split('.')[1] ?? '', 'base64url').toString()) as JsonObject;
}

function changeClaims(grant: string, claims: JsonObject): string {
  const [header, , signature] = grant.split('.');
  return [header, encode({ ...readClaims(grant), ...claims }), signature].join('.');
}

function changeHeader(grant: string, header: JsonObject): string {
  return [encode(header), grant.split('.')[1], ''].join('.');
}

function encode(value: JsonObject): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url');
}
