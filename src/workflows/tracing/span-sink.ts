import { proxySinks, workflowInfo } from '@temporalio/workflow';
import type { SpanRecord, TraceSinks } from '../../dsl/trace';

const { traces } = proxySinks<TraceSinks>();

/** Spans that have ended in the present activation. This module is loaded for each workflow (`workflow-bundle-options.ts`): the state of one. */
let finished: SpanRecord[] = [];

/** Hands a span to the worker, at the end of the activation. */
export function finishSpan(span: SpanRecord): void {
  finished.push(span);
}

/** Gives the worker what has ended: one call for each activation, since each copies what the SDK knows of the workflow. */
export function flushSpans(): void {
  if (finished.length === 0) return;
  const spans = finished;
  finished = [];
  // What is replayed has been handed over before.
  if (!workflowInfo().unsafe.isReplaying) traces.finished(spans);
}
