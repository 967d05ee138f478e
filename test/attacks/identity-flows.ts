import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW, RUN_WINDOW } from '../../src/dsl/names';
import { errorOf, eventually, flowOf, startTestWorker } from '../helpers/test-worker';
import {
  attack,
  control,
  firstProblem,
  type IdentityCase,
  type IdentityWorld,
  preparedOf,
  refusedAs,
  sameAs,
} from './identity-world';

const KIND = 'flows with copied grants';
const INVALID = 'BLW_TOKEN_INVALID';
const REQUIRED = 'BLW_TOKEN_REQUIRED';

const children: IdentityCase[] = [
  attack(KIND, 'as the child of a foreign workflow, also of one that took the id of the flow', async (world) => {
    const child = (workflowId: string, grant: string) => [
      RUN_FLOW,
      [{ flow: 'sub/inner:1.0.0', tenant: 'acme', grant }],
      { workflowId, ...world.onOurQueue },
    ];
    const { handle, grant } = await world.runningFlow();
    const refused = (workflowId: string, parent?: string) =>
      world.foreignRefusal(
        INVALID,
        'startForeign',
        child(workflowId, grant),
        ...(parent === undefined ? [] : [parent]),
      );
    return firstProblem(
      () => refused(`${handle.workflowId}/sub`),
      () => refused(`child-${randomUUID()}`),
      async () => {
        await handle.terminate();
        return refused(`child-${randomUUID()}`, handle.workflowId);
      },
    );
  }),
  attack(KIND, 'with the grant of a flow that a flow ran, copied out of its start input', async (world) => {
    const { workflowId, start } = world.ranSubflow;
    if (typeof start.grant !== 'string') return 'there is no grant to copy';
    return firstProblem(
      async () => refusedAs(await world.refusalOf(start, workflowId), INVALID),
      async () => refusedAs(await world.refusalOf(start, `${workflowId}-2`), INVALID),
    );
  }),
  attack(KIND, 'with its own grant instead of a token, once it had ended', async (world) =>
    world.afterFlow(async ({ handle, grant }) =>
      refusedAs(await world.refusalOf({ flow: flowOf(world.pinging), grant }, handle.workflowId), INVALID),
    ),
  ),
];

const windows: IdentityCase[] = [
  attack(KIND, 'as a window, with a copied grant', async (world) =>
    world.besideFlow(({ handle, prepared }) =>
      world.foreignRefusal(INVALID, 'startForeign', windowArgs(world, handle, prepared)),
    ),
  ),
  // The window is let run, and its steps are not.
  attack(KIND, 'as a window without a grant', async (world) =>
    world.besideFlow(async ({ handle, prepared }) => {
      const parent = await world.foreign('startForeign', windowArgs(world, handle, without(prepared)));
      const { failures } = (await parent.result()) as { failures?: readonly { error: JsonObject }[] };
      return refusedAs(failures?.[0]?.error ?? {}, REQUIRED);
    }),
  ),
];

const windowArgs = (world: IdentityWorld, { workflowId }: WorkflowHandle, prepared: JsonObject) => [
  RUN_WINDOW,
  [windowOf(prepared)],
  { workflowId: `${workflowId}/items-${randomUUID()}`, ...world.onOurQueue },
];

const continued: IdentityCase[] = [
  attack(KIND, 'with a second argument, as if it went on', async (world) =>
    world.afterFlow(async ({ handle, prepared }) => {
      const { workflowId } = handle;
      const flow = await world.acme.send({}, { workflowId, args: [{}, carriedOf(prepared)] });
      return refusedAs(await errorOf(flow), 'BLW_START_INVALID');
    }),
  ),
  ...(
    [
      ['a copied grant', (prepared: JsonObject) => prepared, INVALID],
      ['no grant', without, REQUIRED],
    ] as const
  ).map(([name, change, code]) =>
    attack(KIND, `going on from a foreign workflow under the id of the flow, with ${name}`, async (world) =>
      world.afterFlow(({ handle, prepared }) => {
        const args = [RUN_FLOW, [{}, carriedOf(change(prepared))], world.acme.taskQueue];
        return world.foreignRefusal(code, 'continueForeign', args, handle.workflowId);
      }),
    ),
  ),
  attack(
    KIND,
    'following on a run that timed out, by a retry policy, with a copied grant and with none',
    async (world) => world.afterFlow(({ handle, prepared }) => followTimedOutRuns(world, handle, prepared)),
  ),
  ...(
    [
      ['emits', 'do: [{e: {emit: {event: {with: {source: /a, type: fake}}}}}]'],
      ['asks for an approval', 'do: [{ask: {call: human.approval, with: {title: Pay?}}}]'],
      ['listens', 'do: [{l: {listen: {to: {one: {with: {type: fake}}}}}}]'],
    ] as const
  ).map(([does, text]) =>
    attack(KIND, `that ${does} as a tenant`, async (world) =>
      world.afterFlow(async ({ prepared }) => {
        const carried = carriedOf({ ...prepared, plan: await planOf(world, text) });
        return world.foreignRefusal(INVALID, 'continueForeign', [RUN_FLOW, [{}, carried], world.acme.taskQueue]);
      }),
    ),
  ),
];

/** Nobody serves the task queue of these flows at first, so that the server itself makes runs that follow on others. */
async function followTimedOutRuns(
  world: IdentityWorld,
  { workflowId: taken }: WorkflowHandle,
  prepared: JsonObject,
): Promise<string | undefined> {
  const { client } = world.acme.worker;
  const prefix = `late-${randomUUID()}`;
  const start = (workflowId: string, state: JsonObject) =>
    client.workflow.start(RUN_FLOW, {
      workflowId,
      taskQueue: `${prefix}-io`,
      args: [{}, state],
      retry: { maximumAttempts: 30, initialInterval: 100, backoffCoefficient: 1 },
      workflowRunTimeout: 1_000,
    });
  const copied = await start(taken, carriedOf(prepared));
  const bare = await start(prefix, carriedOf(without(prepared)));
  for (const { workflowId, firstExecutionRunId } of [copied, bare]) {
    const first = client.workflow.getHandle(workflowId, firstExecutionRunId);
    await eventually(async () => ((await first.describe()).status.name === 'RUNNING' ? undefined : true));
  }
  const { identity, policyFile } = world.acme;
  const flags = { auth: 'jwt', 'auth-key': identity.authKeyFile, policy: policyFile };
  const target = { address: world.address, namespace: 'default' };
  const late = await startTestWorker({ pools: 'io', 'queue-prefix': prefix, ...flags }, target);
  try {
    return await firstProblem(
      async () => refusedAs(await errorOf(copied), INVALID),
      async () => refusedAs(await errorOf(bare), REQUIRED),
    );
  } finally {
    await late.stop();
  }
}

const fine: IdentityCase[] = [
  control(KIND, 'a flow that a flow of the tenant runs', async ({ acme }) => {
    const flow = await acme.start("do: [{sub: {run: {workflow: {namespace: sub, name: inner, version: '1.0.0'}}}}]");
    return sameAs(await flow.result(), 'pong');
  }),
  control(KIND, 'windows of a loop', async ({ acme }) => {
    const loop = `{l: {for: {in: '[1, 2]'}, metadata: {concurrency: 2, batchSize: 1}, do: [{ping: ${acme.ping}}]}}`;
    return sameAs(await (await acme.start(`do: [${loop}]`)).result(), ['pong', 'pong']);
  }),
  control(KIND, 'a flow that emits', async ({ acme }) => {
    const emit = '{e: {emit: {event: {with: {source: /a, type: real}}}}}';
    return sameAs(await (await acme.start(`do: [${emit}, {s: {set: {a: 1}}}]`)).result(), { a: 1 });
  }),
];

/** Flows that somebody starts, or goes on with, as if workers had let them in. */
export const flowCases: readonly IdentityCase[] = [...children, ...windows, ...continued, ...fine];

/** As if workers had let it in that check nobody. */
export function without({ grant: _, ...prepared }: JsonObject): JsonObject {
  return prepared;
}

/** The plan of a flow, as its history shows it. */
async function planOf({ acme }: IdentityWorld, text: string): Promise<Json> {
  const handle = await acme.start(`do: [{w: {wait: PT1H}}, ${text.slice(text.indexOf('[') + 1)}`);
  const prepared = await eventually(() => preparedOf(handle));
  await handle.terminate();
  return prepared.plan as Json;
}

/** Its tasks, but for the one that waits. */
function tasksOf({ plan }: JsonObject): JsonObject[] {
  return ((plan as JsonObject).tasks as JsonObject[]).filter(({ kind }) => kind !== 'wait');
}

/** What a flow brings along when it continues as new. */
export function carriedOf(prepared: JsonObject): JsonObject {
  return {
    prepared: { ...prepared, plan: { ...(prepared.plan as JsonObject), tasks: tasksOf(prepared) } },
    workflowInput: null,
    startedAt: Date.now(),
    input: null,
    context: null,
    list: { index: 0, output: null, visits: {}, steps: {} },
    progress: { steps: [], seq: 0, stepsEnded: 0, version: 0 },
  };
}

function windowOf(prepared: JsonObject): JsonObject {
  return {
    flowId: 'x',
    prepared: { ...prepared, plan: { ...(prepared.plan as JsonObject), tasks: [] } },
    workflowInput: null,
    startedAt: Date.now(),
    context: null,
    task: {
      kind: 'for',
      name: 'l',
      path: '/do/0/l',
      each: 'item',
      at: 'index',
      in: null,
      tasks: tasksOf(prepared),
      parallel: { concurrency: 1, batchSize: 1, tolerated: { count: 0 } },
    },
    items: [1],
    firstIndex: 0,
    concurrency: 1,
    tolerated: 0,
    input: null,
    variables: {},
    steps: {},
    iteration: '',
    depth: 0,
  };
}
