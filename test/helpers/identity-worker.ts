import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { WorkflowHandle, WorkflowHandleWithFirstExecutionRunId, WorkflowStartOptions } from '@temporalio/client';
import type { DeadLetter, Resolution } from '../../src/dsl/dead-letter';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import { decisionPurpose, resolutionPurpose, startPurpose } from '../../src/worker/identity/sealed-token';
import type { OptionValues } from '../../src/worker/options';
import type { TenantPolicy } from '../../src/worker/policy/policy';
import { makeIdentity, policyText, type TestIdentity } from './identity';
import { type LoopbackServer, LoopbackServers } from './loopback';
import { flowOf, startTestWorker, type TestWorker } from './test-worker';

/** A worker with `--auth jwt`, an issuer of tokens, and a service whose calls are counted. */
export interface IdentityWorker {
  readonly identity: TestIdentity;
  readonly worker: TestWorker;
  readonly policyFile: string;
  /** Answers `"pong"` to all: what it saw are the blocks that ran. */
  readonly service: LoopbackServer;
  readonly taskQueue: string;
  /** A step that calls the service, in the text of a flow. */
  readonly ping: string;
  /** Starts a flow with a token that is sealed for it. */
  start(flow: JsonObject | string, options?: StartOptions): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** Sends a start input as it is. */
  send(input: Json, options?: Partial<WorkflowStartOptions>): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** A sealed start input. */
  sealed(workflowId: string, flow: JsonObject | string, options?: StartOptions): Promise<JsonObject>;
  /** A decision with a token that is sealed for it. */
  decision(approval: WorkflowHandle, said: JsonObject, claims?: JsonObject): Promise<JsonObject>;
  /** A resolution of a dead letter with a token that is sealed for it, for the present run. */
  resolution(
    flow: WorkflowHandle,
    of: { letter: Pick<DeadLetter, 'id' | 'failedAt'>; said: Resolution; claims: JsonObject },
  ): Promise<JsonObject>;
  stop(): Promise<void>;
}

export interface StartOptions {
  readonly claims?: JsonObject;
  readonly input?: Json;
  readonly tenant?: string;
  readonly extra?: JsonObject;
  readonly id?: string;
  /** That the token is sealed for; default: the worker's. */
  readonly namespace?: string;
}

/** `jwks` is where the issuer's keys are; by default a file. */
export async function startIdentityWorker(
  tenants: readonly TenantPolicy[],
  settings: OptionValues = {},
  target?: { address: string; namespace: string },
  jwks?: string,
): Promise<IdentityWorker> {
  const identity = await makeIdentity();
  const servers = new LoopbackServers();
  const service = await servers.http((_, response) => {
    response.setHeader('content-type', 'application/json').end('"pong"');
  });
  const policyFile = join(identity.folder, 'policy.json');
  writeFileSync(policyFile, policyText(jwks ?? identity.jwksFile, tenants));
  const flags = { auth: 'jwt', 'auth-key': identity.authKeyFile, policy: policyFile, ...settings };
  const worker = await startTestWorker(flags, target);
  const taskQueue = `${worker.queuePrefix}-io`;
  const { namespace: own } = worker.client.options;

  const sealed: IdentityWorker['sealed'] = async (
    workflowId,
    text,
    { claims, input = null, tenant, extra, namespace = own } = {},
  ) => {
    const flow = typeof text === 'string' ? flowOf(text) : text;
    const token = await identity.seal(
      await identity.token(claims),
      startPurpose({ namespace, workflowId }, { flow, input, tenant }),
    );
    return { flow, input, token, ...(tenant === undefined ? {} : { tenant }), ...extra };
  };
  const send: IdentityWorker['send'] = (input, options = {}) =>
    worker.client.workflow.start(RUN_FLOW, {
      workflowId: `flow-${randomUUID()}`,
      taskQueue,
      args: [input],
      ...options,
    });
  return {
    identity,
    worker,
    policyFile,
    service,
    taskQueue,
    ping: `{call: http, with: {method: get, endpoint: '${service.origin}/'}}`,
    sealed,
    send,
    start: async (flow, options = {}) => {
      const { id: workflowId = `flow-${randomUUID()}` } = options;
      return await send(await sealed(workflowId, flow, options), { workflowId });
    },
    decision: async (approval, said, claims) => {
      const { runId } = await approval.describe();
      const place = { namespace: own, workflowId: approval.workflowId, runId };
      const purpose = decisionPurpose(place, said as unknown as Parameters<typeof decisionPurpose>[1]);
      return { ...said, token: await identity.seal(await identity.token(claims), purpose) };
    },
    resolution: async (flow, { letter, said, claims }) => {
      const { runId } = await flow.describe();
      const purpose = resolutionPurpose({ namespace: own, workflowId: flow.workflowId, runId }, letter, said);
      return { ...(said as unknown as JsonObject), token: await identity.seal(await identity.token(claims), purpose) };
    },
    stop: async () => {
      await worker.stop();
      await servers.close();
      identity.close();
    },
  };
}
