import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import type { JsonObject } from '../../src/dsl/json';
import { connectClient } from '../../src/worker/temporal-connection';
import { Gate } from './gate';
import { LoopbackServers } from './loopback';
import { type StoreKind, storeKinds } from './state-stores';
import { testTemporal } from './temporal';
import { flowOf } from './test-worker';
import { WorkerProcesses } from './worker-process';

/** An installation with a state store of its own: worker processes, a client, and services that blocks call. */
export interface StoreInstallation {
  readonly client: Client;
  /** Of the store, for `--state-store`. */
  readonly storeFlag: string;
  readonly servers: LoopbackServers;
  readonly gate: Gate;
  startWorker(): ReturnType<WorkerProcesses['start']>;
  /** Starts a flow from the text of its steps; `header` stands before them. */
  start(tenant: string, steps: string, header?: string): Promise<WorkflowHandle>;
}

/**
 * Runs the same in an installation for each kind of store, all at the same time, since it waits most of the time. `tenants` is that part of
 * the policy. Rejects with the first that fails, which says in which store, once all are closed.
 */
export async function inEachStore(
  tenants: JsonObject,
  work: (installation: StoreInstallation) => Promise<void>,
): Promise<void> {
  const outcomes = await Promise.allSettled(storeKinds().map((kind) => inStore(kind, tenants, work)));
  const failed = outcomes.find((outcome) => outcome.status === 'rejected');
  if (failed !== undefined) throw failed.reason;
}

async function inStore(
  kind: StoreKind,
  tenants: JsonObject,
  work: (installation: StoreInstallation) => Promise<void>,
): Promise<void> {
  const releases: (() => unknown)[] = [];
  const onEnd = (release: () => unknown) => void releases.unshift(release);
  try {
    await work(await open(kind, tenants, onEnd));
  } catch (cause) {
    throw new Error(`in ${kind.name}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
  } finally {
    for (const release of releases) await release();
  }
}

async function open(
  kind: StoreKind,
  tenants: JsonObject,
  onEnd: (release: () => unknown) => void,
): Promise<StoreInstallation> {
  await kind.setUp();
  onEnd(() => kind.tearDown());
  await kind.begin();
  const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  onEnd(() => rmSync(folder, { recursive: true, force: true }));
  const policy = join(folder, 'policy.json');
  writeFileSync(policy, JSON.stringify({ version: 1, tenants }));
  const prefix = `store-${randomUUID()}`;
  const servers = new LoopbackServers();
  onEnd(() => servers.close());
  const processes = new WorkerProcesses();
  onEnd(() => processes.killAll());
  const { client, close } = await connectClient(testTemporal());
  onEnd(close);
  const gate = await new Gate().open(servers);
  onEnd(() => gate.let());
  const flags = {
    'queue-prefix': prefix,
    'blob-root': join(folder, 'blobs'),
    'state-store': kind.flag(),
    database: `test=sqlite:${join(folder, 'test.db')}`,
    policy,
  };
  return {
    client,
    storeFlag: kind.flag(),
    servers,
    gate,
    startWorker: () => processes.start(Object.entries(flags).flatMap(([name, value]) => [`--${name}`, value])),
    start: (tenant, steps, header = '') =>
      client.workflow.start('runFlow', {
        taskQueue: `${prefix}-io`,
        workflowId: `${prefix}-${randomUUID()}`,
        args: [{ flow: flowOf(`${header}do: [${steps}]`), tenant }],
      }),
  };
}
