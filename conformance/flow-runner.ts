import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { awaitOutcome, type FlowOutcome } from '../src/cli/flow-outcome';
import { ReleaseStack } from '../src/cli/release-stack';
import type { ErrorCode } from '../src/dsl/error-codes';
import type { Json, JsonObject } from '../src/dsl/json';
import { PROGRESS_QUERY, RUN_FLOW, taskQueueOf } from '../src/dsl/names';
import type { FlowProgress, StepProgress } from '../src/dsl/progress';
import { parseWorkerConfig } from '../src/worker/config';
import { mergeOptions } from '../src/worker/options';
import { startWorker } from '../src/worker/run-worker';
import { connectClient, type TemporalTarget } from '../src/worker/temporal-connection';
import type { Execution } from './execution';
import { flowUntil } from './flow-until';
import type { FlowRunner } from './run-scenario';
import { startStubHosts } from './stubs/stub-hosts';

/** A flow that takes longer has hung: those of the kit take less than a second. */
const FLOW_TIMEOUT_MS = 60_000;

/** What a flow that is not even started ends with. */
const REFUSALS: readonly string[] = ['BLW_FLOW_INVALID', 'BLW_START_INVALID'] satisfies ErrorCode[];

/** Runs flows on a real worker. */
export interface ConformanceRunner extends FlowRunner {
  stop(): Promise<void>;
}

/**
 * Starts a worker on task queues, folders and ports of its own, for which the hosts that the kit calls are stubs on loopback
 * (see {@link startStubHosts}). `onStarted` sees each flow once it has started. The SDK's runtime must be installed before.
 */
export async function startConformanceRunner(options: {
  target: TemporalTarget;
  onStarted?: (handle: WorkflowHandle, flow: JsonObject) => Promise<void>;
}): Promise<ConformanceRunner> {
  const { target, onStarted = async () => undefined } = options;
  const releases = new ReleaseStack((error) => console.error(`conformance: ${String(error)}`));
  try {
    const folder = await mkdtemp(join(tmpdir(), 'beamline-conformance-'));
    releases.add(() => rm(folder, { recursive: true, force: true, maxRetries: 3 }));
    const stubs = await startStubHosts();
    releases.add(() => stubs.close());
    const queuePrefix = `conformance-${randomUUID()}`;
    const flags = {
      'queue-prefix': queuePrefix,
      'blob-root': join(folder, 'blobs'),
      'allow-host': [...stubs.addresses],
      'shutdown-grace': '2',
    };
    const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
    const logger = { log: () => undefined };
    const worker = await startWorker({ config, target, logger, workerId: queuePrefix, wrapHttp: stubs.wrap });
    releases.add(() => worker.stop());
    const { client, close } = await connectClient(target);
    releases.add(close);
    const run = runOn({ client, taskQueue: taskQueueOf(queuePrefix, 'io'), onStarted });
    return { run, stop: () => releases.releaseAll() };
  } catch (error) {
    await releases.releaseAll();
    throw error;
  }
}

/** Starts flows as any client of Temporal does: one workflow of type `runFlow`, with the document as data. */
function runOn({ client, taskQueue, onStarted }: RunContext): FlowRunner['run'] {
  const run: FlowRunner['run'] = async (flow, input): Promise<Execution> => {
    const handle = await client.workflow.start(RUN_FLOW, {
      taskQueue,
      workflowId: `conformance-${randomUUID()}`,
      workflowExecutionTimeout: FLOW_TIMEOUT_MS,
      args: [{ flow, input }],
    });
    await onStarted(handle, flow);
    const outcome = await awaitOutcome(handle);
    if (wasRefused(outcome)) throw new Error(`the engine refused to run the flow: ${String(outcome.error.detail)}`);
    return { outcome, steps: () => stepsOf(handle), outputOf: (task) => outputOf(task, flow, input) };
  };
  const outputOf = async (task: string, flow: JsonObject, input: Json): Promise<Json> => {
    const shorter = flowUntil(task, flow);
    if (shorter === undefined) throw new Error(`the flow has no task ${task}`);
    const { outcome } = await run(shorter, input);
    if (outcome.status === 'Completed') return outcome.output;
    throw new Error(`the flow that ends after the task ${task} failed: ${JSON.stringify(outcome.error)}`);
  };
  return run;
}

/** A flow that never began must not pass for one that faulted. */
function wasRefused(outcome: FlowOutcome): outcome is Exclude<FlowOutcome, { status: 'Completed' }> {
  return outcome.status !== 'Completed' && REFUSALS.includes(String(outcome.error.code));
}

interface RunContext {
  readonly client: Client;
  readonly taskQueue: string;
  readonly onStarted: (handle: WorkflowHandle, flow: JsonObject) => Promise<void>;
}

async function stepsOf(handle: WorkflowHandle): Promise<readonly StepProgress[]> {
  const { steps, stepsStarted } = await handle.query<FlowProgress>(PROGRESS_QUERY);
  if (steps.length === stepsStarted) return steps;
  throw new Error(
    `the engine keeps ${steps.length} of the ${stepsStarted} tasks that ran: too many to check their order`,
  );
}
