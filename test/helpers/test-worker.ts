import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client, WorkflowHandle, WorkflowHandleWithFirstExecutionRunId } from '@temporalio/client';
import { WorkflowFailedError } from '@temporalio/client';
import { DefaultLogger, Runtime } from '@temporalio/worker';
import { parse } from 'yaml';
import type { StepCache } from '../../src/activities/ports/step-cache';
import type { Json, JsonObject } from '../../src/dsl/json';
import { RUN_FLOW } from '../../src/dsl/names';
import type { FlowProgress } from '../../src/dsl/progress';
import { parseWorkerConfig } from '../../src/worker/config';
import { keyRingOf } from '../../src/worker/encryption-keys';
import type { Logger } from '../../src/worker/logger';
import { mergeOptions, type OptionValues } from '../../src/worker/options';
import { startWorker } from '../../src/worker/run-worker';
import type { RunningWorker } from '../../src/worker/serve-pools';
import { connectClient } from '../../src/worker/temporal-connection';
import { testTemporal } from './temporal';

const HEADER =
  "document: { dsl: '1.0.3', namespace: test, name: flow, version: '1.0.0' }\nevaluate: { language: cel }\n";

/** A flow from the text below its header. */
export function flowOf(text: string): JsonObject {
  return parse(HEADER + text) as JsonObject;
}

/** A real worker with a real connection, on task queues and folders of its own. */
export interface TestWorker {
  readonly client: Client;
  readonly queuePrefix: string;
  /** Temporary; has the databases and blobs. */
  readonly folder: string;
  readonly worker: RunningWorker;
  /** Starts a flow; `start` adds to the start input. */
  start(flow: JsonObject | string, input?: Json, start?: JsonObject): Promise<WorkflowHandleWithFirstExecutionRunId>;
  /** Runs a flow to its end and gives its output. */
  run(flow: JsonObject | string, input?: Json, start?: JsonObject): Promise<Json>;
  /** Runs a flow that must fail, and gives the error's data. */
  fail(flow: JsonObject | string, input?: Json, start?: JsonObject): Promise<JsonObject>;
  stop(): Promise<void>;
}

let isQuiet = false;

/** Starts a worker in this process; `settings` are flags. Database `test` is SQLite; loopback may be called. */
export async function startTestWorker(
  settings: OptionValues = {},
  target: { address: string; namespace: string } = testTemporal(),
  logger: Logger = { log: () => undefined },
  stepCache?: StepCache,
): Promise<TestWorker> {
  if (!isQuiet)
    Runtime.install({
      logger: new DefaultLogger('ERROR', () => undefined),
      telemetryOptions: { logging: { forward: { level: 'ERROR' } } },
      shutdownSignals: [],
    });
  isQuiet = true;
  const folder = mkdtempSync(join(tmpdir(), 'beamline-test-'));
  const queuePrefix = `test-${randomUUID()}`;
  const flags: OptionValues = {
    'queue-prefix': queuePrefix,
    'blob-root': join(folder, 'blobs'),
    database: [`test=sqlite:${join(folder, 'test.db')}`],
    'allow-host': ['127.0.0.1', 'localhost'],
    'shutdown-grace': '2',
    ...settings,
  };
  const config = parseWorkerConfig(mergeOptions({ flags, env: {}, file: {} }), folder);
  const worker = await startWorker({
    config,
    target,
    logger,
    workerId: queuePrefix,
    ...(stepCache === undefined ? {} : { stepCache }),
  });
  const keys = keyRingOf(config.encryptionKeys, process.env);
  const { client, close } = await connectClient({ ...target, blobRoot: config.blobRoot, keys });

  const start: TestWorker['start'] = (flow, input = null, extra = {}) =>
    client.workflow.start(RUN_FLOW, {
      taskQueue: `${queuePrefix}-io`,
      workflowId: `flow-${randomUUID()}`,
      args: [{ flow: typeof flow === 'string' ? flowOf(flow) : flow, input, ...extra }],
    });
  const run: TestWorker['run'] = async (...args) => (await (await start(...args)).result()) as Json;
  return {
    client,
    queuePrefix,
    folder,
    worker,
    start,
    run,
    fail: async (...args) => errorOf(await start(...args)),
    stop: async () => {
      await close();
      await worker.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The error that a flow ends with, as data. Fails where the flow completes. */
export async function errorOf(handle: WorkflowHandle): Promise<JsonObject> {
  const outcome = await handle.result().then(
    (output: unknown) => ({ output }),
    (error: unknown) => ({ error }),
  );
  if (!('error' in outcome))
    throw new Error(`the flow completed with ${JSON.stringify(outcome.output)}, expected it to fail`);
  const { error } = outcome;
  const cause =
    error instanceof WorkflowFailedError ? (error.cause as { details?: JsonObject[] } | undefined) : undefined;
  const [data] = cause?.details ?? [];
  if (data === undefined) throw error;
  return data;
}

/** Waits until the flow's progress is as wanted; polls, since a query is the only way to see it. */
export async function progressWhen(
  handle: WorkflowHandle,
  isWanted: (progress: FlowProgress) => boolean,
  deadlineMs = 15_000,
): Promise<FlowProgress> {
  return await eventually(async () => {
    const progress = await handle.query<FlowProgress>('progress');
    return isWanted(progress) ? progress : undefined;
  }, deadlineMs);
}

/** The approval that a flow waits for, once it is there: the flow says so a moment before. */
export async function openApproval(client: Client, flow: WorkflowHandle): Promise<WorkflowHandle> {
  const { steps } = await progressWhen(flow, (progress) =>
    progress.steps.some(({ approval }) => approval !== undefined),
  );
  const approval = client.workflow.getHandle(steps.find((step) => step.approval !== undefined)?.approval ?? '');
  await eventually(() => approval.describe());
  return approval;
}

/** Asks again and again until there is an answer. Throws after the deadline, with the last error if there was one. */
export async function eventually<T>(ask: () => Promise<T | undefined>, deadlineMs = 15_000): Promise<T> {
  const end = Date.now() + deadlineMs;
  let lastError: unknown;
  while (Date.now() < end) {
    try {
      const answer = await ask();
      if (answer !== undefined) return answer;
    } catch (error) {
      lastError = error;
    }
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`not within ${deadlineMs} ms`, { cause: lastError });
}
