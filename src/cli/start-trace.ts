import { randomUUID } from 'node:crypto';
import { type Client, WorkflowClient } from '@temporalio/client';
import { defaultPayloadConverter } from '@temporalio/common';
import { errorOf, newSpanId, nowMs } from '../activities/tracing/span-recorder';
import {
  parseTraceHeader,
  type SpanRecord,
  sharedOf,
  TRACE_HEADER,
  type TraceHeader,
  traceHeaderOf,
} from '../dsl/trace';
import { openTraces } from '../worker/tracing/traces';
import type { Cli } from './cli';

/** What is started. */
interface TracedStart {
  /** `namespace/name:version`. */
  readonly flow: string;
  readonly workflowId: string;
  /** Absent: that of a token. */
  readonly tenant: string | undefined;
}

/**
 * Starts a flow below the span that TRACEPARENT names, if any; where the environment asks for traces, as a span of its own. What is left
 * to be sent goes out beside whatever the command does next. Throws BLW_CONFIG for wrong OTEL_ variables, and what `start` throws.
 */
export async function traceStart<T>(
  { flow, workflowId, tenant }: TracedStart,
  cli: Pick<Cli, 'env' | 'err'>,
  start: (header: TraceHeader | undefined) => Promise<T>,
): Promise<T> {
  const { TRACEPARENT: traceparent, TRACESTATE: tracestate } = cli.env;
  const around = parseTraceHeader({ traceparent, tracestate });
  const traces = openTraces({
    env: cli.env,
    service: 'beamline',
    workerId: randomUUID(),
    hidesDataOf: () => true,
    logger: {
      log: (_, message, { error } = {}) => cli.err.line(`${message}${error === undefined ? '' : `: ${error}`}`),
    },
  });
  if (traces === undefined) return await start(around && traceHeaderOf(around));
  const attributes = {
    flow_id: workflowId,
    ...(tenant === undefined ? {} : { tenant_id: tenant }),
    'beamline.flow': flow,
  };
  const trace = traces.begin(`start ${flow}`, around && traceHeaderOf(around), attributes);
  const context = { ...sharedOf(trace), span: newSpanId() };
  const startMs = nowMs();
  const finish = (error?: unknown): void => {
    const record: SpanRecord = {
      trace: context.id,
      span: context.span,
      ...(trace.parent === undefined ? {} : { parent: trace.parent }),
      ...(context.state === undefined ? {} : { state: context.state }),
      name: `start ${flow}`,
      kind: 'client',
      startMs,
      endMs: nowMs(),
      attributes,
      ...errorOf(error),
    };
    if (trace.sampled === true) traces.send([record]);
    // Never rejects; the process ends once it is done, or soon after the command is.
    void traces.close();
  };
  try {
    const result = await start(traceHeaderOf(context));
    finish();
    return result;
  } catch (error) {
    finish(error);
    throw error;
  }
}

/** A client whose starts carry the header; without one, that of the session. */
export function startingClient(client: Client, header: TraceHeader | undefined): WorkflowClient {
  if (header === undefined) return client.workflow;
  const { namespace, dataConverter } = client.options;
  return new WorkflowClient({
    connection: client.connection,
    namespace,
    ...(dataConverter === undefined ? {} : { dataConverter }),
    interceptors: [
      {
        start: (input, next) =>
          next({
            ...input,
            headers: { ...input.headers, [TRACE_HEADER]: defaultPayloadConverter.toPayload(header) },
          }),
      },
    ],
  });
}
