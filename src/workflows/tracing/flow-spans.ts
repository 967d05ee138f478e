import { workflowInfo } from '@temporalio/workflow';
import { shortText } from '../../dsl/problems';
import type { StepProgress } from '../../dsl/progress';
import {
  type FlowTrace,
  type SpanAttributes,
  type SpanContext,
  type SpanEvent,
  type SpanRecord,
  type StepTrace,
  sharedOf,
  spanIdOf,
} from '../../dsl/trace';
import { finishSpan } from './span-sink';

/** What the spans are of. */
export interface TracedFlow {
  readonly tenant: string;
  /** Workflow id of the flow. */
  readonly flowId: string;
  /** `namespace/name:version`. */
  readonly flow: string;
}

interface OpenStep {
  readonly step: StepProgress;
  readonly parent: number;
  readonly startMs: number;
  readonly events: SpanEvent[];
  worker?: string;
}

/**
 * The spans of a run of a flow, or of a window of one: its own, number 0, and one for each execution of a step. Synchronous, without
 * commands; ids are made of the run, so that a replay makes the same ones.
 */
export class FlowSpans {
  readonly #open = new Map<number, OpenStep>();
  readonly #runId = workflowInfo().runId;
  #last = 0;

  constructor(
    private readonly trace: FlowTrace,
    private readonly of: TracedFlow,
  ) {}

  /** Begins the span of a step, below that of the group around it, 0 for the flow's own list; gives its number. */
  begin(step: StepProgress, parent: number): number {
    this.#last += 1;
    if (this.trace.sampled === true) {
      this.#open.set(this.#last, { step, parent, startMs: Date.now(), events: [] });
    }
    return this.#last;
  }

  /** Something happened to the step. */
  happened(number: number, name: string, attributes?: SpanAttributes): void {
    const event = { name, atMs: Date.now(), ...(attributes === undefined ? {} : { attributes }) };
    this.#open.get(number)?.events.push(event);
  }

  /** Which worker ran the step's last attempt. */
  ranOn(number: number, worker: string): void {
    const open = this.#open.get(number);
    if (open !== undefined) open.worker = worker;
  }

  /** The step has ended as its progress says. One that did not run has no span. */
  end(number: number): void {
    const open = this.#open.get(number);
    this.#open.delete(number);
    if (open === undefined || isPassedOver(open)) return;
    this.#finishStep(number, open, open.step.status);
  }

  /** The step has no span of its own here. */
  forget(number: number): void {
    this.#open.delete(number);
  }

  /** The run has ended; what stands still goes on in the next one, with a span of its own. */
  finish(status: string, code?: string): void {
    for (const [number, open] of this.#open) this.#finishStep(number, open, 'suspended');
    this.#open.clear();
    if (this.trace.sampled !== true) return;
    const { tenant, flowId, flow } = this.of;
    const { workflowType, runId } = workflowInfo();
    finishSpan({
      ...this.#idsOf(0, this.trace.parent),
      name: flow,
      kind: 'server',
      startMs: startOfRun(),
      endMs: Date.now(),
      attributes: {
        tenant_id: tenant,
        flow_id: flowId,
        'beamline.flow': flow,
        'beamline.flow.status': status,
        'beamline.workflow_type': workflowType,
        'beamline.run_id': runId,
        ...(code === undefined ? {} : { 'error.type': code }),
      },
      ...(code === undefined ? {} : { error: { code } }),
      ...linksOf(this.trace.id),
    });
  }

  /** What a step's activity is told. */
  requestOf(number: number): StepTrace {
    return { ...sharedOf(this.trace), step: number };
  }

  /** Where the workflows that a step starts belong. */
  contextOf(number: number): SpanContext {
    return { ...sharedOf(this.trace), span: spanIdOf(this.#runId, number) };
  }

  /** As {@link contextOf}, for those that get it as data. */
  belowOf(number: number): FlowTrace {
    return { ...sharedOf(this.trace), parent: spanIdOf(this.#runId, number) };
  }

  #idsOf(number: number, parent: string | undefined): Pick<SpanRecord, 'trace' | 'span' | 'parent' | 'state'> {
    const { id: trace, state } = this.trace;
    const span = spanIdOf(this.#runId, number);
    return { trace, span, ...(parent === undefined ? {} : { parent }), ...(state === undefined ? {} : { state }) };
  }

  #finishStep(number: number, { step, parent, startMs, events, worker }: OpenStep, status: string): void {
    const code = step.status === 'failed' ? codeOf(step) : undefined;
    finishSpan({
      ...this.#idsOf(number, spanIdOf(this.#runId, parent)),
      name: step.name,
      kind: 'internal',
      startMs,
      endMs: Date.now(),
      attributes: {
        tenant_id: this.of.tenant,
        flow_id: this.of.flowId,
        step_id: step.id,
        block_type: step.block,
        ...(worker === undefined ? {} : { worker_id: worker }),
        'beamline.step.status': status,
        ...(step.iteration === undefined ? {} : { 'beamline.step.iteration': step.iteration }),
        ...(step.attempts === undefined ? {} : { 'beamline.step.attempts': step.attempts }),
        ...(step.cached === true ? { 'beamline.step.cached': true } : {}),
        ...(step.approval === undefined ? {} : { 'beamline.approval_id': step.approval }),
        ...(step.child === undefined ? {} : { 'beamline.child_flow_id': step.child }),
        ...(code === undefined ? {} : { 'error.type': code }),
      },
      ...(code === undefined ? {} : { error: { code } }),
      ...(events.length === 0 ? {} : { events }),
    });
  }
}

/** Its `if` said no. */
function isPassedOver({ step, events }: OpenStep): boolean {
  return step.status === 'skipped' && events.length === 0;
}

/** Longest type of an error that is not ours. */
const MAX_TYPE_LENGTH = 200;

/** Errors that flows raise themselves have a type of their own. */
function codeOf({ error }: StepProgress): string {
  const { code, type } = error ?? {};
  return shortText(String(code ?? type ?? 'error'), MAX_TYPE_LENGTH);
}

/** Of the first run when it was started, of the others when they began: how long it waited for a worker belongs to the flow. */
function startOfRun(): number {
  const { startTime, runStartTime, continuedFromExecutionRunId, originalExecutionRunId, runId } = workflowInfo();
  const isFirst = continuedFromExecutionRunId === undefined && originalExecutionRunId === runId;
  return (isFirst ? startTime : runStartTime).getTime();
}

/** The run that this one goes on from: continued as new, or reset. */
function linksOf(trace: string): Pick<SpanRecord, 'links'> {
  const { continuedFromExecutionRunId, originalExecutionRunId, runId } = workflowInfo();
  const runs = [continuedFromExecutionRunId, originalExecutionRunId].filter(
    (before): before is string => before !== undefined && before !== runId,
  );
  return runs.length === 0 ? {} : { links: runs.map((before) => ({ trace, span: spanIdOf(before, 0) })) };
}
