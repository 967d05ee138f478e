import { randomBytes } from 'node:crypto';
import { ApplicationFailure, type Client, WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { prepareFlow } from '../activities/prepare-flow';
import type { Catalog } from '../dsl/catalog/library';
import { measureJson } from '../dsl/encoded-json';
import { FlowError, type FlowErrorData } from '../dsl/errors';
import type { Json, JsonObject } from '../dsl/json';
import { RUN_FLOW, taskQueueOf } from '../dsl/names';
import type { StartInput } from '../dsl/start';
import { CLAIM_THRESHOLD_BYTES, MAX_PAYLOAD_BYTES } from '../dsl/step-request';
import type { TraceHeader } from '../dsl/trace';
import { CommandError, usageError } from './command-error';
import { EXIT } from './exit-codes';
import { failureToJson } from './flow-outcome';
import type { WatchedFlow } from './flow-watcher';
import { startingClient } from './start-trace';

/** Temporal keeps 200 bytes of a summary; a character takes up to 4. */
const MAX_SUMMARY_LENGTH = 100;

/** For Temporal's default of 10 s, 100 MB of small objects are close to too much, on a busy machine. */
const LARGE_TASK_TIMEOUT = '60 s';

/** The syntax of expressions in jq has been checked when the document was read (`readFlowFile`). */
const CHECKED_BEFORE = { checkJq: async (questions: readonly unknown[]) => questions.map(() => null) };

/** A start input as it is sent: without a tenant, it is that of the token. */
export type SentStart = Omit<StartInput, 'tenant'> & { readonly tenant?: string };

/** A flow that is to be started. */
export interface FlowStart {
  /** As `runFlow` takes it. */
  readonly input: SentStart;
  /** `namespace/name:version`, and the title of the document where it is known. */
  readonly flow: string;
  readonly title?: string;
  readonly workflowId: string;
  readonly queuePrefix: string;
  /** Temporal ends the flow after this. */
  readonly timeoutMs?: number;
}

/**
 * Checks a start input just as the worker will, before anything starts. Throws, with exit code 2, BLW_START_INVALID,
 * BLW_FLOW_INVALID, or BLW_DATA_INVALID where the flow's input does not match its schema.
 */
export async function checkStart(input: SentStart, catalog?: Catalog): Promise<void> {
  const size = measureJson(input);
  if (size > MAX_PAYLOAD_BYTES) {
    throw usageError(`the flow and its input have ${size} bytes, at most ${MAX_PAYLOAD_BYTES} fit`, {
      help: 'Put large data where the flow can fetch it (http.stream, fs.get) and pass its place.',
    });
  }
  try {
    await prepareFlow(input, { engine: CHECKED_BEFORE, ...(catalog === undefined ? {} : { catalog }) });
  } catch (error) {
    if (!(error instanceof ApplicationFailure)) throw error;
    const data = failureToJson(error) as unknown as FlowErrorData;
    throw new CommandError(new FlowError(data, { cause: error }), EXIT.invalid);
  }
}

/** Starts a flow as a workflow of type `runFlow`, below the span that `trace` names. Throws BLW_USAGE where one with the same id is running or has completed. */
export async function startFlow(client: Client, start: FlowStart, trace?: TraceHeader): Promise<WatchedFlow> {
  const { input, workflowId, queuePrefix, timeoutMs } = start;
  const { priorityKey, tenant, mode } = input;
  const taskQueue = taskQueueOf(queuePrefix, mode === 'dry-run' ? 'sandbox' : 'io');
  try {
    const handle = await startingClient(client, trace).start(RUN_FLOW, {
      workflowId,
      taskQueue,
      args: [input],
      staticSummary: summaryOf(start),
      priority: {
        ...(tenant === undefined ? {} : { fairnessKey: tenant }),
        ...(priorityKey === undefined ? {} : { priorityKey }),
      },
      // The id is part of every idempotency key: a second run under it would find its effects done. A failed one may go on so.
      workflowIdReusePolicy: mode === 'dry-run' ? 'ALLOW_DUPLICATE' : 'ALLOW_DUPLICATE_FAILED_ONLY',
      ...(timeoutMs === undefined ? {} : { workflowExecutionTimeout: timeoutMs }),
      ...(measureJson(input) > CLAIM_THRESHOLD_BYTES ? { workflowTaskTimeout: LARGE_TASK_TIMEOUT } : {}),
    });
    return { client, workflowId, runId: handle.firstExecutionRunId, taskQueue };
  } catch (error) {
    if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    throw usageError(`a flow with the id "${workflowId}" is running or has completed already`, {
      cause: error,
      help: 'Take another --id, or leave it out to get one of its own.',
    });
  }
}

/** The start input of a flow: what is absent is left out, so that the worker's defaults apply. */
export function startInput(
  flow: JsonObject | string,
  rest: {
    input: Json;
    tenant: string | undefined;
    priorityKey?: number | undefined;
    requestedBy?: string | undefined;
  } & Pick<StartInput, 'mode' | 'mocks' | 'waits'>,
): SentStart {
  const { input, tenant, priorityKey, requestedBy, mode, mocks, waits } = rest;
  return {
    flow,
    input,
    ...(tenant === undefined ? {} : { tenant }),
    ...(priorityKey === undefined ? {} : { priorityKey }),
    ...(requestedBy === undefined ? {} : { requestedBy }),
    ...(mode === undefined ? {} : { mode }),
    ...(mocks === undefined ? {} : { mocks }),
    ...(waits === undefined ? {} : { waits }),
  };
}

/** `order-intake-3f9a1c2b`, from the flow's name. */
export function newWorkflowId(flow: string): string {
  const name = /\/([^:]+)/.exec(flow)?.[1] ?? 'flow';
  return `${name}-${randomBytes(4).toString('hex')}`;
}

function summaryOf({ title, flow }: FlowStart): string {
  const line = (title ?? flow).replace(/\s+/g, ' ').trim();
  return line.length > MAX_SUMMARY_LENGTH ? `${line.slice(0, MAX_SUMMARY_LENGTH - 1)}…` : line;
}
