import { randomUUID } from 'node:crypto';
import type { WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { type CatalogFolder, flowText, makeCatalogFolder } from '../helpers/catalog-folder';
import { startForeignWorker } from '../helpers/foreign-worker';
import { ALL_SCOPES, tenantPolicy } from '../helpers/identity';
import { type IdentityWorker, startIdentityWorker } from '../helpers/identity-worker';
import { startOwnTemporal } from '../helpers/temporal';
import { errorOf, eventually, startTestWorker, type TestWorker } from '../helpers/test-worker';
import { type AttackCase, shown } from './attack';

export type IdentityCase = AttackCase<IdentityWorld>;

/** A tenant that may have one open flow. */
export const CROWDED = 'crowded';

type Release = () => Promise<void>;

/** A flow that is open, and what its history shows of its preparation. */
export interface OpenFlow {
  readonly handle: WorkflowHandle;
  readonly grant: string;
  readonly prepared: JsonObject;
}

/**
 * A real server with two namespaces, a worker with `--auth jwt` in each, with all in common, and somebody else's worker, in the same
 * namespace as the first. What the service of the first has heard are the blocks that ran.
 */
export class IdentityWorld {
  constructor(
    /** Of Temporal. */
    readonly address: string,
    readonly acme: IdentityWorker,
    /** In the other namespace, with the same key, policy and names of task queues. */
    readonly elsewhere: TestWorker,
    private readonly foreignQueue: string,
    /** A flow that another one ran, for all to copy. */
    readonly ranSubflow: { readonly workflowId: string; readonly start: JsonObject },
    private readonly releases: readonly Release[],
  ) {}

  async close(): Promise<void> {
    for (const release of this.releases) await release();
  }

  /** Blocks that ran. */
  get effects(): number {
    return this.acme.service.requests.length;
  }

  get pinging(): string {
    return `do: [{ping: ${this.acme.ping}}]`;
  }

  get onOurQueue(): { taskQueue: string } {
    return { taskQueue: this.acme.taskQueue };
  }

  /** A start that has to be refused. */
  async refusalOf(input: unknown, workflowId = `flow-${randomUUID()}`): Promise<JsonObject> {
    return errorOf(await this.acme.send(input as JsonObject, { workflowId }));
  }

  async runningFlow(): Promise<OpenFlow> {
    const handle = await this.acme.start(`do: [{w: {wait: PT1H}}, {ping: ${this.acme.ping}}]`);
    const prepared = await eventually(() => preparedOf(handle));
    return { handle, grant: String(prepared.grant), prepared };
  }

  /** Tries something with a flow that is open, and ends the flow. */
  async besideFlow(attempt: (flow: OpenFlow) => Promise<string | undefined>): Promise<string | undefined> {
    const flow = await this.runningFlow();
    try {
      return await attempt(flow);
    } finally {
      await flow.handle.terminate().catch(() => undefined);
    }
  }

  /** The same with one that has ended, whose workflow id anybody may take. */
  async afterFlow(attempt: (flow: OpenFlow) => Promise<string | undefined>): Promise<string | undefined> {
    const flow = await this.runningFlow();
    await flow.handle.terminate();
    return await attempt(flow);
  }

  /** Starts somebody else's workflow. */
  async foreign(type: string, args: unknown[], workflowId = `foreign-${randomUUID()}`): Promise<WorkflowHandle> {
    return this.acme.worker.client.workflow.start(type, { workflowId, taskQueue: this.foreignQueue, args });
  }

  /** Undefined where somebody else's workflow failed with that code; else what happened. */
  async foreignRefusal(code: string, ...work: Parameters<IdentityWorld['foreign']>): Promise<string | undefined> {
    const handle = await this.foreign(...work);
    const failure: unknown = await handle.result().then(
      (value: unknown) => new Error(`it completed with ${shown(value)}`),
      (error: unknown) => error,
    );
    const found = codeIn(failure);
    return found === code ? undefined : `expected ${code}, got ${found ?? shown(messagesOf(failure))}`;
  }

  /** A request for a step, as our flows make them. */
  stepRequest(more: JsonObject = {}): JsonObject {
    return {
      tenant: 'acme',
      flow: 'test/flow:1.0.0',
      stepId: '/do/0/ping',
      key: 'acme:x:/do/0/ping:0:0',
      idempotent: true,
      with: { method: 'get', endpoint: `${this.acme.service.origin}/` },
      ...more,
    };
  }
}

export async function openIdentityWorld(): Promise<IdentityWorld> {
  const releases: Release[] = [];
  const onClose = (release: Release) => void releases.unshift(release);
  try {
    const server = await startOwnTemporal({ namespace: 'elsewhere' });
    onClose(() => server.stop());
    const { address } = server;
    const catalog = makeCatalogFolder();
    onClose(async () => catalog.dispose());
    const acme = await startAcme(address, catalog);
    onClose(() => acme.stop());
    const shared = { auth: 'jwt', 'auth-key': acme.identity.authKeyFile, policy: acme.policyFile };
    const flags = { ...shared, pools: 'io', 'queue-prefix': acme.worker.queuePrefix };
    const elsewhere = await startTestWorker(flags, { address, namespace: 'elsewhere' });
    onClose(() => elsewhere.stop());
    const foreignQueue = `foreign-${randomUUID()}`;
    onClose(await startForeignWorker(address, foreignQueue));
    return new IdentityWorld(address, acme, elsewhere, foreignQueue, await runSubflow(acme), releases);
  } catch (error) {
    for (const release of releases) await release();
    throw error;
  }
}

async function startAcme(address: string, catalog: CatalogFolder): Promise<IdentityWorker> {
  const tenants = [
    tenantPolicy('acme', ALL_SCOPES),
    tenantPolicy('globex', ALL_SCOPES),
    tenantPolicy(CROWDED, ALL_SCOPES, { quotas: { flows: 1 } }),
    tenantPolicy(
      'modest',
      ALL_SCOPES.filter((scope) => scope !== 'deadletter:resolve'),
    ),
    tenantPolicy('meek', ['flow:start', 'block:*', 'resources:*', 'approval:request']),
  ];
  const acme = await startIdentityWorker(tenants, { catalog: catalog.folder }, { address, namespace: 'default' });
  catalog.write('inner.yaml', flowText('sub/inner:1.0.0', `do: [{ping: ${acme.ping}}]`));
  return acme;
}

async function runSubflow({ start, worker }: IdentityWorker): Promise<IdentityWorld['ranSubflow']> {
  const outer = await start("do: [{sub: {run: {workflow: {namespace: sub, name: inner, version: '1.0.0'}}}}]");
  await outer.result();
  const workflowId = `${outer.workflowId}/sub`;
  const input = await inputOf(worker.client.workflow.getHandle(workflowId));
  if (input === undefined) throw new Error('the history of a flow that a flow ran has no start input');
  return { workflowId, start: input };
}

/** An attack: it has to be refused as `attempt` says, and no block may have run for it. */
export function attack(kind: string, name: string, attempt: IdentityCase['attempt']): IdentityCase {
  return {
    kind,
    name,
    attempt: async (world) => {
      const before = world.effects;
      const problem = await attempt(world);
      if (problem !== undefined) return problem;
      return world.effects === before ? undefined : `${world.effects - before} blocks ran`;
    },
  };
}

export function control(kind: string, name: string, attempt: IdentityCase['attempt']): IdentityCase {
  return { kind, name: `fine: ${name}`, isControl: true, attempt };
}

/** Undefined where an error is of that code, and its detail has that text; else what it is. */
export function refusedAs(error: JsonObject, code: string, detail = ''): string | undefined {
  if (error.code === code && String(error.detail).includes(detail)) return undefined;
  return `expected ${code} with "${detail}", got ${shown(error)}`;
}

/** The first problem that there is. */
export async function firstProblem(
  ...attempts: readonly (() => Promise<string | undefined>)[]
): Promise<string | undefined> {
  for (const attempt of attempts) {
    const problem = await attempt();
    if (problem !== undefined) return problem;
  }
  return undefined;
}

/** Undefined where both are the same JSON. */
export function sameAs(got: unknown, expected: unknown): string | undefined {
  return JSON.stringify(got) === JSON.stringify(expected)
    ? undefined
    : `expected ${shown(expected)}, got ${shown(got)}`;
}

/** What the history of a flow shows of its preparation. */
export async function preparedOf(handle: WorkflowHandle): Promise<JsonObject | undefined> {
  const { events } = await handle.fetchHistory();
  for (const { markerRecordedEventAttributes: marker } of events ?? []) {
    const data = marker?.details?.result?.payloads?.[0]?.data;
    if (data != null) return JSON.parse(Buffer.from(data).toString()) as JsonObject;
  }
  return undefined;
}

/** What a workflow was started with. */
export async function inputOf(handle: WorkflowHandle): Promise<JsonObject | undefined> {
  const { events } = await handle.fetchHistory();
  const data = events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads?.[0]?.data;
  return data == null ? undefined : (JSON.parse(Buffer.from(data).toString()) as JsonObject);
}

/** The code of ours that an error of Temporal's is about. */
export function codeIn(error: unknown): string | undefined {
  for (let at = error as { cause?: unknown; type?: string } | undefined; at !== undefined && at !== null; ) {
    if (at.type?.startsWith('BLW_') === true) return at.type;
    at = at.cause as typeof at;
  }
  return undefined;
}

function messagesOf(error: unknown): string {
  const messages: string[] = [];
  for (let at = error as { cause?: unknown; message?: string } | undefined; at !== undefined && at !== null; ) {
    messages.push(String(at.message));
    at = at.cause as typeof at;
  }
  return messages.join(': ');
}
