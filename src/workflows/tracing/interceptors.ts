import { defaultPayloadConverter, type Headers } from '@temporalio/common';
import type { WorkflowInterceptors } from '@temporalio/workflow';
import { parseTraceHeader, type SpanContext, TRACE_HEADER, type TraceHeader, traceHeaderOf } from '../../dsl/trace';
import { flushSpans } from './span-sink';

/** That of the workflow's start. This module is loaded for each workflow (`workflow-bundle-options.ts`): the state of one. */
let received: TraceHeader | undefined;

/** The trace header that the workflow was started with; undefined where there was none that names a span. */
export function receivedTraceHeader(): TraceHeader | undefined {
  return received;
}

/** In the options of a child workflow: the header that it is started with. */
const CHILD_HEADER = Symbol('trace header');

/** To be spread into the options of a child workflow, which then is below this span. */
export function childTrace(context: SpanContext | undefined): object {
  return context === undefined ? {} : { [CHILD_HEADER]: traceHeaderOf(context) };
}

/** Read by Temporal's SDK. None of them makes a promise, which would cost tens of microseconds in the isolate. */
export const interceptors = (): WorkflowInterceptors => ({
  inbound: [
    {
      execute: (input, next) => {
        received = readHeader(input.headers);
        return next(input);
      },
    },
  ],
  outbound: [
    {
      startChildWorkflowExecution: (input, next) => {
        const header = (input.options as { [CHILD_HEADER]?: TraceHeader })[CHILD_HEADER];
        if (header === undefined) return next(input);
        const payload = defaultPayloadConverter.toPayload(header);
        return next({ ...input, headers: { ...input.headers, [TRACE_HEADER]: payload } });
      },
    },
  ],
  internals: [
    {
      concludeActivation: (input, next) => {
        flushSpans();
        return next(input);
      },
    },
  ],
});

/** Whoever starts a flow may send anything, of any size and depth; only what names a span goes on from here. */
function readHeader(headers: Headers): TraceHeader | undefined {
  const payload = headers[TRACE_HEADER];
  if (payload === undefined) return undefined;
  try {
    const context = parseTraceHeader(defaultPayloadConverter.fromPayload(payload));
    return context && traceHeaderOf(context);
  } catch {
    // What is no JSON names no trace.
    return undefined;
  }
}
